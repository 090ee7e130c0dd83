package collector

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"keepwatch/collector/gmond"
	"keepwatch/collector/gmondsend"
	"keepwatch/internal/batch"
)

// errMute says why a muted collector takes no metric.
var errMute = errors.New("collector.mute is set: this collector sends nothing; run keepwatch send on another host, or with -c gmond.conf")

// Gmetric takes what `keepwatch send` was told, as a gmond packet of this host: it is shared natively with all
// collectors, goes over the gmond send channels if there are any, and shows in gmond's XML of this host. The error
// says what is wrong with it; then nothing was done, but when it says that it could not be sent.
func (c *Collector) Gmetric(m gmondsend.Gmetric) error {
	if c.gmondSending.mute {
		return errMute
	}
	if err := m.Check(); err != nil {
		return err
	}
	s, now := c.gmondSending, time.Now()
	metadata, value, err := m.Datagrams(c.opt.Host, s.override())
	if err != nil {
		return err
	}
	b, err := sampleOf(c.opt.Cluster, now, metadata, value)
	if err != nil {
		return err
	}
	c.publish(b, max(c.pulse(), time.Duration(m.TMax)*time.Second), false)
	return s.sendByHand(now, metadata, value)
}

// sendByHand sends what does not come from the plan, with nothing of another metric in between.
func (s *gmondSending) sendByHand(now time.Time, datagrams ...[]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	channels := len(s.plan.conf.Send) > 0
	for _, d := range datagrams {
		switch {
		case !channels:
			s.own(d, s.source.of(nil, now), now)
		case !s.send(d, now):
			return errors.New("no channel of collector.gmond.send took it, Ganglia does not see it; Keepwatch has it")
		}
	}
	return nil
}

// TakeGmetric is Gmetric of what the control socket was handed: a gmondsend.Gmetric as JSON.
func (c *Collector) TakeGmetric(json []byte) error {
	m, err := gmondsend.ParseGmetric(json)
	if err != nil {
		return err
	}
	return c.Gmetric(m)
}

// sampleOf makes the samples that a receiver makes of metadata and value: the value, and the info sample with title and
// description. That of a heartbeat says that its host lives, and nothing else.
func sampleOf(cluster string, now time.Time, datagrams ...[]byte) (*batch.Batch, error) {
	t, err := gmond.NewTable(gmond.TableOptions{Cluster: cluster, MaxHosts: 1, MaxMetrics: 1})
	if err != nil {
		return nil, err
	}
	b := new(batch.Batch)
	for _, d := range datagrams {
		var p gmond.Packet
		if err := gmond.Decode(d, &p); err != nil {
			return nil, err
		}
		res, err := t.Add(&p, netip.Addr{}, now.UnixMilli())
		if err != nil {
			return nil, fmt.Errorf("cannot keep the metric: %w", err)
		}
		if res.Descr != nil {
			if info, err := res.Descr.Info(cluster, res.Host, now.UnixMilli()); err == nil {
				b.Samples = append(b.Samples, info)
			}
		}
		if res.Sample.Series != nil {
			b.Samples = append(b.Samples, res.Sample)
		}
	}
	return b, nil
}
