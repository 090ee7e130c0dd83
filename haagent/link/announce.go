package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Announcer tells the neighbours on one interface which hardware address now answers for an address.
type Announcer struct {
	file   *os.File
	raw    syscall.RawConn
	ifi    *net.Interface
	router bool
}

// NewAnnouncer opens a packet socket that only sends.
func NewAnnouncer(ifname string) (*Announcer, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("there is no interface %q: %w", ifname, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, privilege(fmt.Errorf("cannot make a packet socket: %w", err))
	}
	forwarding, _ := os.ReadFile("/proc/sys/net/ipv6/conf/" + ifname + "/forwarding") // no IPv6: no router
	a := &Announcer{file: os.NewFile(uintptr(fd), "announcements "+ifname), ifi: ifi, router: len(forwarding) > 0 && forwarding[0] == '1'}
	if a.raw, err = a.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the packet socket of %s: %w", ifname, err), a.file.Close())
	}
	return a, nil
}

// Close closes the socket.
func (a *Announcer) Close() error { return a.file.Close() }

// Announce sends one gratuitous ARP request, or one unsolicited neighbour advertisement, without waiting. An interface without
// hardware addresses has no neighbours to tell.
func (a *Announcer) Announce(addr netip.Addr) error {
	if len(a.ifi.HardwareAddr) != 6 {
		return nil
	}
	var frame []byte
	ethertype := uint16(unix.ETH_P_ARP)
	if addr.Is4() {
		frame = gratuitousARP(a.ifi.HardwareAddr, addr)
	} else {
		frame, ethertype = neighbourAdvertisement(a.ifi.HardwareAddr, addr, a.router), unix.ETH_P_IPV6
	}
	to := &unix.SockaddrLinklayer{Protocol: ethertype<<8 | ethertype>>8, Ifindex: a.ifi.Index, Halen: 6}
	copy(to.Addr[:], frame[:6])
	var err error
	waitErr := a.raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), frame, 0, to) })
	if err = errors.Join(waitErr, err); err != nil {
		return fmt.Errorf("cannot announce %s on %s: %w", addr, a.ifi.Name, err)
	}
	return nil
}

// gratuitousARP is the frame of RFC 5798 section 6.4.1 as keepalived sends it: a broadcast request in which sender
// and target address are both the virtual one.
func gratuitousARP(mac net.HardwareAddr, addr netip.Addr) []byte {
	b := make([]byte, 0, 42)
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	b = append(b, mac...)
	b = append(b, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1) // ARP; Ethernet, IPv4, 6, 4, request
	ip := addr.As4()
	b = append(append(b, mac...), ip[:]...)
	return append(append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), ip[:]...)
}

// neighbourAdvertisement is the frame of RFC 4861 section 4.4 to all nodes: override set, target link-layer address
// option present.
func neighbourAdvertisement(mac net.HardwareAddr, addr netip.Addr, router bool) []byte {
	src, dst := addr.As16(), netip.MustParseAddr("ff02::1").As16()
	icmp := make([]byte, 32)
	icmp[0] = 136
	icmp[4] = 0x20
	if router {
		icmp[4] |= 0x80
	}
	copy(icmp[8:], src[:])
	icmp[24], icmp[25] = 2, 1
	copy(icmp[26:], mac)
	binary.BigEndian.PutUint16(icmp[2:], checksum6(src, dst, unix.IPPROTO_ICMPV6, icmp))
	b := make([]byte, 0, 86)
	b = append(b, 0x33, 0x33, 0, 0, 0, 1)
	b = append(b, mac...)
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, byte(len(icmp)), unix.IPPROTO_ICMPV6, 255)
	b = append(append(b, src[:]...), dst[:]...)
	return append(b, icmp...)
}

// checksum6 is the Internet checksum with the pseudo-header of RFC 8200 section 8.1. The message's own field is 0.
func checksum6(src, dst [16]byte, next uint8, message []byte) uint16 {
	sum := uint32(len(message)) + uint32(next)
	add := func(b []byte) {
		for i := 0; i+1 < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
		if len(b)%2 == 1 {
			sum += uint32(b[len(b)-1]) << 8
		}
	}
	add(src[:])
	add(dst[:])
	add(message)
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
