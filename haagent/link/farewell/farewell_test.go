package farewell

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"keepwatch/internal/netnstest"
)

func TestSend(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a, b := n.Node("a", "10.7.0.1/24", "fd07::1/64"), n.Node("b", "10.7.0.2/24", "fd07::2/64")
	wire := b.Capture()
	payload := []byte("a farewell of more than twenty bytes")
	for _, c := range []struct{ source, dest string }{
		{"10.7.0.1", "224.0.0.18"}, {"10.7.0.1", "10.7.0.2"}, {"10.7.0.77", "224.0.0.18"}, {"fe80::77", "ff02::12"}, {"fd07::1", "fd07::2"},
	} {
		source, dest := netip.MustParseAddr(c.source), netip.MustParseAddr(c.dest)
		a.Do(func() {
			s, err := Open()
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.Send(Make("eth0", source, dest, 255, payload)); err != nil {
				t.Error(err)
			}
		})
		if t.Failed() {
			return
		}
		p := wire.Await("the farewell", func(b []byte) bool {
			return len(b) > 40 && (b[0]>>4 == 4 && b[9] == vrrp || b[0]>>4 == 6 && b[6] == vrrp)
		})
		header, from, to, ttl, class := 20, 12, 16, p[8], p[1]
		if source.Is6() {
			header, from, to, ttl, class = 40, 8, 24, p[7], p[0]<<4|p[1]>>4
		}
		if string(p[header:]) != string(payload) || ttl != 255 || class != internetControl ||
			!strings.HasPrefix(string(p[from:]), string(source.AsSlice())) || !strings.HasPrefix(string(p[to:]), string(dest.AsSlice())) {
			t.Errorf("%s to %s: got %x", source, dest, p)
		}
	}
}

func TestSendSaysWhatIsWrong(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test opens raw sockets: run it as root")
	}
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	one := netip.MustParseAddr("127.0.0.1")
	for _, ifname := range []string{"nosuch0", "a name that no interface can have"} {
		if err := s.Send(Make(ifname, one, one, 255, []byte("x"))); err == nil || !strings.Contains(err.Error(), "cannot send a farewell to 127.0.0.1 on "+ifname) {
			t.Errorf("got %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(Make("lo", one, one, 255, []byte("x"))); !errors.Is(err, unix.EBADF) {
		t.Errorf("after Close: got %v", err)
	}
}
