package link

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// rtMessage is one of netlink's, with the attributes behind the body.
func rtMessage(kind uint16, body []byte, attrs ...[]byte) []byte {
	for _, a := range attrs {
		body = append(body, a...)
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(netlinkHeader+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(append(b, make([]byte, 10)...), body...)
}

func rtAttr(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return append(b, value...)
}

func rtmsg(bits byte) []byte { return append([]byte{unix.AF_INET, bits}, make([]byte, 10)...) }

func TestRouteNews(t *testing.T) {
	ten := netip.MustParsePrefix("10.0.0.0/8")
	all := netip.MustParsePrefix("0.0.0.0/0")
	dst := rtAttr(unix.RTA_DST, []byte{10, 0, 0, 0})
	f := func(what string, b []byte, dest netip.Prefix, news, again bool) {
		t.Helper()
		if n, a := routeNews(b, dest); n != news || a != again {
			t.Errorf("%s: got %t, %t, want %t, %t", what, n, a, news, again)
		}
	}
	other := rtMessage(unix.RTM_NEWROUTE, rtmsg(8), rtAttr(unix.RTA_DST, []byte{11, 0, 0, 0}))
	ours := rtMessage(unix.RTM_DELROUTE, rtmsg(8), rtAttr(unix.RTA_PRIORITY, make([]byte, 4)), dst)
	f("ours", ours, ten, true, false)
	f("another", other, ten, false, false)
	f("both", append(append([]byte{}, other...), ours...), ten, true, false)
	f("another length", rtMessage(unix.RTM_NEWROUTE, rtmsg(16), dst), ten, false, false)
	f("default", rtMessage(unix.RTM_NEWROUTE, rtmsg(0)), all, true, false)
	f("not default", ours, all, false, false)
	f("without destination", rtMessage(unix.RTM_NEWROUTE, rtmsg(8)), ten, false, false)
	f("odd destination", rtMessage(unix.RTM_NEWROUTE, rtmsg(8), rtAttr(unix.RTA_DST, make([]byte, 8))), ten, true, false)
	f("short", rtMessage(unix.RTM_NEWROUTE, []byte{2, 8, 0, 0}), ten, true, false)
	f("a link", rtMessage(unix.RTM_NEWLINK, make([]byte, 16)), ten, true, true)
	f("an address that goes", rtMessage(unix.RTM_DELADDR, make([]byte, 8)), ten, true, true)
	f("an address that is renewed", rtMessage(unix.RTM_NEWADDR, make([]byte, 8)), ten, false, false)
	f("unreadable", []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, ten, true, false)
}

func FuzzRouteNews(f *testing.F) {
	f.Add(rtMessage(unix.RTM_NEWROUTE, rtmsg(8), rtAttr(unix.RTA_DST, []byte{10, 0, 0, 0})))
	f.Add(rtMessage(unix.RTM_NEWLINK, nil))
	f.Fuzz(func(t *testing.T, b []byte) { routeNews(b, netip.MustParsePrefix("10.0.0.0/8")) })
}
