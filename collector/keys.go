package collector

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"keepwatch/collector/frame"
	"keepwatch/internal/conf"
)

const (
	keyFile    = "frame.key" // in the data folder
	ownKeyID   = 1           // of the key that is made there
	maxKeyFile = 4096        // bytes
)

// LoadKeys reads the keys that the configuration lists, or, when it lists none, the one in the data folder, which is
// made at the first call. Extractors on the same host use the same keys by the same call.
func LoadKeys(keys []conf.Key, dataDir string) (*frame.Keyring, error) {
	if len(keys) == 0 {
		file := filepath.Join(dataDir, keyFile)
		if err := makeKey(file); err != nil {
			return nil, err
		}
		keys = []conf.Key{{ID: ownKeyID, File: file}}
	}
	ring := make([]frame.Key, 0, len(keys))
	for _, k := range keys {
		text, err := readKey(k.File)
		if err != nil {
			return nil, err
		}
		key, err := frame.ParseKey(k.ID, text)
		if err != nil {
			return nil, fmt.Errorf("cannot use key file %q: %w", k.File, err)
		}
		ring = append(ring, key)
	}
	r, err := frame.NewKeyring(ring...)
	if err != nil {
		return nil, fmt.Errorf("collector.keys: %w", err)
	}
	return r, nil
}

func readKey(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("cannot open key file: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("cannot open key file: %w", err)
	}
	if st.Mode().IsRegular() && st.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("key file %q can be read or written by everybody: chmod 600 it, and make a new key if this host has other users", file)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return "", fmt.Errorf("cannot read key file: %w", err)
	}
	return string(text), nil
}

// makeKey makes the file unless it is there. It is written aside and linked into place, so that two processes that
// start at once agree on one key and neither reads half of it.
func makeKey(file string) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return fmt.Errorf("cannot draw a frame key: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".frame.key-*") // mode 0600
	if err != nil {
		return fmt.Errorf("cannot make a frame key: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(secret[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("cannot make a frame key: %w", err)
	}
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make a frame key: %w", err)
	}
	return nil
}
