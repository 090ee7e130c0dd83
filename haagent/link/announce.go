package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Announcer tells the neighbours on one interface which hardware address now answers for an address.
type Announcer struct {
	file   *os.File
	raw    syscall.RawConn
	ifi    *net.Interface
	router bool
	write  func(fd uintptr) // made once, so that an announcement allocates nothing

	mu    sync.Mutex // of one announcement, which never waits
	frame []byte
	to    unix.SockaddrLinklayer
	err   error
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
	a := &Announcer{
		file: os.NewFile(uintptr(fd), "announcements "+ifname), ifi: ifi, router: len(forwarding) > 0 && forwarding[0] == '1',
		frame: make([]byte, 0, 86), to: unix.SockaddrLinklayer{Ifindex: ifi.Index, Halen: 6},
	}
	a.write = func(fd uintptr) { a.err = unix.Sendto(int(fd), a.frame, 0, &a.to) }
	if a.raw, err = a.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the packet socket of %s: %w", ifname, err), a.file.Close())
	}
	return a, nil
}

// Close closes the socket.
func (a *Announcer) Close() error { return a.file.Close() }

// Announce sends one gratuitous ARP request, or one unsolicited neighbour advertisement, without waiting and without
// allocating. An interface without hardware addresses has no neighbours to tell.
func (a *Announcer) Announce(addr netip.Addr) error {
	if len(a.ifi.HardwareAddr) != 6 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr.Is4() {
		a.frame, a.to.Protocol = gratuitousARP(a.frame[:0], a.ifi.HardwareAddr, addr), networkOrder(unix.ETH_P_ARP)
	} else {
		a.frame, a.to.Protocol = neighbourAdvertisement(a.frame[:0], a.ifi.HardwareAddr, addr, a.router), networkOrder(unix.ETH_P_IPV6)
	}
	copy(a.to.Addr[:], a.frame[:6])
	if err := a.raw.Control(a.write); err != nil {
		a.err = err
	}
	if a.err != nil {
		return fmt.Errorf("cannot announce %s on %s: %w", addr, a.ifi.Name, a.err)
	}
	return nil
}

// gratuitousARP appends the frame of RFC 5798 section 6.4.1 as keepalived sends it: a broadcast request in which
// sender and target address are both the virtual one.
func gratuitousARP(b []byte, mac net.HardwareAddr, addr netip.Addr) []byte {
	return appendARP(b, mac, addr, addr, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
}

// appendARP appends the frame of a broadcast request (RFC 826).
func appendARP(b []byte, mac net.HardwareAddr, sender, target netip.Addr, targetMAC [6]byte) []byte {
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	b = append(b, mac...)
	b = append(b, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1) // ARP; Ethernet, IPv4, 6, 4, request
	from, to := sender.As4(), target.As4()
	b = append(append(b, mac...), from[:]...)
	return append(append(b, targetMAC[:]...), to[:]...)
}

var (
	allNodes    = [16]byte{0xff, 0x02, 15: 1}
	allNodesMAC = [6]byte{0x33, 0x33, 0, 0, 0, 1}
)

// neighbourAdvertisement appends the frame of RFC 4861 section 4.4 to all nodes: override set, target link-layer
// address option present.
func neighbourAdvertisement(b []byte, mac net.HardwareAddr, addr netip.Addr, router bool) []byte {
	src := addr.As16()
	flags := byte(0x20)
	if router {
		flags |= 0x80
	}
	b = appendICMP6(b, allNodesMAC, mac, src, allNodes, 32)
	at := len(b)
	b = append(append(b, 136, 0, 0, 0, flags, 0, 0, 0), src[:]...)
	b = append(append(b, 2, 1), mac...)
	binary.BigEndian.PutUint16(b[at+2:], checksum6(src, allNodes, unix.IPPROTO_ICMPV6, b[at:]))
	return b
}

// appendICMP6 appends the headers before an ICMPv6 message of some length. The hop limit is the 255 that RFC 4861
// wants.
func appendICMP6(b []byte, to [6]byte, mac net.HardwareAddr, src, dst [16]byte, length byte) []byte {
	b = append(append(b, to[:]...), mac...)
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, length, unix.IPPROTO_ICMPV6, 255)
	return append(append(b, src[:]...), dst[:]...)
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
