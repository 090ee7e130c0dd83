package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Relay makes a planned handover of addresses break no TCP connection. For a short window after this host took them,
// while the old master goes on serving what it began, the clients' segments arrive here already. Those of
// connections whose SYN came here are this host's; all others are sent on to the old master as they are, with its
// hardware address, and it answers the client itself. The kernel here must be kept from resetting them meanwhile:
// Firewall.Handover. What this host itself connects to from such an address within the window is not told apart.
//
// One Relay serves one interface; when that is made anew, so must be the Relay.
type Relay struct {
	ifi   *net.Interface
	conn  *rtnl
	stats relayStats

	mu      sync.Mutex
	spare   *os.File // prepared, hears nothing yet
	current *window
	closed  bool
	running sync.WaitGroup
}

// RelayStats count since the start of the Relay.
type RelayStats struct {
	Relayed    uint64 // segments sent on
	Flows      uint64 // connections that began here within a window
	Unresolved uint64 // segments dropped since the old master's hardware address was not known
	Overflow   uint64 // segments left alone since the window had seen too many connections begin
	Failed     uint64 // segments that could not be sent, or were too large
}

type relayStats struct{ relayed, flows, unresolved, overflow, failed atomic.Uint64 }

// NewRelay prepares for an interface.
func NewRelay(ifname string) (*Relay, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("there is no interface %q: %w", ifname, err)
	}
	conn, err := openRTNL()
	if err != nil {
		return nil, err
	}
	r := &Relay{ifi: ifi, conn: conn}
	if r.spare, err = relaySocket(ifi.Name); err != nil {
		return nil, errors.Join(err, conn.close())
	}
	return r, nil
}

// Prepare makes the kernel find out the old master's hardware address, without waiting for it, and has a socket
// ready. Called some time before each Start, it takes both off Start's path.
func (r *Relay) Prepare(old netip.Addr) error {
	if len(r.ifi.HardwareAddr) != 6 {
		return fmt.Errorf("cannot relay on %s: it has no Ethernet address", r.ifi.Name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("cannot relay on %s: %w", r.ifi.Name, os.ErrClosed)
	}
	if r.spare == nil {
		var err error
		if r.spare, err = relaySocket(r.ifi.Name); err != nil {
			return err
		}
	}
	return r.conn.resolve(r.ifi.Index, old)
}

// Start relays what comes for addrs to old for the time of window. It hears from the moment that it returns, so it
// comes before anything that brings clients here; it costs some microseconds after Prepare. A window that is still
// open ends.
func (r *Relay) Start(addrs []netip.Addr, old netip.Addr, length time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return fmt.Errorf("cannot relay on %s: %w", r.ifi.Name, os.ErrClosed)
	}
	file := r.spare
	if r.spare = nil; file == nil {
		var err error
		if file, err = relaySocket(r.ifi.Name); err != nil {
			return err
		}
	}
	w := &window{
		relay: r, file: file, old: old, until: time.Now().Add(length), flows: make(map[flow]struct{}), own: [6]byte(r.ifi.HardwareAddr),
	}
	for _, a := range addrs {
		w.addrs = append(w.addrs, a.As16())
	}
	if err := w.hear(); err != nil {
		return errors.Join(fmt.Errorf("cannot relay on %s: %w", r.ifi.Name, err), file.Close())
	}
	if r.current != nil {
		r.current.end()
	}
	r.current = w
	r.running.Go(w.run)
	return nil
}

// End ends a window that is open, as when mastership is lost again.
func (r *Relay) End() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil {
		r.current.end()
	}
}

// Stats are the counts until now.
func (r *Relay) Stats() RelayStats {
	s := &r.stats
	return RelayStats{s.relayed.Load(), s.flows.Load(), s.unresolved.Load(), s.overflow.Load(), s.failed.Load()}
}

// Close ends a window that is open and waits for its end.
func (r *Relay) Close() error {
	r.mu.Lock()
	r.closed = true
	var err error
	if r.spare != nil {
		err = r.spare.Close()
		r.spare = nil
	}
	if r.current != nil {
		r.current.end()
	}
	r.mu.Unlock()
	r.running.Wait()
	return errors.Join(err, r.conn.close())
}

// relayQueue is how many bytes may wait in a relay's socket: some milliseconds of a full gigabit.
const relayQueue = 4 << 20

// relaySocket makes a packet socket that takes TCP to this host with the kernel's notes on offloads, and hears
// nothing until it is bound to a protocol.
func relaySocket(ifname string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, privilege(fmt.Errorf("cannot make a packet socket: %w", err))
	}
	err = attach(fd, relayFilter())
	for _, o := range []option{
		{unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1}, {unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1}, {unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, relayQueue},
	} {
		if err == nil {
			err = unix.SetsockoptInt(fd, o.level, o.name, o.value)
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, privilege(fmt.Errorf("cannot prepare the relay's socket of %s: %w", ifname, err))
	}
	return os.NewFile(uintptr(fd), "relay "+ifname), nil
}

// attach puts a filter on a socket.
func attach(fd int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, in := range raw {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

// relayFilter passes whole TCP packets, IPv4 and IPv6 without extension headers, that were addressed to this host's
// hardware address and to no VLAN on top of the interface.
func relayFilter() []bpf.Instruction {
	const drop = 255 // replaced by the distance to the end
	program := []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_HOST, SkipFalse: drop},
		bpf.LoadExtension{Num: bpf.ExtVLANTagPresent},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: drop},
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IPV6, SkipTrue: 5},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_IP, SkipFalse: drop},
		bpf.LoadAbsolute{Off: ethernetHeader + 6, Size: 2}, // flags and offset of fragments
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3fff, SkipTrue: drop},
		bpf.LoadAbsolute{Off: ethernetHeader + 9, Size: 1},
		bpf.Jump{Skip: 1},
		bpf.LoadAbsolute{Off: ethernetHeader + 6, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_TCP, SkipFalse: drop},
		bpf.RetConstant{Val: 1 << 18},
		bpf.RetConstant{Val: 0},
	}
	for i, in := range program {
		if j, ok := in.(bpf.JumpIf); ok {
			end := uint8(len(program) - 2 - i)
			if j.SkipTrue == drop {
				j.SkipTrue = end
			}
			if j.SkipFalse == drop {
				j.SkipFalse = end
			}
			program[i] = j
		}
	}
	return program
}
