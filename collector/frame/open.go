package frame

import (
	"crypto/cipher"
	"fmt"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/metric"
)

const (
	// rememberFor is how long the sequences of a silent boot are remembered one by one; of a host's last boot the
	// highest one is remembered for longer (Opener.Senders).
	rememberFor = 2 * MaxSkew

	// takeOver is how long a host's boot must be silent before one that claims an earlier start, or that was in force
	// before, takes its place: that of a host whose clock was set back between the two. Two hosts with one name would take
	// turns otherwise.
	takeOver = int64(time.Minute / time.Millisecond)
)

// DefaultMaxBoots is OpenerOptions.MaxBoots when it is 0.
const DefaultMaxBoots = 65_536

// OpenerOptions bound an Opener.
type OpenerOptions struct {
	Keys     *Keyring
	MaxBoots int // senders remembered, about 1.5 KiB each; 0: DefaultMaxBoots
}

// Opener opens datagrams from a network, each at most once. It is not safe for concurrent use.
type Opener struct {
	unseal   unsealer
	maxBoots int
	boots    map[bootKey]*boot
	senders  map[string]*sender
	swept    int64
	evicted  int64
}

type bootKey struct {
	key  uint8
	boot Boot
}

type boot struct {
	cached
	window window
	told   uint64 // highest sequence that a beat told of
	heard  int64  // receiver's clock, ms
}

// NewOpener makes an Opener that accepts every key of the ring.
func NewOpener(opt OpenerOptions) (*Opener, error) {
	if opt.Keys == nil {
		return nil, fmt.Errorf("%w: no keyring", ErrKey)
	}
	if opt.MaxBoots <= 0 {
		opt.MaxBoots = DefaultMaxBoots
	}
	return &Opener{
		unseal: unsealer{ring: opt.Keys}, maxBoots: opt.MaxBoots,
		boots: make(map[bootKey]*boot), senders: make(map[string]*sender),
	}, nil
}

// SetKeys puts another keyring in force. What was sealed with a key that both have stays refused as a replay. A key that
// has another secret under its id is another key: what was sealed with the old one opens no more.
func (o *Opener) SetKeys(ring *Keyring) {
	before := o.unseal.ring
	o.unseal.ring = ring
	for k := range o.boots {
		if key, err := before.find(k.key); err != nil || !ring.holds(key) {
			delete(o.boots, k)
		}
	}
}

// Open opens one datagram. now is the receiver's clock. A datagram is opened once: the second time, and everything
// more than a window of 8,000 sequences behind the newest of its boot, is ErrReplay. A boot that started before the one
// of the same host that is in force, or whose place another took, is ErrStale. The sender's clock does not matter.
func (o *Opener) Open(datagram []byte, now time.Time) (Frame, error) {
	h, err := parseHeader(datagram)
	if err != nil {
		return Frame{}, err
	}
	key := bootKey{h.key, h.boot}
	known := o.boots[key]
	if known != nil && !known.window.fresh(h.seq) {
		return Frame{}, fmt.Errorf("%w: %d of boot %v", ErrReplay, h.seq, h.boot)
	}
	b := known
	if b == nil {
		b = new(boot)
	}
	head, err := o.unseal.open(datagram, h, &b.cached)
	if err != nil {
		return Frame{}, err
	}
	ms := now.UnixMilli()
	if err := o.checkBoot(b, h, head.sent, ms); err != nil {
		return Frame{}, err
	}
	if known == nil {
		if err := o.remember(key, b, ms); err != nil {
			return Frame{}, err
		}
	}
	b.window.mark(h.seq)
	b.heard = ms
	b.sender.heardOf(h, ms)
	return o.unseal.frame(h, head, &b.cached)
}

func checkTime(sent, now int64) error {
	if d := time.Duration(now-sent) * time.Millisecond; d > MaxSkew || d < -MaxSkew {
		return fmt.Errorf("%w: sent %v before the receiver's clock, at most %v either way: set the clocks", ErrStale, d, MaxSkew)
	}
	return nil
}

func (o *Opener) remember(key bootKey, b *boot, now int64) error {
	if len(o.boots) >= o.maxBoots {
		o.sweep(now)
	}
	if len(o.boots) >= o.maxBoots {
		return fmt.Errorf("%w: %d", ErrTooMany, len(o.boots))
	}
	b.heard = now
	o.boots[key] = b
	return nil
}

// sweep forgets the sequences of boots that have been silent for long. It runs at most once a second, so that a flood
// of boots does not make each datagram walk the table.
func (o *Opener) sweep(now int64) {
	if now-o.swept < 1000 && now >= o.swept {
		return
	}
	o.swept = now
	limit := now - rememberFor.Milliseconds()
	for k, b := range o.boots {
		if b.heard < limit {
			delete(o.boots, k)
		}
	}
}

// Sweep forgets boots that have been silent for 20 minutes. Call it every minute or so.
func (o *Opener) Sweep(now time.Time) {
	ms := now.UnixMilli()
	o.sweep(ms)
	for _, s := range o.senders {
		s.heard = min(s.heard, ms) // our clock was set back, and silence begins now
	}
}

// cached is what opening frames of one boot needs again and again.
type cached struct {
	aead          cipher.AEAD
	cluster, host string
	sender        *sender // of an Opener
}

// unsealer opens the seal and unfolds the batch; it knows nothing of time or replay.
type unsealer struct {
	ring       *Keyring
	plain, raw []byte
	nonce      [nonceLen]byte
}

func (u *unsealer) open(datagram []byte, h header, c *cached) (bodyHead, error) {
	if c.aead == nil {
		key, err := u.ring.find(h.key)
		if err != nil {
			return bodyHead{}, err
		}
		salt := h.boot.bytes()
		if c.aead, err = key.derive(salt[:], frameInfo); err != nil {
			return bodyHead{}, err
		}
	}
	plain, err := c.aead.Open(u.plain[:0], putNonce(&u.nonce, h.seq), datagram[headerLen:], datagram[:headerLen])
	if err != nil {
		return bodyHead{}, fmt.Errorf("%w: key %d, boot %v", ErrSeal, h.key, h.boot)
	}
	u.plain = plain
	head, err := parseBodyHead(plain)
	if err != nil {
		return head, err
	}
	if c.cluster != string(head.cluster) || c.host != string(head.host) {
		cluster, host := string(head.cluster), string(head.host)
		if err := metric.CheckHost("cluster", cluster); err != nil {
			return head, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		if err := metric.CheckHost("host", host); err != nil {
			return head, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		c.cluster, c.host, c.sender = cluster, host, nil
	}
	return head, nil
}

func (u *unsealer) frame(h header, head bodyHead, c *cached) (Frame, error) {
	raw, err := batch.Decompress(u.raw[:0], head.rest)
	if err != nil {
		return Frame{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	u.raw = raw
	return Frame{
		Origin: Origin{h.boot, h.seq}, Sent: head.sent, Interval: time.Duration(head.interval) * time.Millisecond,
		Gmond: head.gmond, Derived: head.derived, Cluster: c.cluster, Host: c.host, Payload: raw,
	}, nil
}
