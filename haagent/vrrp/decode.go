package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Packet is what a socket heard: the message and all of its IP header that a receiver must judge.
type Packet struct {
	Source, Dest netip.Addr // without zone
	TTL          int        // hop limit of IPv6
	Payload      []byte     // the VRRP message, trimmed to the length that the IP header says
}

// Drop is why a packet was refused. Its String is a metric label.
type Drop uint8

// The reasons, in the order in which they are looked for. RFC 9568 section 7.1 unless said otherwise.
const (
	Accepted      Drop = iota
	DropFamily         // source and destination of different families, or not of the instance's
	DropTTL            // TTL or hop limit is not 255, or below the least of a unicast peer: it came through a router
	DropShort          // shorter than the header
	DropVersion        // neither 2 nor 3, or not the instance's
	DropType           // not an advertisement
	DropLength         // length and number of addresses disagree
	DropChecksum       // wrong in every way of computing it
	DropVRID           // another virtual router, or 0
	DropEmpty          // no address (section 5.2.5)
	DropInterval       // interval 0 (errata of section 5.2.7)
	DropDest           // multicast where peers are configured, unicast where not, or another group
	DropOwn            // from this router's own address: a loop, or a second router with it
	DropPeer           // by unicast from somebody who is no peer
	DropAuth           // version 2: another type of authentication (RFC 3768 section 7.1)
	DropPassword       // version 2: another password
	DropMismatch       // version 2: another interval (RFC 3768 section 7.1), which makes two masters
	DropAddresses      // strict version 2: other addresses, and not from their owner (RFC 3768 section 7.1)
	DropIdle           // the instance is in init or fault

	numDrops = iota
)

var dropNames = [numDrops]string{
	"accepted", "family", "ttl", "short", "version", "type", "length", "checksum", "vrid", "no_addresses", "interval",
	"destination", "own_address", "peer", "auth_type", "password", "interval_mismatch", "addresses", "not_running",
}

// String gives the reason as a metric label, "ttl".
func (d Drop) String() string {
	if int(d) < len(dropNames) {
		return dropNames[d]
	}
	return "unknown"
}

// Drops lists every reason for which a packet is refused.
func Drops() []Drop {
	all := make([]Drop, 0, numDrops-1)
	for d := Accepted + 1; d < numDrops; d++ {
		all = append(all, d)
	}
	return all
}

// Decode reads the advertisement in p. It checks all that can be known without a virtual router's configuration:
// TTL of a multicast, version, type, exact length, checksum, VRID, number of addresses and interval; the first that fails is the
// result, otherwise Accepted. Over IPv4 both checksums of version 3 are taken and kind says which it was. The
// advert's addresses point into p.Payload.
func Decode(p *Packet) (a Advert, kind Checksum, drop Drop) {
	b := p.Payload
	family := FamilyOf(p.Source)
	switch {
	case !p.Source.IsValid() || !p.Dest.IsValid() || FamilyOf(p.Dest) != family:
		return a, kind, DropFamily
	case p.TTL != TTL && p.Dest.IsMulticast():
		return a, kind, DropTTL
	case len(b) < headerLen:
		return a, kind, DropShort
	}
	a.Version = b[0] >> 4
	a.VRID, a.Priority = b[1], b[2]
	want := headerLen + int(b[3])*family.addrLen()
	switch {
	case a.Version == 2 && family == IPv4:
		want += authLen
		a.AuthType, a.Interval = b[4], time.Duration(b[5])*time.Second
	case a.Version == 3:
		a.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0x0fff) * centisecond
	default:
		return a, kind, DropVersion
	}
	if b[0]&0x0f != typeAdvertisement {
		return a, kind, DropType
	}
	if len(b) != want {
		return a, kind, DropLength
	}
	kind, ok := checksumOf(p, a.Version)
	switch {
	case !ok:
		return a, kind, DropChecksum
	case a.VRID == 0:
		return a, kind, DropVRID
	case b[3] == 0:
		return a, kind, DropEmpty
	case a.Interval == 0:
		return a, kind, DropInterval
	}
	if a.Version == 2 {
		a.Password = Password(b[len(b)-authLen:])
	}
	a.Addresses = Addresses{raw: b[headerLen : headerLen+int(b[3])*family.addrLen()], family: family}
	return a, kind, Accepted
}

// checksumOf finds which way of computing the checksum fits, if any.
func checksumOf(p *Packet, version uint8) (Checksum, bool) {
	sum := sumBytes(0, p.Payload)
	if version == 3 && fold(pseudoHeader(sum, p.Source, p.Dest, len(p.Payload))) == 0xffff {
		return WithPseudoHeader, true
	}
	plain := version == 2 || p.Source.Is4()
	return MessageOnly, plain && fold(sum) == 0xffff
}
