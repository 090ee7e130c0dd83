package haagent

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
	"keepwatch/metric"
)

// BenchmarkTakeover measures from the signal to the moment that the other agent holds the address, with priorities
// 254 and 253 at 100 ms: a clean stop (the peer waits its skew, 1.2 ms) and kill -9 (201 to 301 ms by the protocol).
func BenchmarkTakeover(b *testing.B) {
	for _, c := range []struct {
		name   string
		signal syscall.Signal
	}{{"stop", syscall.SIGTERM}, {"kill", syscall.SIGKILL}} {
		b.Run(c.name, func(b *testing.B) { takeover(b, c.signal) })
	}
}

func takeover(b *testing.B, signal syscall.Signal) {
	n := netnstest.New(b)
	config := func(priority int) conf.HAAgent {
		c := only(web(priority, "10.7.0.100/24"))
		c.Instances[0].Interval = 100 * time.Millisecond
		return c
	}
	first, second := startAgent(b, n.Node("a", "10.7.0.1/24"), config(254)), startAgent(b, n.Node("b", "10.7.0.2/24"), config(253))
	var took []time.Duration
	for b.Loop() {
		first.await("master")
		second.await("backup")
		asked := time.Now()
		first.Signal(signal)
		_ = first.Wait()
		second.await("master")
		took = append(took, lastTaken(second.events()).Sub(asked))
		first.start()
	}
	slices.Sort(took)
	at := func(part float64) float64 {
		return float64(took[int(part*float64(len(took)-1))]) / float64(time.Millisecond)
	}
	b.ReportMetric(at(0.5), "ms-median")
	b.ReportMetric(at(0.95), "ms-p95")
	b.ReportMetric(at(1), "ms-max")
}

func lastTaken(e status.Events) (at time.Time) {
	for _, item := range e.Items {
		if item.Kind == string(metric.EventVIPTaken) {
			at = item.Time
		}
	}
	return at
}
