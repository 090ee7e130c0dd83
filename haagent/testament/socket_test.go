package testament

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func pair(t testing.TB) (*Reader, *Writer) {
	t.Helper()
	parent, child, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	r, w := NewReader(parent), NewWriter(child)
	t.Cleanup(func() { _, _ = r.Close(), w.Close() }) // some are closed already
	return r, w
}

func next(t testing.TB, r *Reader) News {
	t.Helper()
	n, err := r.Next(time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func set(t testing.TB, w *Writer, will Will) {
	t.Helper()
	if err := w.Set(will); err != nil {
		t.Fatal(err)
	}
}

func TestNewestWillIsKept(t *testing.T) {
	r, w := pair(t)
	web, mail := sample(), sample()
	mail.Instance = "mail"
	set(t, w, web)
	set(t, w, mail)
	w.Say(Running)
	if n := next(t, r); n.Will == nil || !reflect.DeepEqual(*n.Will, web) || n.State != Starting || n.Said {
		t.Errorf("got %+v", n)
	}
	next(t, r)
	if n := next(t, r); n.Will != nil || !n.Said || n.State != Running {
		t.Errorf("got %+v", n)
	}
	web.Addresses = web.Addresses[1:]
	set(t, w, web)
	set(t, w, Will{Instance: "mail"})
	next(t, r)
	next(t, r)
	if got := r.Wills(); len(got) != 1 || !reflect.DeepEqual(got["web"], web) || r.State() != Running {
		t.Errorf("got %+v, %d", got, r.State())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(time.Now().Add(time.Minute)); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: got %v", err)
	}
	if len(r.Wills()) != 1 {
		t.Error("the will went with the agent")
	}
}

func TestFullSocketLosesNothingButOldStates(t *testing.T) {
	r, w := pair(t)
	will := Will{Instance: "web", Interface: "eth0", Addresses: many(200)}
	for n := range 2000 { // more than any socket takes
		will.Addresses[0].Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfc, 14: byte(n >> 8), 15: byte(n)}), 64)
		set(t, w, will)
	}
	w.Say(Stopping)
	other := sample()
	other.Instance = "mail"
	set(t, w, other)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, func() bool { return false }) }()
	for r.State() != Stopping || len(r.Wills()) != 2 || !reflect.DeepEqual(r.Wills()["web"], will) {
		next(t, r)
	}
	if got := r.Wills()["mail"]; !reflect.DeepEqual(got, other) {
		t.Errorf("got %+v", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestSignsOfLife(t *testing.T) {
	r, w := pair(t)
	asked := make(chan bool)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, func() bool { return <-asked }) }()
	asked <- false
	asked <- true
	if n := next(t, r); n.Will != nil || n.Said {
		t.Errorf("got %+v", n)
	}
	if _, err := r.Next(time.Now()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want one sign", err)
	}
	cancel()
	close(asked)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestParentsDeathEndsRun(t *testing.T) {
	r, w := pair(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context(), func() bool { return true }); !errors.Is(err, ErrParentGone) {
		t.Errorf("got %v", err)
	}
	set(t, w, sample()) // the failover goes on
}

func TestGarbageIsTold(t *testing.T) {
	parent, child, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(parent)
	defer r.Close()
	defer child.Close()
	for _, garbage := range []string{"\x09", "\x03\x09", "\x01\x00", "\x02\x02", strings.Repeat("\x01", maxRecord+1)} {
		if _, err := child.WriteString(garbage); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(time.Now().Add(time.Minute)); !errors.Is(err, ErrGarbage) {
			t.Errorf("%.10q: got %v", garbage, err)
		}
	}
}

func TestWithoutAParent(t *testing.T) {
	alone, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, w := range []*Writer{nil, {}, alone} {
		w.Say(Running)
		set(t, w, sample())
		if err := errors.Join(w.Run(ctx, nil), w.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestFromEnv(t *testing.T) {
	parent, child, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(parent)
	defer r.Close()
	fd, err := unix.Dup(int(child.Fd())) // FromEnv's own; without the mark that exec closes it
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv(FDVariable, strconv.Itoa(fd))
	w, err := FromEnv()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, set := os.LookupEnv(FDVariable); set {
		t.Error("programs that the agent starts see the variable")
	}
	if flags, err := unix.FcntlInt(uintptr(w.fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 || w.fd < highFD {
		t.Errorf("programs that the agent starts get the socket, or it is not the highest: %d, %d, %v", w.fd, flags, err)
	}
	w.Say(Running)
	if n := next(t, r); n.State != Running {
		t.Errorf("got %+v", n)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, wrong := range []string{"", "x", "-1", "2", "65000", "99999", fmt.Sprint(null.Fd())} {
		t.Setenv(FDVariable, wrong)
		if _, err := FromEnv(); err == nil || !strings.Contains(err.Error(), "do not set it") {
			t.Errorf("%q: got %v", wrong, err)
		}
	}
}

// TestSetAllocatesNothing: on the way from a timer to a socket nothing is left to collect.
func TestSetAllocatesNothing(t *testing.T) {
	r, w := pair(t)
	will := sample()
	if n := testing.AllocsPerRun(100, func() { set(t, w, will) }); n > 0 {
		t.Errorf("%v allocations for each will", n)
	}
	_ = r
}

func BenchmarkSet(b *testing.B) {
	for _, n := range []int{1, 20, 255} {
		b.Run(fmt.Sprintf("addresses=%d", n), func(b *testing.B) {
			r, w := pair(b)
			will := sample()
			will.Addresses = many(n)
			for b.Loop() {
				set(b, w, will)
				b.StopTimer()
				next(b, r)
				b.StartTimer()
			}
		})
	}
}
