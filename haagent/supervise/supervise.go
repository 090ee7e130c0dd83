// Package supervise is the parent of an HA agent: it starts the agent as a child process, and when the child dies it
// carries out the child's testament at once, so that peers hear of the death and no address stays behind; then it
// starts the agent again. It never decides anything about virtual routers, and reads no configuration: what it knows
// is what the child told it. cmd/keepwatch-haagent runs it.
//
// The other way round, a child whose parent died sees the end of their socket and leaves as on SIGTERM. Where both
// are killed in one moment, the leases of the addresses end by themselves.
package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"
)

const (
	// Silence is how long a child may give no sign of life before it counts as stuck and is killed.
	Silence = 3 * time.Second
	// FirstSilence is the same until its first sign: a child that starts reads its configuration before.
	FirstSilence = 10 * time.Second
	// StopTime is how long a child may take to leave, a handover included, before it is killed.
	StopTime = 30 * time.Second
	// LongestPause is the longest before a child that died is started again.
	LongestPause = 5 * time.Second
)

// Options say what to run.
type Options struct {
	Program string             // path of the child's file
	Args    []string           // as the child sees them, its name first
	Env     []string           // of the child, which gets testament.FDVariable too
	Hangup  <-chan os.Signal   // each is passed on as SIGHUP; may be nil
	Notify  func(state string) // told how the child is, in the words of sd_notify(3); may be nil, may be slow
	Log     *slog.Logger
}

// ExitError says that the first child gave up before it was running: another one would fare the same.
type ExitError struct {
	Status int // the child's, which has said why on standard error
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("the HA agent ended with status %d before it ran", e.Status)
}

// Run runs the child until ctx ends, and again whenever it ended. When ctx has ended it asks the child to leave and
// waits for it. The error is an *ExitError when the first child gave up before it was running.
func Run(ctx context.Context, opt Options) error {
	will, err := newExecutor()
	if err != nil {
		return err
	}
	defer will.close()
	tell := newTeller(opt.Notify)
	defer tell.end()
	var pause time.Duration
	for ran := false; ; {
		started := time.Now()
		c, err := start(opt, will, tell)
		if err != nil {
			return err
		}
		l := c.attend(ctx, opt.Hangup)
		ran = ran || l.ran
		if ctx.Err() != nil {
			return l.stopped(opt.Log)
		}
		if !ran && l.status > 0 {
			return &ExitError{Status: l.status}
		}
		pause = backOff(pause, time.Since(started))
		tell.say("STATUS=The agent ended: " + l.how + ". It is started again.")
		opt.Log.Error("the HA agent ended; it is started again", append(l.attrs(), "pause", pause)...)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// backOff is the pause before the next start, after a child that lived so long.
func backOff(last, lived time.Duration) time.Duration {
	const first, healthy = 100 * time.Millisecond, time.Minute
	if last == 0 || lived >= healthy {
		return first
	}
	return min(2*last, LongestPause)
}
