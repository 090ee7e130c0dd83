package bench

import (
	"encoding/binary"
	"fmt"
	"math"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/collector/gmond"
)

// senderMode is set in the process that sends: "address hosts metrics rate seconds", rate in packets a second.
const senderMode = "KEEPWATCH_TEST_SENDER"

func TestMain(m *testing.M) {
	if job := os.Getenv(senderMode); job != "" {
		if err := sendJob(job); err != nil {
			fmt.Fprintln(os.Stderr, "sender:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// segments is how many datagrams the kernel makes of one send (UDP_SEGMENT): a sender that pays a system call for each
// would take more of the processors than the receivers that are measured.
const segments = 32

// sendJob sends the metadata of all metrics slowly, then values at the rate, then prints how many packets it sent.
func sendJob(job string) error {
	var address string
	var hosts, metrics, rate, seconds int
	if _, err := fmt.Sscan(job, &address, &hosts, &metrics, &rate, &seconds); err != nil {
		return err
	}
	to, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		return err
	}
	conn, err := net.DialUDP("udp4", nil, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	sent, err := sendMetadata(conn, hosts, metrics)
	if err != nil {
		return err
	}
	values, size, err := valuePackets(hosts, metrics)
	if err != nil {
		return err
	}
	if err := segmented(conn, size); err != nil {
		return err
	}
	n, err := sendValues(conn, values, size, rate, time.Duration(seconds)*time.Second)
	fmt.Println(sent + n)
	return err
}

// metricOf are packets of hosts that a gmond with override_hostname would send: all of one size.
func metricOf(host, metric int) *gmond.Packet {
	return &gmond.Packet{
		Host: fmt.Appendf(nil, "10.%03d.%03d.%03d:node%05d.example", 100+host/10_000, 100+host/100%100, 100+host%100, host), Name: fmt.Appendf(nil, "bench_metric_%03d", metric), Spoof: true,
	}
}

func sendMetadata(conn *net.UDPConn, hosts, metrics int) (sent int, err error) {
	var b []byte
	for h := range hosts {
		for m := range metrics {
			p := metricOf(h, m)
			p.ID, p.Type, p.Units, p.Slope, p.TMax = gmond.Metadata, []byte("float"), []byte("jobs"), gmond.Both, 60
			p.Extra = []gmond.Extra{{Name: []byte("GROUP"), Data: []byte("bench")}, {Name: []byte("TITLE"), Data: []byte("Jobs of a bench")}}
			if b, err = gmond.AppendMetadata(b[:0], p); err != nil {
				return sent, err
			}
			if _, err := conn.Write(b); err != nil {
				return sent, err
			}
			if sent++; sent%200 == 0 { // 20,000 a second, which every receiver takes
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	return sent, nil
}

// valuePackets are one value of each metric, one behind the other, in an order in which the next is of another host.
func valuePackets(hosts, metrics int) (all []byte, size int, err error) {
	for m := range metrics {
		for h := range hosts {
			p := metricOf((h*7919)%hosts, m)
			p.ID, p.Format, p.Number = gmond.ValueFloat, []byte("%.2f"), float64(float32(h)+0.25)
			before := len(all)
			if all, err = gmond.AppendValue(all, p); err != nil {
				return nil, 0, err
			}
			if n := len(all) - before; size == 0 {
				size = n
			} else if n != size {
				return nil, 0, fmt.Errorf("packets of %d and %d bytes", size, n)
			}
		}
	}
	return all, size, nil
}

func segmented(conn *net.UDPConn, size int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, size) })
	if err != nil {
		return err
	}
	return set
}

func sendValues(conn *net.UDPConn, all []byte, size, rate int, d time.Duration) (sent int, err error) {
	began := time.Now()
	for turn := uint32(0); ; turn++ {
		for at := 0; at < len(all); at += segments * size {
			now := time.Since(began)
			if now >= d {
				return sent, nil
			}
			if ahead := time.Duration(float64(sent)/float64(rate)*float64(time.Second)) - now; ahead > 0 {
				time.Sleep(ahead)
			}
			chunk := all[at:min(at+segments*size, len(all))]
			for end := size; end <= len(chunk); end += size { // the value is the last word
				binary.BigEndian.PutUint32(chunk[end-4:], math.Float32bits(float32(turn%1000)+0.5))
			}
			if _, err := conn.Write(chunk); err != nil {
				return sent, err
			}
			sent += len(chunk) / size
		}
	}
}
