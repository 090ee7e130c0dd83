package interop

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"keepwatch/internal/netnstest"
)

// patience is how long await waits: long, because a busy machine is no failure.
const patience = time.Minute

// await is netnstest.Await with fewer looks: here most of them ask a program, and the stories at once must leave the
// processor to the programs.
func await(t testing.TB, what string, condition func() error) {
	t.Helper()
	look := time.NewTicker(25 * time.Millisecond)
	defer look.Stop()
	limit := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("waited %s for %s: %v", patience, what, err)
		}
		<-look.C
	}
}

// addresses are those of a node's eth0, asked of the kernel without a program.
func addresses(node *netnstest.Node) (all []netip.Addr) {
	node.Do(func() {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return // unplugged: it has none
		}
		prefixes, err := eth0.Addrs()
		if err != nil {
			return
		}
		for _, p := range prefixes {
			if one, err := netip.ParsePrefix(p.String()); err == nil {
				all = append(all, one.Addr())
			}
		}
	})
	return all
}

// has tells whether an address is on a node's eth0.
func has(node *netnstest.Node, addr string) bool {
	return slices.Contains(addresses(node), netip.MustParseAddr(addr))
}

// holds waits until a node has an address, or has not.
func holds(t testing.TB, node *netnstest.Node, addr string, want bool) {
	t.Helper()
	await(t, fmt.Sprintf("%s on %s to be %t", addr, node.Namespace, want), func() error {
		if has(node, addr) != want {
			return fmt.Errorf("it has %v", addresses(node))
		}
		return nil
	})
}

// within fails the test unless a time is at least what the protocol promises, to the millisecond that timestamps may
// be apart, and not much more: three times as much or a second more, whichever is sooner, for the machine may be busy.
func within(t testing.TB, what string, got, promised time.Duration) {
	t.Helper()
	most := promised + min(2*promised, time.Second) + 400*time.Millisecond
	t.Logf("%s: %s, the protocol says %s", what, got, promised)
	if got < promised-time.Millisecond || got > most {
		t.Errorf("%s: got %s, want %s to %s", what, got, promised, most)
	}
}
