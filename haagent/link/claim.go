package link

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// claim says that a hardware address answers for an address.
type claim struct {
	addr netip.Addr
	mac  [6]byte
}

// readARP reads an Ethernet frame with ARP for IPv4, request or reply (RFC 826). A probe claims nothing: its sender
// has no address yet.
func readARP(frame []byte) (c claim, ok bool) {
	if len(frame) < ethernetHeader+28 {
		return c, false
	}
	arp := frame[ethernetHeader:]
	if string(arp[:6]) != "\x00\x01\x08\x00\x06\x04" || arp[6] != 0 || arp[7] != 1 && arp[7] != 2 {
		return c, false
	}
	c = claim{netip.AddrFrom4([4]byte(arp[14:18])), [6]byte(arp[8:14])}
	return c, !c.addr.IsUnspecified()
}

const (
	neighbourSolicited  = 135
	neighbourAdvertised = 136
)

// readNA reads an Ethernet frame with a neighbour advertisement and checks it as RFC 4861 section 7.1.2 says. Where
// it does not name its hardware address, that is the frame's.
func readNA(frame []byte) (c claim, ok bool) {
	const targetLinkLayer = 2
	if len(frame) < ethernetHeader+40+24 {
		return c, false
	}
	ip := frame[ethernetHeader:]
	length := int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || ip[6] != unix.IPPROTO_ICMPV6 || ip[7] != 255 || length < 24 || length > len(ip)-40 {
		return c, false
	}
	na := ip[40 : 40+length]
	if na[0] != neighbourAdvertised || na[1] != 0 || checksum6([16]byte(ip[8:24]), [16]byte(ip[24:40]), unix.IPPROTO_ICMPV6, na) != 0 {
		return c, false
	}
	c = claim{netip.AddrFrom16([16]byte(na[8:24])), [6]byte(frame[6:12])}
	for options := na[24:]; len(options) >= 8; {
		size := int(options[1]) * 8
		if size == 0 || size > len(options) {
			return claim{}, false
		}
		if options[0] == targetLinkLayer {
			c.mac = [6]byte(options[2:8])
		}
		options = options[size:]
	}
	return c, !c.addr.IsMulticast()
}

// neighbourSolicitation is the frame by which a host asks whether anybody has an address before it takes it
// (RFC 4862 section 5.4.2): from the unspecified address to the address's solicited-node group.
func neighbourSolicitation(mac net.HardwareAddr, addr netip.Addr) []byte {
	target := addr.As16()
	group := [16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: target[13], 14: target[14], 15: target[15]}
	b := appendICMP6(make([]byte, 0, 78), [6]byte{0x33, 0x33, 0xff, target[13], target[14], target[15]}, mac, [16]byte{}, group, 24)
	at := len(b)
	b = append(append(b, neighbourSolicited, 0, 0, 0, 0, 0, 0, 0), target[:]...)
	binary.BigEndian.PutUint16(b[at+2:], checksum6([16]byte{}, group, unix.IPPROTO_ICMPV6, b[at:]))
	return b
}

// sightings are claims with the time when they were told last.
type sightings map[claim]time.Time

// The bounds of sightings: who sends claims by the thousand makes neither memory nor the news of it grow.
const (
	maxSightings = 256
	sightingTime = time.Second
)

// tell reports whether a claim is to be told now.
func (s sightings) tell(c claim, now time.Time) bool {
	if at, known := s[c]; known && now.Sub(at) < sightingTime {
		return false
	}
	if len(s) >= maxSightings {
		for c, at := range s {
			if now.Sub(at) >= sightingTime {
				delete(s, c)
			}
		}
		if len(s) >= maxSightings {
			return false
		}
	}
	s[c] = now
	return true
}
