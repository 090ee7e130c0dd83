package gmond

import (
	"net/netip"
	"testing"
)

// Who speaks for itself is known by the source of its packets, whom others speak for by what they say.
func TestSpeaker(t *testing.T) {
	table, err := NewTable(TableOptions{Cluster: "lab", MaxHosts: 10, MaxMetrics: 10})
	if err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddr("10.0.0.1")
	hear := func(host string, spoof bool) {
		t.Helper()
		p := Packet{ID: ValueString, Host: []byte(host), Spoof: spoof, Name: []byte("jobs"), Format: []byte("%s"), Text: []byte("1")}
		if _, err := table.Add(&p, from, 1000); err != nil {
			t.Fatal(err)
		}
	}
	is := func(name, address string, source netip.Addr, held bool) {
		t.Helper()
		if a, s, h := table.Speaker(name); a != address || s != source || h != held {
			t.Errorf("%s: got %q, %v, %t", name, a, s, h)
		}
	}
	hear("web1", false)
	hear("10.0.0.9:printer", true)
	is("web1", "10.0.0.1", from, true)
	is("printer", "10.0.0.9", netip.Addr{}, true)
	is("nobody", "", netip.Addr{}, false)
	hear("10.0.0.1:web2", true)
	hear("web2", false)
	is("web2", "10.0.0.1", from, true)
}
