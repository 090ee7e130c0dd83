// Package script runs programs for the HA agent: checks, notifications, the confirmation of a death. It owns their
// user, their environment, their time and their end. It never uses a shell, never hands on a capability of the agent
// and never decides what an exit status means. haagent/track, haagent/notify and haagent call it, none of them from
// the path of a failover.
package script

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// MaxOutput is how many bytes of what a program prints are kept, of both streams together. The rest is read and
	// forgotten, so that the program never waits for us.
	MaxOutput = 4 << 10
	// Grace is how long a program whose time is over has between TERM and KILL.
	Grace = time.Second
	// stuck is how long the kernel gets to end what was killed: a process that waits for a dead disk cannot be ended.
	stuck = time.Second
)

// ErrClosed says that the runner is closed.
var ErrClosed = errors.New("the runner of programs is closed")

// Command is one run of a program.
type Command struct {
	Argv    []string      // program, absolute or found in Path, and its arguments; no shell
	User    string        // name or number; empty: the runner's default
	Timeout time.Duration // then TERM to the whole process group, and KILL after Grace; 0: none
	Env     []string      // KEY=value, added to PATH and LANG
	// Overdue is called once when Timeout has passed, before the program has ended, so that a verdict need not wait
	// for a program that does not want to end. It must return at once. May be nil.
	Overdue func()
}

// Result is how a program ended.
type Result struct {
	ExitCode int // -1 when a signal ended it
	TimedOut bool
	Output   string // the first MaxOutput bytes of both streams
	Took     time.Duration
}

// Runner runs programs. Its methods may be called by several goroutines at once.
type Runner struct {
	users    *users
	starts   chan *start
	closing  chan struct{}
	closed   sync.Once
	finished chan struct{}
}

// NewRunner makes a runner, to be closed by Close. defaultUser runs the commands that name none; empty is nobody when
// this process is root, else its own user. It is an error when defaultUser does not exist or may not be taken.
func NewRunner(defaultUser string) (*Runner, error) {
	u, err := newUsers(defaultUser)
	if err != nil {
		return nil, err
	}
	r := &Runner{users: u, starts: make(chan *start), closing: make(chan struct{}), finished: make(chan struct{})}
	bare := make(chan error)
	go r.serve(bare)
	if err := <-bare; err != nil {
		<-r.finished
		return nil, err
	}
	return r, nil
}

// Close ends the runner. Programs that still run are theirs who wait for them in Run.
func (r *Runner) Close() {
	r.closed.Do(func() { close(r.closing) })
	<-r.finished
}

// Forget has users looked up anew, for a reload: a number or a group may have changed.
func (r *Runner) Forget() { r.users.forget() }

// Check tells why a command could not be run: its user is unknown or may not be taken, or the program is missing or
// not safe to be run as root.
func (r *Runner) Check(c Command) error {
	_, err := r.prepare(c)
	return err
}

// Run runs a program until it has ended and tells how. A program that ended by itself is no error, whatever its exit
// status; an error means that it could not be run or not be watched to its end. When its time is over, its process
// group gets TERM and after Grace KILL; when ctx ends, KILL at once, and the error is ctx's. Children that it left
// behind by itself stay.
func (r *Runner) Run(ctx context.Context, c Command) (Result, error) {
	cmd, err := r.prepare(c)
	if err != nil {
		return Result{}, err
	}
	out, err := newOutput()
	if err != nil {
		return Result{}, fmt.Errorf("cannot make a pipe for the output of %q: %w", c.Argv[0], err)
	}
	cmd.Stdout, cmd.Stderr = out.w, out.w
	begin := time.Now()
	if err := r.start(ctx, cmd, out); err != nil {
		return Result{}, fmt.Errorf("cannot start %q: %w", c.Argv[0], err)
	}
	defer out.close()
	out.begin()
	p := watch(cmd)
	timedOut, err := p.await(ctx, c)
	res := Result{ExitCode: -1, TimedOut: timedOut, Output: out.end(), Took: time.Since(begin)}
	if err != nil {
		return res, fmt.Errorf("cannot run %q to its end: %w", c.Argv[0], err)
	}
	res.ExitCode = cmd.ProcessState.ExitCode()
	return res, nil
}

// prepare finds the program and the user and puts together what does not depend on a run.
func (r *Runner) prepare(c Command) (*exec.Cmd, error) {
	if len(c.Argv) == 0 {
		return nil, errors.New("cannot run a program without a name: name it first")
	}
	path, err := find(c.Argv[0])
	if err != nil {
		return nil, err
	}
	id, err := r.users.find(c.User)
	if err != nil {
		return nil, fmt.Errorf("cannot run %q: %w", c.Argv[0], err)
	}
	if id.uid == 0 {
		if err := safeForRoot(path); err != nil {
			return nil, err
		}
	}
	cmd := &exec.Cmd{
		Path: path, Args: c.Argv, Dir: "/",
		Env:         append([]string{"PATH=" + Path, "LANG=C"}, c.Env...),
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Credential: id.credential},
	}
	return cmd, nil
}

// process is a started program.
type process struct {
	cmd    *exec.Cmd
	exited chan error // has ended, but keeps its number, so that its group can be signalled
}

func watch(cmd *exec.Cmd) *process {
	p := &process{cmd: cmd, exited: make(chan error, 1)}
	go func() {
		for {
			err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
			if !errors.Is(err, unix.EINTR) {
				p.exited <- err
				return
			}
		}
	}()
	return p
}

// await returns when the process has ended and is reaped.
func (p *process) await(ctx context.Context, c Command) (timedOut bool, err error) {
	var over <-chan time.Time
	if c.Timeout > 0 {
		timer := time.NewTimer(c.Timeout)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case err := <-p.exited:
		return false, p.reap(err)
	case <-ctx.Done():
		return false, errors.Join(ctx.Err(), p.kill())
	case <-over:
	}
	if c.Overdue != nil {
		c.Overdue()
	}
	p.signal(unix.SIGTERM)
	grace := time.NewTimer(Grace)
	defer grace.Stop()
	select {
	case err := <-p.exited:
		p.signal(unix.SIGKILL) // children of it that did not obey
		return true, p.reap(err)
	case <-ctx.Done():
		return true, errors.Join(ctx.Err(), p.kill())
	case <-grace.C:
		return true, p.kill()
	}
}

// kill ends the whole group and reaps the process. One that the kernel cannot end is left to a goroutine that reaps
// it when it can.
func (p *process) kill() error {
	p.signal(unix.SIGKILL)
	limit := time.NewTimer(stuck)
	defer limit.Stop()
	select {
	case err := <-p.exited:
		p.signal(unix.SIGKILL) // one that it forked while the first signal was on its way
		return p.reap(err)
	case <-limit.C:
		go func() { _ = p.reap(<-p.exited) }()
		return fmt.Errorf("process %d does not end by SIGKILL: it waits in the kernel, for a disk or a file server mostly", p.cmd.Process.Pid)
	}
}

// signal signals the group. Until the process is reaped nobody else can get its number.
func (p *process) signal(s unix.Signal) { _ = unix.Kill(-p.cmd.Process.Pid, s) }

func (p *process) reap(waited error) error {
	if waited != nil {
		return fmt.Errorf("cannot wait for process %d: %w", p.cmd.Process.Pid, waited)
	}
	err := p.cmd.Wait()
	var status *exec.ExitError
	if errors.As(err, &status) {
		return nil
	}
	return err
}

// output takes what a program prints. The pipe is ours: a child that outlives the program and holds it open does not
// hold up anybody.
type output struct {
	r, w *os.File
	kept []byte
	done chan struct{}
}

func newOutput() (*output, error) {
	o := &output{done: make(chan struct{})}
	var err error
	o.r, o.w, err = os.Pipe()
	return o, err
}

// begin reads until the pipe ends or end says so. The writing side is the program's alone from now on.
func (o *output) begin() {
	_ = o.w.Close()
	go func() {
		defer close(o.done)
		buf := make([]byte, MaxOutput)
		for {
			n, err := o.r.Read(buf)
			o.keep(buf[:n])
			if err != nil {
				return
			}
		}
	}()
}

func (o *output) keep(b []byte) { o.kept = append(o.kept, b[:min(len(b), MaxOutput-len(o.kept))]...) }

// end is called when the program has ended: what it wrote is in the pipe already.
func (o *output) end() string {
	_ = o.r.SetReadDeadline(time.Now())
	<-o.done
	raw, err := o.r.SyscallConn()
	if err != nil {
		return string(o.kept)
	}
	_ = raw.Control(func(fd uintptr) {
		buf := make([]byte, MaxOutput)
		for len(o.kept) < MaxOutput {
			n, err := unix.Read(int(fd), buf)
			if n <= 0 || err != nil {
				return
			}
			o.keep(buf[:n])
		}
	})
	return string(o.kept)
}

func (o *output) close() { _, _ = o.r.Close(), o.w.Close() }
