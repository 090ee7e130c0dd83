package frame

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const keyLen = 32

// ErrKey is what every refusal of a key wraps. The key itself is never part of the text.
var ErrKey = errors.New("unfit key")

// Key is one shared key of a cluster. Printing one, by whatever verb, shows its id alone.
type Key struct {
	id     uint8
	secret [keyLen]byte
}

// ParseKey reads 64 hexadecimal digits; white space around them is allowed. id is 1 to 255.
func ParseKey(id int, text string) (Key, error) {
	if id < 1 || id > 255 {
		return Key{}, fmt.Errorf("%w: id %d, want 1 to 255", ErrKey, id)
	}
	text = strings.TrimSpace(text)
	k := Key{id: uint8(id)}
	if len(text) != 2*keyLen {
		return Key{}, fmt.Errorf("%w %d: %d characters, want %d hexadecimal digits", ErrKey, id, len(text), 2*keyLen)
	}
	if _, err := hex.Decode(k.secret[:], []byte(text)); err != nil {
		return Key{}, fmt.Errorf("%w %d: want %d hexadecimal digits and nothing else", ErrKey, id, 2*keyLen)
	}
	if k.secret == ([keyLen]byte{}) {
		return Key{}, fmt.Errorf("%w %d: all zero", ErrKey, id)
	}
	return k, nil
}

// ID is the number that frames carry.
func (k Key) ID() int { return int(k.id) }

// String shows the id alone.
func (k Key) String() string { return fmt.Sprintf("key %d", k.id) }

// GoString shows the id alone.
func (k Key) GoString() string { return k.String() }

// Format shows the id alone, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// derive makes the AEAD of one use of the key.
func (k *Key) derive(salt []byte, info string) (cipher.AEAD, error) {
	sub, err := hkdf.Key(sha256.New, k.secret[:], salt, info, keyLen)
	if err != nil {
		return nil, fmt.Errorf("cannot derive from key %d: %w", k.id, err)
	}
	return newAEAD(sub)
}

// Keyring holds the keys of a cluster: the first one seals, all of them open. To rotate without a gap, add the new
// key behind the old one on every host, then put it first, then take the old one out.
type Keyring struct {
	keys []Key
}

// NewKeyring needs at least one key and distinct ids.
func NewKeyring(keys ...Key) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: keyring without keys", ErrKey)
	}
	seen := make(map[uint8]bool)
	for _, k := range keys {
		if k.id == 0 {
			return nil, fmt.Errorf("%w: zero Key; use ParseKey", ErrKey)
		}
		if seen[k.id] {
			return nil, fmt.Errorf("%w: id %d is there twice", ErrKey, k.id)
		}
		seen[k.id] = true
	}
	return &Keyring{keys: append([]Key(nil), keys...)}, nil
}

func (r *Keyring) sealing() *Key { return &r.keys[0] }

// holds reports whether the ring has this very key, and not another one of the same id.
func (r *Keyring) holds(k *Key) bool { return slices.Contains(r.keys, *k) }

func (r *Keyring) find(id uint8) (*Key, error) {
	for i := range r.keys {
		if r.keys[i].id == id {
			return &r.keys[i], nil
		}
	}
	return nil, fmt.Errorf("%w: %d", ErrUnknownKey, id)
}
