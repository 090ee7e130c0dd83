package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/status"
)

// lab is the running cluster.
type lab struct {
	binary  string
	port    int
	keep    bool
	dir     string
	starter *starter
	client  *clientLog
	mail    *mailbox
	sms     *gateway
	closers []io.Closer
	life    io.Closer // its end, by Close or by our death, is what the janitor waits for

	mu      sync.Mutex
	running map[string]*process
}

func newLab(binary string, port int, keep bool) (*lab, error) {
	for _, program := range []string{"ip", "nginx", "haproxy"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is not installed: run make deps-lab", program)
		}
	}
	dir, err := os.MkdirTemp("", "keepwatch-lab-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // Postgres and HAProxy run as users of their own
		return nil, err
	}
	return &lab{binary: binary, port: port, keep: keep, dir: dir, starter: newStarter(), client: &clientLog{}, running: make(map[string]*process)}, nil
}

// start brings everything up in order and returns when the web app answers.
func (l *lab) start(ctx context.Context) error {
	lock, err := onlyLab(ctx)
	if err != nil {
		return err
	}
	l.closers = append(l.closers, lock)
	if err := l.startJanitor(lock); err != nil {
		return err
	}
	front, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", l.port))
	if err != nil {
		return fmt.Errorf("port %d is taken: name another with PORT=", l.port)
	}
	l.closers = append(l.closers, front)
	say("building the network")
	if err := buildNetwork(); err != nil {
		return err
	}
	if err := l.writeFiles(); err != nil {
		return err
	}
	if err := l.startMailAndSMS(); err != nil {
		return err
	}
	say("starting two web servers, two HA nodes and the monitoring node")
	var errs []error
	for _, h := range []string{"web1", "web2"} {
		errs = append(errs, l.startWeb(h), l.startCollector(h))
	}
	for _, h := range []string{"lb1", "lb2"} {
		errs = append(errs, l.startAgent(h))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, h := range []string{"lb1", "lb2"} { // a collector that sees no agent yet would tell that it is down
		if err := l.awaitAgent(ctx, h); err != nil {
			return err
		}
		errs = append(errs, l.startCollector(h))
	}
	if err := errors.Join(append(errs, l.keepwatch("up", "mon"))...); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := l.launch("client", "client", self, "client", "--url", "http://"+vip+"/", "--key", filepath.Join(l.dir, "frame.key")); err != nil {
		return err
	}
	go forward(front, "mon", "127.0.0.1:8080")
	password, err := l.awaitUp(ctx)
	if err != nil {
		return err
	}
	if err := l.seed(ctx); err != nil {
		return err
	}
	fmt.Printf("\nThe web app: http://127.0.0.1:%d  user admin, password %s\nLogs and files: %s\n\n", l.port, password, l.dir)
	return nil
}

// onlyLab takes the lock that one lab at a time has: the names of the namespaces are the same for all. A janitor that
// still cleans up after an earlier lab holds it too.
func onlyLab(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile("/run/keepwatch-lab.lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := until(wait, func() bool { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }); err != nil {
		return nil, errors.Join(errors.New("another lab runs on this machine: end it first"), f.Close())
	}
	return f, nil
}

// startJanitor starts a process that outlives a killed lab by as long as it takes to clean up after it.
func (l *lab) startJanitor(lock *os.File) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "janitor")
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	cmd.ExtraFiles = []*os.File{lock}
	life, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot start the janitor: %w", err)
	}
	dir := l.dir
	if l.keep {
		dir = "-" // nothing of the lab's
	}
	l.life = life
	_, err = io.WriteString(life, dir)
	return err
}

// awaitAgent waits for the socket of a node's HA agent.
func (l *lab) awaitAgent(ctx context.Context, host string) error {
	wait, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := until(wait, func() bool {
		_, err := os.Stat(filepath.Join(l.dir, host, status.Socket))
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("the HA agent of %s did not start, see %s", host, filepath.Join(l.dir, host+"-haagent.log"))
	}
	return nil
}

// awaitUp waits for the address line that keepwatch prints and returns the first password.
func (l *lab) awaitUp(ctx context.Context) (string, error) {
	l.mu.Lock()
	p := l.running["mon-up"]
	l.mu.Unlock()
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var text string
	err := until(wait, func() bool {
		b, _ := os.ReadFile(p.log)
		text = string(b)
		return !p.alive() || strings.Contains(text, "password")
	})
	if err != nil || !p.alive() {
		return "", fmt.Errorf("the monitoring node did not start, see %s: %.400s", p.log, tail(text))
	}
	for line := range strings.Lines(text) {
		if _, after, ok := strings.Cut(line, "password "); ok {
			return strings.Fields(after)[0], nil
		}
	}
	return "", fmt.Errorf("no password in %s", p.log)
}

func tail(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

// close ends everything. The janitor removes the namespaces and the folder.
func (l *lab) close() {
	say("stopping")
	l.endAll()
	for _, c := range l.closers {
		_ = c.Close()
	}
	removeNetwork()
	if l.life != nil {
		_ = l.life.Close()
	}
	if l.keep {
		say("files are in %s", l.dir)
		return
	}
	_ = os.RemoveAll(l.dir)
}

// until polls a condition of the outside world.
func until(ctx context.Context, ok func() bool) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

func say(format string, args ...any) {
	fmt.Printf("lab %s  %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}
