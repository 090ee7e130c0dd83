package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// advert is one advertisement as the client's node saw it.
type advert struct {
	at       time.Time // the kernel's, wall clock
	from     netip.Addr
	version  int
	vrid     int
	priority int
}

// capture listens to the advertisements on the client's wire. It sees what the other router sees, and asks nobody.
type capture struct {
	fd     int
	closed atomic.Bool
	ended  chan struct{}

	mu   sync.Mutex
	last map[router]advert
	each func(advert) // called for every one when not nil
}

// router is one sender of one virtual router.
type router struct {
	from netip.Addr
	vrid int
}

// newCapture opens the socket; call it in the client's namespace.
func newCapture() (*capture, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(unix.ETH_P_IP)))
	if err != nil {
		return nil, fmt.Errorf("cannot capture: %w", err)
	}
	c := &capture{fd: fd, ended: make(chan struct{}), last: make(map[router]advert)}
	const pktType = 0xfffff000 + 4 // SKF_AD_OFF + SKF_AD_PKTTYPE
	filter := []unix.SockFilter{   // protocol 112 that this node did not send itself
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: pktType},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 3, K: unix.PACKET_OUTGOING},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: 112},
		{Code: unix.BPF_RET | unix.BPF_K, K: 256},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	err = errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot prepare the capture: %w", err), unix.Close(fd))
	}
	go c.run()
	return c, nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// close ends the capture.
func (c *capture) close() {
	c.closed.Store(true)
	<-c.ended
	_ = unix.Close(c.fd)
}

func (c *capture) run() {
	defer close(c.ended)
	packet, control := make([]byte, 256), make([]byte, 128)
	for !c.closed.Load() {
		n, cn, _, _, err := unix.Recvmsg(c.fd, packet, control, 0)
		if err != nil {
			continue // nothing came for a while
		}
		if a, ok := parseAdvert(packet[:n]); ok {
			a.at = stamp(control[:cn])
			c.mu.Lock()
			c.last[router{a.from, a.vrid}] = a
			each := c.each
			c.mu.Unlock()
			if each != nil {
				each(a)
			}
		}
	}
}

// stamp is when the kernel received the packet.
func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now()
}

// parseAdvert reads the few fields that are asked for here from an IPv4 packet.
func parseAdvert(p []byte) (advert, bool) {
	if len(p) < 20 {
		return advert{}, false
	}
	header := int(p[0]&15) * 4
	if header < 20 || len(p) < header+8 {
		return advert{}, false
	}
	v := p[header:]
	return advert{from: netip.AddrFrom4([4]byte(p[12:16])), version: int(v[0] >> 4), vrid: int(v[1]), priority: int(v[2])}, true
}

// from is the last advertisement of a router.
func (c *capture) from(a netip.Addr, vrid int) advert {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[router{a, vrid}]
}

// forget makes as if nothing was heard yet.
func (c *capture) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.last)
}

// tell sets who is told of every advertisement.
func (c *capture) tell(each func(advert)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.each = each
}
