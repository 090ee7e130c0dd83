package interop

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"keepwatch/internal/netnstest"
)

// change is an address that came to a node or went.
type change struct {
	At    time.Time // when the kernel's message was read
	Addr  netip.Addr
	There bool
}

// trace is how the addresses of a node change. Renewals of one that is there are no change.
type trace struct {
	t       testing.TB
	mu      sync.Mutex
	changes []change
}

// follow traces until the test ends.
func follow(t testing.TB, node *netnstest.Node) *trace {
	t.Helper()
	tr := &trace{t: t}
	there := make(map[netip.Addr]bool)
	for _, a := range addresses(node) {
		there[a] = true
	}
	updates, done, ended := make(chan netlink.AddrUpdate, 1024), make(chan struct{}), make(chan struct{})
	var err error
	node.Do(func() { err = netlink.AddrSubscribeWithOptions(updates, done, netlink.AddrSubscribeOptions{}) })
	if err != nil {
		t.Fatalf("cannot follow the addresses of %s: %v", node.Namespace, err)
	}
	go func() {
		defer close(ended)
		for u := range updates {
			addr, _ := netip.AddrFromSlice(u.LinkAddress.IP)
			addr = addr.Unmap()
			if there[addr] == u.NewAddr {
				continue
			}
			there[addr] = u.NewAddr
			tr.mu.Lock()
			tr.changes = append(tr.changes, change{time.Now(), addr, u.NewAddr})
			tr.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		close(done)
		<-ended
	})
	return tr
}

// of is how one address changed so far.
func (tr *trace) of(addr string) (some []change) {
	a := netip.MustParseAddr(addr)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, c := range tr.changes {
		if c.Addr == a {
			some = append(some, c)
		}
	}
	return some
}

// last waits until the last change of an address is its coming, or its going, not before a time, and tells when.
func (tr *trace) last(addr string, there bool, since time.Time) (at time.Time) {
	tr.t.Helper()
	await(tr.t, fmt.Sprintf("%s to be there: %t", addr, there), func() error {
		all := tr.of(addr)
		if len(all) == 0 || all[len(all)-1].There != there || all[len(all)-1].At.Before(since) {
			return fmt.Errorf("it changed so: %v", all)
		}
		at = all[len(all)-1].At
		return nil
	})
	return at
}
