package conf

import (
	"encoding"
	"net/netip"
	"strings"
	"testing"
)

// spell reads a text and writes it again.
func spell[T any, P interface {
	*T
	encoding.TextUnmarshaler
	String() string
}](text string) (string, error) {
	var v T
	if err := P(&v).UnmarshalText([]byte(text)); err != nil {
		return "", err
	}
	return P(&v).String(), nil
}

// TestIPRoute: good lines as text and how they are written again, bad ones with a part of the error.
func TestIPRoute(t *testing.T) {
	good := func(read func(string) (string, error), text, want string) {
		t.Helper()
		got, err := read(text)
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
		if again, err := read(got); err != nil || again != got {
			t.Errorf("%q: read again: got %q, %v, want %q", text, again, err, got)
		}
	}
	bad := func(read func(string) (string, error), text, want string) {
		t.Helper()
		if got, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v, want an error with %q", text, got, err, want)
		}
	}
	address, route, rule := spell[Address], spell[Route], spell[Rule]
	good(address, "10.0.0.1/24", "10.0.0.1/24")
	good(address, "  10.0.0.1/24\tlabel eth1:1 scope link dev eth1 ", "10.0.0.1/24 dev eth1 scope link label eth1:1")
	good(address, "fd00::1/64 dev eth0.100", "fd00::1/64 dev eth0.100")
	bad(address, "", "want an address with prefix length")
	bad(address, "10.0.0.1", "want an address with prefix length")
	bad(address, "10.0.0.1/33", "want an address with prefix length")
	bad(address, "10.0.0.1/24 dev", `"dev": want a value after it`)
	bad(address, "10.0.0.1/24 dev a/b", "want the name of an interface")
	bad(address, "10.0.0.1/24 dev ..", "want the name of an interface")
	bad(address, "10.0.0.1/24 brd +", "brd: unknown: want dev, scope or label")
	bad(address, "10.0.0.1/24 scope 12", "want global, site, link, host or nowhere")
	bad(address, "10.0.0.1/24 label eth0:sixteenbytes", "want the name of an interface")
	bad(address, "fd00::1/64 label eth0:1", "only an IPv4 address has one")

	good(route, "default via 10.0.0.1", "default via 10.0.0.1")
	good(route, "default via fd00::1 dev eth0", "default via fd00::1 dev eth0")
	good(route, "::/0 dev eth0", "::/0 dev eth0")
	good(route, "unicast 10.1.2.3/16 oif eth0 src 10.0.0.1 scope link table 100 priority 0x10 mtu 1400 onlink", "10.1.0.0/16 dev eth0 src 10.0.0.1 scope link table 100 metric 16 mtu 1400 onlink")
	good(route, "10.1.2.3 dev eth0 table main", "10.1.2.3/32 dev eth0 table 254")
	good(route, "blackhole 10.0.0.0/8", "blackhole 10.0.0.0/8")
	good(route, "prohibit ::/0 metric 5", "prohibit ::/0 metric 5")
	bad(route, "", "want a destination first")
	bad(route, "blackhole", "want a destination first")
	bad(route, "blackhole 10.0.0.0/8 dev eth0", "want neither via nor dev behind blackhole")
	bad(route, "10.0.0.0/8", "want via ADDRESS or dev INTERFACE")
	bad(route, "10.0.0.0/8 via fd00::1", "want via and src of the destination's family")
	bad(route, "10.0.0.0/8 via inet6 fd00::1", "want the address right after via")
	bad(route, "10.0.0.0/8 via ::ffff:10.0.0.1", "want an address")
	bad(route, "10.0.0.0/8 dev eth0 metric 4294967296", "want a number up to 2147483647")
	bad(route, "10.0.0.0/8 dev eth0 table small", "want a number up to")
	bad(route, "10.0.0.0/8 dev eth0 realm 5", "unknown: want via, dev")
	bad(route, "ten dev eth0", "want an address with prefix length")

	good(rule, "from 10.0.0.100 lookup 100", "from 10.0.0.100/32 lookup 100")
	good(rule, "from all to 10.0.0.0/8 iif eth0 oif eth1 fwmark 16 table main pref 1000", "to 10.0.0.0/8 iif eth0 oif eth1 fwmark 0x10 lookup 254 priority 1000")
	good(rule, "inet6 iif eth0 lookup 7", "inet6 iif eth0 lookup 7")
	good(rule, "to fd00::/64 lookup 7", "to fd00::/64 lookup 7")
	bad(rule, "", "want lookup TABLE")
	bad(rule, "from 10.0.0.1 to fd00::1 lookup 7", "want from and to of one family")
	bad(rule, "inet6 from 10.0.0.1 lookup 7", "want from and to of one family")
	bad(rule, "from 10.0.0.1 lookup 7 priority 32766", "want a number up to 32765")
	bad(rule, "from 10.0.0.1 tos 16 lookup 7", "unknown: want from, to")
}

// FuzzIPRoute: no text panics, and what is read is read the same when written.
func FuzzIPRoute(f *testing.F) {
	f.Add("10.0.0.1/24 dev eth1 scope link label eth1:1")
	f.Add("default via 10.0.0.1 dev eth0 src 10.0.0.2 scope link table 100 metric 10 mtu 1400 onlink")
	f.Add("inet6 from fd00::/64 to all iif eth0 oif eth1 fwmark 0x10 lookup main priority 5")
	f.Add("blackhole ::/0 metric 0")
	f.Add("0.0.0.0 dev 0")
	f.Fuzz(func(t *testing.T, text string) {
		var address, address2 Address
		if address.UnmarshalText([]byte(text)) == nil {
			if err := address2.UnmarshalText([]byte(address.String())); err != nil || address != address2 {
				t.Errorf("address %q, %q: got %+v, %v, want %+v", text, address, address2, err, address)
			}
		}
		var route, route2 Route
		if route.UnmarshalText([]byte(text)) == nil {
			if err := route2.UnmarshalText([]byte(route.String())); err != nil || route != route2 {
				t.Errorf("route %q, %q: got %+v, %v, want %+v", text, route, route2, err, route)
			}
		}
		var rule, rule2 Rule
		if rule.UnmarshalText([]byte(text)) == nil {
			if err := rule2.UnmarshalText([]byte(rule.String())); err != nil || rule != rule2 {
				t.Errorf("rule %q, %q: got %+v, %v, want %+v", text, rule, rule2, err, rule)
			}
		}
	})
}

// TestScopeNumbers: those of rtnetlink(7).
func TestScopeNumbers(t *testing.T) {
	for scope, want := range map[string]uint8{"": 0, "global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255} {
		if got := ScopeNumber(scope); got != want {
			t.Errorf("%q: got %d, want %d", scope, got, want)
		}
	}
	if got := (Address{}).String(); got != "invalid" {
		t.Errorf("no address: got %q", got)
	}
	if got := (Route{Dest: netip.MustParsePrefix("0.0.0.0/0"), Device: "eth0"}).String(); got != "default dev eth0" {
		t.Errorf("default route: got %q", got)
	}
}
