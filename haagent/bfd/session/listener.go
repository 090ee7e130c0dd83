package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/bfd"
	"keepwatch/internal/conf"
)

// listener is a socket on port 3784.
type listener struct {
	local netip.Addr
	file  *os.File
	raw   syscall.RawConn
	set   *Set

	closed atomic.Bool

	mu      sync.Mutex // held from a packet's receipt to the end of its judgement
	packet  [256]byte  // more than the length field can say
	control [128]byte
}

func (s *Set) openListener(local netip.Addr) (*listener, error) {
	fd, _, err := socket(local, onlyPort)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("cannot hear BFD: another program has UDP port %d; stop keepalived or the BFD daemon that runs here: %w", bfd.Port, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot hear BFD: %w", err)
	}
	l := &listener{local: local, set: s, file: os.NewFile(uintptr(fd), "bfd "+local.String())}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot watch the BFD socket of %s: %w", local, err), l.file.Close())
	}
	return l, nil
}

// atOnce is how many packets are taken in before others get the lock; waiting is how many a socket can hold about.
const (
	atOnce  = 64
	waiting = 512
)

// read judges packets until the socket is closed.
func (l *listener) read() {
	err := l.raw.Read(func(fd uintptr) bool {
		for l.take(int(fd), atOnce) {
		}
		return false // until more come, or the socket is closed
	})
	if err != nil && !l.closed.Load() {
		l.set.log.Error("cannot hear BFD any more: restart the agent", "address", l.local, "err", err)
	}
}

// try judges the packets that wait, beside read. When it returns, read has none in its hands either.
func (l *listener) try() {
	_ = l.raw.Control(func(fd uintptr) { l.take(int(fd), waiting) }) // an error: the socket is closed
}

// take judges at most limit packets and tells whether there may be more.
func (l *listener) take(fd, limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range limit {
		// That of x/sys asks the kernel for the socket's protocol with each packet.
		n, oobn, _, from, err := syscall.Recvmsg(fd, l.packet[:], l.control[:], syscall.MSG_DONTWAIT)
		if err != nil {
			return errors.Is(err, unix.EINTR)
		}
		h := bfd.Heard{Payload: l.packet[:n]}
		var dst netip.Addr
		h.TTL, dst = control(l.control[:oobn])
		switch from := from.(type) {
		case *syscall.SockaddrInet4:
			l.set.route(netip.AddrFrom4(from.Addr), dst, 0, &h, time.Now())
		case *syscall.SockaddrInet6:
			l.set.route(netip.AddrFrom16(from.Addr), dst, from.ZoneId, &h, time.Now())
		}
	}
	return true
}

// control reads what the kernel says of a packet: TTL or hop limit, and the address it was sent to.
func control(b []byte) (ttl int, dst netip.Addr) {
	for len(b) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			return ttl, dst
		}
		v6 := h.Level == unix.IPPROTO_IPV6
		switch {
		case !v6 && h.Level != unix.IPPROTO_IP:
		case !v6 && h.Type == unix.IP_TTL && len(data) >= 4, v6 && h.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			ttl = int(binary.NativeEndian.Uint32(data))
		case !v6 && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			dst = netip.AddrFrom4([4]byte(data[8:12]))
		case v6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			dst = netip.AddrFrom16([16]byte(data[:16]))
		}
		b = rest
	}
	return ttl, dst
}

func (l *listener) close() {
	l.closed.Store(true)
	_ = l.file.Close()
}

// locals are the addresses that must be listened at: those of the sessions, or all of a family when one of its
// sessions leaves the choice to the kernel.
func locals(wanted []conf.BFDSession) (all []netip.Addr) {
	open := make(map[netip.Addr]bool)
	for _, c := range wanted {
		if !c.Source.IsValid() {
			open[unspecified(c.Peer)] = true
		}
	}
	for _, c := range wanted {
		local := unspecified(c.Peer)
		if !open[local] {
			local = c.Source
		}
		if !slices.Contains(all, local) {
			all = append(all, local)
		}
	}
	return all
}

func unspecified(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// listen opens and closes listeners so that they are what the sessions need. Those that go close first: all
// addresses and one of them cannot be bound at once. When one cannot be opened, those that went are opened again.
func (s *Set) listen(wanted []conf.BFDSession) error {
	want := locals(wanted)
	var next, gone, added []*listener
	for _, l := range s.listeners {
		if slices.Contains(want, l.local) {
			next = append(next, l)
		} else {
			gone = append(gone, l)
		}
	}
	for _, l := range gone {
		l.try()
		l.close()
	}
	var failed error
	for _, local := range want {
		if failed == nil && !slices.ContainsFunc(next, func(l *listener) bool { return l.local == local }) {
			var l *listener
			if l, failed = s.openListener(local); failed == nil {
				added = append(added, l)
			}
		}
	}
	if failed != nil {
		for _, l := range added {
			l.close()
		}
		added = nil
		for _, old := range gone {
			l, err := s.openListener(old.local)
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			added = append(added, l)
		}
	}
	s.mu.Lock()
	s.listeners = append(next, added...)
	s.mu.Unlock()
	for _, l := range added {
		s.reading.Go(l.read)
	}
	return failed
}
