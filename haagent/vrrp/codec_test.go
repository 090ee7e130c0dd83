package vrrp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden are messages that keepalived 2.2.7 sent.
var golden = []struct {
	name, src, dst, hex string
	want                Advert
	kind                Checksum
}{
	{"v2 no authentication", "10.67.0.1", "224.0.0.18", "213396020001337a0a4300640a4300650000000000000000",
		Advert{Version: 2, VRID: 51, Priority: 150, Interval: time.Second, Addresses: NewAddresses(IPv4, addrs("10.67.0.100", "10.67.0.101"))}, MessageOnly},
	{"v2 password", "10.67.0.1", "224.0.0.18", "213396020101c52d0a4300640a4300657333637265743132",
		Advert{Version: 2, VRID: 51, Priority: 150, Interval: time.Second, AuthType: 1, Addresses: NewAddresses(IPv4, addrs("10.67.0.100", "10.67.0.101"))}, MessageOnly},
	{"v3 100 ms", "10.67.0.1", "224.0.0.18", "31339602000a389a0a4300640a430065",
		Advert{Version: 3, VRID: 51, Priority: 150, Interval: 100 * time.Millisecond, Addresses: NewAddresses(IPv4, addrs("10.67.0.100", "10.67.0.101"))}, WithPseudoHeader},
	{"v3 leaving", "10.67.0.1", "224.0.0.18", "31330002000ace9a0a4300640a430065",
		Advert{Version: 3, VRID: 51, Interval: 100 * time.Millisecond, Addresses: NewAddresses(IPv4, addrs("10.67.0.100", "10.67.0.101"))}, WithPseudoHeader},
	{"v3 backup", "10.67.0.2", "224.0.0.18", "31336402000a6a990a4300640a430065",
		Advert{Version: 3, VRID: 51, Priority: 100, Interval: 100 * time.Millisecond, Addresses: NewAddresses(IPv4, addrs("10.67.0.100", "10.67.0.101"))}, WithPseudoHeader},
	{"v3 unicast", "10.67.0.1", "10.67.0.2", "31339602000a0e680a4300640a430065",
		Advert{Version: 3, VRID: 51, Priority: 150, Interval: 100 * time.Millisecond, Addresses: NewAddresses(IPv4, addrs("10.67.0.100", "10.67.0.101"))}, WithPseudoHeader},
	{"v3 10 ms", "10.67.0.1", "224.0.0.18", "31339602000138a30a4300640a430065",
		Advert{Version: 3, VRID: 51, Priority: 150, Interval: 10 * time.Millisecond, Addresses: NewAddresses(IPv4, addrs("10.67.0.100", "10.67.0.101"))}, WithPseudoHeader},
	{"v3 IPv6", "fe80::c03d:a0ff:feff:aa37", "ff02::12", "31339602000ae1e2fe800000000000000000000000005151fd670000000000000000000000000100",
		Advert{Version: 3, VRID: 51, Priority: 150, Interval: 100 * time.Millisecond, Addresses: NewAddresses(IPv6, addrs("fe80::5151", "fd67::100"))}, WithPseudoHeader},
	{"v3 IPv6 leaving", "fe80::c03d:a0ff:feff:aa37", "ff02::12", "31330002000a77e3fe800000000000000000000000005151fd670000000000000000000000000100",
		Advert{Version: 3, VRID: 51, Interval: 100 * time.Millisecond, Addresses: NewAddresses(IPv6, addrs("fe80::5151", "fd67::100"))}, WithPseudoHeader},
	{"v3 IPv6 backup", "fe80::4406:43ff:febd:c063", "ff02::12", "31336402000ad730fe800000000000000000000000005151fd670000000000000000000000000100",
		Advert{Version: 3, VRID: 51, Priority: 100, Interval: 100 * time.Millisecond, Addresses: NewAddresses(IPv6, addrs("fe80::5151", "fd67::100"))}, WithPseudoHeader},
}

func TestDecodeKeepalived(t *testing.T) {
	for _, g := range golden {
		p := Packet{Source: netip.MustParseAddr(g.src), Dest: netip.MustParseAddr(g.dst), TTL: 255, Payload: unhex(t, g.hex)}
		got, kind, drop := Decode(&p)
		if drop != Accepted || kind != g.kind {
			t.Errorf("%s: dropped %s, checksum %s; want accepted, %s", g.name, drop, kind, g.kind)
			continue
		}
		if got.Addresses.String() != g.want.Addresses.String() {
			t.Errorf("%s: got addresses %s, want %s", g.name, got.Addresses, g.want.Addresses)
		}
		got.Addresses, g.want.Addresses = Addresses{}, Addresses{}
		if got.Version != g.want.Version || got.VRID != g.want.VRID || got.Priority != g.want.Priority || got.Interval != g.want.Interval || got.AuthType != g.want.AuthType {
			t.Errorf("%s: got %+v, want %+v", g.name, got, g.want)
		}
	}
}

func TestAppendAsKeepalived(t *testing.T) {
	for _, g := range golden {
		if g.want.AuthType != 0 {
			continue
		}
		got := g.want.Append(nil, netip.MustParseAddr(g.src), netip.MustParseAddr(g.dst), WithPseudoHeader)
		if want := unhex(t, g.hex); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", g.name, got, want)
		}
	}
}

// RFC 9568 section 5.2.8 without pseudo-header: the checksum is worked out by hand.
func TestAppendMessageOnly(t *testing.T) {
	a := golden[2].want
	src, dst := netip.MustParseAddr("10.67.0.1"), GroupIPv4
	got := a.Append(nil, src, dst, MessageOnly)
	// 3133+9602+000a+0a43+0064+0a43+0065 = dc8e, complement 2371
	if want := unhex(t, "31339602000a23710a4300640a430065"); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	_, kind, drop := Decode(&Packet{Source: src, Dest: dst, TTL: 255, Payload: got})
	if drop != Accepted || kind != MessageOnly {
		t.Errorf("got %s, %s", drop, kind)
	}
}

func TestDecodeRefuses(t *testing.T) {
	base := "31339602000a389a0a4300640a430065"
	f := func(want Drop, change func(p *Packet)) {
		t.Helper()
		p := Packet{Source: netip.MustParseAddr("10.67.0.1"), Dest: GroupIPv4, TTL: 255, Payload: unhex(t, base)}
		change(&p)
		if _, _, got := Decode(&p); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	resum := func(p *Packet) {
		p.Payload[6], p.Payload[7] = 0, 0
		sum := ^fold(sumBytes(0, p.Payload))
		p.Payload[6], p.Payload[7] = byte(sum>>8), byte(sum)
	}
	f(Accepted, func(*Packet) {})
	f(DropFamily, func(p *Packet) { p.Dest = GroupIPv6 })
	f(DropFamily, func(p *Packet) { p.Source = netip.Addr{} })
	f(DropTTL, func(p *Packet) { p.TTL = 254 })
	f(DropTTL, func(p *Packet) { p.TTL = 0 })
	f(DropShort, func(p *Packet) { p.Payload = nil })
	f(DropShort, func(p *Packet) { p.Payload = p.Payload[:7] })
	f(DropVersion, func(p *Packet) { p.Payload[0] = 0x41 })
	f(DropVersion, func(p *Packet) { p.Payload[0] = 0x11 })
	f(DropType, func(p *Packet) { p.Payload[0] = 0x32 })
	f(DropLength, func(p *Packet) { p.Payload = append(p.Payload, 0, 0) })
	f(DropLength, func(p *Packet) { p.Payload = p.Payload[:12] })
	f(DropLength, func(p *Packet) { p.Payload[3] = 3 })
	f(DropLength, func(p *Packet) { p.Payload[0] = 0x21 })
	f(DropChecksum, func(p *Packet) { p.Payload[2]++ })
	f(DropChecksum, func(p *Packet) { p.Source = netip.MustParseAddr("10.67.0.3") })
	f(DropVRID, func(p *Packet) { p.Payload[1] = 0; resum(p) })
	f(DropEmpty, func(p *Packet) { p.Payload = p.Payload[:8]; p.Payload[3] = 0; resum(p) })
	f(DropInterval, func(p *Packet) { p.Payload[5] = 0; resum(p) })
	f(Accepted, func(p *Packet) { p.Payload[4] = 0xf0; resum(p) }) // reserved bits are ignored (5.2.6)

	// Version 2 does not exist over IPv6, and there a checksum without pseudo-header is wrong.
	six := func(want Drop, change func(b []byte)) {
		t.Helper()
		b := unhex(t, golden[7].hex)
		change(b)
		if _, _, got := Decode(&Packet{Source: netip.MustParseAddr(golden[7].src), Dest: GroupIPv6, TTL: 255, Payload: b}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	six(DropVersion, func(b []byte) { b[0] = 0x21 })
	six(DropChecksum, func(b []byte) { resum(&Packet{Payload: b}) })
}

func TestDropNames(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range Drops() {
		if d.String() == "" || d.String() == "unknown" || seen[d.String()] {
			t.Errorf("reason %d: bad name %q", d, d)
		}
		seen[d.String()] = true
	}
	if len(seen) != numDrops-1 {
		t.Errorf("got %d reasons, want %d", len(seen), numDrops-1)
	}
}

func TestAddressesEqual(t *testing.T) {
	f := func(want bool, a, b []string) {
		t.Helper()
		if got := NewAddresses(IPv4, addrs(a...)).Equal(NewAddresses(IPv4, addrs(b...))); got != want {
			t.Errorf("%v, %v: got %v", a, b, got)
		}
	}
	f(true, []string{"10.0.0.1", "10.0.0.2"}, []string{"10.0.0.2", "10.0.0.1"})
	f(false, []string{"10.0.0.1", "10.0.0.1"}, []string{"10.0.0.1", "10.0.0.2"})
	f(false, []string{"10.0.0.1"}, []string{"10.0.0.1", "10.0.0.2"})
	f(true, nil, nil)
}

func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		src, dst := netip.MustParseAddr(g.src), netip.MustParseAddr(g.dst)
		f.Add(unhex(f, g.hex), src.AsSlice(), dst.AsSlice(), 255)
	}
	f.Add([]byte{}, []byte{1, 2, 3, 4}, []byte{}, 0)
	f.Fuzz(func(t *testing.T, payload, src, dst []byte, ttl int) {
		s, _ := netip.AddrFromSlice(src)
		d, _ := netip.AddrFromSlice(dst)
		p := Packet{Source: s, Dest: d, TTL: ttl, Payload: payload}
		a, kind, drop := Decode(&p)
		if drop != Accepted {
			return
		}
		if a.VRID == 0 || a.Interval <= 0 || a.Addresses.Len() == 0 || ttl != 255 {
			t.Fatalf("accepted %+v with ttl %d", a, ttl)
		}
		for i := range a.Addresses.Len() {
			if FamilyOf(a.Addresses.At(i)) != FamilyOf(s) {
				t.Fatalf("address %s in a packet from %s", a.Addresses.At(i), s)
			}
		}
		again := a.Append(nil, s, d, kind)
		if a.Version == 3 && payload[4]&0xf0 == 0 && !bytes.Equal(again, payload) && fold(sumBytes(0, again)) != fold(sumBytes(0, payload)) {
			t.Fatalf("encoded again: got %x, want %x", again, payload)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	p := Packet{Source: netip.MustParseAddr("10.67.0.1"), Dest: GroupIPv4, TTL: 255, Payload: unhex(b, golden[2].hex)}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, drop := Decode(&p); drop != Accepted {
			b.Fatal(drop)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	a := golden[2].want
	src := netip.MustParseAddr("10.67.0.1")
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = a.Append(buf[:0], src, GroupIPv4, WithPseudoHeader)
	}
}
