package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// router is a node that can be master of the virtual address.
type router struct {
	*netnstest.Node
	own      netip.Addr
	addrs    *Addresses
	firewall *Firewall
	relay    *Relay
	announce *Announcer
}

func newRouter(t testing.TB, node *netnstest.Node, own string) *router {
	t.Helper()
	r := &router{Node: node, own: netip.MustParseAddr(own), addrs: holder(t, node, time.Minute), firewall: firewall(t, node)}
	within(t, node, func() (err error) { r.relay, err = NewRelay("eth0"); return err })
	within(t, node, func() (err error) { r.announce, err = NewAnnouncer("eth0"); return err })
	must(t, r.addrs.Prepare("eth0"))
	t.Cleanup(func() { must(t, errors.Join(r.relay.Close(), r.announce.Close(), r.firewall.Close())) })
	return r
}

// serveEcho answers every line of every connection in a node.
func serveEcho(t testing.TB, node *netnstest.Node) {
	t.Helper()
	var l net.Listener
	within(t, node, func() (err error) { l, err = net.Listen("tcp", ":7"); return err })
	var serving sync.WaitGroup
	ctx, end := context.WithCancel(context.Background())
	t.Cleanup(func() { end(); _ = l.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })() // one whose client is gone
				_, _ = io.Copy(c, c)
				_ = c.Close()
			})
		}
	})
}

// customer opens a connection every millisecond or so and asks twice on each.
type customer struct {
	mu      sync.Mutex
	next    int
	open    map[int]bool
	done    int
	failed  []error
	stopped atomic.Bool
	workers sync.WaitGroup
}

func newCustomer(node *netnstest.Node, to netip.Addr, patience time.Duration) *customer {
	c := &customer{open: make(map[int]bool)}
	tick := time.NewTicker(time.Millisecond)
	for range 8 {
		c.workers.Go(func() {
			node.Do(func() {
				for !c.stopped.Load() {
					<-tick.C
					c.mu.Lock()
					id := c.next
					c.next++
					c.open[id] = true
					c.mu.Unlock()
					err := request(netip.AddrPortFrom(to, 7), patience)
					c.mu.Lock()
					delete(c.open, id)
					c.done++
					if err != nil {
						c.failed = append(c.failed, err)
					}
					c.mu.Unlock()
				}
			})
		})
	}
	return c
}

func request(to netip.AddrPort, patience time.Duration) error {
	c, err := net.DialTimeout("tcp", to.String(), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	for _, word := range []string{"first", "second"} {
		got := make([]byte, len(word))
		if _, err := io.WriteString(c, word); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, got); err != nil || string(got) != word {
			return fmt.Errorf("%s answer: %q, %w", word, got, err)
		}
	}
	return nil
}

// awaitDone waits until the connections that are open now are done.
func (c *customer) awaitDone(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	last := c.next
	c.mu.Unlock()
	netnstest.Await(t, "earlier connections to end", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for id := range c.open {
			if id < last {
				return fmt.Errorf("%d is open", id)
			}
		}
		return nil
	})
}

func (c *customer) awaitRequests(t *testing.T, n int) {
	t.Helper()
	c.mu.Lock()
	want := c.done + n
	c.mu.Unlock()
	netnstest.Await(t, "requests", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.done < want {
			return fmt.Errorf("%d of %d", c.done, want)
		}
		return nil
	})
}

func (c *customer) stop() { c.stopped.Store(true); c.workers.Wait() }

// handOver moves the address from one router to the other as the agent does it. The old one drops it when what it
// began is done, so that a busy machine fails no test.
func handOver(t *testing.T, from, to *router, vip conf.Address, c *customer, relay bool) {
	t.Helper()
	vips := []netip.Addr{vip.Addr()}
	if relay {
		within(t, to.Node, func() error { return to.relay.Prepare(from.own) })
		netnstest.Await(t, "the old master's hardware address", func() error {
			if _, known := to.relay.conn.hardwareAddr(to.relay.ifi.Index, from.own); !known {
				return errors.New("unknown")
			}
			return nil
		})
		from.relay.End()
		must(t, to.firewall.Handover(vips, time.Minute))
		must(t, to.relay.Start(vips, from.own, time.Minute))
	}
	must(t, to.addrs.Hold("eth0", []conf.Address{vip}))
	for range 3 {
		must(t, to.announce.Announce(vip.Addr()))
	}
	c.awaitDone(t)
	must(t, from.addrs.Release("eth0", []conf.Address{vip}))
	must(t, to.announce.Announce(vip.Addr()))
}

func TestHandoverBreaksNoConnection(t *testing.T) {
	t.Parallel()
	for _, family := range []struct {
		name, vip string
		own       [3]string
	}{{"IPv4", "10.7.0.100/24", [3]string{"10.7.0.1", "10.7.0.2", "10.7.0.9"}}, {"IPv6", "fd07::100/64", [3]string{"fd07::1", "fd07::2", "fd07::9"}}} {
		t.Run(family.name, func(t *testing.T) {
			t.Parallel()
			vip := addresses(t, family.vip)[0]
			for _, relayed := range []bool{true, false} {
				n := netnstest.New(t)
				suffix := fmt.Sprintf("/%d", vip.Bits())
				a, b := newRouter(t, n.Node("a", family.own[0]+suffix), family.own[0]), newRouter(t, n.Node("b", family.own[1]+suffix), family.own[1])
				client := n.Node("c", family.own[2]+suffix)
				serveEcho(t, a.Node)
				serveEcho(t, b.Node)
				must(t, a.addrs.Hold("eth0", []conf.Address{vip}))
				patience, rounds := time.Minute, 20
				if !relayed {
					patience, rounds = time.Second, 6
				}
				c := newCustomer(client, vip.Addr(), patience)
				for range rounds {
					c.awaitRequests(t, 20)
					handOver(t, a, b, vip, c, relayed)
					a, b = b, a
				}
				c.awaitRequests(t, 20)
				c.stop()
				sa, sb := a.relay.Stats(), b.relay.Stats()
				t.Logf("relay %t: %d handovers, %d of %d requests failed; %+v %+v", relayed, rounds, len(c.failed), c.done, sa, sb)
				if !relayed {
					continue
				}
				if len(c.failed) > 0 {
					t.Errorf("%d of %d requests failed, as %v", len(c.failed), c.done, c.failed[0])
				}
				if sa.Relayed+sb.Relayed == 0 || sa.Flows == 0 || sb.Flows == 0 || sa.Unresolved+sb.Unresolved+sa.Overflow+sb.Overflow+sa.Failed+sb.Failed > 0 {
					t.Errorf("stats are %+v and %+v", sa, sb)
				}
			}
		})
	}
}

// What the sender left to its hardware, checksums and segmentation, must be right at the old master too, even where
// the new one's interface has neither.
func TestRelayCarriesLargeSegments(t *testing.T) {
	t.Parallel()
	for _, offload := range []bool{true, false} {
		n := netnstest.New(t)
		a, b := newRouter(t, n.Node("a", "10.7.0.1/24"), "10.7.0.1"), newRouter(t, n.Node("b", "10.7.0.2/24"), "10.7.0.2")
		client := n.Node("c", "10.7.0.9/24")
		if !offload {
			within(t, b.Node, func() error { return noOffload("eth0") })
		}
		serveEcho(t, a.Node)
		vip := addresses(t, "10.7.0.100/24")
		must(t, a.addrs.Hold("eth0", vip))
		var conn net.Conn
		within(t, client, func() (err error) { conn, err = net.DialTimeout("tcp", "10.7.0.100:7", time.Minute); return err })
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		vips := []netip.Addr{vip[0].Addr()}
		must(t, errors.Join(b.relay.conn.resolve(b.relay.ifi.Index, a.own), b.firewall.Handover(vips, time.Minute), b.relay.Start(vips, a.own, time.Minute),
			b.addrs.Hold("eth0", vip), b.announce.Announce(vips[0])))
		sent := strings.Repeat("0123456789abcdef", 1<<18) // 4 MiB
		var writing sync.WaitGroup
		var err error
		writing.Go(func() { _, err = io.WriteString(conn, sent) })
		got := make([]byte, len(sent))
		_, readErr := io.ReadFull(conn, got)
		writing.Wait()
		must(t, errors.Join(err, readErr))
		s := b.relay.Stats()
		if string(got) != sent || s.Relayed == 0 || s.Flows != 0 {
			t.Errorf("offload %t: the answer is another one, or did not come by the relay: %+v", offload, s)
		}
		t.Logf("offload %t: %d bytes in %d frames", offload, len(sent), s.Relayed)
	}
}

// noOffload takes checksums and segmentation from an interface of this thread's namespace.
func noOffload(ifname string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, command := range []uint32{unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO, unix.ETHTOOL_STXCSUM} {
		if err := ethtool(fd, ifname, command, 0); err != nil {
			return fmt.Errorf("cannot turn offload %d of %s off: %w", command, ifname, err)
		}
	}
	return nil
}
