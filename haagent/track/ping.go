package track

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"keepwatch/haagent/link"
	"keepwatch/internal/conf"
)

// group is a ping group: all are asked at one time, and one answer counts for one of them.
type group struct {
	targets []netip.Addr
	need    int
	limit   time.Duration
	four    *link.Pinger // nil without a target of the family
	six     *link.Pinger
	answers chan answer
	seq     uint16
	asked   map[uint16]netip.Addr // without zone, as an answer comes
}

type answer struct {
	from netip.Addr
	seq  uint16
}

// ping watches a ping group.
func ping(ctx context.Context, c conf.Track, t *teller) error {
	g := &group{
		need: max(c.AtLeast, 1), limit: timeout(c),
		answers: make(chan answer, 4*len(c.Ping)), asked: make(map[uint16]netip.Addr),
	}
	for _, p := range c.Ping {
		a, err := netip.ParseAddr(p)
		if err != nil {
			return fmt.Errorf("%.60q: want an address, as 10.0.0.1", p)
		}
		g.targets = append(g.targets, a.Unmap())
	}
	if err := g.open(); err != nil {
		return errors.Join(err, g.close())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var readers sync.WaitGroup
	for _, p := range []*link.Pinger{g.four, g.six} {
		if p != nil {
			readers.Go(func() { cancel(g.read(p)) })
		}
	}
	_ = check(ctx, c, g.look, t)
	err := context.Cause(ctx)
	cancel(nil)
	_ = g.close()
	readers.Wait()
	return err
}

func (g *group) open() (err error) {
	for _, a := range g.targets {
		p := &g.four
		if a.Is6() {
			p = &g.six
		}
		if *p == nil {
			if *p, err = link.NewPinger(a.Is6()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *group) close() (err error) {
	for _, p := range []*link.Pinger{g.four, g.six} {
		if p != nil {
			err = errors.Join(err, p.Close())
		}
	}
	return err
}

// read hands on the answers of one family. What nobody waits for is dropped.
func (g *group) read(p *link.Pinger) error {
	for {
		from, seq, err := p.Read()
		if err != nil {
			return err
		}
		select {
		case g.answers <- answer{from, seq}:
		default:
		}
	}
}

// look asks all and waits until enough have answered, or until it is sure that too few will.
func (g *group) look(ctx context.Context, verdict func(good bool, detail string)) {
	unsent := g.ask()
	timer := time.NewTimer(g.limit)
	defer timer.Stop()
	good := 0
	for good < g.need && good+len(g.asked) >= g.need {
		select {
		case a := <-g.answers:
			if to, ok := g.asked[a.seq]; ok && to == a.from {
				delete(g.asked, a.seq)
				good++
			}
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		break
	}
	switch {
	case good >= g.need:
		verdict(true, fmt.Sprintf("at least %d of %d answer", good, len(g.targets)))
	case unsent != nil:
		verdict(false, fmt.Sprintf("%d of %d answered within %s, want %d: %v", good, len(g.targets), g.limit, g.need, unsent))
	default:
		verdict(false, fmt.Sprintf("%d of %d answered within %s, want %d", good, len(g.targets), g.limit, g.need))
	}
}

// ask sends a request to each and returns why the last one did not go out that did not.
func (g *group) ask() (unsent error) {
	clear(g.asked)
	for _, a := range g.targets {
		p := g.four
		if a.Is6() {
			p = g.six
		}
		g.seq++
		if err := p.Send(a, g.seq); err != nil {
			unsent = err
			continue
		}
		g.asked[g.seq] = a.WithZone("")
	}
	return unsent
}
