package delivery

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret bounds a secret file, in bytes.
const maxSecret = 16 << 10

// Secret reads a file that holds one secret; a line break at its end does not belong to it. It is read for each
// message, so that a new secret counts at once. The error names the file only.
func Secret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecret {
		return "", fmt.Errorf("%s: more than %d bytes: want one secret", path, maxSecret)
	}
	s := strings.TrimRight(string(b), "\r\n")
	if s == "" {
		return "", errors.New(path + ": empty: want one secret")
	}
	return s, nil
}

// OneLine makes text of the far side fit for a reason: one line of at most 300 characters.
func OneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return r <= 0x20 || r == 0x7f }), " ")
	if r := []rune(s); len(r) > 300 {
		return string(r[:299]) + "…"
	}
	return s
}
