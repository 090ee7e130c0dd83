package listen

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if order := os.Getenv(senderMode); order != "" {
		if err := sendForBench(order); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// ownNetwork puts the test into a network namespace of its own, with loopback up. The thread stays in it and ends
// with the test.
func ownNetwork(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("cannot make a network namespace: %v; run the tests as root", err)
	}
	ip(t, "link", "set", "lo", "up")
}

// ip runs ip in the namespace of the test.
func ip(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v %s; install iproute2", strings.Join(args, " "), err, out)
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
		var g got
		select {
		case g = <-all:
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d packets came within a minute", len(out), n)
		}
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
	a, err := OpenGroup(ctx, group, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenGroup(ctx, group, Options{Interface: "lo"})
	if err != nil {
		t.Fatalf("a second program on the group: %v", err)
	}
	s, err := OpenSender(ctx, []SendChannel{{Group: group, TTL: 1}}, Options{})
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

// The interface of a group goes and comes again more often than the kernel lets one socket be a member, each time with
// another number, as that of a tunnel does: the group is heard on it all the same.
func TestGroupFollowsTheInterface(t *testing.T) {
	for _, group := range []string{"239.2.11.72:8660", "[ff05::72]:8660"} {
		for _, name := range []string{"", "eth0"} {
			t.Run(group+" "+name, func(t *testing.T) {
				ownNetwork(t)
				veth(t)
				r, err := OpenGroup(t.Context(), group, Options{Interface: name})
				if err != nil {
					t.Fatal(err)
				}
				for range 25 {
					ip(t, "link", "del", "eth0")
					r.renew() // as it may fall into the time between
					veth(t)
					if r.renew(); !r.settled {
						t.Fatal("the interface is there again, and the group has none")
					}
				}
				s, err := OpenSender(t.Context(), []SendChannel{{Group: group}}, Options{})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				if got := receive(t, 1, func() { mustSend(t, s, "x") }, r); got[0] != "0 x" {
					t.Errorf("got %q", got)
				}
			})
		}
	}
}

// A group whose interface is gone is told of once, and once more when it is heard again; one that is joined already is
// not worth a word.
func TestGroupThatCannotBeJoined(t *testing.T) {
	ownNetwork(t)
	veth(t)
	var log bytes.Buffer
	r, err := OpenGroup(t.Context(), "239.2.11.72:8660", Options{Interface: "eth0", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	said := func(when, want string) {
		t.Helper()
		r.renew()
		r.renew()
		if got := log.String(); want == "" && got != "" || strings.Count(got, "\n") > 1 || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q once", when, got, want)
		}
		log.Reset()
	}
	said("nothing has changed", "")
	ip(t, "link", "del", "eth0")
	said("it is gone", `level=WARN msg="a multicast group cannot be joined; nothing of it is heard until it can" group=239.2.11.72:8660 err="no interface`)
	if r.settled {
		t.Error("it is not tried again soon")
	}
	veth(t)
	said("it has come again", `level=INFO msg="a multicast group is heard again" group=239.2.11.72:8660 interface=eth0`)
}

// The interface that stands in while the host has no network takes nothing away from the one that the group had.
func TestGroupKeepsItsInterfaceWithoutARoute(t *testing.T) {
	ownNetwork(t)
	veth(t)
	r, err := OpenGroup(t.Context(), "239.2.11.72:8660", Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenSender(t.Context(), []SendChannel{{Group: "239.2.11.72:8660", Interface: "eth0"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ip(t, "route", "del", "default")
	ip(t, "-6", "route", "del", "default")
	if r.renew(); r.settled {
		t.Error("loopback does for good")
	}
	if got := receive(t, 1, func() { mustSend(t, s, "x") }, r); got[0] != "0 x" {
		t.Errorf("got %q", got)
	}
}

// The default route moves to another network, as of a VPN: what is sent on the first one is heard all the same.
func TestGroupIsHeardWhereItWas(t *testing.T) {
	for _, group := range []string{"239.2.11.72:8660", "[ff05::72]:8660", "[ff02::72]:8660"} {
		t.Run(group, func(t *testing.T) {
			ownNetwork(t)
			veth(t)
			ip(t, "link", "add", "net1", "type", "veth", "peer", "name", "p1")
			ip(t, "link", "set", "p1", "up")
			ip(t, "link", "set", "net1", "up")
			ip(t, "addr", "add", "10.98.0.1/24", "dev", "net1")
			r, err := OpenGroup(t.Context(), group, Options{})
			if err != nil {
				t.Fatal(err)
			}
			s, err := OpenSender(t.Context(), []SendChannel{{Group: group, Interface: "eth0"}}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ip(t, "route", "replace", "default", "dev", "net1")
			ip(t, "-6", "route", "del", "default")
			ip(t, "-6", "route", "add", "default", "dev", "net1")
			r.renew()
			if got := receive(t, 1, func() { mustSend(t, s, "x") }, r); len(got) != 1 || got[0] != "0 x" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestUnicast(t *testing.T) {
	ownNetwork(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		r, err := OpenUnicast(context.Background(), address, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenUnicast(context.Background(), r.Addr().String(), Options{}); err == nil || !strings.Contains(err.Error(), "another program has this port") {
			t.Errorf("port taken: got %v", err)
		}
		s, err := OpenSender(context.Background(), []SendChannel{{To: r.Addr().String()}}, Options{})
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
	for _, group := range []string{"", "10.0.0.1:8660", "239.2.11.72", "[2001:db8::1]:8660", "[::ffff:239.2.11.72]:8660", "host:1"} {
		if r, err := OpenGroup(ctx, group, Options{}); err == nil {
			r.Close()
			t.Errorf("group %q was accepted", group)
		}
	}
	if _, err := OpenGroup(ctx, "239.2.11.72:8660", Options{Interface: "nosuch0"}); err == nil || !strings.Contains(err.Error(), `no interface "nosuch0"`) {
		t.Errorf("unknown interface: got %v", err)
	}
	for _, to := range []string{"host", ":1", "host:0", "host:99999", "host:http"} {
		if _, err := OpenSender(ctx, []SendChannel{{To: to}}, Options{}); err == nil {
			t.Errorf("send_to %q was accepted", to)
		}
	}
}

func TestOwnAddresses(t *testing.T) {
	ownNetwork(t)
	ip(t, "addr", "add", "10.9.8.7/24", "dev", "lo")
	var o Own
	now := time.Now()
	clock := func() time.Time { return now }
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "10.9.8.7": true, "10.9.8.8": false, "::1": true, "::ffff:10.9.8.7": true, "127.9.9.9": true,
	} {
		if got := o.has(netip.MustParseAddr(addr), clock); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
	ip(t, "addr", "add", "10.9.8.8/24", "dev", "lo")
	added := netip.MustParseAddr("10.9.8.8")
	if now = now.Add(time.Second); o.has(added, clock) {
		t.Error("the addresses were read again within a second")
	}
	if now = now.Add(localEvery); !o.has(added, clock) {
		t.Error("a new address must count once the addresses are read again")
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
	const zeros = "00000000000000000000000000000000"
	const table6 = "20010db8000000000000000000000000 40 " + zeros + " 00 " + zeros + " 00000100 00000001 00000000 00000001     eth1\n" +
		zeros + " 00 " + zeros + " 00 " + zeros + " ffffffff 00000001 00000000 00200200       lo\n" +
		zeros + " 00 " + zeros + " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n"
	if got := defaultIPv6Route(strings.NewReader(table6)); got != "eth0" {
		t.Errorf("got %q, want eth0", got)
	}
	if got := defaultIPv6Route(strings.NewReader("x\n")); got != "" {
		t.Errorf("got %q, want none", got)
	}
}

func FuzzControls(f *testing.F) {
	f.Add(make([]byte, controlSize))
	f.Fuzz(func(t *testing.T, control []byte) {
		now := time.Unix(1_795_000_000, 0)
		if got := newBatch(1, 1).controls(control, now); now.Sub(got) < 0 || now.Sub(got) > time.Minute {
			t.Fatalf("got %v, far from %v", got, now)
		}
	})
}
