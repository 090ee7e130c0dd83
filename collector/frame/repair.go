package frame

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
)

// A beat, integers big endian:
//
//	0   29  as a frame's, with "KWB" and, in the sequence's place, a number of the boot's beats from 1
//	29  n   AES-256-GCM of uvarint oldest · uvarint newest
//
// The key is that of the boot's frames; the nonce begins with another byte than theirs, so no nonce is used twice.
//
// A request:
//
//	0   3   "KWR"
//	3   1   version, 1
//	4   1   key id
//	5   16  boot id of the frames that are wanted
//	21  12  nonce, random
//	33  n   AES-256-GCM of ranges: uvarint count, then for each uvarint first - the last of the one before · uvarint more
//
// Its key is HKDF-SHA256(shared key, salt = that boot id): every asker of one boot has it, and no frame is sealed with it.
const (
	beatMagic     = "KWB"
	requestMagic  = "KWR"
	requestInfo   = "keepwatch repair v1"
	requestHead   = len(requestMagic) + 2 + bootLen + nonceLen
	beatNonce     = 1 // first byte
	requestNonces = 8192

	// MaxRanges is how many ranges one request may hold, MaxAsked how many frames they may name together.
	MaxRanges = 64
	MaxAsked  = 256

	nonceAge = int64(60_000) // ms; what was asked for longer ago is held by nobody
)

// Kind tells datagrams of the native channel apart.
type Kind uint8

// The kinds.
const (
	KindNone    Kind = iota // none of ours
	KindFrame               // for Opener.Open
	KindBeat                // for Opener.Beat
	KindRequest             // for Requests.Open
)

// KindOf tells by its first bytes what a datagram says it is.
func KindOf(datagram []byte) Kind {
	if len(datagram) >= len(magic) {
		switch string(datagram[:len(magic)]) {
		case magic:
			return KindFrame
		case beatMagic:
			return KindBeat
		case requestMagic:
			return KindRequest
		}
	}
	return KindNone
}

// HeaderOrigin gives the origin that a frame claims, without opening it; false when it is no frame.
func HeaderOrigin(datagram []byte) (Origin, bool) {
	h, err := parseHeader(datagram)
	return Origin{h.boot, h.seq}, err == nil
}

// Beat says what a sender has sent.
type Beat struct {
	Boot           Boot
	Oldest, Newest uint64 // sequences; all between them can be asked for. Oldest is Newest+1 when nothing is held
}

// Seq is the sequence of the last frame that was sealed.
func (s *Sealer) Seq() uint64 { return s.seq }

// Beat seals a beat; oldest is the oldest frame that the sender holds. The datagram is valid until the next call.
func (s *Sealer) Beat(oldest uint64) []byte {
	s.beats++
	s.body = binary.AppendUvarint(s.body[:0], min(oldest, s.seq+1))
	s.body = binary.AppendUvarint(s.body, s.seq)
	s.out = s.header(s.out[:0], beatMagic, s.beats)
	putNonce(&s.nonce, s.beats)
	s.nonce[0] = beatNonce
	s.out = s.aead.Seal(s.out, s.nonce[:], s.body, s.out[:headerLen])
	s.nonce[0] = 0
	return s.out
}

// Beat opens a beat of a boot of which a frame was opened; of any other it is ErrUnheard, which costs nothing. A beat
// may be played again: it says that frames were sent, which stays true.
func (o *Opener) Beat(datagram []byte) (Beat, error) {
	h, err := parseHeaderOf(datagram, beatMagic)
	if err != nil {
		return Beat{}, err
	}
	b := o.boots[bootKey{h.key, h.boot}]
	if b == nil || b.aead == nil {
		return Beat{}, fmt.Errorf("%w: %v", ErrUnheard, h.boot)
	}
	u := &o.unseal
	putNonce(&u.nonce, h.seq)
	u.nonce[0] = beatNonce
	plain, err := b.aead.Open(u.plain[:0], u.nonce[:], datagram[headerLen:], datagram[:headerLen])
	u.nonce[0] = 0
	if err != nil {
		return Beat{}, fmt.Errorf("%w: beat of boot %v", ErrSeal, h.boot)
	}
	u.plain = plain
	oldest, n := binary.Uvarint(plain)
	if n <= 0 {
		return Beat{}, fmt.Errorf("%w: beat", ErrMalformed)
	}
	newest, m := binary.Uvarint(plain[n:])
	if m <= 0 || n+m != len(plain) || newest > 1<<62 || oldest > newest+1 {
		return Beat{}, fmt.Errorf("%w: beat of frames %d to %d", ErrMalformed, oldest, newest)
	}
	b.told = max(b.told, newest)
	return Beat{h.boot, oldest, newest}, nil
}

// Late reports whether the sender of a frame that was opened is known to have sent others after it: what the frame says
// was so, and may be so no more.
func (o *Opener) Late(f Origin) bool {
	for i := range o.unseal.ring.keys {
		if b := o.boots[bootKey{o.unseal.ring.keys[i].id, f.Boot}]; b != nil && max(b.window.top, b.told) > f.Seq {
			return true
		}
	}
	return false
}

// Range is some sequences of one boot, First to Last.
type Range struct{ First, Last uint64 }

// RequestNonce is 12 random bytes, never used twice.
type RequestNonce [nonceLen]byte

// AppendRequest appends a request for frames of a boot: at most MaxRanges ranges, in order and apart, of at most
// MaxAsked frames together.
func AppendRequest(dst []byte, ring *Keyring, of Boot, nonce RequestNonce, ranges []Range) ([]byte, error) {
	var body []byte
	body = binary.AppendUvarint(body, uint64(len(ranges)))
	last := uint64(0)
	for _, r := range ranges {
		body = binary.AppendUvarint(body, r.First-last)
		body = binary.AppendUvarint(body, r.Last-r.First)
		last = r.Last
	}
	key, salt := ring.sealing(), of.bytes()
	aead, err := key.derive(salt[:], requestInfo)
	if err != nil {
		return dst, err
	}
	at := len(dst)
	dst = append(append(dst, requestMagic...), version, key.id)
	dst = append(append(dst, salt[:]...), nonce[:]...)
	return aead.Seal(dst, nonce[:], body, dst[at:]), nil
}

// Requests opens what is asked of one sender, each request at most once. It is not safe for concurrent use.
type Requests struct {
	ring       *Keyring
	boot       Boot
	aeads      map[uint8]cipher.AEAD
	young, old map[RequestNonce]struct{}
	turned     int64 // when young was begun, ms
	plain      []byte
	ranges     []Range
}

// NewRequests makes a Requests for the frames of one boot that accepts every key of the ring.
func NewRequests(ring *Keyring, boot Boot) *Requests {
	return &Requests{ring: ring, boot: boot, aeads: make(map[uint8]cipher.AEAD), young: make(map[RequestNonce]struct{})}
}

// SetKeys puts another keyring in force.
func (q *Requests) SetKeys(ring *Keyring) { q.ring, q.aeads = ring, make(map[uint8]cipher.AEAD) }

// Open opens a request that came at now, ms. The ranges are valid until the next call. A request for another boot is
// ErrStale, one that was opened in the last minute ErrReplay; none of the two, and no forged one, costs more than one
// look at a seal.
func (q *Requests) Open(datagram []byte, now int64) ([]Range, error) {
	if len(datagram) < requestHead+tagLen || len(datagram) > MaxPayload || string(datagram[:len(requestMagic)]) != requestMagic || datagram[len(requestMagic)] != version {
		return nil, fmt.Errorf("%w: %d bytes, want a request of this version", ErrNotFrame, len(datagram))
	}
	if salt := q.boot.bytes(); string(datagram[bootPos:seqPos]) != string(salt[:]) {
		return nil, fmt.Errorf("%w: request for frames of an earlier start", ErrStale)
	}
	nonce := RequestNonce(datagram[seqPos:requestHead])
	if q.known(nonce) {
		return nil, fmt.Errorf("%w: request", ErrReplay)
	}
	aead, err := q.aead(datagram[len(requestMagic)+1])
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(q.plain[:0], nonce[:], datagram[requestHead:], datagram[:requestHead])
	if err != nil {
		return nil, fmt.Errorf("%w: request", ErrSeal)
	}
	q.plain = plain
	if err := q.parse(plain); err != nil {
		return nil, err
	}
	q.note(nonce, now)
	return q.ranges, nil
}

func (q *Requests) aead(id uint8) (cipher.AEAD, error) {
	if a := q.aeads[id]; a != nil {
		return a, nil
	}
	key, err := q.ring.find(id)
	if err != nil {
		return nil, err
	}
	salt := q.boot.bytes()
	a, err := key.derive(salt[:], requestInfo)
	if err != nil {
		return nil, err
	}
	q.aeads[id] = a
	return a, nil
}

func (q *Requests) parse(b []byte) error {
	q.ranges = q.ranges[:0]
	n, used := binary.Uvarint(b)
	if used <= 0 || n > MaxRanges {
		return fmt.Errorf("%w: request of %d ranges, at most %d", ErrMalformed, n, MaxRanges)
	}
	b = b[used:]
	last, asked := uint64(0), uint64(0)
	for range n {
		step, i := binary.Uvarint(b)
		more, j := binary.Uvarint(b[max(i, 0):])
		if asked += more + 1; i <= 0 || j <= 0 || step == 0 || step > 1<<62 || more >= MaxAsked || asked > MaxAsked || last > 1<<62 {
			return fmt.Errorf("%w: range of a request", ErrMalformed)
		}
		b = b[i+j:]
		r := Range{last + step, last + step + more}
		q.ranges, last = append(q.ranges, r), r.Last
	}
	if len(b) > 0 {
		return fmt.Errorf("%w: request is longer than its ranges", ErrMalformed)
	}
	return nil
}

func (q *Requests) known(n RequestNonce) bool {
	_, young := q.young[n]
	_, old := q.old[n]
	return young || old
}

// note remembers a nonce for a minute at least, or for 8,192 requests.
func (q *Requests) note(n RequestNonce, now int64) {
	if now-q.turned > nonceAge || now < q.turned || len(q.young) >= requestNonces {
		q.old, q.young, q.turned = q.young, make(map[RequestNonce]struct{}), now
	}
	q.young[n] = struct{}{}
}

// AppendRanges turns sequences, in order, into ranges.
func AppendRanges(dst []Range, seqs []uint64) []Range {
	for _, seq := range seqs {
		if n := len(dst); n > 0 && dst[n-1].Last+1 == seq {
			dst[n-1].Last = seq
			continue
		}
		dst = append(dst, Range{seq, seq})
	}
	return dst
}

// Opened reports whether a frame that was refused with err had a seal that fits, so that its header can be believed:
// it came, whatever was in it.
func Opened(err error) bool {
	for _, unopened := range []error{ErrNotFrame, ErrUnknownKey, ErrSeal, ErrReplay, ErrStale, ErrTooMany} {
		if errors.Is(err, unopened) {
			return false
		}
	}
	return true
}
