package session

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"keepwatch/internal/conf"
)

// The port belongs to one program, and the other one says so.
func TestPortTaken(t *testing.T) {
	a, _ := pair(t)
	first := startSpeaker(t, a, peer("b", "10.7.0.2", 50*ms))
	first.await("b", 1)
	second := startSpeaker(t, a, peer("b", "10.7.0.2", 50*ms))
	if err := second.Wait(); err == nil || !strings.Contains(second.Output(), "another program has UDP port 3784") {
		t.Errorf("it ended with %v:\n%s", err, second.Output())
	}
	first.end()
}

// An address that no route leads to is an error in the status, not the end.
func TestUnreachable(t *testing.T) {
	a, _ := pair(t)
	s := startSpeaker(t, a, peer("far", "192.0.2.1", 50*ms), peer("gone", "fe80::1%eth7", 50*ms))
	s.await("far", 1)
	s.await("gone", 1)
	s.status("errors", func(r report) error {
		for _, i := range r.Sessions {
			if i.SendErrors == 0 || !strings.Contains(i.LastError, "cannot send to") {
				return fmt.Errorf("status %+v", i)
			}
		}
		return nil
	})
	a.IP("route", "add", "192.0.2.0/24", "via", "10.7.0.2")
	s.status("the error to go", func(r report) error {
		if r.Sessions[0].LastError != "" {
			return fmt.Errorf("status %+v", r.Sessions[0])
		}
		return nil
	})
	s.end()
}

func TestCheck(t *testing.T) {
	good := peer("b", "10.7.0.2", 50*ms)
	with := func(change func(*conf.BFDSession)) conf.BFDSession {
		c := good
		change(&c)
		return c
	}
	for _, c := range []struct {
		name     string
		sessions []conf.BFDSession
		want     string
	}{
		{"none", nil, ""},
		{"two", []conf.BFDSession{good, peer("c", "10.7.0.3", ms)}, ""},
		{"one peer by two ways", []conf.BFDSession{
			with(func(c *conf.BFDSession) { c.Source = netip.MustParseAddr("10.7.0.1") }),
			with(func(c *conf.BFDSession) { c.Name, c.Source = "c", netip.MustParseAddr("10.7.0.9") })}, ""},
		{"same name", []conf.BFDSession{good, peer("b", "10.7.0.3", ms)}, "twice"},
		{"same peer", []conf.BFDSession{good, peer("c", "10.7.0.2", ms)}, "same peer"},
		{"same peer, one by any way", []conf.BFDSession{good, with(func(c *conf.BFDSession) { c.Name, c.Source = "c", netip.MustParseAddr("10.7.0.9") })}, "same peer"},
		{"no peer", []conf.BFDSession{with(func(c *conf.BFDSession) { c.Peer = netip.Addr{} })}, "want a peer"},
		{"two families", []conf.BFDSession{with(func(c *conf.BFDSession) { c.Source = netip.MustParseAddr("fd07::1") })}, "of its family"},
		{"no interval", []conf.BFDSession{with(func(c *conf.BFDSession) { c.Interval = 0 })}, "interval"},
		{"multiplier", []conf.BFDSession{with(func(c *conf.BFDSession) { c.Multiplier = 256 })}, "multiplier"},
	} {
		_, err := New(Options{Sessions: c.sessions, Changed: func(Event) {}})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("nobody is told, and nobody complains")
	}
}

// Before Run and after it, Apply remembers what is wanted.
func TestApplyAtRest(t *testing.T) {
	s, err := New(Options{Changed: func(Event) {}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Apply([]conf.BFDSession{peer("b", "10.7.0.2", 0)}); err == nil {
		t.Error("a bad session is taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil || len(s.Status()) != 0 {
		t.Errorf("%v, %+v", err, s.Status())
	}
	if err := s.Apply(nil); err != nil {
		t.Error(err)
	}
}
