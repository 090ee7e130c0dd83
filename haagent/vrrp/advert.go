package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Protocol is the IP protocol number of VRRP.
const Protocol = 112

// TTL is the time to live, or hop limit, that every advertisement must arrive with (RFC 9568, 5.1.1.3).
const TTL = 255

// The multicast groups of advertisements (RFC 9568, 5.1.1.2 and 5.1.2.2).
var (
	GroupIPv4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	GroupIPv6 = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x12})
)

// Sizes and bounds of a message.
const (
	headerLen = 8 // of both versions, before the addresses
	authLen   = 8 // trailer of version 2, present whatever the authentication type

	// MaxLen is the longest message that the format can express: 255 IPv6 addresses.
	MaxLen = headerLen + 255*16

	typeAdvertisement = 1

	// centisecond is the unit of version 3's interval, 12 bits wide.
	centisecond = 10 * time.Millisecond

	// MaxInterval is the longest interval of version 3.
	MaxInterval = 4095 * centisecond
)

// The authentication types of version 2 (RFC 2338 section 5.3.6; RFC 3768 kept only the first).
const (
	AuthNone     = 0
	AuthPassword = 1 // 8 bytes in the clear
	AuthAH       = 2 // an IP authentication header before the message
)

// Password is the trailer of a version 2 message: the first 8 bytes of a text, filled up with zeros.
type Password [authLen]byte

// NewPassword cuts or fills a text as keepalived does.
func NewPassword(text string) (p Password) {
	copy(p[:], text)
	return p
}

// Family is an address family.
type Family uint8

// The families of virtual routers. An instance is of one of them.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String gives ipv4 or ipv6.
func (f Family) String() string {
	if f == IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// FamilyOf tells an address's family.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// Group is the multicast group of the family's advertisements.
func (f Family) Group() netip.Addr {
	if f == IPv6 {
		return GroupIPv6
	}
	return GroupIPv4
}

func (f Family) addrLen() int {
	if f == IPv6 {
		return 16
	}
	return 4
}

// Checksum says what the checksum of a version 3 message over IPv4 covers. RFC 5798 can be read both ways; over
// IPv6 there is only one way, with the pseudo-header.
type Checksum uint8

// The ways to compute it.
const (
	WithPseudoHeader Checksum = iota // keepalived, FRR, tcpdump
	MessageOnly                      // RFC 9568 section 5.2.8, Cisco, Juniper; also version 2 of everybody
)

// String gives the word of the configuration file.
func (c Checksum) String() string {
	if c == MessageOnly {
		return "rfc9568"
	}
	return "keepalived"
}

// Addresses is a list of virtual addresses as it stands in a message: a view, so that decoding copies nothing.
type Addresses struct {
	raw    []byte
	family Family
}

// NewAddresses packs addresses, which are all of one family.
func NewAddresses(family Family, addrs []netip.Addr) Addresses {
	a := Addresses{family: family, raw: make([]byte, 0, len(addrs)*family.addrLen())}
	for _, x := range addrs {
		a.raw = append(a.raw, x.AsSlice()...)
	}
	return a
}

// Len is the number of addresses.
func (a Addresses) Len() int {
	if len(a.raw) == 0 {
		return 0
	}
	return len(a.raw) / a.family.addrLen()
}

// At is the i-th address.
func (a Addresses) At(i int) netip.Addr {
	n := a.family.addrLen()
	x, _ := netip.AddrFromSlice(a.raw[i*n : (i+1)*n])
	return x
}

// Equal tells whether both hold the same set; order does not count (RFC 9568, 5.2.9 leaves it open).
func (a Addresses) Equal(b Addresses) bool {
	return a.Len() == b.Len() && a.within(b) && b.within(a)
}

func (a Addresses) within(b Addresses) bool {
	for i := range a.Len() {
		found := false
		for j := 0; j < b.Len() && !found; j++ {
			found = a.At(i) == b.At(j)
		}
		if !found {
			return false
		}
	}
	return true
}

// String lists the addresses with commas; a long list is cut with its length.
func (a Addresses) String() string {
	const most = 8
	out := ""
	for i := range a.Len() {
		if i == most {
			return out + " …"
		}
		if i > 0 {
			out += ", "
		}
		out += a.At(i).String()
	}
	return out
}

// Advert is one advertisement.
type Advert struct {
	Version   uint8 // 2 or 3
	VRID      uint8
	Priority  uint8         // 0: the master is leaving
	Interval  time.Duration // version 2: whole seconds; version 3: steps of 10 ms
	AuthType  uint8         // version 2
	Password  Password      // version 2 with AuthPassword
	Addresses Addresses     // when decoded, a view into the packet
}

// Append appends the message that goes from src to dst. dst matters for the checksum over a pseudo-header only.
func (a *Advert) Append(out []byte, src, dst netip.Addr, kind Checksum) []byte {
	start := len(out)
	out = append(out, a.Version<<4|typeAdvertisement, a.VRID, a.Priority, byte(a.Addresses.Len()))
	if a.Version == 2 {
		out = append(out, a.AuthType, byte(a.Interval/time.Second))
	} else {
		out = binary.BigEndian.AppendUint16(out, uint16(a.Interval/centisecond)&0x0fff)
	}
	out = append(out, 0, 0)
	out = append(out, a.Addresses.raw...)
	if a.Version == 2 {
		out = append(out, a.Password[:]...)
	}
	msg := out[start:]
	sum := sumBytes(0, msg)
	if a.Version == 3 && (kind == WithPseudoHeader || src.Is6()) {
		sum = pseudoHeader(sum, src, dst, len(msg))
	}
	binary.BigEndian.PutUint16(msg[6:], ^fold(sum))
	return out
}

// sumBytes adds b to a ones' complement sum. The largest message keeps it far below 32 bits.
func sumBytes(sum uint32, b []byte) uint32 {
	for len(b) >= 2 {
		sum += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// pseudoHeader adds source, destination, protocol and length: RFC 8200 section 8.1, and for IPv4 what TCP does.
func pseudoHeader(sum uint32, src, dst netip.Addr, length int) uint32 {
	return sumAddr(sumAddr(sum, src), dst) + Protocol + uint32(length)
}

func sumAddr(sum uint32, a netip.Addr) uint32 {
	if a.Is4() {
		b := a.As4()
		return sumBytes(sum, b[:])
	}
	b := a.As16()
	return sumBytes(sum, b[:])
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
