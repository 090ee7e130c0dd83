package interop

import (
	"flag"
	"fmt"
	"syscall"
	"testing"
	"time"

	"keepwatch/haagent/status"
)

// load is how long row 31 lasts. The matrix wants a minute: go test ./test/interop -run Row31 -load 1m
var load = flag.Duration("load", 20*time.Second, "how long the agents are watched beside two busy loops")

// signalTree sends a signal to all processes of the agent, the parent first.
func (o *ours) signalTree(s syscall.Signal) {
	o.t.Helper()
	below := descendants(o.PID())
	o.Signal(s)
	for _, pid := range below {
		if err := syscall.Kill(pid, s); err != nil {
			o.t.Fatal(err)
		}
	}
}

// Row 30: all of ours stands still for five seconds, longer than the others wait and than its addresses' leases last.
// As master it finds that out before it does anything else, says so and is backup; it takes over again as any stronger
// router does, after a wait, and both have the addresses for less than an interval.
func TestRow30MasterStandsStill(t *testing.T) {
	t.Parallel()
	const interval = 300 * time.Millisecond
	p := newPair(t)
	our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200")))
	our.await("master")
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3"))
	peer.hears(kaBackup, 3)
	stopped := time.Now()
	our.signalTree(syscall.SIGSTOP)
	peer.await(kaMaster)
	p.wire.more(kaAddr, 13) // four seconds, after the one that it waited
	holds(t, p.a, vip1, false)
	continued := time.Now()
	our.signalTree(syscall.SIGCONT)
	our.event("vrrp_stall", "the agent stood still for", "others may have taken the addresses meanwhile")
	our.await("master")
	peer.await(kaBackup)
	if got := our.transitionsTo("web", "master"); got != 2 {
		t.Errorf("ours became master %d times, want 2", got)
	}
	first := p.wire.advert("our first advertisement", ourAddr, continued, nil)
	if first.At.Sub(continued) < interval {
		t.Errorf("ours advertises %s after it went on, without having listened for an interval", first.At.Sub(continued))
	}
	for _, f := range p.wire.adverts(ourAddr) {
		if f.At.After(stopped.Add(interval)) && f.At.Before(continued) {
			t.Errorf("a stopped agent advertises: %s", f)
		}
	}
	p.wire.more(ourAddr, 3)
	last := lastBefore(t, p.wire, kaAddr, time.Now())
	atMost(t, "keepalived's last advertisement after our first", last.At.Sub(first.At), interval)
	added, removed := p.aAddrs.last(vip1, true, continued), p.bAddrs.last(vip1, false, continued)
	atMost(t, "both have the address", removed.Sub(added), interval)
	if i := our.await("master"); len(i.Dropped) > 0 || i.Stalls != 1 || i.LastError != "" {
		t.Errorf("ours dropped %v, stood still %d times, last error %q", i.Dropped, i.Stalls, i.LastError)
	}
	peer.clean()
}

// Row 30, continued: the agent alone stands still and its parent does not: the parent ends it, says farewell for it
// and starts another one.
func TestRow30ChildStandsStill(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200")))
	our.await("master")
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3"))
	peer.hears(kaBackup, 3)
	before, err := our.status()
	if err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	for _, pid := range descendants(our.PID()) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	peer.await(kaMaster)
	p.wire.advert("the parent's farewell", ourAddr, stopped, priority(0))
	our.await("master")
	peer.await(kaBackup)
	if now, err := our.status(); err != nil || now.Boot == before.Boot {
		t.Errorf("it is the same agent: %+v, %v", now, err)
	}
	our.clean()
	peer.clean()
}

// Row 30, continued: a backup that stood still for as long does not believe that nobody was heard.
func TestRow30BackupStandsStill(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 200\n advert_int 0.3"))
	holds(t, p.b, vip1, true)
	our := startOurs(t, p.a, config(web("interval: 300ms, priority: 100")))
	our.hears("backup", 3)
	our.signalTree(syscall.SIGSTOP)
	p.wire.more(kaAddr, 17)
	our.signalTree(syscall.SIGCONT)
	if i := our.hears("backup", 5); i.Transitions != 1 || i.Sent != 0 {
		t.Errorf("ours changed %d times: %s", i.Transitions, i.Reason)
	}
	our.clean()
	peer.clean()
}

// Row 31: two busy loops beside four virtual routers, at 100 ms and at 10 ms, of which ours is master of two and
// keepalived of two: at 100 ms nobody takes over from a living master. What happens at 10 ms is told in the log, with
// the longest silence of the master on the wire: keepalived asks for no precedence over the busy loops, and one that
// was silent for a whole Master_Down is rightly taken for dead.
//
// It runs by itself: the other stories would be load of another kind.
func TestRow31BusyProcessors(t *testing.T) {
	p := newPair(t)
	var mine, theirs []string
	kinds := []struct {
		name, interval, setting string
		ours, kas               int
	}{
		{"slow-ours", "100ms", "0.1", 200, 100}, {"slow-theirs", "100ms", "0.1", 100, 200},
		{"fast-ours", "10ms", "0.01", 200, 100}, {"fast-theirs", "10ms", "0.01", 100, 200},
	}
	for n, k := range kinds {
		addr := fmt.Sprintf("10.7.0.%d/24", 100+n)
		mine = append(mine, router(k.name, "eth0", 51+n, addr, fmt.Sprintf("interval: %s, priority: %d", k.interval, k.ours)))
		theirs = append(theirs, kaRouter(k.name, "eth0", 51+n, addr, fmt.Sprintf(" priority %d\n advert_int %s", k.kas, k.setting)))
	}
	our := startOurs(t, p.a, config(mine...))
	for _, k := range kinds {
		our.awaitOf(k.name, "master")
	}
	peer := startKeepalived(t, p.b, 3, theirs...)
	ours, kas := make(map[string]status.Instance), make(map[string]kaInstance)
	for _, k := range kinds {
		if k.ours > k.kas {
			ours[k.name], kas[k.name] = our.awaitOf(k.name, "master"), peer.awaitOf(k.name, kaBackup)
		} else {
			kas[k.name], ours[k.name] = peer.awaitOf(k.name, kaMaster), our.awaitOf(k.name, "backup")
		}
	}
	began := time.Now()
	for range 2 {
		p.b.Start(p.b.Command("sh", "-c", "while :; do :; done"))
	}
	for time.Since(began) < *load {
		p.wire.more(kaAddr, 100)
	}
	for _, k := range kinds {
		i, err := our.instance(k.name)
		if err != nil {
			t.Fatal(err)
		}
		master := kaAddr
		if k.ours > k.kas {
			master = ourAddr
		}
		silent := longestSilence(p.wire, master, i.VRID, began)
		changes := int(i.Transitions-ours[k.name].Transitions) + int(peer.instance(k.name).Stats["become_master"]-kas[k.name].Stats["become_master"])
		took := time.Since(began)
		t.Logf("%s: %d changes in %s; sent %.0f a second, heard %.0f a second, late by %.1f ms at most; the master was silent for %s at most", k.name, changes, took.Round(time.Second),
			float64(i.Sent-ours[k.name].Sent)/took.Seconds(), float64(i.Received-ours[k.name].Received)/took.Seconds(), i.LatenessMaxMS, silent.Round(time.Millisecond/10))
		if k.interval == "100ms" && changes > 0 && (master == ourAddr || silent < down(100, 100*time.Millisecond)) {
			t.Errorf("%s changed %d times: %s", k.name, changes, i.Reason)
		}
	}
}

// longestSilence is the longest time between two advertisements of a virtual router by a host since a time.
func longestSilence(w *wire, from string, vrid int, since time.Time) (longest time.Duration) {
	last := since
	for _, f := range w.adverts(from) {
		if int(f.Advert.VRID) == vrid && f.At.After(since) {
			longest, last = max(longest, f.At.Sub(last)), f.At
		}
	}
	return longest
}
