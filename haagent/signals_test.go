package haagent

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// A second signal sees a death that VRRP could only wait for: the master's interval is a minute.
func TestBFDSeesTheDeath(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	config := func(priority int, peer string) conf.HAAgent {
		c := only(web(priority, vips...))
		c.Instances[0].Version, c.Instances[0].Interval = 2, 60*time.Second
		c.Instances[0].BFD = []string{"other"}
		c.BFD = []conf.BFDSession{{Name: "other", Peer: netip.MustParseAddr(peer), Interval: 100 * time.Millisecond, Multiplier: 3}}
		c.Tracks = []conf.Track{{Name: "seen", BFD: "other", AtLeast: 1}}
		c.Instances[0].Track = []conf.TrackUse{{Name: "seen", Weight: 5}}
		return c
	}
	owner := config(255, "10.7.0.2") // master at once: nobody waits for three minutes here
	first, second := startAgent(t, a, owner), startAgent(t, b, config(100, "10.7.0.1"))
	first.await("master")
	second.sees("bfd_changed", "BFD session other is up")
	second.sees("track_changed", "track seen is up")
	// The next advertisement is up to a minute away: a reload says one.
	first.configure(owner)
	first.Signal(syscall.SIGHUP)
	first.sees("config_reloaded", "")
	owner.Instances[0].Duplicates = 0
	owner.Instances[0].CheckAddresses = "first"
	first.configure(owner)
	first.Signal(syscall.SIGHUP)
	second.hears(1)
	first.Signal(syscall.SIGKILL)
	_ = first.Wait()
	if i := second.await("master"); !strings.HasPrefix(i.Reason, "BFD session other is down (") || !strings.Contains(i.Reason, "heard no advertisement from 10.7.0.1 (priority 255)") {
		t.Errorf("got reason %q", i.Reason)
	}
}

// program writes a script that everybody may run.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(shortDir(t), "program")
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A silent master is replaced when a program has confirmed its death, and not before.
func TestFencing(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	sign := filepath.Join(shortDir(t), "dead")
	if err := os.Chmod(filepath.Dir(sign), 0o755); err != nil {
		t.Fatal(err)
	}
	fence := program(t, `test -e `+sign+` && echo "power of $1 is off"`)
	first := startAgent(t, a, only(web(200, vips...)))
	first.await("master")
	c := only(web(100, vips...))
	c.Instances[0].Fence = conf.Fence{Command: []string{fence}, Timeout: 10 * time.Second}
	second := startAgent(t, b, c)
	second.hears(2)
	first.Signal(syscall.SIGKILL)
	_ = first.Wait()
	second.sees("vrrp_fenced", "fencing 10.7.0.1: dead false")
	second.sees("vrrp_fence", "whose death is not confirmed")
	if b.Holds("10.7.0.100") {
		t.Error("it took over all the same")
	}
	if err := os.WriteFile(sign, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if i := second.await("master"); !strings.HasSuffix(i.Reason, "; fenced: power of 10.7.0.1 is off") {
		t.Errorf("got reason %q", i.Reason)
	}
}

// A router that reaches nobody else does not take over: it is the one that is cut off.
func TestQuorum(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24"), n.Node("b", "10.7.0.2/24")
	n.Node("gateway", "10.7.0.254/24")
	first := startAgent(t, a, only(web(200, vips...)))
	first.await("master")
	c := only(web(100, vips...))
	c.Tracks = []conf.Track{{Name: "gateways", Ping: []string{"10.7.0.254"}, AtLeast: 1, Interval: 100 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 2}}
	c.Instances[0].Quorum = "gateways"
	second := startAgent(t, b, c)
	second.hears(2)
	b.IP("route", "add", "blackhole", "10.7.0.254/32") // it hears, but reaches nobody
	second.sees("track_changed", "track gateways is down")
	first.Signal(syscall.SIGKILL)
	_ = first.Wait()
	second.sees("vrrp_quorum", "does not take over from a silent master without quorum: track gateways is down")
	if b.Holds("10.7.0.100") {
		t.Error("it took over all the same")
	}
	b.IP("route", "del", "blackhole", "10.7.0.254/32")
	second.await("master")
}

// Programs and named pipes are told as keepalived tells them, and the failover does not wait for one that hangs.
func TestNotify(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a := n.Node("a", "10.7.0.1/24")
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	c := only(web(200, vips...))
	c.Instances[0].Notify = conf.Notify{
		Master: []string{program(t, "sleep 1000")},
		Any:    []string{program(t, `echo "$@" >>`+dir+`/any`)},
	}
	c.Notify.Any = []string{program(t, `echo "all $@" >>`+dir+`/any`)}
	ours := startAgent(t, a, c)
	ours.await("master")
	ours.Signal(syscall.SIGTERM)
	if err := ours.Wait(); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(dir + "/any")
	if err != nil || !strings.Contains(string(b), "INSTANCE web BACKUP 200\n") || !strings.Contains(string(b), "all INSTANCE web BACKUP 200\n") {
		t.Errorf("told %q, %v", b, err)
	}
}
