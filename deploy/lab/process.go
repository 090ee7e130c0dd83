package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// starter starts all programs from one thread that lives as long as the lab: the kernel ends a child when the
// thread that started it ends.
type starter struct{ work chan func() }

func newStarter() *starter {
	s := &starter{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for fn := range s.work {
			fn()
		}
	}()
	return s
}

func (s *starter) start(cmd *exec.Cmd) (err error) {
	done := make(chan struct{})
	s.work <- func() { err = cmd.Start(); close(done) }
	<-done
	return err
}

// process is one program in one host.
type process struct {
	name, host string
	args       []string
	log        string
	cmd        *exec.Cmd
	exited     chan struct{}
}

// launch starts a program in a host, its output in a file of the lab's folder.
func (l *lab) launch(name, host string, args ...string) (*process, error) {
	p := &process{name: name, host: host, args: args, log: filepath.Join(l.dir, name+".log"), exited: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.Command("ip", append([]string{"netns", "exec", prefix + host}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if name == "client" {
		p.cmd.Stdout = l.client
	}
	p.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGTERM}
	if err := l.starter.start(p.cmd); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	l.mu.Lock()
	l.running[name] = p
	l.mu.Unlock()
	return p, nil
}

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// end asks the program to stop and makes it after a while.
func (p *process) end(within time.Duration) {
	_ = p.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(within):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// kill ends it at once, with nothing that it could do about it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// endAll stops what still runs, all at the same time.
func (l *lab) endAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wg sync.WaitGroup
	for _, p := range l.running {
		wg.Go(func() { p.end(8 * time.Second) })
	}
	wg.Wait()
}

// named are the processes of a program in a host.
func named(host, program string) (pids []int) {
	for _, pid := range processes(host) {
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil && strings.TrimSpace(string(comm)) == program {
			pids = append(pids, pid)
		}
	}
	return pids
}

// signalAll sends a signal to all processes of a program in a host.
func signalAll(host, program string, sig unix.Signal) error {
	pids := named(host, program)
	if len(pids) == 0 {
		return fmt.Errorf("no %s runs on %s", program, host)
	}
	var errs []error
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
