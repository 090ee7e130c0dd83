package listen

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	senderMode  = "KEEPWATCH_TEST_SENDER" // set in the process that sends for BenchmarkReceive
	packetBytes = 112                     // as a gmond value with its names
	segments    = 64                      // datagrams that the kernel makes of one send
)

// BenchmarkReceive receives packets as small as gmond's, sent by another process with segmentation offload, so that
// the sender costs little. It tells what was lost and the processor time of this process for each packet, the
// kernel's part of it included.
func BenchmarkReceive(b *testing.B) {
	for _, rate := range []int{20_000, 300_000, 500_000, 0} {
		name := fmt.Sprintf("rate=%d", rate)
		if rate == 0 {
			name = "rate=all"
		}
		b.Run(name, func(b *testing.B) { benchReceive(b, rate) })
	}
}

func benchReceive(b *testing.B, rate int) {
	ownNetwork(b)
	r, err := OpenUnicast(b.Context(), "127.0.0.1:0", Options{Channel: "bench", Buffer: 8 << 20, Datagram: 1600, Batch: 256})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done, end := make(chan error, 1), make(chan struct{})
	got, batches, newest, ended := 0, 0, time.Time{}, false
	go func() {
		done <- r.Run(ctx, func(ps []Packet) {
			if ended {
				return
			}
			batches++
			for _, p := range ps {
				if len(p.Data) == 1 {
					ended = true
					close(end)
					return
				}
				got++
				newest = p.At
			}
		})
	}()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), senderMode+"="+fmt.Sprintf("%s %d %d", r.Addr(), b.N, rate))
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil { // it is about to begin
		b.Fatal(err)
	}
	before := processor()
	b.ReportAllocs()
	b.ResetTimer()
	began := time.Now()
	<-end
	b.StopTimer()
	used := processor() - before
	cancel()
	if err := <-done; err != nil { // the socket is closed now, which ends the sender
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(got)/newest.Sub(began).Seconds(), "packets/s")
	b.ReportMetric(float64(used.Nanoseconds())/float64(got), "cpu-ns/packet")
	b.ReportMetric(float64(got)/float64(batches), "packets/read")
	b.ReportMetric(float64(b.N-got), "lost")
}

// processor is the time that this process has used.
func processor() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sendForBench is the other process: "ADDRESS COUNT RATE", rate 0 for all that goes.
func sendForBench(order string) error {
	var address string
	var count, rate int
	if _, err := fmt.Sscan(order, &address, &count, &rate); err != nil {
		return err
	}
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		return err
	}
	segment := func(size int) error {
		var e error
		if err := raw.Control(func(fd uintptr) { e = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, size) }); err != nil {
			return err
		}
		return e
	}
	if err := segment(packetBytes); err != nil {
		return fmt.Errorf("this kernel does not segment UDP: %w", err)
	}
	data := bytes.Repeat([]byte{'x'}, segments*packetBytes)
	fmt.Println("go")
	const step = time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	began := time.Now()
	for sent := 0; sent < count; {
		due := count
		if rate > 0 {
			due = min(count, int(float64(rate)*time.Since(began).Seconds()))
		}
		for sent < due {
			n := min(segments, due-sent)
			if _, err := conn.Write(data[:n*packetBytes]); err != nil {
				return err
			}
			sent += n
		}
		if rate > 0 {
			<-tick.C
		}
	}
	if err := segment(0); err != nil {
		return err
	}
	// The receive buffer may be full: the last one is sent until it is taken, which ends the receiver.
	for range 1000 {
		if _, err := conn.Write([]byte{'e'}); err != nil {
			return nil
		}
		<-tick.C
	}
	return nil
}
