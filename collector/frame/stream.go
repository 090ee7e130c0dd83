package frame

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// The state stream, over TCP, integers big endian:
//
//	client  "KWS" · version 1 · key id · 16 bytes nonce · sealed(u64 client's time ms · u64 since ms)
//	server  16 bytes nonce, then records for as long as the connection lasts
//	record  u32 length of what follows · sealed(kind · u64 received ms · datagram, or u64 oldest ms of a heartbeat)
//
// The first record is the server's clock: its "received" is when the hello was answered, and nothing follows it.
//
// The hello is sealed with HKDF(shared key, client's nonce), the records with HKDF(shared key, both nonces) and the
// number of the record as AES-GCM nonce, their length as additional data: a record that was changed, left out,
// repeated or recorded yesterday does not open. A hello that does not open is answered by closing.
const (
	streamMagic = "KWS"
	streamNonce = 16
	helloHead   = len(streamMagic) + 2 + streamNonce

	// HelloSize is the length of a hello in bytes.
	HelloSize = helloHead + 16 + tagLen

	// Heartbeat is how often the server sends a record at the least. Without any record for twice as long the far
	// side is dead.
	Heartbeat = 500 * time.Millisecond

	recordHead = 1 + 8
	maxRecord  = maxBody + recordHead + tagLen

	kindFrame     = 1
	kindHeartbeat = 2
	kindClock     = 3

	helloInfo  = "keepwatch stream hello v1"
	recordInfo = "keepwatch stream records v1"
)

// Nonce is 16 random bytes, never used twice.
type Nonce [streamNonce]byte

// Hello is a client's request for a stream.
type Hello struct {
	Bytes [HelloSize]byte // to be written to the connection first

	ring  *Keyring
	nonce Nonce
}

// NewHello asks for every frame received since that time (the aggregator's clock, ms since the epoch; 0: all that
// is held, at most 10 minutes). now is the client's clock, which the server requires within MaxSkew of its own.
func NewHello(ring *Keyring, nonce Nonce, since int64, now time.Time) (*Hello, error) {
	h := &Hello{ring: ring, nonce: nonce}
	key := ring.sealing()
	head := append(append(h.Bytes[:0], streamMagic...), version, key.id)
	head = append(head, nonce[:]...)
	var body [16]byte
	binary.BigEndian.PutUint64(body[:8], uint64(now.UnixMilli()))
	binary.BigEndian.PutUint64(body[8:], uint64(max(since, 0)))
	aead, err := key.derive(nonce[:], helloInfo)
	if err != nil {
		return nil, err
	}
	var zero [nonceLen]byte // the key is this nonce's alone
	aead.Seal(head, zero[:], body[:], head)
	return h, nil
}

// Record is one record of a stream.
type Record struct {
	Received  int64 // aggregator's clock when the frame came, ms; of a heartbeat: when it was sent
	Heartbeat bool  // nothing but a sign of life: everything received before Received has been sent
	Oldest    int64 // of a heartbeat: the oldest frame that the aggregator holds, ms; a `since` before it has a gap
	Frame     Frame // valid until the next Next
	Known     bool  // StreamReader.Known had it: of Frame there is the Origin alone
	Err       error // the frame inside does not open (ErrUnknownKey, ErrSeal, ErrMalformed); the stream goes on
}

// maxCached bounds the boots whose keys a StreamReader keeps; past it all are derived anew.
const maxCached = 65_536

// StreamReader reads the server's side of a stream. It is not safe for concurrent use.
type StreamReader struct {
	// Known, when it is set, tells of frames that need not be opened: most of those that another aggregator has, too.
	Known func(Origin) bool

	r      io.Reader
	hello  *Hello
	aead   cipher.AEAD
	count  uint64
	nonce  [nonceLen]byte
	head   [4]byte
	sealed []byte
	plain  []byte
	unseal unsealer
	boots  map[bootKey]*cached
	clock  int64
}

// NewStreamReader reads what answers the hello. Give it a buffered reader, and set the connection's read deadline
// before each Next to twice Heartbeat or more.
func NewStreamReader(r io.Reader, hello *Hello) *StreamReader {
	return &StreamReader{r: r, hello: hello, unseal: unsealer{ring: hello.ring}, boots: make(map[bootKey]*cached)}
}

// Next reads one record. An error means that the stream is over: ErrRefused when the server closed without a
// greeting, ErrBroken when a record does not open, else what the reader said. Frames are not de-duplicated: a stream
// that resumes repeats those of the millisecond `since`, and two aggregators have the same ones; Frame.Origin tells.
func (s *StreamReader) Next() (Record, error) {
	for {
		rec, clock, err := s.next()
		if !clock || err != nil {
			return rec, err
		}
		s.clock = rec.Received
	}
}

// Clock is what the server's clock said, ms, when it had read the hello; 0 before the first Next, and of a server that
// does not tell. The hello was sent before and the first record read after it, so it is known by as much as that took
// how far the clocks of both ends are apart.
func (s *StreamReader) Clock() int64 { return s.clock }

func (s *StreamReader) next() (rec Record, clock bool, err error) {
	plain, err := s.read()
	if err != nil {
		return Record{}, false, err
	}
	return s.record(plain)
}

// read reads and opens one record, and the greeting before the first.
func (s *StreamReader) read() ([]byte, error) {
	if s.aead == nil {
		if err := s.greeting(); err != nil {
			return nil, err
		}
	}
	if _, err := io.ReadFull(s.r, s.head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(s.head[:])
	if n < recordHead+tagLen || n > maxRecord {
		return nil, fmt.Errorf("%w: length %d, want %d to %d", ErrBroken, n, recordHead+tagLen, maxRecord)
	}
	if cap(s.sealed) < int(n) {
		s.sealed = make([]byte, n)
	}
	s.sealed = s.sealed[:n]
	if _, err := io.ReadFull(s.r, s.sealed); err != nil {
		return nil, err
	}
	plain, err := s.aead.Open(s.plain[:0], putNonce(&s.nonce, s.count), s.sealed, s.head[:])
	if err != nil {
		return nil, fmt.Errorf("%w: number %d", ErrBroken, s.count)
	}
	s.count++
	s.plain = plain
	return plain, nil
}

func (s *StreamReader) greeting() error {
	var server Nonce
	if _, err := io.ReadFull(s.r, server[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: check that both sides hold the same keys and the same time", ErrRefused)
		}
		return err
	}
	aead, err := sessionKey(s.hello.ring.sealing(), s.hello.nonce, server)
	s.aead = aead
	return err
}

func sessionKey(key *Key, client, server Nonce) (cipher.AEAD, error) {
	return key.derive(append(client[:], server[:]...), recordInfo)
}

func (s *StreamReader) record(b []byte) (rec Record, clock bool, err error) {
	rec = Record{Received: int64(binary.BigEndian.Uint64(b[1:]))}
	if rec.Received < 0 || rec.Received > maxClock {
		return rec, false, fmt.Errorf("%w: received %d", ErrBroken, rec.Received)
	}
	body := b[recordHead:]
	switch b[0] {
	case kindHeartbeat:
		if len(body) != 8 {
			return rec, false, fmt.Errorf("%w: heartbeat of %d bytes", ErrBroken, len(b))
		}
		rec.Heartbeat, rec.Oldest = true, int64(binary.BigEndian.Uint64(body))
	case kindClock:
		return rec, true, nil
	case kindFrame:
		rec.Frame, rec.Known, rec.Err = s.open(body)
	default:
		return rec, false, fmt.Errorf("%w: kind %d", ErrBroken, b[0])
	}
	return rec, false, nil
}

func (s *StreamReader) open(datagram []byte) (f Frame, known bool, err error) {
	h, err := parseHeader(datagram)
	if err != nil {
		return Frame{}, false, err
	}
	if o := (Origin{h.boot, h.seq}); s.Known != nil && s.Known(o) {
		return Frame{Origin: o}, true, nil
	}
	key := bootKey{h.key, h.boot}
	c := s.boots[key]
	if c == nil {
		if c = new(cached); len(s.boots) >= maxCached {
			clear(s.boots)
		}
	}
	head, err := s.unseal.open(datagram, h, c)
	if err != nil {
		return Frame{}, false, err
	}
	s.boots[key] = c
	f, err = s.unseal.frame(h, head, c)
	return f, false, err
}
