package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// WatchDuplicates asks the neighbours on an interface, now and then every so often, whether one of them has an
// address of mine, and hears what they say by themselves: by ARP probes (RFC 5227 section 2.1.1), replies and
// gratuitous ARP for IPv4, by duplicate address detection (RFC 4862 section 5.4.2) and neighbour advertisements for
// IPv6. found is told each address with the hardware address that claims it, which is none of this host's, at most
// once a second for the two. mine gives the addresses that are held at the moment; while there are none nothing is
// asked. Both are called from several goroutines and must not wait. It returns when ctx ends or the interface is gone.
func WatchDuplicates(ctx context.Context, ifname string, every time.Duration, mine func() []netip.Addr, found func(netip.Addr, net.HardwareAddr)) error {
	w, err := openDuplicates(ifname)
	if err != nil {
		return err
	}
	w.mine, w.found = mine, found
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, w.close)
	defer func() {
		stop()
		w.close()
		_ = w.conn.close()
	}()
	group.Go(func() error { return w.listen(ctx, w.arp, readARP) })
	group.Go(func() error { return w.listen(ctx, w.nd, readNA) })
	group.Go(func() error {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			if err := w.ask(ctx); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
	})
	return group.Wait()
}

// duplicates is the state of WatchDuplicates.
type duplicates struct {
	ifi     *net.Interface
	arp, nd *os.File
	conn    *rtnl
	mine    func() []netip.Addr
	found   func(netip.Addr, net.HardwareAddr)

	mu    sync.Mutex
	heard sightings
	own   [][]byte // hardware addresses of this host
	asked time.Time
}

func openDuplicates(ifname string) (*duplicates, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("there is no interface %q: %w", ifname, err)
	}
	if len(ifi.HardwareAddr) != 6 {
		return nil, fmt.Errorf("cannot look for duplicate addresses on %s: it has no Ethernet address", ifname)
	}
	w := &duplicates{ifi: ifi, heard: make(sightings)}
	if w.arp, err = packetSocket(ifi, unix.ETH_P_ARP, nil); err != nil {
		return nil, err
	}
	if w.nd, err = packetSocket(ifi, unix.ETH_P_IPV6, advertisementFilter); err != nil {
		return nil, errors.Join(err, w.arp.Close())
	}
	if w.conn, err = openRTNL(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *duplicates) close() { _, _ = w.arp.Close(), w.nd.Close() }

// advertisementFilter passes ICMPv6 type 136 without extension headers: the rest of IPv6 stays in the kernel.
var advertisementFilter = []bpf.Instruction{
	bpf.LoadAbsolute{Off: ethernetHeader + 6, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_ICMPV6, SkipFalse: 3},
	bpf.LoadAbsolute{Off: ethernetHeader + 40, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: neighbourAdvertised, SkipFalse: 1},
	bpf.RetConstant{Val: 2048},
	bpf.RetConstant{Val: 0},
}

// packetSocket hears what comes in by one protocol on one interface, and sends.
func packetSocket(ifi *net.Interface, protocol uint16, filter []bpf.Instruction) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, privilege(fmt.Errorf("cannot make a packet socket: %w", err))
	}
	if filter != nil {
		err = attach(fd, filter)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(protocol), Ifindex: ifi.Index})
	}
	if err != nil {
		unix.Close(fd)
		return nil, privilege(fmt.Errorf("cannot hear the neighbours on %s: %w", ifi.Name, err))
	}
	return os.NewFile(uintptr(fd), "neighbours "+ifi.Name), nil
}

// listen judges what comes until the interface is gone or ctx ends.
func (w *duplicates) listen(ctx context.Context, file *os.File, read func([]byte) (claim, bool)) error {
	buf := make([]byte, 2048)
	for {
		n, err := file.Read(buf)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.EINTR):
			if err := w.gone(); err != nil {
				return err
			}
			continue
		case err != nil:
			return fmt.Errorf("cannot hear the neighbours on %s: %w", w.ifi.Name, err)
		}
		if c, ok := read(buf[:n]); ok && slices.Contains(w.mine(), c.addr) {
			w.judge(c, time.Now())
		}
	}
}

// gone is an error when the interface of the sockets is no more.
func (w *duplicates) gone() error {
	if index, err := w.conn.index(w.ifi.Name); err != nil || int(index) != w.ifi.Index {
		return fmt.Errorf("cannot look for duplicate addresses on %s: the interface is gone", w.ifi.Name)
	}
	return nil
}

// judge tells of a claim unless it was told a moment ago or is this host's own.
func (w *duplicates) judge(c claim, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.heard.tell(c, now) {
		return
	}
	if now.Sub(w.asked) > time.Second || w.own == nil {
		w.own, w.asked = w.conn.hardwareAddrs(), now
	}
	if w.own == nil { // the kernel did not say: the next claim may be told
		delete(w.heard, c)
		return
	}
	if slices.ContainsFunc(w.own, func(own []byte) bool { return string(own) == string(c.mac[:]) }) {
		return
	}
	w.found(c.addr, slices.Clone(c.mac[:]))
}

// ask sends one question for each address. One that cannot leave, as while the link is down, is asked the next time.
func (w *duplicates) ask(ctx context.Context) error {
	for _, a := range w.mine() {
		file, frame := w.nd, []byte(nil)
		if a.Is4() {
			file, frame = w.arp, appendARP(nil, w.ifi.HardwareAddr, netip.IPv4Unspecified(), a, [6]byte{})
		} else {
			frame = neighbourSolicitation(w.ifi.HardwareAddr, a)
		}
		if _, err := file.Write(frame); ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			if err := w.gone(); err != nil {
				return err
			}
		}
	}
	return nil
}

// hardwareAddrs are those of all interfaces of this host; none when the kernel does not say.
func (r *rtnl) hardwareAddrs() (all [][]byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.link(0, unix.RTM_GETLINK, unix.NLM_F_DUMP, 0, 0, 0)
	r.end()
	err := r.dump(func(body []byte) {
		for kind, value := range attributes(body[min(unix.SizeofIfInfomsg, len(body)):]) {
			if kind == unix.IFLA_ADDRESS {
				all = append(all, slices.Clone(value))
			}
		}
	})
	if err != nil {
		return nil
	}
	return all
}
