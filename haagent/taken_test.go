package haagent

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// What another program takes off is back at once, and told.
func TestAddressTakenAwayIsPutBack(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a := n.Node("a", "10.7.0.1/24")
	c := only(web(200, vips...))
	c.Lease.Lifetime = time.Minute // so that it is not the renewal that brings it back
	ours := startAgent(t, a, c)
	ours.await("master")
	a.IP("addr", "del", "10.7.0.100/24", "dev", "eth0")
	ours.sees("vip_restored", "another program took 10.7.0.100 off eth0, it is back (1 times since the start)")
	holds(t, a, "10.7.0.100", true)
	if i := ours.await("master"); i.Transitions != 2 {
		t.Errorf("%d transitions, want two: backup, master", i.Transitions)
	}
}

// sees waits for an event of a kind whose text contains something.
func (a *agent) sees(kind, text string) {
	a.t.Helper()
	netnstest.Await(a.t, kind+" with "+text, func() error {
		var all []string
		var told status.Events
		if err := a.get("/events", &told); err != nil {
			return err // it may be about to start
		}
		for _, e := range told.Items {
			if e.Kind == kind && strings.Contains(e.Text, text) {
				return nil
			}
			all = append(all, e.Kind+": "+e.Text)
		}
		return fmt.Errorf("there is %s", strings.Join(all, "\n"))
	})
}

// post asks the agent to do something.
func (a *agent) post(path string, want int) {
	a.t.Helper()
	r, err := a.http.Post("http://agent"+path, "", nil)
	if err != nil {
		a.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != want {
		a.t.Errorf("%s: got %s, want %d", path, r.Status, want)
	}
}

// An operator hands over: the weaker router keeps the addresses while it lives, though the other one would preempt.
// A drained host gives everything away, also after a restart, until it is told otherwise.
func TestSwitchoverAndDrain(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	first, second := startAgent(t, a, only(web(200, vips...))), startAgent(t, b, only(web(100, vips...)))
	first.await("master")
	second.hears(2)
	second.post("/switchover", http.StatusConflict)
	first.post("/switchover?instance=nosuch", http.StatusConflict)
	first.post("/switchover?instance=web", http.StatusOK)
	second.await("master")
	first.await("backup")
	first.hears(20) // more than three intervals and a skew
	if i := first.await("backup"); i.Paused != status.PausedSwitchover {
		t.Errorf("paused: %q", i.Paused)
	}
	second.Signal(syscall.SIGKILL)
	_ = second.Wait()
	first.await("master")
	second.start()
	second.hears(2)

	first.post("/drain?on=true", http.StatusOK)
	second.await("master")
	if i := first.await("fault"); !strings.Contains(i.Reason, "drained by an operator") || i.Paused != status.PausedDrained {
		t.Errorf("reason %q, paused %q", i.Reason, i.Paused)
	}
	first.Signal(syscall.SIGTERM)
	_ = first.Wait()
	first.start()
	first.await("fault")
	first.post("/drain?on=maybe", http.StatusBadRequest)
	first.post("/drain?on=false", http.StatusOK)
	first.await("master")
	second.await("backup")
}

// hears waits until the first instance has heard some more advertisements.
func (a *agent) hears(more uint64) {
	a.t.Helper()
	var before uint64
	netnstest.Await(a.t, "the agent to answer", func() error {
		i, err := a.instance()
		before = i.Received
		return err
	})
	netnstest.Await(a.t, "the agent to hear others", func() error {
		if i, err := a.instance(); err != nil || i.Received < before+more {
			return fmt.Errorf("%d of %d, %v", i.Received, before+more, err)
		}
		return nil
	})
}

// Instances that join a group, and leave it again, go on as they are: a reload that says so moves nothing.
func TestReloadGroups(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	in, out := web(200, "10.7.0.100/24"), web(200, "10.7.0.101/24")
	in.Name, in.VRID, out.Name, out.VRID = "in", 51, "out", 52
	ours := startAgent(t, a, only(in, out))
	all := func(state string) {
		t.Helper()
		netnstest.Await(t, "all to be "+state, func() error {
			var s status.Status
			if err := ours.get("/status", &s); err != nil {
				return err
			}
			for _, i := range s.Instances {
				if i.State != state {
					return fmt.Errorf("%s is %s: %s", i.Name, i.State, i.Reason)
				}
			}
			return nil
		})
	}
	all("master")
	weak := web(100, "10.7.0.100/24")
	weak.Name = "in"
	peer := startAgent(t, b, only(weak))
	peer.hears(2)
	c := only(in, out)
	c.Groups = []conf.SyncGroup{{Name: "gw", Members: []string{"in", "out"}}}
	ours.configure(c)
	ours.Signal(syscall.SIGHUP)
	ours.sees("config_reloaded", "new configuration")
	all("master")
	peer.hears(10)
	var s status.Status
	if err := ours.get("/status", &s); err != nil || len(s.Groups) != 1 || s.Groups[0].State != "master" {
		t.Errorf("groups: %+v, %v", s.Groups, err)
	}
	for _, i := range s.Instances {
		if i.Transitions != 2 || i.Group != "gw" || i.SentZero != 0 {
			t.Errorf("the reload moved %+v", i)
		}
	}
	if i := peer.await("backup"); i.Transitions != 1 || i.ReceivedZero != 0 {
		t.Errorf("the peer saw it: %+v", i)
	}
	// In the group a fault of one takes both, although the track is the other's.
	in.Track = []conf.TrackUse{{Name: "link"}}
	c = only(in, out)
	c.Groups = []conf.SyncGroup{{Name: "gw", Members: []string{"in", "out"}}}
	c.Tracks = []conf.Track{{Name: "link", Interface: "nosuch0", AtLeast: 1, Interval: time.Second, Rise: 1, Fall: 1}}
	ours.configure(c)
	ours.Signal(syscall.SIGHUP)
	all("fault")
	peer.await("master")
	if !slices.Contains(kinds(ours.events()), "vrrp_group") {
		t.Error("no event tells of the group")
	}
	in.Track = nil
	ours.configure(only(in, out))
	ours.Signal(syscall.SIGHUP)
	all("master")
	peer.await("backup")
}

// With a virtual MAC address the addresses are on an interface of its own, which is silent on a backup, gone after a
// clean stop, and adopted after kill -9.
func TestVirtualMAC(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b, client := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24"), n.Node("client", "10.7.0.9/24")
	config := func(priority int) conf.HAAgent {
		c := only(web(priority, "10.7.0.100/24"))
		c.Instances[0].VirtualMAC = true
		return c
	}
	state := func(x *agent, want string) {
		t.Helper()
		netnstest.Await(t, "an agent to be "+want, func() error {
			if i, err := x.instance(); err != nil || i.State != want || (len(i.Held) > 0) != (want == "master") {
				return fmt.Errorf("%+v, %v", i, err)
			}
			return nil
		})
	}
	reached := func() {
		t.Helper()
		netnstest.Await(t, "the client to reach the address by the virtual MAC address", func() error {
			// Nobody listens there: that the address refuses is its answer.
			if out, _ := client.Command("timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/10.7.0.100/9").CombinedOutput(); !strings.Contains(string(out), "refused") {
				return fmt.Errorf("no answer: %s", out)
			}
			if out := client.IP("neigh", "show", "10.7.0.100"); !strings.Contains(out, "00:00:5e:00:01:33") {
				return fmt.Errorf("the client sees %s", out)
			}
			return nil
		})
	}
	first, second := startAgent(t, a, config(200)), startAgent(t, b, config(100))
	state(first, "master")
	state(second, "backup")
	reached()
	if out := b.IP("link", "show", "vrrp4.51"); strings.Contains(out, "UP") {
		t.Errorf("a backup's interface is up: %s", out)
	}
	first.Signal(syscall.SIGKILL)
	_ = first.Wait()
	state(second, "master")
	reached()
	first.start()
	state(first, "master")
	state(second, "backup")
	reached()
	first.Signal(syscall.SIGTERM)
	_ = first.Wait()
	if out := a.IP("link", "show"); strings.Contains(out, "vrrp4.51") {
		t.Errorf("a clean stop leaves %s", out)
	}
	state(second, "master")
	reached()
}

// Two masters that do not hear each other: VRRP cannot tell, the neighbours can.
func TestDuplicateAddressIsSeen(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	c := only(web(200, vips...))
	c.Instances[0].Duplicates = 100 * time.Millisecond
	ours := startAgent(t, a, c)
	ours.await("master")
	b.IP("addr", "add", "10.7.0.101/24", "dev", "eth0")
	ours.sees("vrrp_duplicate", "10.7.0.101 is on another host too")
	if i, err := ours.instance(); err != nil || len(i.Conflicts) != 1 || i.Conflicts[0].Address != "10.7.0.101" || i.Conflicts[0].Source != status.SourceARP {
		t.Errorf("conflicts: %+v, %v", i.Conflicts, err)
	}
	b.IP("addr", "del", "10.7.0.101/24", "dev", "eth0")
	netnstest.Await(t, "the conflict to be over", func() error {
		if i, err := ours.instance(); err != nil || len(i.Conflicts) > 0 {
			return fmt.Errorf("%+v, %v", i.Conflicts, err)
		}
		return nil
	})
}
