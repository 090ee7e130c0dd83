package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sys/unix"
)

// ethernet gives the test's namespace an interface that knows multicast, with addresses of both families.
func ethernet(t testing.TB, mtu string) {
	t.Helper()
	ownNetwork(t)
	ip(t, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
	ip(t, "link", "set", "eth0", "mtu", mtu)
	ip(t, "addr", "add", "10.5.0.1/24", "dev", "eth0")
	ip(t, "addr", "add", "fd05::1/64", "dev", "eth0", "nodad")
	ip(t, "link", "set", "eth0", "up")
	ip(t, "link", "set", "eth1", "up")
	ip(t, "route", "add", "default", "dev", "eth0")
	ip(t, "-6", "route", "add", "default", "dev", "eth0")
}

func TestIPv6Group(t *testing.T) {
	ethernet(t, "1500")
	for _, group := range []string{"[ff05::71]:8649", "[ff02::71]:8649", "[ff02::71%eth0]:8649"} {
		r, err := OpenGroup(t.Context(), group, Options{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := OpenSender(t.Context(), []SendChannel{{Group: group, TTL: 3}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := receive(t, 1, func() { mustSend(t, s, "x") }, r); got[0] != "0 x" {
			t.Errorf("%s: got %q", group, got)
		}
		s.Close()
	}
}

func mustSend(t testing.TB, s *Sender, datagram string) {
	t.Helper()
	if _, err := s.Send([]byte(datagram)); err != nil {
		t.Error(err)
	}
}

// A gmond on the same port and host gets the unicast packets: ours is bound to the group.
func TestGroupTakesNoUnicastAway(t *testing.T) {
	ethernet(t, "1500")
	other := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
		}), err)
	}}
	conn, err := other.ListenPacket(t.Context(), "udp4", "0.0.0.0:8649")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, err := OpenGroup(t.Context(), "239.2.11.71:8649", Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenSender(t.Context(), []SendChannel{{To: "10.5.0.1:8649"}, {Group: "239.2.11.71:8649"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := receive(t, 1, func() { mustSend(t, s, "x") }, r) // a second one would fail in the end
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.ReadFrom(make([]byte, 10)); err != nil || len(got) != 1 {
		t.Errorf("the other program got %v, we %q; want one each", err, got)
	}
}

// Several channels: a receiver that is down keeps nothing from the others, each has its own source address, and an
// answer to where a datagram came from arrives.
func TestChannels(t *testing.T) {
	ethernet(t, "1500")
	ip(t, "addr", "add", "10.5.0.2/24", "dev", "eth0")
	var rs []*Receiver
	for _, address := range []string{"10.5.0.1:0", "[fd05::1]:0"} {
		r, err := OpenUnicast(t.Context(), address, Options{})
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	s, err := OpenSender(t.Context(), []SendChannel{
		{To: "10.5.0.1:9"}, {To: rs[0].Addr().String(), Bind: "10.5.0.2"}, {To: rs[1].Addr().String()}, {To: "no-such-host.invalid:1"},
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n := len(s.Sockets()); n != 2 {
		t.Errorf("%d sockets, want one for each source address, 2", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got, answers := make(chan netip.AddrPort, 100), make(chan string, 100)
	done := make(chan error, 4)
	for _, r := range rs {
		go func() {
			done <- r.Run(ctx, func(ps []Packet) {
				for _, p := range ps {
					got <- p.From
					if err := r.Send([]byte("answer"), p.From); err != nil {
						t.Error(err)
					}
				}
			})
		}()
	}
	for _, r := range s.Sockets() {
		go func() {
			done <- r.Run(ctx, func(ps []Packet) {
				for _, p := range ps {
					answers <- string(p.Data)
				}
			})
		}()
	}
	for range 5 {
		if n, err := s.Send([]byte("x")); n != 3 || err == nil || !strings.Contains(err.Error(), `cannot send to "no-such-host.invalid:1"`) {
			t.Errorf("sent %d, %v; want 3 and what is wrong with the fourth: ICMP errors of the receiver that is down must not show", n, err)
		}
	}
	four, six := 0, 0
	for range 10 {
		if from := <-got; from.Addr() == netip.MustParseAddr("10.5.0.2") {
			four++
		} else if from.Addr() == netip.MustParseAddr("fd05::1") {
			six++
		}
		if a := <-answers; a != "answer" {
			t.Errorf("got %q", a)
		}
	}
	if four != 5 || six != 5 {
		t.Errorf("got %d from 10.5.0.2, %d from fd05::1; want 5 each", four, six)
	}
	cancel()
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestPayloadFollowsTheMTU(t *testing.T) {
	ethernet(t, "1400")
	for _, c := range []struct {
		channels []SendChannel
		want     int
	}{
		{[]SendChannel{{Group: "239.2.11.72:8660"}}, 1372},
		{[]SendChannel{{Group: "[ff05::72]:8660"}}, 1352},
		{[]SendChannel{{To: "10.5.0.9:8660"}}, 1372},
		{[]SendChannel{{To: "[fd05::9]:8660"}}, 1352},
		{[]SendChannel{{To: "127.0.0.1:8660"}, {To: "[fd05::9]:8660"}, {To: "10.5.0.9:8660"}}, 1352},
		{[]SendChannel{{To: "127.0.0.1:8660"}}, 65535 - 28},
		{nil, 0},
	} {
		s, err := OpenSender(t.Context(), c.channels, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Payload(); got != c.want {
			t.Errorf("%+v: got %d, want %d", c.channels, got, c.want)
		}
		s.Close()
	}
	s, err := OpenSender(t.Context(), []SendChannel{{To: "10.5.0.9:8660"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ip(t, "link", "set", "eth0", "mtu", "1300")
	if s.measure(); s.Payload() != 1272 {
		t.Errorf("after a change of the MTU: got %d, want 1272", s.Payload())
	}
	if _, err := s.Send(make([]byte, 65508)); err == nil || !strings.Contains(err.Error(), "configure a smaller payload") {
		t.Errorf("a datagram past all bounds: got %v", err)
	}
}

func TestSenderRefusesSource(t *testing.T) {
	ethernet(t, "1500")
	for bind, want := range map[string]string{"eth0": "want an IP address", "10.77.0.1": "does not have it"} {
		if _, err := OpenSender(t.Context(), []SendChannel{{To: "10.5.0.1:1", Bind: bind}}, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("bind %q: got %v, want %q", bind, err, want)
		}
	}
}

// What the kernel drops for want of buffer is counted, under the channel's name.
func TestDropsAreCounted(t *testing.T) {
	ownNetwork(t)
	r, err := OpenUnicast(t.Context(), "127.0.0.1:0", Options{Channel: "small", Buffer: 4096, Datagram: 100, Batch: 8})
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Buffer(); n < 1024 || n > 1<<20 {
		t.Errorf("buffer of %d bytes, want about 4096", n)
	}
	s, err := OpenSender(t.Context(), []SendChannel{{To: r.Addr().String()}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const sent = 1000
	for range sent { // nobody reads yet
		mustSend(t, s, strings.Repeat("x", 101))
	}
	dropped := metrics.GetOrCreateCounter(`keepwatch_collector_socket_drops_total{channel="small"}`)
	type part struct {
		n    int
		last bool
	}
	before := dropped.Get()
	batches := make(chan part)
	done := make(chan error, 1)
	go func() {
		done <- r.Run(ctx, func(ps []Packet) {
			var got part
			for _, p := range ps {
				if len(p.Data) == 1 {
					got.last = true
				} else if got.n++; !p.Truncated || len(p.Data) != 100 {
					t.Errorf("got %d bytes, truncated %v; want 100, true", len(p.Data), p.Truncated)
				}
			}
			batches <- got
		})
	}()
	got := 0
	drain := func() {
		mustSend(t, s, "e") // the counter comes with what is queued after the drops
		for {
			b := <-batches
			if got += b.n; b.last {
				return
			}
		}
	}
	got += (<-batches).n
	drain()
	drain() // by now what came with the first has been counted
	if d := int(dropped.Get() - before); d == 0 || got+d != sent {
		t.Errorf("got %d, %d dropped; want %d in all, some dropped", got, d, sent)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
