package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"
)

// Bounds of a password, in bytes.
const (
	MinPassword = 10
	MaxPassword = 256
)

// The cost of argon2id: OWASP Password Storage Cheat Sheet's m=19 MiB, t=2, p=1.
const (
	costMemory  = 19 * 1024 // KiB
	costTime    = 2
	costThreads = 1
	saltBytes   = 16
	keyBytes    = 32
)

// ErrBusy says that too many passwords are being checked at this moment.
var ErrBusy = errors.New("too many sign-ins at this moment")

// slots bounds how many hashes are computed at once, so that a flood of sign-ins costs patience and not memory.
var slots = make(chan struct{}, max(1, runtime.NumCPU()/2))

func derive(ctx context.Context, password string, salt []byte, memory, passes uint32, threads uint8, n uint32) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ErrBusy
	}
	defer func() { <-slots }()
	return argon2.IDKey([]byte(password), salt, passes, memory, threads, n), nil
}

// Hash makes the PHC string of a password, as $argon2id$v=19$m=19456,t=2,p=1$salt$key. It waits for its turn and
// fails with ErrBusy when that takes too long.
func Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails: crypto/rand ends the process instead
	key, err := derive(ctx, password, salt, costMemory, costTime, costThreads, keyBytes)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, costMemory, costTime, costThreads, b64(salt), b64(key)), nil
}

// Verify reports whether a password is the one of a PHC string.
func Verify(ctx context.Context, phc, password string) (bool, error) {
	p, err := parsePHC(phc)
	if err != nil {
		return false, err
	}
	key, err := derive(ctx, password, p.salt, p.memory, p.time, p.threads, uint32(len(p.key)))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, p.key) == 1, nil
}

type phc struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// parsePHC reads what Hash writes, also with another cost. Bounds keep a damaged row from eating the memory.
func parsePHC(s string) (phc, error) {
	var p phc
	bad := errors.New("cannot read the stored password: want $argon2id$v=19$m=…,t=…,p=…$salt$key")
	parts := strings.Split(s, "$")
	if len(s) > 300 || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, bad
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); n != 3 || err != nil {
		return p, bad
	}
	if p.memory < 8 || p.memory > 256*1024 || p.time < 1 || p.time > 20 || p.threads < 1 || p.threads > 16 {
		return p, bad
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(p.salt) < 8 {
		return p, bad
	}
	if p.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(p.key) < 16 {
		return p, bad
	}
	return p, nil
}

// nobody is the hash that is compared with when there is no such user, so that the answer takes as long. No password
// has this key.
var nobody = fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, costMemory, costTime, costThreads,
	base64.RawStdEncoding.EncodeToString(make([]byte, saltBytes)), base64.RawStdEncoding.EncodeToString(make([]byte, keyBytes)))

// stamp stands for a stored password in a session: when it changes, the session is over.
func stamp(phc string) string {
	sum := sha256.Sum256([]byte(phc))
	return hex.EncodeToString(sum[:12])
}

// letters of generated passwords: none that looks like another.
const letters = "abcdefghjkmnpqrstuvwxyz23456789"

// newPassword makes a random password that can be read out and typed: 16 letters and digits in groups of four, 79 bits.
func newPassword() string {
	var b strings.Builder
	one := make([]byte, 1)
	for n := 0; n < 16; {
		rand.Read(one)
		if one[0] >= 248 { // 8*31: the rest would favour some letters
			continue
		}
		if n > 0 && n%4 == 0 {
			b.WriteByte('-')
		}
		b.WriteByte(letters[int(one[0])%len(letters)])
		n++
	}
	return b.String()
}
