package frame

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// Bounds of SealerOptions.Payload, in bytes.
const (
	MinPayload = 576
	MaxPayload = 8900
)

// SealerOptions describe the sender.
type SealerOptions struct {
	Keys    *Keyring
	Boot    Boot   // never the same for two Sealers with one keyring
	Cluster string // of the sender
	Host    string // the sender
	Payload int    // bytes of one datagram at most, MinPayload to MaxPayload
}

// Sealer turns batches into datagrams. It is not safe for concurrent use.
type Sealer struct {
	opt   SealerOptions
	aead  cipher.AEAD
	seq   uint64
	beats uint64
	guess int // items that fitted the last frame, corrected to a full one

	raw, body, out []byte
	nonce          [nonceLen]byte
}

// NewSealer checks the options and derives the key of this boot.
func NewSealer(opt SealerOptions) (*Sealer, error) {
	if opt.Keys == nil {
		return nil, fmt.Errorf("%w: no keyring", ErrKey)
	}
	if err := metric.CheckHost("cluster", opt.Cluster); err != nil {
		return nil, err
	}
	if err := metric.CheckHost("host", opt.Host); err != nil {
		return nil, err
	}
	if opt.Payload < MinPayload || opt.Payload > MaxPayload {
		return nil, fmt.Errorf("payload of %d bytes: want %d to %d", opt.Payload, MinPayload, MaxPayload)
	}
	if opt.Boot.Start < 0 || opt.Boot.Start > maxClock {
		return nil, fmt.Errorf("boot start %d: want 0 to %d ms", opt.Boot.Start, int64(maxClock))
	}
	salt := opt.Boot.bytes()
	aead, err := opt.Keys.sealing().derive(salt[:], frameInfo)
	if err != nil {
		return nil, err
	}
	return &Sealer{opt: opt, aead: aead, guess: 128}, nil
}

// Boot is the boot of every frame that this Sealer makes.
func (s *Sealer) Boot() Boot { return s.opt.Boot }

// Stamp is what a frame says about itself beside the batch.
type Stamp struct {
	Now      time.Time     // send time
	Interval time.Duration // Frame.Interval, 0 to 24 h
	Gmond    bool
	Derived  bool
}

// Seal calls emit for each of the frames that b needs, events first. Each frame stands by itself. The datagram is
// valid until emit returns. Seal returns how many samples and events are too large for one frame: those are left out.
func (s *Sealer) Seal(b *batch.Batch, stamp Stamp, emit func(datagram []byte)) (tooLarge int) {
	head := bodyHead{
		sent:     stamp.Now.UnixMilli(),
		interval: min(max(stamp.Interval.Milliseconds(), 0), maxPromise),
		gmond:    stamp.Gmond,
		derived:  stamp.Derived,
		cluster:  []byte(s.opt.Cluster),
		host:     []byte(s.opt.Host),
	}
	rest := *b
	for len(rest.Events)+len(rest.Samples) > 0 {
		n, fits := s.fill(&rest, &head)
		if fits {
			emit(s.seal())
		} else {
			tooLarge++
		}
		k := min(n, len(rest.Events))
		rest.Events, rest.Samples = rest.Events[k:], rest.Samples[n-k:]
	}
	return tooLarge
}

// fill puts the first n items of rest into s.body and returns n. Not fitting means that even one item is too large.
func (s *Sealer) fill(rest *batch.Batch, head *bodyHead) (n int, fits bool) {
	limit := s.opt.Payload - headerLen - tagLen
	n = min(s.guess, len(rest.Events)+len(rest.Samples))
	for {
		k := min(n, len(rest.Events))
		s.raw = batch.Append(s.raw[:0], &batch.Batch{Events: rest.Events[:k], Samples: rest.Samples[:n-k]})
		s.body = batch.Compress(appendBodyHead(s.body[:0], head), s.raw)
		size := len(s.body)
		if size <= limit {
			// Aim a little below full: a second try costs more than some unused bytes.
			s.guess = min(max(n*limit*19/20/size, 1), 4*n)
			return n, true
		}
		if n == 1 {
			return 1, false
		}
		n = min(max(n*limit*19/20/size, 1), n-1)
		s.guess = n
	}
}

func (s *Sealer) seal() []byte {
	s.seq++
	s.out = s.header(s.out[:0], magic, s.seq)
	s.out = s.aead.Seal(s.out, putNonce(&s.nonce, s.seq), s.body, s.out[:headerLen])
	return s.out
}

func (s *Sealer) header(dst []byte, magic string, seq uint64) []byte {
	boot := s.opt.Boot.bytes()
	dst = append(append(dst, magic...), version, s.opt.Keys.sealing().id)
	return binary.BigEndian.AppendUint64(append(dst, boot[:]...), seq)
}

// SetPayload changes how long a datagram may be, in bytes: the network has changed. It is kept within MinPayload and
// MaxPayload.
func (s *Sealer) SetPayload(n int) { s.opt.Payload = min(max(n, MinPayload), MaxPayload) }

// SetKeys puts another keyring in force for the frames to come; boot and sequence go on.
func (s *Sealer) SetKeys(ring *Keyring) error {
	salt := s.opt.Boot.bytes()
	aead, err := ring.sealing().derive(salt[:], frameInfo)
	if err != nil {
		return err
	}
	s.opt.Keys, s.aead = ring, aead
	return nil
}
