package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/realtime"
)

// child is a started master process. When the agent dies, however it dies, the kernel ends it too.
type child struct {
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // after exited
	out    *tail
}

func start(binary string, args []string) (*child, error) {
	// A pipe of our own: exec's would make Wait wait for every worker that has it open, and the end of the master
	// is to be known at once.
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(binary, args...), exited: make(chan struct{}), out: &tail{}}
	c.cmd.Dir = "/"
	c.cmd.Stdout, c.cmd.Stderr = write, write
	c.cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGTERM}
	started := make(chan error, 1)
	go func() {
		defer close(c.exited)
		defer read.Close()
		// The parent-death signal comes when the starting thread ends, so this thread must stay.
		runtime.LockOSThread()
		err := realtime.Decline(0) // the program inherits what the thread has
		if err == nil {
			err = c.cmd.Start()
		}
		_ = write.Close()
		started <- err
		if err == nil {
			c.wait(read)
		}
	}()
	return c, <-started
}

// wait returns when the master has ended. Workers that outlive it hold the ports and are of no use: they are ended.
func (c *child) wait(output io.Reader) {
	copied := make(chan struct{})
	go func() {
		_, _ = io.Copy(c.out, output)
		close(copied)
	}()
	c.err = c.cmd.Wait()
	_ = unix.Kill(-c.pid(), unix.SIGKILL) // the process group
	<-copied
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// result says how it ended, once it has.
func (c *child) result() error {
	how := "haproxy ended with exit status 0"
	if c.err != nil {
		how = "haproxy ended: " + c.err.Error()
	}
	if last := firstAlert(c.out.bytes(), nil); last != "" {
		how += ": " + last
	}
	return errors.New(how)
}

// await returns how it ended, or nil when ctx did.
func (c *child) await(ctx context.Context) error {
	select {
	case <-c.exited:
		return c.result()
	case <-ctx.Done():
		return nil
	}
}

// stop ends it and its workers.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-c.exited:
		return nil
	case <-time.After(2 * time.Second):
	}
	_ = c.cmd.Process.Kill() // wait ends its workers
	<-c.exited
	return nil
}

// endLeftOver ends a HAProxy that a killed agent left behind: it holds the ports and the sockets. It is known by
// the configuration that it runs, since a process number alone may have been given to somebody else.
func (p *Proxy) endLeftOver(ctx context.Context) error {
	text, err := os.ReadFile(p.files.PID)
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 || !p.runsOurs(pid) {
		return nil
	}
	p.opt.Log.Warn("ending the proxy that an earlier agent left", "pid", pid)
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		_ = unix.Kill(pid, sig)
		for limit := time.Now().Add(3 * time.Second); p.runsOurs(pid); {
			if time.Now().After(limit) {
				break
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(20 * time.Millisecond):
			}
		}
		if !p.runsOurs(pid) {
			return nil
		}
	}
	return fmt.Errorf("an earlier proxy, process %d, does not end", pid)
}

func (p *Proxy) runsOurs(pid int) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && bytes.Contains(line, append([]byte(p.files.Config), 0))
}

// tail keeps the last few kilobytes that a program wrote.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailBytes = 4096

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > tailBytes {
		t.b = append(t.b[:0], t.b[len(t.b)-tailBytes:]...)
	}
	return len(p), nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.b)
}

// firstAlert takes the line out of HAProxy's output that says what is wrong.
func firstAlert(out []byte, err error) string {
	for line := range strings.Lines(string(out)) {
		if _, text, found := strings.Cut(line, "[ALERT]"); found {
			if _, after, ok := strings.Cut(text, " : "); ok {
				text = after
			}
			return fmt.Sprintf("%.300s", strings.TrimSpace(text))
		}
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
