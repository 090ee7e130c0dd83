package listen

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

const (
	// What IP and UDP put before a datagram, in bytes, without options.
	headers4 = 20 + 8
	headers6 = 40 + 8
)

// Payload is the length of the longest datagram, in bytes, that every channel takes without cutting it into fragments:
// one lost fragment loses all. 0: not known.
func (s *Sender) Payload() int { return int(s.payload.Load()) }

func (s *Sender) measure() {
	least := 0
	for _, c := range s.channels {
		if n := c.measure(); n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	s.payload.Store(int64(least))
}

func (c *channel) measure() int {
	if c.opt.Group != "" {
		ifi, err := Interface(c.opt.Interface, c.v6)
		if err != nil {
			return 0
		}
		return room(ifi.MTU, c.v6)
	}
	to := c.to.Load()
	if to == nil {
		return 0
	}
	return wayMTU(*to)
}

func room(mtu int, v6 bool) int {
	if v6 {
		return max(mtu-headers6, 0)
	}
	return max(mtu-headers4, 0)
}

// wayMTU asks the kernel what it knows of the way to a receiver: its route's or its interface's MTU, or less where a
// router has said so. Connecting a UDP socket sends nothing.
func wayMTU(to netip.AddrPort) int {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return 0
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	v6, mtu := to.Addr().Is6(), 0
	control := raw.Control(func(fd uintptr) {
		level, option := unix.IPPROTO_IP, unix.IP_MTU
		if v6 {
			level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
		}
		mtu, err = unix.GetsockoptInt(int(fd), level, option)
	})
	if control != nil || err != nil {
		return 0
	}
	return room(mtu, v6)
}
