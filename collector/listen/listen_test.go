package listen

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ownNetwork puts the test into a network namespace of its own, with loopback up. The thread stays in it and ends
// with the test.
func ownNetwork(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("cannot make a network namespace: %v; run the tests as root", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("ip link set lo up: %v %s; install iproute2", err, out)
	}
}

// receive runs the receivers until n datagrams have come.
func receive(t *testing.T, n int, send func(), receivers ...*Receiver) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type got struct {
		text string
		p    Packet
	}
	all := make(chan got, 1000)
	done := make(chan error, len(receivers))
	for i, r := range receivers {
		go func() {
			done <- r.Run(ctx, func(ps []Packet) {
				for _, p := range ps {
					all <- got{fmt.Sprintf("%d %s", i, p.Data), p}
				}
			})
		}()
	}
	before := time.Now()
	send()
	var out []string
	for range n {
		g := <-all
		if g.p.At.Before(before.Add(-time.Second)) || g.p.At.After(time.Now()) {
			t.Errorf("receive time %v is not between %v and now", g.p.At, before)
		}
		out = append(out, g.text)
	}
	cancel()
	for range receivers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return out
}

func TestGroupIsSharedAndLoopsBack(t *testing.T) {
	ownNetwork(t)
	ctx := context.Background()
	const group = "239.2.11.72:8660"
	a, err := OpenGroup(ctx, group, "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenGroup(ctx, group, "lo")
	if err != nil {
		t.Fatalf("a second program on the group: %v", err)
	}
	s, err := OpenSender(ctx, SenderOptions{Group: group, TTL: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := receive(t, 4, func() {
		for _, d := range []string{"x", "y"} {
			if n, err := s.Send([]byte(d)); n != 1 || err != nil {
				t.Errorf("sent %d, %v; want 1", n, err)
			}
		}
	}, a, b)
	for _, want := range []string{"0 x", "0 y", "1 x", "1 y"} {
		if strings.Count(strings.Join(got, "\n")+"\n", want+"\n") != 1 {
			t.Errorf("got %q, want %q once", got, want)
		}
	}
}

func TestUnicast(t *testing.T) {
	ownNetwork(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		r, err := OpenUnicast(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenUnicast(context.Background(), r.Addr().String()); err == nil || !strings.Contains(err.Error(), "another program has this port") {
			t.Errorf("port taken: got %v", err)
		}
		s, err := OpenSender(context.Background(), SenderOptions{To: []string{r.Addr().String()}})
		if err != nil {
			t.Fatal(err)
		}
		long := bytes.Repeat([]byte("z"), MaxDatagram)
		got := receive(t, 2, func() {
			for _, d := range [][]byte{[]byte("x"), long} {
				if _, err := s.Send(d); err != nil {
					t.Error(err)
				}
			}
		}, r)
		if got[0] != "0 x" || got[1] != "0 "+string(long) {
			t.Errorf("got %.50q", got)
		}
		s.Close()
	}
}

func TestOpenRefuses(t *testing.T) {
	ownNetwork(t)
	ctx := context.Background()
	for _, group := range []string{"", "10.0.0.1:8660", "239.2.11.72", "[ff02::1]:8660", "host:1"} {
		if r, err := OpenGroup(ctx, group, ""); err == nil {
			r.Close()
			t.Errorf("group %q was accepted", group)
		}
	}
	if _, err := OpenGroup(ctx, "239.2.11.72:8660", "nosuch0"); err == nil || !strings.Contains(err.Error(), `no interface "nosuch0"`) {
		t.Errorf("unknown interface: got %v", err)
	}
	for _, to := range []string{"host", "host:0", "host:99999", "host:http"} {
		if _, err := OpenSender(ctx, SenderOptions{To: []string{to}}); err == nil {
			t.Errorf("send_to %q was accepted", to)
		}
	}
}

func TestSources(t *testing.T) {
	ownNetwork(t)
	if out, err := exec.Command("ip", "addr", "add", "10.9.8.7/24", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	s, err := ParseSources([]string{"local", "192.0.2.0/24", "2001:db8::1"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "10.9.8.7": true, "10.9.8.8": false, "192.0.2.200": true, "::ffff:192.0.2.3": true,
		"192.0.3.1": false, "2001:db8::1": true, "2001:db8::2": false, "::1": true,
	} {
		if got := s.Accepts(netip.MustParseAddr(addr), now); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
	if out, err := exec.Command("ip", "addr", "add", "10.9.8.8/24", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if s.Accepts(netip.MustParseAddr("10.9.8.8"), now.Add(time.Second)) || !s.Accepts(netip.MustParseAddr("10.9.8.8"), now.Add(localEvery)) {
		t.Error("a new address must count once the addresses are read again")
	}
	for _, bad := range []string{"", "10.0.0.0/33", "remote"} {
		if _, err := ParseSources([]string{bad}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestDefaultRoute(t *testing.T) {
	const table = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth1	0002000A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth0	00000000	0102000A	0003	0	0	0	00000000	0	0	0
`
	if got := defaultRoute(strings.NewReader(table)); got != "eth0" {
		t.Errorf("got %q, want eth0", got)
	}
	if got := defaultRoute(strings.NewReader("Iface\n")); got != "" {
		t.Errorf("got %q, want none", got)
	}
}

func FuzzTimestamp(f *testing.F) {
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, oob []byte) {
		now := time.Unix(1_795_000_000, 0)
		if got := timestamp(oob, now); now.Sub(got) < 0 || now.Sub(got) > time.Minute {
			t.Fatalf("got %v, far from %v", got, now)
		}
	})
}
