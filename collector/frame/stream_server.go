package frame

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"time"
)

// Greeter opens hellos, each at most once. It is not safe for concurrent use.
type Greeter struct {
	ring *Keyring
	seen map[Nonce]int64 // when, ms
}

// maxHellos bounds the nonces that a Greeter remembers. Only holders of a key can fill it.
const maxHellos = 16_384

// NewGreeter makes a Greeter that accepts every key of the ring.
func NewGreeter(ring *Keyring) *Greeter {
	return &Greeter{ring: ring, seen: make(map[Nonce]int64)}
}

// SetKeys puts another keyring in force for the hellos to come.
func (g *Greeter) SetKeys(ring *Keyring) { g.ring = ring }

// Accept opens a hello and makes the writer of its stream. server must be random and new. since is the client's wish.
func (g *Greeter) Accept(hello []byte, server Nonce, now time.Time) (w *StreamWriter, since int64, err error) {
	if len(hello) != HelloSize || string(hello[:len(streamMagic)]) != streamMagic || hello[len(streamMagic)] != version {
		return nil, 0, fmt.Errorf("%w: no hello of this version", ErrNotFrame)
	}
	key, err := g.ring.find(hello[len(streamMagic)+1])
	if err != nil {
		return nil, 0, err
	}
	nonce := Nonce(hello[helloHead-streamNonce : helloHead])
	aead, err := key.derive(nonce[:], helloInfo)
	if err != nil {
		return nil, 0, err
	}
	var zero [nonceLen]byte
	body, err := aead.Open(nil, zero[:], hello[helloHead:], hello[:helloHead])
	if err != nil {
		return nil, 0, fmt.Errorf("%w: hello with key %d", ErrSeal, key.id)
	}
	sent, ms := int64(binary.BigEndian.Uint64(body)), now.UnixMilli()
	if sent < 0 || sent > maxClock {
		return nil, 0, fmt.Errorf("%w: time %d", ErrMalformed, sent)
	}
	if err := checkTime(sent, ms); err != nil {
		return nil, 0, err
	}
	if err := g.once(nonce, ms); err != nil {
		return nil, 0, err
	}
	since = int64(min(binary.BigEndian.Uint64(body[8:]), maxClock))
	session, err := sessionKey(key, nonce, server)
	if err != nil {
		return nil, 0, err
	}
	return &StreamWriter{aead: session, server: server}, since, nil
}

func (g *Greeter) once(nonce Nonce, now int64) error {
	if _, ok := g.seen[nonce]; ok {
		return fmt.Errorf("%w: hello", ErrReplay)
	}
	if len(g.seen) >= maxHellos {
		for n, at := range g.seen {
			if at < now-rememberFor.Milliseconds() {
				delete(g.seen, n)
			}
		}
	}
	if len(g.seen) >= maxHellos {
		return fmt.Errorf("%w: %d hellos in %v", ErrTooMany, len(g.seen), rememberFor)
	}
	g.seen[nonce] = now
	return nil
}

// StreamWriter makes the server's side of one stream. What it appends must be sent in that order and whole. It is
// not safe for concurrent use.
type StreamWriter struct {
	aead   cipher.AEAD
	server Nonce
	count  uint64
	nonce  [nonceLen]byte
	plain  []byte
}

// AppendGreeting appends what the server sends first.
func (w *StreamWriter) AppendGreeting(dst []byte) []byte { return append(dst, w.server[:]...) }

// AppendClock appends what the server's clock says, ms; it is to be the first record.
func (w *StreamWriter) AppendClock(dst []byte, now int64) []byte {
	w.plain = binary.BigEndian.AppendUint64(append(w.plain[:0], kindClock), uint64(now))
	return w.append(dst)
}

// AppendFrame appends the record of one datagram, at most MaxPayload bytes, received at that time in ms.
func (w *StreamWriter) AppendFrame(dst []byte, received int64, datagram []byte) []byte {
	w.plain = binary.BigEndian.AppendUint64(append(w.plain[:0], kindFrame), uint64(received))
	w.plain = append(w.plain, datagram...)
	return w.append(dst)
}

// AppendHeartbeat appends a heartbeat sent at now, ms, by a server whose oldest frame came at oldest, ms.
func (w *StreamWriter) AppendHeartbeat(dst []byte, now, oldest int64) []byte {
	w.plain = binary.BigEndian.AppendUint64(append(w.plain[:0], kindHeartbeat), uint64(now))
	w.plain = binary.BigEndian.AppendUint64(w.plain, uint64(oldest))
	return w.append(dst)
}

func (w *StreamWriter) append(dst []byte) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(w.plain)+tagLen))
	dst = w.aead.Seal(dst, putNonce(&w.nonce, w.count), w.plain, dst[at:at+4])
	w.count++
	return dst
}
