package session

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/haagent/bfd"
	"keepwatch/internal/netnstest"
)

const ms = time.Millisecond

// pair are two nodes on a segment.
func pair(t testing.TB) (a, b *netnstest.Node) {
	n := netnstest.New(t)
	return n.Node("a", "10.7.0.1/24", "fd07::1/64"), n.Node("b", "10.7.0.2/24", "fd07::2/64")
}

// linkLocal is a node's link-local address, as its neighbours on eth0 name it.
func linkLocal(t testing.TB, node *netnstest.Node) string {
	for _, a := range node.Addresses() {
		if a.IsLinkLocalUnicast() {
			return a.String() + "%eth0"
		}
	}
	t.Fatalf("%s has no link-local address: %v", node.Namespace, node.Addresses())
	return ""
}

func (s *speaker) end() {
	s.t.Helper()
	s.Signal(syscall.SIGTERM)
	if err := s.Wait(); err != nil {
		s.t.Errorf("it ended with %v:\n%s", err, s.Output())
	}
}

func agree(name string, interval, detection time.Duration) func(report) error {
	return func(r report) error {
		for _, i := range r.Sessions {
			if i.Name == name && i.TransmitInterval == interval && i.ReceiveInterval == interval && i.DetectionTime == detection {
				return nil
			}
		}
		return fmt.Errorf("the sessions are %+v", r.Sessions)
	}
}

func anything(report) error { return nil }

// A change of the configuration touches what changed and nothing else.
func TestApply(t *testing.T) {
	a, b := pair(t)
	atB := startSpeaker(t, b, peer("four", "10.7.0.1", 300*ms), peer("six", "fd07::1", 300*ms), peer("local", linkLocal(t, a), 300*ms))
	stays, local := peer("six", "fd07::2", 300*ms), peer("local", linkLocal(t, b), 300*ms)
	atA := startSpeaker(t, a, peer("four", "10.7.0.2", 300*ms), stays)
	for _, name := range []string{"four", "six"} {
		if e := atA.await(name, 2); !e.Up {
			t.Errorf("event %+v", e)
		}
	}
	before := atA.status("the first status", agree("six", 300*ms, 900*ms)).Sessions

	changed := peer("four", "10.7.0.2", 200*ms)
	changed.Multiplier = 5
	atA.configure(changed, stays, local)
	atA.Signal(syscall.SIGHUP)
	if e := atA.await("local", 2); !e.Up {
		t.Errorf("event %+v", e)
	}
	atB.status("the changed multiplier", agree("four", 300*ms, 1500*ms))
	after := atA.status("the changed session", agree("four", 300*ms, 900*ms)).Sessions
	for i := range before {
		if before[i].LocalDiscriminator != after[i].LocalDiscriminator || before[i].SourcePort != after[i].SourcePort || !before[i].Since.Equal(after[i].Since) || before[i].Sent > after[i].Sent {
			t.Errorf("session %+v became %+v", before[i], after[i])
		}
	}

	// One that goes says farewell; another source is another session, and another socket to hear at.
	moved := stays
	moved.Source = netip.MustParseAddr("fd07::1")
	atA.configure(changed, moved)
	atA.Signal(syscall.SIGHUP)
	if e := atB.await("local", 3); e.Up || !e.Admin || e.Detail != "peer is administratively down" {
		t.Errorf("event %+v", e)
	}
	netnstest.Await(t, "the moved session to be up", func() error {
		if e := atA.events(); !e[len(e)-1].Up {
			return fmt.Errorf("%+v", e)
		}
		return nil
	})
	last := atA.status("the last status", func(r report) error {
		if len(r.Sessions) != 2 || !r.Sessions[1].Up {
			return fmt.Errorf("the sessions are %+v", r.Sessions)
		}
		return nil
	}).Sessions
	if last[0].LocalDiscriminator != before[0].LocalDiscriminator || last[1].LocalDiscriminator == before[1].LocalDiscriminator {
		t.Errorf("sessions %+v became %+v", before, last)
	}
	if e := atA.await("four", 2); !e.Up {
		t.Errorf("the changed session told %+v", e)
	}
	for _, i := range last {
		if i.SourcePort < bfd.MinPort || i.SourcePort == before[0].SourcePort && i.Name != "four" {
			t.Errorf("session %s sends from port %d", i.Name, i.SourcePort)
		}
	}
	atA.end()
	if e := atB.await("four", 3); e.Up || !e.Admin || e.Diag != bfd.DiagPeerDown {
		t.Errorf("event %+v", e)
	}
	atB.end()
}

// A cut wire is silence on both sides, and mends.
func TestCut(t *testing.T) {
	a, b := pair(t)
	passive := peer("a", "10.7.0.1", 300*ms)
	passive.Passive = true
	atA, atB := startSpeaker(t, a, peer("b", "10.7.0.2", 100*ms)), startSpeaker(t, b, passive)
	atA.await("b", 2)
	atB.await("a", 2)
	atA.status("the agreed intervals", agree("b", 300*ms, 900*ms))
	b.SetPort(false)
	for _, e := range []Event{atA.await("b", 3), atB.await("a", 3)} {
		if e.Up || e.Admin || e.Diag != bfd.DiagSilent || e.Detection < 900*ms || e.Detection > 900*ms+lateness {
			t.Errorf("event %+v", e)
		}
	}
	b.SetPort(true)
	for _, e := range []Event{atA.await("b", 4), atB.await("a", 4)} {
		if !e.Up {
			t.Errorf("event %+v", e)
		}
	}
	atA.end()
	atB.end()
}

// A process that stood still does not take its own lateness for the peer's death, although the peer has given it up.
func TestFrozen(t *testing.T) {
	a, b := pair(t)
	atA, atB := startSpeaker(t, a, peer("b", "10.7.0.2", 300*ms)), startSpeaker(t, b, peer("a", "10.7.0.1", 300*ms))
	atA.await("b", 2)
	atB.await("a", 2)
	atA.Signal(syscall.SIGSTOP)
	if e := atB.await("a", 3); e.Up || e.Diag != bfd.DiagSilent {
		t.Errorf("event %+v", e)
	}
	atA.Signal(syscall.SIGCONT)
	netnstest.Await(t, "the session to be up again", func() error {
		if e := atA.events(); len(e) < 4 || !e[3].Up {
			return fmt.Errorf("%+v", e)
		}
		return nil
	})
	if e := atA.events()[2]; e.Up || e.Diag != bfd.DiagPeerDown || e.Admin || !strings.Contains(e.Detail, "does not hear this node") {
		t.Errorf("event %+v", e)
	}
	atA.end()
	atB.end()
}

// What the peer's host, a neighbour and a router send besides.
func TestHostile(t *testing.T) {
	n := netnstest.New(t)
	us, them, third := n.Node("us", "10.7.0.1/24"), n.Node("them", "10.7.0.2/24"), n.Node("third", "10.7.0.3/24")
	s := startSpeaker(t, us, peer("them", "10.7.0.2", time.Second))
	s2 := startSpeaker(t, them, peer("us", "10.7.0.1", time.Second))
	s.await("them", 2)
	s2.await("us", 2)
	unknown := bfd.Packet{Phase: bfd.AdminDown, Multiplier: 3, My: 1, Your: 0xffffffff}
	down := bfd.Packet{Phase: bfd.Down, Multiplier: 3, My: 1}
	auth := (&down).Append(nil)
	auth[1] |= 4
	auth[3] = 26
	auth = append(auth, 1, 2)
	long := append(down.Append(nil), make([]byte, 2000)...)
	long[0] = 0xff
	const flood = 50_000
	shoot(t, them, 64, down.Append(nil))
	shoot(t, them, 255, unknown.Append(nil), auth, long, []byte{}, []byte{0x20})
	shoot(t, third, 255, down.Append(nil), unknown.Append(nil))
	s.status("the packets to be refused", func(r report) error {
		d := r.Sessions[0].Dropped
		if d["ttl"] != 1 || d["your_discriminator"] != 1 || d["authentication"] != 1 || d["version"] != 1 || d["short"] != 2 || r.Strays != 2 {
			return fmt.Errorf("refused: %v and %d strays", d, r.Strays)
		}
		return nil
	})
	junk := make([][]byte, flood)
	for i := range junk {
		junk[i] = []byte("flood")
	}
	shoot(t, third, 255, junk...)
	r := s.status("the flood to be heard", func(r report) error {
		if r.Strays < flood/10 {
			return fmt.Errorf("%d strays", r.Strays)
		}
		return nil
	})
	t.Logf("%d of %d packets of the flood were judged", r.Strays-2, flood)
	if e := s.await("them", 2); !e.Up {
		t.Errorf("event %+v", e)
	}
	s.end()
	s2.end()
}

// shoot sends payloads from a node to us as fast as it can.
func shoot(t *testing.T, from *netnstest.Node, ttl int, payloads ...[]byte) {
	t.Helper()
	var err error
	from.Do(func() {
		var c *net.UDPConn
		if c, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(10, 7, 0, 1), Port: bfd.Port}); err != nil {
			return
		}
		defer c.Close()
		raw, rawErr := c.SyscallConn()
		if err = rawErr; err != nil {
			return
		}
		if rawErr := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TTL, ttl) }); rawErr != nil || err != nil {
			err = errors.Join(rawErr, err)
			return
		}
		for _, p := range payloads {
			if _, err = c.Write(p); err != nil {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
