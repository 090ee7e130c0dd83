package interop

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// reload has the agent take a configuration by SIGHUP and waits until it did.
func (o *ours) reload(yaml string) {
	o.t.Helper()
	taken := func() (n int) {
		for _, e := range o.events() {
			if e.Kind == "config_reloaded" {
				n++
			}
		}
		return n
	}
	before := taken()
	o.configure(yaml)
	o.Signal(syscall.SIGHUP)
	await(o.t, "the reload", func() error {
		if taken() == before {
			return fmt.Errorf("it said: %s", o.Output())
		}
		return nil
	})
}

// reloads are configurations of ours that follow each other. The first is the one that it starts with.
func reloads(priority int) []string {
	web := func(addrs, settings string) string {
		return router("web", "eth0", 51, addrs, "interval: 1s, "+settings)
	}
	both, more, fewer := vip1+"/24, "+vip2+"/24", vip1+"/24, "+vip2+"/24, 10.7.0.102/24", vip1+"/24, 10.7.0.102/24"
	same, lower := fmt.Sprintf("priority: %d", priority), fmt.Sprintf("priority: %d", priority-20)
	other := router("other", "eth0", 60, "10.7.0.200/24", "interval: 100ms, priority: 150")
	return []string{
		config(web(both, same)), config(web(both, same)), // nothing is other
		config(web(more, same)),          // an address more
		config(web(fewer, same)),         // one less
		config(web(fewer, lower)),        // another priority
		config(web(fewer, lower), other), // another router
		config(web(fewer, lower)),        // and without it again
	}
}

// Row 29: ours is master and takes new configurations: the same again, with an address more, with one less, with
// another priority, with another router and without it. keepalived, whose list of addresses stays the same and which is
// told not to mind, stays backup: no farewell, no gap between two advertisements of more than one and a half
// intervals, and an address that stays is never taken off.
func TestRow29ReloadAsMaster(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	steps := reloads(200)
	our := startOurs(t, p.a, steps[0])
	our.await("master")
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 1\n skip_check_adv_addr"))
	peer.hears(kaBackup, 2)
	for _, step := range steps[1:] {
		our.reload(step)
		s, err := our.status()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range s.Instances {
			our.awaitOf(i.Name, "master")
		}
		peer.hears(kaBackup, 2)
	}
	holds(t, p.a, "10.7.0.200", false)
	peer.await(kaBackup)
	if i := peer.instance("web"); i.Stats["become_master"] != 0 {
		t.Errorf("keepalived was master: %+v", i)
	}
	if got := our.transitionsTo("web", "master"); got != 1 {
		t.Errorf("ours became master %d times", got)
	}
	var last frame
	for _, f := range p.wire.adverts(ourAddr) {
		if f.Advert.VRID != 51 {
			continue
		}
		if gap := f.At.Sub(last.At); last.Packet != nil && gap > 1500*time.Millisecond || f.Advert.Priority == 0 {
			t.Errorf("%s came %s after %s", f, gap, last)
		}
		last = f
	}
	if last.Advert.Priority != 180 || last.Advert.Addresses.String() != vip1+", 10.7.0.102" {
		t.Errorf("at last ours says %s, %s", last, last.Advert.Addresses)
	}
	for addr, want := range map[string]int{vip1: 1, vip2: 2, "10.7.0.102": 1, "10.7.0.200": 2} {
		if changes := p.aAddrs.of(addr); len(changes) != want {
			t.Errorf("%s changed %d times, want %d: %v", addr, len(changes), want, changes)
		}
	}
	our.clean()
	peer.clean()
}

// Row 29, continued: the same as backup: nothing happens but what the configuration says.
func TestRow29ReloadAsBackup(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 200\n advert_int 1\n skip_check_adv_addr"))
	holds(t, p.b, vip1, true)
	steps := reloads(100)
	our := startOurs(t, p.a, steps[0])
	for _, step := range steps[1:] {
		our.hears("backup", 1)
		our.reload(step)
	}
	if i := our.hears("backup", 2); i.Transitions != 1 || i.Priority != 80 || len(i.Addresses) != 2 {
		t.Errorf("ours is %+v", i)
	}
	for _, f := range p.wire.adverts(ourAddr) {
		if f.Advert.VRID == 51 {
			t.Errorf("a backup advertises: %s", f)
		}
	}
	for _, vip := range []string{vip1, vip2, "10.7.0.102"} {
		if changes := p.aAddrs.of(vip); len(changes) > 0 {
			t.Errorf("a backup had %s: %v", vip, changes)
		}
	}
	peer.clean()
}

// Row 32: somebody takes the master's addresses off: they come back at once and ours says so. It stays master, and
// keepalived notices nothing.
func TestRow32AddressesTakenOff(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	our := startOurs(t, p.a, config(web("interval: 300ms, priority: 200")))
	our.await("master")
	peer := startKeepalived(t, p.b, 3, kaWeb(" priority 100\n advert_int 0.3"))
	peer.hears(kaBackup, 3)
	for _, vip := range []string{vip1, vip2} {
		p.a.IP("addr", "del", vip+"/24", "dev", "eth0")
		if vip == vip1 {
			our.event("vip_restored", "another program took "+vip+" off eth0, it is back")
		}
		await(t, vip+" to come back", func() error {
			changes := p.aAddrs.of(vip)
			if len(changes) < 3 || !changes[len(changes)-1].There {
				return fmt.Errorf("it changed so: %v", changes)
			}
			atMost(t, vip+" away", changes[2].At.Sub(changes[1].At), time.Second)
			return nil
		})
	}
	for range 5 { // not by "ip addr flush": it gives up, the addresses come back sooner than it takes the last one off
		p.a.IP("addr", "del", vip1+"/24", "dev", "eth0")
		holds(t, p.a, vip1, true)
	}
	holds(t, p.a, vip1, true)
	holds(t, p.a, vip2, true)
	peer.hears(kaBackup, 3)
	if i := our.await("master"); i.Transitions != 2 {
		t.Errorf("ours changed %d times: %s", i.Transitions, i.Reason)
	}
	our.clean()
	peer.clean()
}
