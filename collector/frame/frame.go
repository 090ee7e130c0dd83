// Package frame owns the native wire of Keepwatch: the sealed datagram that carries one batch of samples and events,
// and the sealed TCP stream over which a collector hands the datagrams it heard to an extractor. It never opens a
// socket, reads a clock or draws a random number: those are arguments. Collectors seal and open frames and write the
// stream; extractors read the stream.
//
// A datagram, integers big endian:
//
//	0   3   "KWF"
//	3   1   version, 1
//	4   1   key id, 1 to 255
//	5   16  boot id: start of the sender, ms since the epoch; random
//	21  8   sequence, from 1
//	29  n   AES-256-GCM of the body; bytes 0 to 28 are its additional data
//
// The AES key is not the shared key but HKDF-SHA256(shared key, salt = boot id), and the nonce is the sequence: two
// senders, or one sender before and after a restart, never use one nonce with one key, whatever their number.
//
// A second and a third kind of datagram repair what was lost on the way: a beat, "KWB", by which a sender says which
// frames it has sent and still holds, and a request, "KWR", for some of them. Their layout stands at Beat and Requests.
//
// The body: uvarint send time in ms · uvarint interval in ms · flags (bit 0: samples that came in gmond packets, bit 1: derived) ·
// sender's cluster · sender's host (each: uvarint length, bytes) · zstd frame of an internal/batch encoding.
package frame

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"keepwatch/metric"
)

const (
	magic       = "KWF"
	version     = 1
	bootLen     = 16
	headerLen   = len(magic) + 2 + bootLen + 8
	tagLen      = 16
	nonceLen    = 12
	flagGmond   = 1
	flagDerived = 2
	maxBody     = 64 << 10
	bootPos     = len(magic) + 2
	seqPos      = bootPos + bootLen
	frameInfo   = "keepwatch frame v1"
	maxClock    = 1 << 50 // ms; bounds times so that sums of them cannot overflow
	maxPromise  = int64(24 * time.Hour / time.Millisecond)
)

// MaxSkew is how far the clocks of the two ends of a stream may be apart: a hello from further off is refused with
// ErrStale. A frame is opened whatever its sender's clock says; only a boot that claims to have started before the one
// heard last must have a clock this near to ours to take its place.
const MaxSkew = 10 * time.Minute

// What Open refuses. Each is wrapped with the detail; errors.Is tells them apart.
var (
	ErrNotFrame   = errors.New("not a frame")                         // other magic, version or too short
	ErrUnknownKey = errors.New("unknown key id")                      // sealed with a key that this keyring lacks
	ErrSeal       = errors.New("seal does not fit")                   // changed on the way, or sealed with another key of the same id
	ErrReplay     = errors.New("sequence seen before")                // a duplicate, or older than the window
	ErrStale      = errors.New("out of date")                         // a later boot of the same host is known; of a hello: MaxSkew passed
	ErrUnheard    = errors.New("no frame of this boot was heard")     // a beat of a sender that is not known yet
	ErrMalformed  = errors.New("malformed frame")                     // sealed rightly but not readable
	ErrTooMany    = errors.New("too many senders are remembered")     // the bound of OpenerOptions.MaxBoots
	ErrRefused    = errors.New("stream refused")                      // the far side closed before its greeting
	ErrBroken     = errors.New("stream broken: record does not open") // changed, reordered or cut on the way
)

// Boot identifies one run of one sender.
type Boot struct {
	Start  int64  // ms since the epoch
	Random uint64 // keeps two runs of the same millisecond apart
}

func (b Boot) bytes() (out [bootLen]byte) {
	binary.BigEndian.PutUint64(out[:8], uint64(b.Start))
	binary.BigEndian.PutUint64(out[8:], b.Random)
	return out
}

// String is the boot as logs write it.
func (b Boot) String() string { return fmt.Sprintf("%d-%016x", b.Start, b.Random) }

// Origin is what makes a frame the same frame however often and by whichever collector it is delivered.
type Origin struct {
	Boot Boot
	Seq  uint64
}

// Frame is one opened datagram.
type Frame struct {
	Origin
	Sent     int64         // the sender's clock, ms since the epoch
	Interval time.Duration // the sender's promise: it speaks of the hosts in this frame again after this long
	Gmond    bool          // the samples came to Origin in gmond packets; each aggregator makes its own such frames
	Derived  bool          // the sender made the samples of what others said: they are no sign of life of their hosts
	Cluster  string        // of the sender
	Host     string        // the sender; the batch may speak of other hosts
	Payload  []byte        // internal/batch encoding; valid until the next call of what returned the frame
}

type header struct {
	key  uint8
	boot Boot
	seq  uint64
}

func parseHeader(b []byte) (header, error) { return parseHeaderOf(b, magic) }

func parseHeaderOf(b []byte, magic string) (header, error) {
	if len(b) < headerLen+tagLen || string(b[:len(magic)]) != magic {
		return header{}, fmt.Errorf("%w: %d bytes", ErrNotFrame, len(b))
	}
	if v := b[len(magic)]; v != version {
		return header{}, fmt.Errorf("%w: version %d, this build reads %d", ErrNotFrame, v, version)
	}
	if len(b) > maxBody {
		return header{}, fmt.Errorf("%w: %d bytes, at most %d", ErrNotFrame, len(b), maxBody)
	}
	h := header{
		key: b[len(magic)+1],
		boot: Boot{
			Start:  int64(binary.BigEndian.Uint64(b[bootPos:])),
			Random: binary.BigEndian.Uint64(b[bootPos+8:]),
		},
		seq: binary.BigEndian.Uint64(b[seqPos:]),
	}
	if h.boot.Start < 0 || h.boot.Start > maxClock || h.seq == 0 {
		return header{}, fmt.Errorf("%w: boot %d, sequence %d", ErrNotFrame, h.boot.Start, h.seq)
	}
	return h, nil
}

// bodyHead is what stands before the compressed batch.
type bodyHead struct {
	sent, interval int64 // ms
	gmond, derived bool
	cluster, host  []byte
	rest           []byte
}

func appendBodyHead(dst []byte, h *bodyHead) []byte {
	dst = binary.AppendUvarint(dst, uint64(h.sent))
	dst = binary.AppendUvarint(dst, uint64(h.interval))
	flags := byte(0)
	if h.gmond {
		flags |= flagGmond
	}
	if h.derived {
		flags |= flagDerived
	}
	dst = append(dst, flags)
	dst = append(binary.AppendUvarint(dst, uint64(len(h.cluster))), h.cluster...)
	return append(binary.AppendUvarint(dst, uint64(len(h.host))), h.host...)
}

func parseBodyHead(b []byte) (h bodyHead, err error) {
	sent, n := binary.Uvarint(b)
	if n <= 0 || sent > maxClock {
		return h, fmt.Errorf("%w: send time", ErrMalformed)
	}
	b = b[n:]
	interval, n := binary.Uvarint(b)
	if n <= 0 || interval > uint64(maxPromise) || len(b) == n {
		return h, fmt.Errorf("%w: interval", ErrMalformed)
	}
	h.sent, h.interval, h.gmond, h.derived = int64(sent), int64(interval), b[n]&flagGmond != 0, b[n]&flagDerived != 0
	b = b[n+1:]
	if h.cluster, b, err = takeName(b, "cluster"); err != nil {
		return h, err
	}
	if h.host, b, err = takeName(b, "host"); err != nil {
		return h, err
	}
	h.rest = b
	return h, nil
}

func takeName(b []byte, what string) (name, rest []byte, err error) {
	n, used := binary.Uvarint(b)
	if used <= 0 || n > metric.MaxHost || n > uint64(len(b)-used) {
		return nil, nil, fmt.Errorf("%w: sender's %s", ErrMalformed, what)
	}
	return b[used : used+int(n)], b[used+int(n):], nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cannot make cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("cannot make cipher: %w", err)
	}
	return aead, nil
}

func putNonce(nonce *[nonceLen]byte, seq uint64) []byte {
	binary.BigEndian.PutUint64(nonce[nonceLen-8:], seq)
	return nonce[:]
}
