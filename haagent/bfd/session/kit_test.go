package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// speakerFolder, when set, makes this test program a BFD speaker: it runs the sessions of FOLDER/config.json, loads
// them anew on SIGHUP, writes FOLDER/status.json on SIGUSR1 and ends on SIGTERM. So it can run in a namespace of its
// own and be killed.
const speakerFolder = "KEEPWATCH_TEST_BFD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(speakerFolder); dir != "" {
		if err := speak(dir); err != nil {
			fmt.Fprintln(os.Stderr, "speaker:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func speak(dir string) error {
	sessions, err := readSessions(dir)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	set, err := New(Options{Sessions: sessions, Changed: func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(e)
	}})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	asked := make(chan os.Signal, 4)
	signal.Notify(asked, syscall.SIGHUP, syscall.SIGUSR1)
	var answering sync.WaitGroup
	answering.Go(func() {
		for s := range asked {
			if err := answer(dir, set, s); err != nil {
				slog.Error("cannot do as the signal says", "signal", s, "err", err)
			}
		}
	})
	err = set.Run(ctx)
	signal.Stop(asked)
	close(asked)
	answering.Wait()
	if leak := goleak.Find(); leak != nil {
		err = errors.Join(err, fmt.Errorf("the sessions left goroutines: %w", leak))
	}
	return err
}

func readSessions(dir string) (sessions []conf.BFDSession, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	return sessions, json.Unmarshal(b, &sessions)
}

// report is what a speaker says of itself.
type report struct {
	Sessions []SessionStatus
	Strays   uint64
	CPU      time.Duration // used so far, by the process and by the kernel for it
}

func answer(dir string, set *Set, s os.Signal) error {
	if s == syscall.SIGHUP {
		sessions, err := readSessions(dir)
		if err != nil {
			return err
		}
		return set.Apply(sessions)
	}
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return err
	}
	b, err := json.Marshal(report{set.Status(), set.Strays(), time.Duration(used.Utime.Nano() + used.Stime.Nano())})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "status.json")
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// speaker is our side as a process of its own on a node.
type speaker struct {
	*netnstest.Process
	t    testing.TB
	node *netnstest.Node
	dir  string
}

func startSpeaker(t testing.TB, node *netnstest.Node, sessions ...conf.BFDSession) *speaker {
	t.Helper()
	s := &speaker{t: t, node: node, dir: t.TempDir()}
	s.configure(sessions...)
	s.start()
	return s
}

func (s *speaker) configure(sessions ...conf.BFDSession) {
	s.t.Helper()
	b, err := json.Marshal(sessions)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "config.json"), b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *speaker) start() {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := s.node.Command(self)
	cmd.Env = append(os.Environ(), speakerFolder+"="+s.dir)
	s.Process = s.node.Start(cmd)
}

// events are those told since the start.
func (s *speaker) events() (all []Event) {
	s.t.Helper()
	for line := range strings.Lines(s.Output()) {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}\n") {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatalf("%v in %s", err, line)
		}
		all = append(all, e)
	}
	return all
}

// await waits until a session has told n events and returns the last one.
func (s *speaker) await(name string, n int) (last Event) {
	s.t.Helper()
	netnstest.Await(s.t, fmt.Sprintf("event %d of session %s", n, name), func() error {
		seen := 0
		for _, e := range s.events() {
			if e.Name == name {
				seen, last = seen+1, e
			}
		}
		if seen < n {
			return fmt.Errorf("there are %d; it said:\n%s", seen, s.Output())
		}
		if seen > n {
			s.t.Fatalf("session %s told %d events, want %d:\n%s", name, seen, n, s.Output())
		}
		return nil
	})
	return last
}

// status asks the speaker for its status until it is as wanted.
func (s *speaker) status(what string, wanted func(report) error) (r report) {
	s.t.Helper()
	path := filepath.Join(s.dir, "status.json")
	netnstest.Await(s.t, what, func() error {
		_ = os.Remove(path)
		s.Signal(syscall.SIGUSR1)
		var b []byte
		netnstest.Await(s.t, "the speaker's status", func() (err error) {
			b, err = os.ReadFile(path)
			return err
		})
		r = report{}
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(&r); err != nil {
			return err
		}
		return wanted(r)
	})
	return r
}

// keepalived is Debian's keepalived on a node, with a /tmp of its own for what it writes there.
type keepalived struct {
	*netnstest.Process
	t    *testing.T
	node *netnstest.Node
	dir  string
}

func startKeepalived(t *testing.T, node *netnstest.Node, config string) *keepalived {
	t.Helper()
	if _, err := exec.LookPath("keepalived"); err != nil {
		t.Fatal("this test runs against the real thing: install Debian's package keepalived")
	}
	k := &keepalived{t: t, node: node, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(k.dir, "keepalived.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	k.start()
	return k
}

func (k *keepalived) start() {
	k.t.Helper()
	for _, name := range []string{"pid", "vrrp.pid", "bfd.pid"} {
		_ = os.Remove(filepath.Join(k.dir, name)) // of killed ones, which may not be buried yet
	}
	k.Process = k.node.Start(k.node.Command("unshare", "--mount", "sh", "-c",
		`mount --bind "$0" /tmp && exec keepalived -n -l -D -f /tmp/keepalived.conf --pid=/tmp/pid --vrrp_pid=/tmp/vrrp.pid --bfd_pid=/tmp/bfd.pid`, k.dir))
	netnstest.Await(k.t, "keepalived to start", func() error {
		if out := k.Output(); !strings.Contains(out, "Startup complete") {
			return errors.New(out)
		}
		return nil
	})
}

// killTree kills parent and children at once, all stopped before, so that nobody says farewell.
func (k *keepalived) killTree() {
	k.t.Helper()
	pids := []int{k.PID()}
	for _, name := range []string{"vrrp.pid", "bfd.pid"} {
		var pid int
		b, err := os.ReadFile(filepath.Join(k.dir, name))
		if err == nil {
			_, err = fmt.Sscan(string(b), &pid)
		}
		if err != nil {
			k.t.Fatalf("keepalived has no %s: %v", name, err)
		}
		pids = append(pids, pid)
	}
	for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		for _, pid := range pids {
			if err := syscall.Kill(pid, s); err != nil {
				k.t.Fatal(err)
			}
		}
	}
	_ = k.Wait()
}

// awaitTrack waits until keepalived's VRRP instance, whose track is our session, is in fault or out of it.
func (k *keepalived) awaitTrack(up bool) {
	k.t.Helper()
	netnstest.Await(k.t, fmt.Sprintf("keepalived's track to be up: %t", up), func() error {
		state := ""
		for line := range strings.Lines(strings.ToLower(k.Output())) {
			if _, after, found := strings.Cut(line, "(web) entering "); found {
				state, _, _ = strings.Cut(after, " ")
			}
		}
		if state == "" || (state != "fault") != up {
			return fmt.Errorf("its instance is in state %q; it said:\n%s", state, k.Output())
		}
		return nil
	})
}

func peer(name, addr string, interval time.Duration) conf.BFDSession {
	return conf.BFDSession{Name: name, Peer: netip.MustParseAddr(addr), Interval: interval, Multiplier: 3}
}
