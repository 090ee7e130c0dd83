package acl

import (
	"net/netip"
	"strings"
	"testing"
)

func TestFirstThatFitsDecides(t *testing.T) {
	own := func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.7") }
	for _, c := range []struct {
		list, addr string
		want       bool
	}{
		{"", "127.0.0.1", false},
		{"local", "127.0.0.1", true},
		{"local", "::1", true},
		{"local", "192.0.2.7", true},
		{"local", "::ffff:192.0.2.7", true},
		{"local", "192.0.2.8", false},
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"10.1.2.3/8", "10.9.9.9", true},
		{"10.0.0.0/8 !10.0.0.5", "10.0.0.5", true},
		{"!10.0.0.5/32 10.0.0.0/8", "10.0.0.5", false},
		{"!10.0.0.5/32 10.0.0.0/8", "10.0.0.6", true},
		{"!local 0.0.0.0/0", "192.0.2.7", false},
		{"!local 0.0.0.0/0", "192.0.2.8", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "10.0.0.1", false},
		{"fe80::/10", "fe80::1%eth0", true},
		{"::ffff:10.0.0.0/104", "10.2.3.4", true},
		{"2001:db8::1", "2001:db8::1", true},
	} {
		l, err := Parse(strings.Fields(c.list))
		if err != nil {
			t.Fatalf("%s: %v", c.list, err)
		}
		if got := l.Accepts(netip.MustParseAddr(c.addr), own); got != c.want {
			t.Errorf("%q, %s: got %v, want %v", c.list, c.addr, got, c.want)
		}
	}
	l, err := Parse([]string{"0.0.0.0/0", "local"})
	if err != nil {
		t.Fatal(err)
	}
	if l.Accepts(netip.Addr{}, own) || (*List)(nil).Accepts(netip.MustParseAddr("127.0.0.1"), own) || l.Accepts(netip.MustParseAddr("2001:db8::9"), nil) {
		t.Error("no address, no list and no own addresses must refuse")
	}
}

func TestParseNamesTheEntry(t *testing.T) {
	for _, bad := range []string{"", "!", "!!local", "10.0.0.0/33", "remote", "10.0.0.0-10.0.0.9", "::ffff:0.0.0.0/90", "host.example"} {
		if _, err := Parse([]string{"local", bad}); err == nil || !strings.Contains(err.Error(), `"`+bad+`"`) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "!10.0.0.5/32", "local", "!local", "::1", "fe80::1%lo", "::ffff:1.2.3.4/100"} {
		f.Add(s, "10.0.0.5")
	}
	f.Fuzz(func(t *testing.T, entry, addr string) {
		a, err := netip.ParseAddr(addr)
		if err != nil {
			return
		}
		l, err := Parse([]string{entry})
		if err != nil {
			return
		}
		if strings.HasPrefix(entry, "!") && l.Accepts(a, nil) {
			t.Fatalf("%q alone lets %v in", entry, a)
		}
	})
}
