package link

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/netnstest"
)

// replyTo makes a host's answer of a request.
func replyTo(six bool, request []byte) []byte {
	b := bytes.Clone(request)
	if six {
		b[0] = echoReply6
		return b
	}
	b[0], b[2], b[3] = echoReply4, 0, 0
	sum := internetChecksum(b)
	b[2], b[3] = byte(sum>>8), byte(sum)
	return append([]byte{0x45, 0, 0, 36, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1}, b...)
}

func TestReply(t *testing.T) {
	for _, six := range []bool{false, true} {
		p := &Pinger{six: six, id: 0x1234, token: [tokenSize]byte{1, 2, 3, 4, 5, 6, 7, 8}}
		good := replyTo(six, echoMessage(six, p.id, 77, p.token))
		if seq, ok := p.reply(good); seq != 77 || !ok {
			t.Errorf("IPv6 %t: got %d, %t", six, seq, ok)
		}
		f := func(what string, b []byte) {
			t.Helper()
			if _, ok := p.reply(b); ok {
				t.Errorf("IPv6 %t: %s is taken", six, what)
			}
		}
		f("another's id", replyTo(six, echoMessage(six, p.id+1, 77, p.token)))
		f("another's token", replyTo(six, echoMessage(six, p.id, 77, [tokenSize]byte{})))
		f("a longer one", append(bytes.Clone(good), 0, 0))
		for i := range good {
			f("a cut one", good[:i])
		}
		request := bytes.Clone(good)
		request[len(good)-echoHeader-tokenSize] = echoRequest6
		f("a request", request)
		if !six {
			wrong := bytes.Clone(good)
			wrong[27]++
			f("a wrong checksum", wrong)
		}
	}
}

func FuzzReply(f *testing.F) {
	four, six := &Pinger{}, &Pinger{six: true}
	f.Add(replyTo(false, echoMessage(false, 0, 1, four.token)))
	f.Add(replyTo(true, echoMessage(true, 0, 1, six.token)))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, p := range []*Pinger{four, six} {
			if seq, ok := p.reply(b); ok && int(seq) != int(b[len(b)-10])<<8|int(b[len(b)-9]) {
				t.Errorf("%x: got %d", b, seq)
			}
		}
	})
}

func TestPinger(t *testing.T) {
	t.Parallel()
	net := netnstest.New(t)
	a := net.Node("a", "10.7.0.1/24", "fd07::1/64")
	net.Node("b", "10.7.0.2/24", "fd07::2/64")
	for _, to := range []string{"10.7.0.2", "fd07::2", "10.7.0.1", "::1"} {
		a.Do(func() { echoed(t, netip.MustParseAddr(to)) })
	}
}

func echoed(t *testing.T, to netip.Addr) {
	p, err := NewPinger(to.Is6())
	if err != nil {
		t.Error(err)
		return
	}
	other, err := NewPinger(to.Is6())
	if err != nil {
		t.Error(err)
		return
	}
	defer other.Close()
	for _, seq := range []uint16{0, 7, 65535} {
		if err := errors.Join(other.Send(to, 99), p.Send(to, seq)); err != nil {
			t.Error(err)
			return
		}
		if err := p.file.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		if from, got, err := p.Read(); err != nil || from != to || got != seq {
			t.Errorf("%s: got %d from %s, %v, want %d", to, got, from, err, seq)
		}
	}
	ended := make(chan error, 1)
	go func() {
		_, _, err := p.Read()
		ended <- err
	}()
	_ = p.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("%s: closed: got %v", to, err)
	}
}

func TestPingsThatCannotLeave(t *testing.T) {
	t.Parallel()
	netnstest.New(t).Node("a", "10.7.0.1/24").Do(func() {
		four, err := NewPinger(false)
		if err != nil {
			t.Error(err)
			return
		}
		defer four.Close()
		six, err := NewPinger(true)
		if err != nil {
			t.Error(err)
			return
		}
		defer six.Close()
		if err := four.Send(netip.MustParseAddr("10.250.0.1"), 1); !errors.Is(err, unix.ENETUNREACH) {
			t.Errorf("got %v", err)
		}
		if four.Send(netip.MustParseAddr("::1"), 1) == nil || six.Send(netip.MustParseAddr("127.0.0.1"), 1) == nil {
			t.Error("the other family's address is taken")
		}
		var none *net.OpError
		if err := six.Send(netip.MustParseAddr("fe80::1%none"), 1); !errors.As(err, &none) {
			t.Errorf("got %v", err)
		}
	})
}
