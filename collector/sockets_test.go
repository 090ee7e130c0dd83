package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"

	"keepwatch/collector/listen"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"

	"golang.org/x/sys/unix"
)

// An address and groups may have one port, in any order and of either family: each hears what is sent to it, once.
// Nobody else gets the port of the address.
func TestAnAddressAndGroupsOfOnePort(t *testing.T) {
	const last = "last"
	gmond := func(groupOrAddress ...string) (out []conf.GmondReceive) {
		for _, a := range groupOrAddress {
			r := conf.NewItem[conf.GmondReceive]()
			if a[0] == '2' || a[:3] == "[ff" {
				r.Group, r.Interface = a, "eth0"
			} else {
				r.Listen = a
			}
			out = append(out, r)
		}
		return out
	}
	nodes := hosts(t, 2)
	for i, nd := range nodes {
		nd.IP("addr", "add", fmt.Sprintf("fd77::%d/64", i+1), "dev", "eth0", "nodad")
		nd.IP("-6", "route", "add", "default", "dev", "eth0")
	}
	for name, c := range map[string]struct {
		native conf.Native
		gmond  []conf.GmondReceive
		to     []string // each is heard by one socket
		port   string
	}{
		"all addresses, then a group": {gmond: gmond(":8649", "239.2.11.71:8649"), to: []string{"10.77.0.1:8649", "239.2.11.71:8649"}, port: ":8649"},
		"a group, then all addresses": {gmond: gmond("239.2.11.71:8649", "0.0.0.0:8649"), to: []string{"10.77.0.1:8649", "239.2.11.71:8649"}, port: "0.0.0.0:8649"},
		"one address, two groups": {gmond: gmond("239.2.11.71:8649", "10.77.0.1:8649", "239.2.11.73:8649"),
			to: []string{"10.77.0.1:8649", "239.2.11.71:8649", "239.2.11.73:8649"}, port: "10.77.0.1:8649"},
		"IPv6": {gmond: gmond("[ff02::2:71]:8649", "[ff15::2:71]:8649", "[::]:8649", "239.2.11.71:8649"),
			to: []string{"10.77.0.1:8649", "[fd77::1]:8649", "[ff02::2:71]:8649", "[ff15::2:71]:8649", "239.2.11.71:8649"}, port: "[::]:8649"},
		"all addresses of either family": {gmond: gmond("[::]:8649", "0.0.0.0:8649"), to: []string{"10.77.0.1:8649", "[fd77::1]:8649"}, port: ":8649"},
		"native": {native: conf.Native{Group: "239.2.11.72:8660", Interface: "eth0", Listen: "0.0.0.0:8660"},
			to: []string{"10.77.0.1:8660", "239.2.11.72:8660"}, port: ":8660"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConf(t)
			cfg.Gmond.Receive, cfg.Gmond.Send = c.gmond, nil
			cfg.Native.Group, cfg.Native.Interface, cfg.Native.Listen = c.native.Group, c.native.Interface, c.native.Listen
			var collector *Collector
			inNamespace(t, nodes[0], func() (err error) {
				collector, err = New(Options{Config: cfg, Cluster: "lab", Host: "agg", DataDir: t.TempDir()})
				return err
			})
			t.Cleanup(func() {
				if err := collector.Close(); err != nil {
					t.Error(err)
				}
			})
			inNamespace(t, nodes[0], func() error { return refused(c.port) })
			var want []string
			for _, to := range c.to {
				want = append(want, to, to+" "+last)
			}
			slices.Sort(want)
			got := heardBy(t, collector, len(c.to), last, func() { sendEach(t, nodes[1], c.to, last) })
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// refused says whether another program that shares its ports is kept from an address.
func refused(address string) error {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) }), err)
	}}
	conn, err := lc.ListenPacket(context.Background(), "udp", address)
	if err == nil {
		return errors.Join(fmt.Errorf("another program got %s", address), conn.Close())
	}
	if !errors.Is(err, unix.EADDRINUSE) {
		return err
	}
	return nil
}

// sendEach sends to each address its own text, and, when all of them have theirs, once more with last behind it.
func sendEach(t *testing.T, nd *netnstest.Node, to []string, last string) {
	inNamespace(t, nd, func() error {
		for _, behind := range []string{"", " " + last} {
			for _, address := range to {
				channel := listen.SendChannel{To: address}
				if address[0] == '2' || address[:3] == "[ff" {
					channel = listen.SendChannel{Group: address, Interface: "eth0", TTL: 1}
				}
				s, err := listen.OpenSender(context.Background(), []listen.SendChannel{channel}, listen.Options{})
				if err != nil {
					return err
				}
				if _, err := s.Send([]byte(address + behind)); err != nil {
					return errors.Join(err, s.Close())
				}
				if err := s.Close(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// heardBy gives what came to all sockets that a collector listens on, until n datagrams ended with last.
func heardBy(t *testing.T, c *Collector, n int, last string, send func()) (got []string) {
	t.Helper()
	all := slices.Clone(c.sockets.native)
	for _, ch := range c.sockets.gmond {
		all = append(all, ch.receiver)
	}
	ctx, cancel := context.WithCancel(context.Background())
	heard, done := make(chan string, 100), make(chan error, len(all))
	for _, r := range all {
		go func() {
			done <- r.Run(ctx, func(ps []listen.Packet) {
				for _, p := range ps {
					heard <- string(p.Data)
				}
			})
		}()
	}
	send()
	netnstest.Await(t, "the last datagrams", func() error {
		for len(heard) > 0 {
			text := <-heard
			if got = append(got, text); len(text) > len(last) && text[len(text)-len(last):] == last {
				n--
			}
		}
		if n > 0 {
			return fmt.Errorf("%d have not come; those that have: %q", n, got)
		}
		return nil
	})
	cancel()
	for range all {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for len(heard) > 0 {
		got = append(got, <-heard)
	}
	return got
}
