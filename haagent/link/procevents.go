package link

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The kernel's connector and its process events: linux/connector.h and linux/cn_proc.h.
const (
	cnIdxProc = 1
	cnValProc = 1

	procListen = 1
	procIgnore = 2

	procNone = 0 // the answer to a subscription
	procExec = 2
	procComm = 0x200

	netlinkHeader = 16
	cnHeader      = 20
	atWhat        = netlinkHeader + cnHeader // what, cpu: 4 bytes each, time: 8 bytes
	atPID         = atWhat + 16              // pid, tgid: 4 bytes each
	procEventSize = atPID + 8
)

// ErrNoProcEvents says that the kernel does not tell this process of the births of others: that takes CAP_NET_ADMIN
// and the initial network and process namespaces.
var ErrNoProcEvents = errors.New("the kernel does not tell of new processes here")

// ProcEvents tells which processes have become another program or taken another name, as the kernel sees it happen.
type ProcEvents struct {
	fd  int
	buf [4096]byte
}

// OpenProcEvents subscribes. The error wraps ErrNoProcEvents where the kernel has no such news for this process.
func OpenProcEvents() (*ProcEvents, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_CONNECTOR)
	if err != nil {
		return nil, fmt.Errorf("%w: cannot open the connector: %w", ErrNoProcEvents, err)
	}
	p := &ProcEvents{fd: fd}
	if err := p.subscribe(); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%w: %w", ErrNoProcEvents, err)
	}
	return p, nil
}

func (p *ProcEvents) subscribe() error {
	if err := unix.SetsockoptSockFprog(p.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, procFilter()); err != nil {
		return fmt.Errorf("cannot filter: %w", err)
	}
	if err := unix.Bind(p.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: cnIdxProc}); err != nil {
		return fmt.Errorf("cannot join: %w", err)
	}
	if err := p.send(procListen); err != nil {
		return fmt.Errorf("cannot ask: %w", err)
	}
	// The kernel has handled the request before send returns. In another process namespace it says nothing at all.
	for range 64 {
		n, from, err := unix.Recvfrom(p.fd, p.buf[:], 0)
		if err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		what, _, ok := parseProcEvent(p.buf[:n], from)
		if !ok || what != procNone {
			continue
		}
		if errno := binary.NativeEndian.Uint32(p.buf[atPID:]); errno != 0 {
			return fmt.Errorf("refused: %w", unix.Errno(errno))
		}
		return nil
	}
	return errors.New("no answer among the news of others")
}

// procFilter lets through the answer to a subscription, and the news of whole processes, not of their threads. So a
// host that makes thousands of threads and children does not wake anybody here.
func procFilter() *unix.SockFprog {
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		equalX = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_X
		ret    = unix.BPF_RET | unix.BPF_K
	)
	// A filter loads big endian, the message is the machine's.
	is := func(what uint32) uint32 {
		return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, what))
	}
	program := []unix.SockFilter{
		{Code: load, K: atWhat},
		{Code: equal, K: is(procNone), Jt: 6},
		{Code: equal, K: is(procExec), Jt: 1},
		{Code: equal, K: is(procComm), Jf: 5},
		{Code: load, K: atPID},
		{Code: unix.BPF_MISC | unix.BPF_TAX},
		{Code: load, K: atPID + 4},
		{Code: equalX, Jf: 1},
		{Code: ret, K: procEventSize + 64},
		{Code: ret, K: 0},
	}
	return &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
}

func (p *ProcEvents) send(op uint32) error {
	b := make([]byte, 0, netlinkHeader+cnHeader+4)
	b = binary.NativeEndian.AppendUint32(b, uint32(cap(b)))
	b = binary.NativeEndian.AppendUint16(b, unix.NLMSG_DONE)
	b = append(b, make([]byte, 10)...) // flags, sequence, port
	b = binary.NativeEndian.AppendUint32(b, cnIdxProc)
	b = binary.NativeEndian.AppendUint32(b, cnValProc)
	b = append(b, make([]byte, 8)...) // sequence, acknowledgement
	b = binary.NativeEndian.AppendUint16(b, 4)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint32(b, op)
	return unix.Sendto(p.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// parseProcEvent takes one message apart. Only the kernel's are believed.
func parseProcEvent(b []byte, from unix.Sockaddr) (what uint32, pid int, ok bool) {
	sender, kernel := from.(*unix.SockaddrNetlink)
	if !kernel || sender.Pid != 0 || len(b) < procEventSize {
		return 0, 0, false
	}
	if binary.NativeEndian.Uint32(b[netlinkHeader:]) != cnIdxProc || binary.NativeEndian.Uint32(b[netlinkHeader+4:]) != cnValProc {
		return 0, 0, false
	}
	return binary.NativeEndian.Uint32(b[atWhat:]), int(int32(binary.NativeEndian.Uint32(b[atPID+4:]))), true
}

// FD is for poll(2): it can be read when there is news.
func (p *ProcEvents) FD() int { return p.fd }

// Read takes the news that waits, up to a bound, and calls each with the number of a process that may be another
// program now. It never blocks. lost tells that the kernel had to drop some: then look at all processes.
func (p *ProcEvents) Read(each func(pid int)) (lost bool, err error) {
	for range 256 {
		n, from, err := unix.Recvfrom(p.fd, p.buf[:], 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return lost, nil
		case errors.Is(err, unix.ENOBUFS):
			lost = true
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return lost, fmt.Errorf("cannot read the news of processes: %w", err)
		}
		if what, pid, ok := parseProcEvent(p.buf[:n], from); ok && what != procNone {
			each(pid)
		}
	}
	return lost, nil
}

// Close unsubscribes.
func (p *ProcEvents) Close() error {
	return errors.Join(p.send(procIgnore), unix.Close(p.fd))
}
