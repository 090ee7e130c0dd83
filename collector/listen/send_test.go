package listen

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// veth makes an interface that knows multicast, as it stands after a host has got its network.
func veth(t *testing.T) {
	t.Helper()
	ip(t, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
	ip(t, "addr", "add", "10.5.0.1/24", "dev", "eth0")
	ip(t, "addr", "add", "fd05::1/64", "dev", "eth0", "nodad")
	ip(t, "link", "set", "eth0", "up")
	ip(t, "link", "set", "eth1", "up")
	ip(t, "route", "add", "default", "dev", "eth0")
	ip(t, "-6", "route", "add", "default", "dev", "eth0")
}

// A collector that starts before its host has a network sends to the group by the network when that has come, and when
// its interface went and came.
func TestSenderFollowsTheInterface(t *testing.T) {
	for _, group := range []string{"239.2.11.71:8649", "[ff05::71]:8649", "[ff02::71]:8649"} {
		t.Run(group, func(t *testing.T) {
			ownNetwork(t)
			s, err := OpenSender(t.Context(), []SendChannel{{Group: group}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			heard := func(when string) {
				t.Helper()
				r, err := OpenGroup(t.Context(), group, Options{Interface: "eth0"})
				if err != nil {
					t.Fatal(err)
				}
				if got := receive(t, 1, func() { mustSend(t, s, when) }, r); got[0] != "0 "+when {
					t.Errorf("got %q, want %q", got, when)
				}
			}
			veth(t)
			s.look(t.Context(), false)
			heard("the network has come")
			ip(t, "link", "del", "eth0")
			veth(t)
			s.look(t.Context(), true)
			heard("the interface went and came")
			if s.Payload() == 0 || s.Payload() > 1500 {
				t.Errorf("payload of %d bytes, want that of the interface", s.Payload())
			}
		})
	}
}

// names is a name service: what stands in it is known, what does not takes for ever.
type names struct{ sync.Map }

func (n *names) lookup(ctx context.Context, _, host string) ([]netip.Addr, error) {
	if a, ok := n.Load(host); ok {
		return []netip.Addr{netip.MustParseAddr(a.(string))}, nil
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// A name that cannot be looked up holds up no other, is told with every datagram, and is asked for again soon.
func TestNamesThatLeadNowhere(t *testing.T) {
	r, err := OpenUnicast(t.Context(), "127.0.0.1:0", Options{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var known names
		known.Store("fast", "127.0.0.1")
		s := &Sender{lookup: known.lookup}
		for _, name := range []string{"slow1", "slow2", "slow3", "fast"} {
			s.channels = append(s.channels, &channel{opt: SendChannel{To: name + ":8649"}, socket: r, host: name, port: 8649})
		}
		begun := time.Now()
		s.look(t.Context(), true)
		if d := time.Since(begun); d != lookupTimeout {
			t.Errorf("three slow names took %v, want no longer than one, %v", d, lookupTimeout)
		}
		if n, err := s.Send([]byte("x")); n != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sent %d, %v; want 1 and why the others were not", n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		for _, name := range []string{"slow1", "slow2", "slow3"} {
			known.Store(name, "127.0.0.1")
		}
		time.Sleep(lookSoon)
		synctest.Wait()
		if n, err := s.Send([]byte("x")); n != 4 || err != nil {
			t.Errorf("after the names are known: sent %d, %v; want 4", n, err)
		}
		known.Delete("fast")
		known.Store("slow1", "127.0.0.2")
		time.Sleep(lookEvery + lookupTimeout)
		synctest.Wait()
		if n, err := s.Send([]byte("x")); n != 4 || err != nil {
			t.Errorf("a name that is known no more: sent %d, %v; want 4, by its last address", n, err)
		}
		if to := s.channels[0].to.Load(); to.Addr() != netip.MustParseAddr("127.0.0.2") {
			t.Errorf("a name that leads elsewhere: got %v", to)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
