package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"keepwatch/haagent/link"
	"keepwatch/haagent/testament"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// role, when set, makes this test program a parent or a child; behaviour is what the child is like.
const (
	role      = "SUPERVISE_TEST_ROLE"
	behaviour = "SUPERVISE_TEST_CHILD"
)

var vip = conf.Address{Prefix: netip.MustParsePrefix("10.7.0.100/24")}

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "parent":
		os.Exit(beParent())
	case "child":
		os.Exit(beChild())
	}
	goleak.VerifyTestMain(m)
}

func beParent() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	err := Run(ctx, Options{
		Program: "/proc/self/exe", Args: []string{"child"}, Env: append(os.Environ(), role+"=child"), Hangup: hangup,
		Notify: func(s string) { fmt.Printf("notify %q\n", s) }, Log: slog.New(slog.NewTextHandler(os.Stdout, nil)),
	})
	signal.Stop(hangup)
	stop()
	fmt.Printf("parent ended: %v\n", err)
	if leak := goleak.Find(); leak != nil {
		fmt.Println("the parent left goroutines:", leak)
		return 9
	}
	var child *ExitError
	if errors.As(err, &child) {
		return child.Status
	}
	if err != nil {
		return 1
	}
	return 0
}

// beChild is an agent that holds one address.
func beChild() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	if os.Getenv(behaviour) == "refuse" {
		fmt.Println("child: the configuration is wrong")
		return 2
	}
	socket, err := unix.Dup(3) // to write what no Writer does
	var w *testament.Writer
	if err == nil {
		w, err = testament.FromEnv()
	}
	if err == nil {
		err = holdAddress(w)
	}
	if err != nil {
		fmt.Println("child:", err)
		return 1
	}
	go func() {
		for range hangup {
			w.Say(testament.Reloading)
			w.Say(testament.Running)
		}
	}()
	if os.Getenv(behaviour) == "garbage" {
		_, err := unix.Write(socket, []byte("garbage"))
		fmt.Println("child: garbage is written", err)
	}
	fmt.Printf("child %d runs\n", os.Getpid())
	err = w.Run(ctx, func() bool { return os.Getenv(behaviour) != "mute" })
	fmt.Printf("child %d leaves: %v\n", os.Getpid(), err)
	w.Say(testament.Gone)
	return 0
}

func holdAddress(w *testament.Writer) error {
	addrs, err := link.NewAddresses(time.Minute) // longer than the test waits for its end
	if err != nil {
		return err
	}
	if err := addrs.Hold("eth0", []conf.Address{vip}); err != nil {
		return err
	}
	w.Say(testament.Running)
	return w.Set(testament.Will{
		Instance: "web", Interface: "eth0", Addresses: []testament.Held{{Prefix: vip.Prefix}},
		Farewell: []testament.Datagram{{Source: netip.MustParseAddr("10.7.0.1"), Dest: netip.MustParseAddr("224.0.0.18"), TTL: 255, Times: 2, Payload: []byte("farewell to all of you")}},
	})
}

// family is a parent and its child in a namespace, and a peer that hears them.
type family struct {
	*netnstest.Process
	t    *testing.T
	node *netnstest.Node
	wire *netnstest.Wire
}

func startFamily(t *testing.T, child string) *family {
	t.Helper()
	n := netnstest.New(t)
	f := &family{t: t, node: n.Node("a", "10.7.0.1/24")}
	f.wire = n.Node("b", "10.7.0.2/24").Capture()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := f.node.Command(self)
	cmd.Env = append(os.Environ(), role+"=parent", behaviour+"="+child)
	f.Process = f.node.Start(cmd)
	return f
}

// farewell waits for one and returns when it came.
func (f *family) farewell() time.Time {
	f.t.Helper()
	f.wire.Await("a farewell", func(b []byte) bool {
		return len(b) == 20+22 && b[9] == 112 && b[8] == 255 && string(b[20:]) == "farewell to all of you"
	})
	return time.Now()
}

// child waits for the nth child, and for the address on the interface, and returns the child's number.
func (f *family) child(nth int) (pid int) {
	f.t.Helper()
	netnstest.Await(f.t, fmt.Sprintf("child %d", nth), func() error {
		runs := strings.Split(f.Output(), " runs\n")
		if len(runs) <= nth || !f.node.Holds("10.7.0.100") {
			return fmt.Errorf("it does not run, or the address is missing; the parent said:\n%s", f.Output())
		}
		words := strings.Fields(runs[nth-1])
		var err error
		pid, err = strconv.Atoi(words[len(words)-1])
		return err
	})
	return pid
}

func (f *family) says(what string) {
	f.t.Helper()
	netnstest.Await(f.t, "the parent to say "+what, func() error {
		if !strings.Contains(f.Output(), what) {
			return fmt.Errorf("it said:\n%s", f.Output())
		}
		return nil
	})
}

func (f *family) ends(code int) {
	f.t.Helper()
	err := f.Wait()
	if (err == nil) != (code == 0) || code != 0 && err.Error() != fmt.Sprintf("exit status %d", code) {
		f.t.Errorf("got %v, want exit code %d; the parent said:\n%s", err, code, f.Output())
	}
}

func TestKilledChildsTestamentIsCarriedOut(t *testing.T) {
	t.Parallel()
	f := startFamily(t, "")
	pid := f.child(1)
	died := time.Now()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	t.Logf("from kill to the farewell on the wire: %s", f.farewell().Sub(died))
	f.farewell() // the second of the two
	f.says(`how="signal: killed" farewells=2 addresses=1`)
	if again := f.child(2); again == pid {
		t.Error("no other child runs")
	}
	f.Signal(syscall.SIGTERM)
	f.ends(0)
}

func TestFrozenChildIsKilled(t *testing.T) {
	t.Parallel()
	f := startFamily(t, "")
	if err := unix.Kill(f.child(1), unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f.farewell()
	f.says("no sign of life")
	f.child(2)
	f.Signal(syscall.SIGTERM)
	f.ends(0)
}

func TestMuteChildIsKilled(t *testing.T) {
	t.Parallel()
	f := startFamily(t, "mute")
	f.farewell()
	f.says("no sign of life")
	f.Signal(syscall.SIGTERM)
	f.ends(0)
}

func TestGarblingChildIsKilled(t *testing.T) {
	t.Parallel()
	f := startFamily(t, "garbage")
	f.farewell()
	f.says("not a record of the HA agent")
	f.Signal(syscall.SIGTERM)
	f.ends(0)
}

// The child hears of its parent's death and leaves: nobody would carry out its testament.
func TestChildOfKilledParentLeaves(t *testing.T) {
	t.Parallel()
	f := startFamily(t, "")
	pid := f.child(1)
	f.Signal(syscall.SIGKILL)
	f.says(fmt.Sprintf("child %d leaves: %v", pid, testament.ErrParentGone))
}

func TestStopIsClean(t *testing.T) {
	t.Parallel()
	f := startFamily(t, "")
	pid := f.child(1)
	f.Signal(syscall.SIGHUP)
	f.says(`notify "RELOADING=1\nMONOTONIC_USEC=`)
	f.says(`notify "WATCHDOG=1"`)
	f.Signal(syscall.SIGTERM)
	f.ends(0)
	f.says(fmt.Sprintf("child %d leaves: <nil>", pid))
	f.says("parent ended: <nil>")
	f.says(`notify "STOPPING=1"`)
	if out := f.Output(); strings.Count(out, `notify "READY=1`) != 2 || strings.Contains(out, "level=") {
		t.Errorf("the parent said:\n%s", out)
	}
	if !f.node.Holds("10.7.0.100") { // the child said goodbye: what it left is no affair of the parent
		t.Error("the parent carried out the testament of a child that said goodbye")
	}
}

func TestRefusalEndsTheParent(t *testing.T) {
	t.Parallel()
	f := startFamily(t, "refuse")
	f.ends(2)
	f.says("child: the configuration is wrong\n")
}

func TestNoProgram(t *testing.T) {
	err := Run(t.Context(), Options{Program: "/nonexistent", Args: []string{"x"}, Log: slog.Default()})
	if err == nil || !strings.Contains(err.Error(), "cannot start the HA agent") {
		t.Errorf("got %v", err)
	}
}

func TestBackOff(t *testing.T) {
	const ms = time.Millisecond
	var pause time.Duration
	for i, want := range []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms} {
		if pause = backOff(pause, time.Second); pause != want {
			t.Errorf("pause %d: got %s, want %s", i, pause, want)
		}
	}
	if got := backOff(pause, time.Minute); got != 100*ms {
		t.Errorf("after a long life: got %s", got)
	}
}

func TestOverslept(t *testing.T) {
	until := time.Now()
	for late, want := range map[time.Duration]bool{0: false, punctual: false, punctual + 1: true, time.Hour: true} {
		if got := overslept(until, until.Add(late)); got != want {
			t.Errorf("%s late: got %t", late, got)
		}
	}
}

func TestStoppedSaysWhatWentWrong(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	for name, c := range map[string]struct {
		life
		want string
	}{
		"goodbye":            {life{ran: true, meant: true, status: 1}, ""},
		"clean":              {life{ran: true}, ""},
		"before it listened": {life{status: -1, how: "signal: terminated"}, ""},
		"killed":             {life{ran: true, status: -1, how: "signal: killed", deeds: deeds{farewells: 2}}, "did not leave by itself: signal: killed"},
	} {
		if err := c.stopped(log); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
