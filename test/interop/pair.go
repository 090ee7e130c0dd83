package interop

import (
	"testing"

	"keepwatch/internal/netnstest"
)

// The hosts' own addresses.
const (
	ourAddr = "10.7.0.1"
	kaAddr  = "10.7.0.2"
)

// pair is a segment with our host a, keepalived's host b and an observer.
type pair struct {
	a, b           *netnstest.Node
	wire           *wire // at the observer
	aAddrs, bAddrs *trace
}

func newPair(t testing.TB) pair {
	t.Helper()
	n := netnstest.New(t)
	p := pair{a: n.Node("a", ourAddr+"/24"), b: n.Node("b", kaAddr+"/24")}
	p.wire, p.aAddrs, p.bAddrs = listen(t, n.Node("observer", "10.7.0.9/24")), follow(t, p.a), follow(t, p.b)
	return p
}
