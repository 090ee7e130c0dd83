package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/testament"
)

const (
	// punctual is how late this process may notice a silence for it to mean anything.
	punctual = 500 * time.Millisecond
	// dying is how long a killed child may take to die before its testament is carried out nevertheless: it does not
	// come back to life, but the kernel may hold it up.
	dying = time.Second
)

// child is one process of the agent.
type child struct {
	cmd    *exec.Cmd
	reader *testament.Reader
	will   *executor
	tell   *teller
	first  chan struct{} // closed at the first sign of life
	life   life
}

// life is how a child lived and ended.
type life struct {
	ran    bool   // it was running once
	meant  bool   // it said goodbye
	status int    // of its exit, -1: a signal ended it
	how    string // it ended: "signal: killed (it gave no sign of life for 3s)"
	deeds  deeds  // what its testament took
}

func start(opt Options, will *executor, tell *teller) (*child, error) {
	parent, theirs, err := testament.Pair()
	if err != nil {
		return nil, fmt.Errorf("cannot make the HA agent's socket: %w", err)
	}
	defer theirs.Close()
	cmd := &exec.Cmd{
		Path: opt.Program, Args: opt.Args, Env: append(slices.Clone(opt.Env), testament.FDVariable+"=3"),
		Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: []*os.File{theirs},
		// A group of its own: who interrupts this process at a terminal interrupts the child through it.
		SysProcAttr: &unix.SysProcAttr{Setpgid: true},
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start the HA agent: %w", err), parent.Close())
	}
	return &child{cmd: cmd, reader: testament.NewReader(parent), will: will, tell: tell, first: make(chan struct{})}, nil
}

// attend follows the child to its end, asks it to leave when ctx ends, and passes hangups on.
func (c *child) attend(ctx context.Context, hangup <-chan os.Signal) life {
	ended, passed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(passed)
		c.pass(ctx, hangup, ended)
	}()
	why := c.follow()
	limit := time.AfterFunc(StopTime, func() { _ = c.cmd.Process.Kill() }) // it said goodbye and stays
	_ = c.cmd.Wait()                                                       // its error is the state's
	limit.Stop()
	close(ended)
	<-passed
	_ = c.reader.Close()
	state := c.cmd.ProcessState
	c.life.status, c.life.how = state.ExitCode(), state.String()
	if why != "" {
		c.life.how += " (" + why + ")"
	}
	return c.life
}

// pass hands signals to the child until it has ended.
func (c *child) pass(ctx context.Context, hangup <-chan os.Signal, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-hangup:
			select { // a child that does not listen yet would die of it
			case <-c.first:
				_ = c.cmd.Process.Signal(unix.SIGHUP) // it is gone
			case <-ended:
			case <-ctx.Done():
			}
		case <-ctx.Done():
			c.tell.say("STOPPING=1")
			_ = c.cmd.Process.Signal(unix.SIGTERM)
			select {
			case <-ended:
			case <-time.After(StopTime):
				_ = c.cmd.Process.Kill()
			}
			return
		}
	}
}

// follow reads what the child says until it says no more, and then carries out its testament before anything else. It
// returns why the child was killed.
func (c *child) follow() (killed string) {
	until := time.Now().Add(FirstSilence)
	for {
		news, err := c.reader.Next(until)
		now := time.Now()
		switch {
		case err == nil:
			until = now.Add(Silence)
			c.heard(news)
		case errors.Is(err, os.ErrDeadlineExceeded) && killed == "":
			if overslept(until, now) {
				until = now.Add(Silence)
				continue
			}
			killed = "it gave no sign of life for too long"
			_ = c.cmd.Process.Kill()
			until = now.Add(dying)
		case c.reader.State() == testament.Gone:
			c.life.meant = true
			return killed
		default:
			c.life.deeds = c.will.execute(c.reader.Wills())
			_ = c.cmd.Process.Kill() // whatever it still is, it is no agent: its testament is carried out
			if errors.Is(err, testament.ErrGarbage) {
				killed = err.Error()
			}
			return killed
		}
	}
}

// overslept tells that this process itself was stopped or not scheduled past the end of a silence: it knows nothing
// about its child then, whose signs of life may wait in the socket or which may have been stopped with it.
func overslept(until, now time.Time) bool { return now.Sub(until) > punctual }

func (c *child) heard(n testament.News) {
	select {
	case <-c.first:
	default:
		close(c.first)
	}
	switch {
	case n.Said && n.State == testament.Running:
		c.life.ran = true
		c.tell.say("READY=1\nSTATUS=The agent runs.")
	case n.Said && n.State == testament.Reloading:
		c.tell.reloading()
	case n.Will == nil:
		c.tell.alive()
	}
}

// stopped tells of an end that was asked for.
func (l life) stopped(log *slog.Logger) error {
	if l.meant || l.status == 0 || !l.ran && l.deeds == (deeds{}) {
		return nil
	}
	log.Error("the HA agent did not leave by itself", l.attrs()...)
	return fmt.Errorf("the HA agent did not leave by itself: %s", l.how)
}

func (l life) attrs() []any {
	a := []any{"how", l.how, "farewells", l.deeds.farewells, "addresses", l.deeds.addresses, "took", l.deeds.took}
	if l.deeds.failed != "" {
		a = append(a, "err", l.deeds.failed)
	}
	return a
}
