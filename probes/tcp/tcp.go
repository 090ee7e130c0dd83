// Package tcp is the check of one address that must take a TCP connection. It says what its own collector sees of the
// target; what several vantage points say together is the business of collector/share. It sends nothing over the
// connection and keeps none open. The collector calls it while it is one of those that run the check.
package tcp

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"
	"keepwatch/probes"
)

// Metrics of the checked host, with labels check, target and vantage.
const (
	metricUp       = "keepwatch_check_vantage_up"
	metricSeconds  = "keepwatch_check_vantage_seconds"
	metricInterval = "keepwatch_check_vantage_interval_seconds"
	metricQuorum   = "keepwatch_check_quorum"
)

// goodbye bounds how long a target may take to close its side.
const goodbye = 250 * time.Millisecond

// Options say what to check, and who looks.
type Options struct {
	Cluster string
	Vantage string // the host whose collector looks
	Config  conf.TCPCheck
	Every   time.Duration // the interval where Config has none
}

// Probe is one check.
type Probe struct {
	opt      Options
	host     string
	interval time.Duration
	dialer   net.Dialer

	up, seconds, every, quorum *metric.Series

	boot   string
	events uint64
	down   bool // by the last look
}

// New checks the names; it connects to nothing.
func New(opt Options) (*Probe, error) {
	target, _, err := net.SplitHostPort(opt.Config.Target)
	if err != nil {
		return nil, fmt.Errorf("target %.100q: want host:port", opt.Config.Target)
	}
	p := &Probe{opt: opt, host: cmp.Or(opt.Config.Host, target), interval: cmp.Or(opt.Config.Interval, opt.Every), boot: rand.Text()}
	p.dialer.KeepAlive = -1
	labels := []metric.Label{{Name: "check", Value: opt.Config.Name}, {Name: "target", Value: opt.Config.Target}, {Name: "vantage", Value: opt.Vantage}}
	for _, s := range []struct {
		to   **metric.Series
		name string
		unit metric.Unit
		kind metric.Kind
	}{
		{&p.up, metricUp, metric.NoUnit, metric.State},
		{&p.seconds, metricSeconds, metric.Seconds, metric.Gauge},
		{&p.every, metricInterval, metric.Seconds, metric.Gauge},
		{&p.quorum, metricQuorum, metric.NoUnit, metric.Gauge},
	} {
		if *s.to, err = metric.NewSeries(opt.Cluster, p.host, s.name, labels, s.unit, s.kind); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Name implements probes.Probe.
func (p *Probe) Name() string { return "tcp/" + p.opt.Config.Name }

// Interval implements probes.Probe.
func (p *Probe) Interval() time.Duration { return p.interval }

// Host is the host that the result is of.
func (p *Probe) Host() string { return p.host }

// Collect implements probes.Probe. That the target is down is a result and no error. The name is looked up each time,
// and each of its addresses is tried. keepwatch_check_vantage_seconds is there only when a connection was made.
func (p *Probe) Collect(ctx context.Context, now time.Time, out *batch.Batch) error {
	took, err := p.connect(ctx)
	if ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err() // it is not this collector's check any more: what it saw is not the target's fault
	}
	up := 1.0
	if err != nil {
		up = 0
	}
	ms := now.UnixMilli()
	out.Samples = append(out.Samples,
		metric.Sample{Series: p.every, Time: ms, Value: p.interval.Seconds()},
		metric.Sample{Series: p.quorum, Time: ms, Value: float64(p.opt.Config.Quorum)},
		metric.Sample{Series: p.up, Time: ms, Value: up})
	if err == nil {
		out.Samples = append(out.Samples, metric.Sample{Series: p.seconds, Time: ms, Value: took.Seconds()})
	}
	p.tell(ms, err, out)
	return nil
}

// Leave says that this collector looks at the target no more, so that what it saw last does not count on.
func (p *Probe) Leave(now time.Time, out *batch.Batch) {
	p.down = false
	out.Samples = append(out.Samples, metric.Sample{Series: p.every, Time: now.UnixMilli(), Value: 0})
}

// Follow goes on where before ended, the probe of the same check until a reload, so that a view that has not changed is
// no event. It reports whether both are of the same series: what before saw last then stands until this one looks.
func (p *Probe) Follow(before probes.Probe) bool {
	b, ok := before.(*Probe)
	if !ok || b.up.Key() != p.up.Key() {
		return false
	}
	p.down = b.down
	return true
}

// connect makes a connection and ends it, and gives the time until it stood, the look-up of the name included.
func (p *Probe) connect(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opt.Config.Timeout)
	defer cancel()
	start := time.Now()
	conn, err := p.dialer.DialContext(ctx, "tcp", p.opt.Config.Target)
	if err != nil {
		return 0, p.explain(err)
	}
	took := time.Since(start)
	hangUp(conn.(*net.TCPConn))
	return took, nil
}

// hangUp ends a connection the orderly way: closing one that holds unread bytes, as a greeting, would reset it, which
// servers log as an error.
func hangUp(conn *net.TCPConn) {
	defer conn.Close()
	if conn.CloseWrite() != nil || conn.SetReadDeadline(time.Now().Add(goodbye)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, conn, 64<<10)
}

// explain says in plain words why there was no connection.
func (p *Probe) explain(err error) error {
	var name *net.DNSError
	switch {
	case errors.As(err, &name):
		if name.IsNotFound {
			return fmt.Errorf("the name %s is not known to the resolver of this host", name.Name)
		}
		return fmt.Errorf("the name %s cannot be looked up: %s", name.Name, name.Err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", min(p.opt.Config.Timeout, p.interval))
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused: nothing listens there")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return errors.New("no route to it")
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// tell makes an event when this collector's view has changed. Its first one is an event only when it is bad news.
func (p *Probe) tell(ms int64, err error, out *batch.Batch) {
	if (err != nil) == p.down {
		return
	}
	p.down = err != nil
	kind, text := metric.EventCheckUp, "takes connections again"
	if err != nil {
		kind, text = metric.EventCheckDown, err.Error()
	}
	c := &p.opt.Config
	p.events++
	out.Events = append(out.Events, metric.Event{
		ID: fmt.Sprintf("check-%s-%d", p.boot, p.events), Cluster: p.opt.Cluster, Host: p.host, Time: ms, Kind: kind,
		Text:   fmt.Sprintf("check %s of %s, seen from %s: %.300s", c.Name, c.Target, p.opt.Vantage, text),
		Labels: p.up.Labels,
	})
}
