package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	floodRate = 100_000 // packets a second
	floodSpan = 10 * time.Second
)

// floods are what the client's node throws at both others.
var floods = []struct {
	title          string
	vrid, priority byte
	breakSum       bool
}{
	{"wrong checksum", vrid, 50, true},
	{"unknown VRID", 99, 50, false},
	{"valid, lower priority", vrid, 50, false},
}

// flood throws packets at the agents, of one system after the other, and looks whether the master keeps its time.
func flood(ctx context.Context, _ options, both []system) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "`make bench-failover-more`: %s; %d advertisements a second for %s, priorities 254/253.\n\n", machine(), floodRate, floodSpan)
	b.WriteString("| flood | interval | system | reached the master, packets/s | longest pause, ms | in intervals | failovers | CPU of the master, % of a core |\n|---|---|---|--:|--:|--:|--:|--:|\n")
	for n := range floods {
		for _, interval := range []time.Duration{100 * time.Millisecond, 10 * time.Millisecond} {
			for _, sys := range both {
				if err := try(func() error { return floodOf(ctx, sys, n, interval, &b) }); err != nil {
					return "", fmt.Errorf("%s, %s, %s: %w", floods[n].title, interval, sys.name(), err)
				}
			}
		}
	}
	return b.String(), nil
}

func floodOf(ctx context.Context, sys system, n int, interval time.Duration, b *strings.Builder) error {
	r, err := newRig(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	all := []setup{{vrid: vrid, version: 3, interval: interval, addresses: []string{vip + "/24"}}}
	if err := r.settle(sys, all); err != nil {
		return err
	}
	if err := r.pause(time.Second); err != nil {
		return err
	}
	frame, err := r.frame(n, interval)
	if err != nil {
		return err
	}
	pids := tree(r.a.agent.pid())
	used, err := cpu(pids)
	if err != nil {
		return err
	}
	arrived := r.received()
	w := newTally(r.a, all)
	r.seen.tell(w.add)
	begin := time.Now()
	r.c.Do(func() { err = throw(ctx, frame, begin) })
	if err != nil {
		return err
	}
	took := time.Since(begin)
	arrived = r.received() - arrived
	after, err := cpu(pids)
	if err != nil {
		return err
	}
	got := w.of(vrid)
	fmt.Fprintf(b, "| %s | %s | %s | %.0f | %.1f | %.2f | %d | %.0f |\n", floods[n].title, interval, sys.name(), float64(arrived)/took.Seconds(),
		ms(got.longest), float64(got.longest)/float64(interval), got.takes, 100*(after-used).Seconds()/took.Seconds())
	return nil
}

// frame is one packet of a flood, ready for the wire, from the client's own addresses.
func (r *rig) frame(n int, interval time.Duration) ([]byte, error) {
	var mac net.HardwareAddr
	var err error
	r.c.Do(func() {
		var i *net.Interface
		if i, err = net.InterfaceByName("eth0"); err == nil {
			mac = i.HardwareAddr
		}
	})
	if err != nil {
		return nil, err
	}
	f := floods[n]
	p := []byte{0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 10, 9, 0, 9, 224, 0, 0, 18}
	binary.BigEndian.PutUint16(p[10:], checksum(p))
	v := []byte{0x31, f.vrid, f.priority, 1, 0, 0, 0, 0, 10, 9, 0, 100}
	binary.BigEndian.PutUint16(v[4:], uint16(interval/(10*time.Millisecond)))
	pseudo := append(append([]byte(nil), p[12:20]...), 0, 112, 0, byte(len(v)))
	sum := checksum(append(pseudo, v...)) // as keepalived: with pseudo-header
	if f.breakSum {
		sum ^= 0x5555
	}
	binary.BigEndian.PutUint16(v[6:], sum)
	frame := append([]byte{0x01, 0x00, 0x5e, 0, 0, 18}, mac...)
	return append(append(append(frame, 0x08, 0x00), p...), v...), nil
}

// checksum is the Internet's (RFC 1071), over an even number of bytes.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// received is how many packets the master's interface has received.
func (r *rig) received() (n int) {
	r.a.Do(func() {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			r.Fatalf("cannot read the counters of an interface: %v", err)
		}
		for line := range strings.Lines(string(text)) {
			if name, rest, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "eth0" {
				n, _ = strconv.Atoi(strings.Fields(rest)[1])
			}
		}
	})
	return n
}

// throw sends the frame at the flood's rate from the namespace that it is called in.
func throw(ctx context.Context, frame []byte, begin time.Time) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot make a socket for the flood: %w", err)
	}
	defer unix.Close(fd)
	i, err := net.InterfaceByName("eth0")
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return fmt.Errorf("cannot prepare the flood: %w", err)
	}
	to := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IP), Ifindex: i.Index}
	for sent := 0; ctx.Err() == nil; {
		since := time.Since(begin)
		if since >= floodSpan {
			return nil
		}
		due := int(since.Seconds() * floodRate)
		for ; sent < due; sent++ {
			if err := unix.Sendto(fd, frame, 0, to); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return fmt.Errorf("cannot send the flood: %w", err)
			}
			if sent%1000 == 0 && time.Since(begin) >= floodSpan {
				return nil
			}
		}
		sleepUntil(begin.Add(since + time.Millisecond))
	}
	return ctx.Err()
}
