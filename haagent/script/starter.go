package script

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/realtime"
)

// start is one program to be started.
type start struct {
	cmd     *exec.Cmd
	started chan error // buffered: nobody may be waiting any more
}

// serve starts all programs from one thread that has neither a capability nor a priority to hand on: the ambient set
// and the scheduling, which an executed program inherits, belong to a thread, not to the process. The thread is never
// given back.
func (r *Runner) serve(bare chan<- error) {
	defer close(r.finished)
	runtime.LockOSThread()
	err := errors.Join(dropCapabilities(), realtime.Decline(0))
	bare <- err
	if err != nil {
		return
	}
	for {
		select {
		case s := <-r.starts:
			s.started <- s.cmd.Start()
		case <-r.closing:
			return
		}
	}
}

// dropCapabilities empties what an executed program may inherit from the calling thread. The thread keeps its own
// capabilities: taking another user for a program needs them.
func dropCapabilities() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot clear the ambient capabilities, which programs would inherit: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("cannot tell this thread's capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("cannot clear the inheritable capabilities: %w", err)
	}
	return nil
}

// start starts a program on that thread. Whatever fails, out is closed. When ctx ends first, what still comes to life is
// killed before start returns; a start that hangs, in a dead file server mostly, is waited for no longer than stuck.
func (r *Runner) start(ctx context.Context, cmd *exec.Cmd, out *output) error {
	s := &start{cmd: cmd, started: make(chan error, 1)}
	if ctx.Err() != nil {
		out.close()
		return ctx.Err()
	}
	select {
	case r.starts <- s:
	case <-ctx.Done():
		out.close()
		return ctx.Err()
	case <-r.closing:
		out.close()
		return ErrClosed
	}
	select {
	case err := <-s.started:
		if err != nil {
			out.close()
		}
		return err
	case <-ctx.Done():
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			err := <-s.started
			out.close()
			if err == nil {
				_ = watch(cmd).kill()
			}
		}()
		select {
		case <-ended:
		case <-time.After(stuck):
		}
		return ctx.Err()
	}
}
