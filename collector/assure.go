package collector

import (
	"context"
	"time"
)

// assureEvery is how often a collector looks whether another host says that it holds an address of this one.
const assureEvery = 250 * time.Millisecond

// assure lets this host say at once which addresses it holds when another host says that it holds one of them too:
// that both say so again tells two masters from one that died.
func (c *Collector) assure(ctx context.Context) error {
	t := time.NewTicker(assureEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-t.C:
			if c.state.Doubt(now) {
				c.mu.Lock()
				c.set.runNow("vrrp/agent")
				c.mu.Unlock()
			}
		}
	}
}

// runNow lets a probe run out of turn, if there is one of that name.
func (set *probeSet) runNow(name string) {
	for _, p := range set.probes {
		if p.name == name {
			p.wake()
		}
	}
}

// wake lets the probe run out of turn.
func (s *scheduled) wake() {
	select {
	case s.now <- struct{}{}:
	default: // it is wanted already
	}
}
