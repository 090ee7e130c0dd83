package session

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/haagent/bfd"
	"keepwatch/internal/netnstest"
)

// lateness is how late a detection timer may be on a busy machine.
const lateness = 2 * time.Second

// The two protocols' families with keepalived's own configuration. Its hop limit is 64 unless it is told otherwise,
// which RFC 5881 section 5 forbids.
var families = []struct {
	name, ours, theirs, extra string
}{
	{"IPv4", "10.7.0.1", "10.7.0.2", ""},
	{"IPv6", "fd07::1", "fd07::2", " hoplimit 255\n"},
}

func kaConfig(ours, theirs, extra string) string {
	return fmt.Sprintf(`bfd_instance ours {
 neighbor_ip %s
 source_ip %s
 min_tx 200
 min_rx 500
 multiplier 4
%s}
vrrp_instance web {
 state BACKUP
 interface eth0
 virtual_router_id 51
 priority 100
 advert_int 1
 virtual_ipaddress {
  10.7.0.100/24
 }
 track_bfd {
  ours
 }
}
`, ours, theirs, extra)
}

func TestKeepalived(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			n := netnstest.New(t)
			us, them := n.Node("us", "10.7.0.1/24", "fd07::1/64"), n.Node("them", "10.7.0.2/24", "fd07::2/64")
			c := peer("ka", f.theirs, 300*ms)
			c.Source = netip.MustParseAddr(f.ours)
			s := startSpeaker(t, us, c)
			if e := s.await("ka", 1); e.Up || e.Detail != "no packet yet" {
				t.Errorf("the first event is %+v", e)
			}
			k := startKeepalived(t, them, kaConfig(f.ours, f.theirs, f.extra))
			if e := s.await("ka", 2); !e.Up {
				t.Fatalf("event %+v", e)
			}
			k.awaitTrack(true)
			agreed(t, s)

			k.killTree()
			e := s.await("ka", 3)
			if e.Up || e.Admin || e.Diag != bfd.DiagSilent || e.Detection < 1200*ms || e.Detection > 1200*ms+lateness {
				t.Errorf("killed: event %+v", e)
			}
			k.start()
			if e := s.await("ka", 4); !e.Up {
				t.Fatalf("event %+v", e)
			}
			k.awaitTrack(true)

			s.Signal(syscall.SIGKILL)
			_ = s.Wait()
			k.awaitTrack(false)
			s.start()
			if e := s.await("ka", 2); !e.Up {
				t.Fatalf("event %+v", e)
			}
			k.awaitTrack(true)

			// A farewell is no fault for keepalived: its BFD goes down, its track stays.
			s.Signal(syscall.SIGTERM)
			if err := s.Wait(); err != nil {
				t.Errorf("our side ended with %v:\n%s", err, s.Output())
			}
			netnstest.Await(t, "keepalived to hear the farewell", func() error {
				if out := k.Output(); !strings.Contains(out, "Remote diagnostic - Administratively Down") {
					return errors.New(out)
				}
				return nil
			})
			s.start()
			s.await("ka", 2)
			k.awaitTrack(true)
			k.Signal(syscall.SIGTERM)
			// keepalived says no farewell in BFD.
			if e := s.await("ka", 3); e.Up || e.Admin || e.Diag != bfd.DiagSilent {
				t.Errorf("keepalived stopped: event %+v", e)
			}
		})
	}
}

// keepalived's own hop limit breaks RFC 5881: nothing of it is believed, and the status says why.
func TestKeepalivedHopLimit(t *testing.T) {
	n := netnstest.New(t)
	us, them := n.Node("us", "fd07::1/64"), n.Node("them", "10.7.0.2/24", "fd07::2/64")
	s := startSpeaker(t, us, peer("ka", "fd07::2", 300*ms))
	startKeepalived(t, them, kaConfig("fd07::1", "fd07::2", ""))
	s.await("ka", 1)
	s.status("packets to be refused", func(r report) error {
		if i := r.Sessions[0]; i.Dropped["ttl"] < 3 || i.Up || i.Received > 0 {
			return fmt.Errorf("status %+v", i)
		}
		return nil
	})
}

// agreed checks what the two sides negotiated: ours 300 ms and 3, keepalived's 200 ms, 500 ms and 4.
func agreed(t *testing.T, s *speaker) {
	t.Helper()
	r := s.status("the intervals to be agreed upon", func(r report) error {
		i := r.Sessions[0]
		if i.TransmitInterval != 500*ms || i.ReceiveInterval != 300*ms || i.DetectionTime != 1200*ms || i.RemoteState != "up" {
			return fmt.Errorf("they are %+v", i)
		}
		return nil
	})
	if i := r.Sessions[0]; len(i.Dropped) > 0 || i.SendErrors > 0 || i.LastError != "" || r.Strays > 0 || !i.Up || i.State != "up" || i.RemoteMultiplier != 4 {
		t.Errorf("status %+v, %d strays", i, r.Strays)
	}
}
