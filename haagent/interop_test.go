package haagent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// Ours is the stronger one: it is master, keepalived takes over when ours is stopped, and gives back when it returns.
func TestOursMasterKeepalivedBackup(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	ours := startAgent(t, a, only(web(200, vips...)))
	ours.await("master")
	peer := startKeepalived(t, b, " priority 100\n"+kaVIPs)
	netnstest.Await(t, "keepalived to hear ours", func() error {
		if d := peer.dump(); d.Data.State != kaBackup || d.Stats["advert_rcvd"] < 5 {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
	if b.Holds("10.7.0.100") {
		t.Error("both have the address")
	}
	peer.clean()

	ours.Signal(syscall.SIGTERM)
	if err := ours.Wait(); err != nil {
		t.Errorf("a clean stop: %v\n%s", err, ours.Output())
	}
	if a.Holds("10.7.0.100") || a.Holds("10.7.0.101") {
		t.Errorf("after a clean stop: %v", a.Addresses())
	}
	holds(t, b, "10.7.0.100", true)
	d := peer.dump()
	if d.Data.State != kaMaster || d.Stats["pri_zero_rcvd"] == 0 {
		t.Errorf("keepalived after our farewell: %+v", d)
	}

	ours.start()
	i := ours.await("master")
	if want := "our priority 200 is higher than 100 of master 10.7.0.2 (preemption)"; i.Reason != want {
		t.Errorf("got reason %q, want %q", i.Reason, want)
	}
	holds(t, b, "10.7.0.100", false)
	ours.clean()
	peer.clean()
}

// Keepalived is the stronger one: ours is backup, and takes over when keepalived says farewell or dies.
func TestKeepalivedMasterOursBackup(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	peer := startKeepalived(t, b, " priority 200\n"+kaVIPs)
	holds(t, b, "10.7.0.100", true)
	ours := startAgent(t, a, only(web(100, vips...)))
	netnstest.Await(t, "ours to follow keepalived", func() error {
		i, err := ours.instance()
		if err != nil {
			return err
		}
		if i.State != "backup" || i.Master == nil || i.Master.Address != "10.7.0.2" || i.Master.Priority != 200 || i.Received < 5 {
			return fmt.Errorf("%+v", i)
		}
		return nil
	})
	if a.Holds("10.7.0.100") {
		t.Error("both have the address")
	}
	peer.Signal(syscall.SIGTERM)
	i := ours.await("master")
	if want := "10.7.0.2 gave the addresses up (priority 0)"; i.Reason != want {
		t.Errorf("got reason %q, want %q", i.Reason, want)
	}
	_ = peer.Wait()
	peer.start()
	holds(t, b, "10.7.0.100", true)
	if i := ours.await("backup"); i.Reason != "10.7.0.2 advertises priority 200, ours is 100" {
		t.Errorf("got reason %q", i.Reason)
	}
	ours.clean()
	peer.clean()

	peer.killTree()
	if i := ours.await("master"); !strings.HasPrefix(i.Reason, "heard no advertisement from 10.7.0.2 (priority 200) for 0.7") {
		t.Errorf("got reason %q", i.Reason)
	}
	ours.clean()
}

func TestIPv6BothWays(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "fd07::1/64"), n.Node("b", "fd07::2/64")
	ours := startAgent(t, a, only(web(200, "fe80::5151/64", "fd07::100/64")))
	ours.await("master")
	peer := startKeepalived(t, b, " priority 100\n advert_int 0.2\n virtual_ipaddress {\n  fe80::5151/64\n  fd07::100/64\n }\n")
	netnstest.Await(t, "keepalived to hear ours", func() error {
		if d := peer.dump(); d.Data.State != kaBackup || d.Stats["advert_rcvd"] < 5 {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
	peer.clean()
	if out := a.IP("-6", "route", "show", "fd07::/64"); strings.Contains(out, "expires") {
		t.Errorf("the host's own prefix route got a lifetime: %s", out)
	}
	ours.Signal(syscall.SIGTERM)
	_ = ours.Wait()
	holds(t, b, "fd07::100", true)
	if !strings.Contains(a.IP("-6", "route", "show", "fd07::/64"), "fd07::/64 dev eth0") {
		t.Error("the host's own prefix route is gone")
	}
	ours.start()
	ours.await("master")
	holds(t, b, "fd07::100", false)
	ours.clean()
	peer.clean()
}

// A tracked process lowers the priority below the peer's, and below nothing: with weight 0 it is a fault.
func TestTrackedProcess(t *testing.T) {
	t.Parallel()
	for _, weight := range []int{-150, 0} {
		t.Run(fmt.Sprintf("weight %d", weight), func(t *testing.T) {
			t.Parallel()
			n := netnstest.New(t)
			a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
			service := copyOf(t, "/bin/sleep", "kwservice")
			running := a.Start(a.Command(service, "1000"))
			c := only(web(200, vips...))
			c.Tracks = []conf.Track{{Name: "service", Process: "kwservice"}}
			c.Instances[0].Track = []conf.TrackUse{{Name: "service", Weight: weight}}
			peer := startKeepalived(t, b, " priority 100\n"+kaVIPs)
			netnstest.Await(t, "the service to run", func() error {
				if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", running.PID())); err != nil || string(comm) != "kwservice\n" {
					return fmt.Errorf("%s %v", comm, err)
				}
				return nil
			})
			ours := startAgent(t, a, c)
			ours.await("master")
			holds(t, b, "10.7.0.100", false)
			running.Signal(syscall.SIGKILL)
			holds(t, b, "10.7.0.100", true)
			state, reason := "backup", fmt.Sprintf("10.7.0.2 advertises priority 100, ours is 50, track service is down (process kwservice (%d) ended): priority 200 to 50", running.PID())
			if weight == 0 {
				state, reason = "fault", fmt.Sprintf("track service is down (process kwservice (%d) ended)", running.PID())
			}
			if i := ours.await(state); i.Reason != reason {
				t.Errorf("got reason %q, want %q", i.Reason, reason)
			}
			a.Start(a.Command(service, "1000"))
			ours.await("master")
			holds(t, b, "10.7.0.100", false)
			ours.clean()
			peer.clean()
		})
	}
}

func copyOf(t *testing.T, program, name string) string {
	t.Helper()
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// After kill -9 the kernel takes the addresses back, keepalived is master, and ours joins again as if new.
func TestKilledAgentLeavesNothing(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	ours := startAgent(t, a, only(web(200, vips...)))
	ours.await("master")
	peer := startKeepalived(t, b, " priority 100\n"+kaVIPs)
	netnstest.Await(t, "keepalived to hear ours", func() error {
		if d := peer.dump(); d.Data.State != kaBackup || d.Stats["advert_rcvd"] < 2 {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
	ours.Signal(syscall.SIGKILL)
	_ = ours.Wait()
	killed := time.Now()
	holds(t, b, "10.7.0.100", true)
	holds(t, a, "10.7.0.100", false)
	holds(t, a, "10.7.0.101", false)
	t.Logf("addresses gone %s after the kill", time.Since(killed).Round(10*time.Millisecond))
	if d := peer.dump(); d.Data.State != kaMaster || d.Stats["pri_zero_rcvd"] != 0 {
		t.Errorf("keepalived: %+v", d)
	}
	ours.start()
	ours.await("master")
	holds(t, b, "10.7.0.100", false)
	ours.clean()
	peer.clean()
}

// An agent that starts where a killed one still holds addresses removes them before it joins.
func TestRestartRemovesWhatIsLeft(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	c := only(web(100, vips...))
	c.Lease.Lifetime = time.Minute
	ours := startAgent(t, a, c)
	ours.await("master")
	ours.Signal(syscall.SIGKILL)
	_ = ours.Wait()
	if !a.Holds("10.7.0.100") {
		t.Fatal("nothing is left to remove")
	}
	peer := startKeepalived(t, b, " priority 200\n"+kaVIPs)
	holds(t, b, "10.7.0.100", true)
	ours.start()
	ours.await("backup")
	netnstest.Await(t, "ours to follow keepalived", func() error {
		if i, err := ours.instance(); err != nil || i.State != "backup" || i.Received < 2 {
			return fmt.Errorf("%+v %v", i, err)
		}
		return nil
	})
	if i, err := ours.instance(); err != nil || i.Transitions != 1 {
		t.Errorf("got %+v, %v: want one transition, from init to backup", i, err)
	}
	ours.clean()
	peer.clean()
}

// A master whose cable is pulled, or whose interface is taken down, is in fault and comes back.
func TestLinkDown(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	peer := startKeepalived(t, b, " priority 100\n"+kaVIPs)
	ours := startAgent(t, a, only(web(200, vips...)))
	for _, c := range []struct {
		set    func(bool)
		reason string
	}{{a.SetPort, "interface eth0 lost its carrier"}, {a.SetLink, "interface eth0 is down"}} {
		ours.await("master")
		holds(t, b, "10.7.0.100", false)
		c.set(false)
		if i := ours.await("fault"); i.Reason != c.reason {
			t.Errorf("got reason %q, want %q", i.Reason, c.reason)
		}
		holds(t, b, "10.7.0.100", true)
		c.set(true)
	}
	ours.await("master")
	holds(t, b, "10.7.0.100", false)
	a.Unplug()
	if i := ours.await("fault"); i.Reason != "there is no interface eth0" {
		t.Errorf("got reason %q", i.Reason)
	}
	holds(t, b, "10.7.0.100", true)
	a.Plug("10.7.0.1/24")
	if i := ours.await("master"); !strings.Contains(i.Reason, "(preemption)") {
		t.Errorf("got reason %q: the new interface is deaf", i.Reason)
	}
	holds(t, b, "10.7.0.100", false)
	peer.clean()
}

// A reload adds and removes addresses and changes the priority without a word to the peer that would move anything.
// The peer is ours: keepalived 2.2 takes a master whose addresses differ for none.
func TestReloadKeepsMaster(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	second := web(150, "10.7.0.200/24")
	second.Name, second.VRID = "other", 60
	ours := startAgent(t, a, only(web(200, vips...)))
	ours.await("master")
	peer := startAgent(t, b, only(web(100, vips...)))
	heard := func(more uint64) {
		t.Helper()
		before := peer.await("backup").Received
		netnstest.Await(t, "the peer to hear ours", func() error {
			if i, err := peer.instance(); err != nil || i.Received < before+more {
				return fmt.Errorf("%+v, %v", i, err)
			}
			return nil
		})
	}
	heard(2)
	ours.configure(only(web(180, "10.7.0.100/24", "10.7.0.102/24"), second))
	ours.Signal(syscall.SIGHUP)
	holds(t, a, "10.7.0.200", true)
	holds(t, a, "10.7.0.101", false)
	holds(t, a, "10.7.0.102", true)
	i := ours.await("master") // instances are in the order of their names
	if i.Name != "other" {
		t.Errorf("got instance %q first", i.Name)
	}
	ours.configure(only(web(200, vips...)))
	ours.Signal(syscall.SIGHUP)
	holds(t, a, "10.7.0.200", false)
	holds(t, a, "10.7.0.101", true)
	i = ours.await("master")
	if i.Transitions != 2 { // init to backup to master, before the reload
		t.Errorf("got %d transitions, want 2", i.Transitions)
	}
	heard(2)
	if i := peer.await("backup"); i.Transitions != 1 || i.AddressMismatch == 0 {
		t.Errorf("the peer: %+v, want one transition, and other addresses noticed", i)
	}
	bad := only(web(200, vips...))
	bad.Instances[0].Interface = "eth9"
	ours.configure(bad)
	ours.Signal(syscall.SIGHUP)
	netnstest.Await(t, "the reload to be refused", func() error {
		if !strings.Contains(ours.Output(), `there is no interface \"eth9\"`) {
			return errors.New(ours.Output())
		}
		return nil
	})
	ours.await("master")
}

// An agent that was stopped for a while does not believe that nobody was heard, and does not send what it missed.
func TestStoppedAgent(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	peer := startKeepalived(t, b, " priority 200\n"+kaVIPs)
	holds(t, b, "10.7.0.100", true)
	ours := startAgent(t, a, only(web(100, vips...)))
	heard := func(least uint64) func() error {
		return func() error {
			if i, err := ours.instance(); err != nil || i.Received < least {
				return fmt.Errorf("%+v, %v", i, err)
			}
			return nil
		}
	}
	netnstest.Await(t, "ours to follow keepalived", heard(3))
	for range 5 {
		before := peer.dump().Stats["advert_sent"]
		ours.Signal(syscall.SIGSTOP)
		netnstest.Await(t, "keepalived to advertise for longer than ours waits", func() error {
			if sent := peer.dump().Stats["advert_sent"]; sent < before+6 {
				return fmt.Errorf("sent %g", sent-before)
			}
			return nil
		})
		ours.Signal(syscall.SIGCONT)
		i, err := ours.instance()
		if err != nil {
			t.Fatal(err)
		}
		netnstest.Await(t, "ours to hear keepalived", heard(i.Received+3))
	}
	if i, err := ours.instance(); err != nil || i.State != "backup" || i.Transitions != 1 {
		t.Errorf("got %s after %d transitions (%s), want backup since the start; %v", i.State, i.Transitions, i.Reason, err)
	}
	ours.clean()
	peer.clean()
}
