package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"keepwatch/haagent/status"
)

// agentProgram is the HA agent's own program: what fails over must stay when this one, which is large, has to go.
const agentProgram = "keepwatch-haagent"

func haagentCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "haagent", Short: "Run VRRP, virtual addresses and the proxy of this host (needs CAP_NET_ADMIN and CAP_NET_RAW)", Args: cobra.NoArgs,
		Long: `Runs VRRP, virtual addresses and the proxy of this host. It is the program keepwatch-haagent, which lies beside this one
and can be started in its place. It needs CAP_NET_ADMIN and CAP_NET_RAW.`,
		RunE: func(*cobra.Command, []string) error {
			return g.become(agentProgram)
		},
	}
}

// become makes this process the program of a role that has one of its own.
func (g *global) become(program string) error {
	path, err := beside(program)
	if err != nil {
		return err
	}
	return fmt.Errorf("cannot start %s: %w", path, unix.Exec(path, g.programArgs(program), os.Environ()))
}

// beside finds the program of a role in this program's folder.
func beside(program string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("cannot find this program's own folder: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), program)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is a program of its own, which is missing beside this one: build it with make build, or install both in one folder: %w", program, err)
	}
	return path, nil
}

func (g *global) programArgs(program string) []string {
	return []string{program, "--config", g.config, "--data", g.data}
}

// agentProcess is the HA agent that keepwatch up runs, in a process of its own.
type agentProcess struct {
	global *global
	path   string
	log    *slog.Logger
	hangup chan struct{} // has a token when the agent shall read its configuration again
}

func newAgentProcess(g *global, log *slog.Logger) (*agentProcess, error) {
	path, err := beside(agentProgram)
	return &agentProcess{global: g, path: path, log: log, hangup: make(chan struct{}, 1)}, err
}

// agentRefuses is the exit code of an agent that cannot run its configuration.
const agentRefuses = 2

// agentStop is how long the agent may take to hand its addresses over.
const agentStop = 35 * time.Second

// run keeps the agent running until ctx ends. It fails when the agent cannot run its first configuration at all.
func (p *agentProcess) run(ctx context.Context) error {
	// The kernel tells the agent when the thread that started it ends: so it ends with this process, however that
	// ends. The thread is this goroutine's, and goes with it.
	runtime.LockOSThread()
	const first, longest, healthy = 100 * time.Millisecond, 5 * time.Second, time.Minute
	for again, pause := false, first; ; again = true {
		started := time.Now()
		state, err := p.once(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if !again && state.ExitCode() == agentRefuses {
			return errors.New("the HA agent cannot run this configuration, it has said why")
		}
		if time.Since(started) >= healthy {
			pause = first
		}
		p.log.Error("the HA agent ended; it is started again", "how", state.String(), "pause", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, longest)
	}
}

// once runs one process to its end.
func (p *agentProcess) once(ctx context.Context) (*os.ProcessState, error) {
	cmd := &exec.Cmd{
		Path: p.path, Args: p.global.programArgs(agentProgram), Stdout: os.Stdout, Stderr: os.Stderr,
		// A group of its own: who interrupts this program at a terminal interrupts the agent through it.
		SysProcAttr: &unix.SysProcAttr{Pdeathsig: unix.SIGTERM, Setpgid: true},
	}
	select {
	case <-p.hangup: // it is going to read the configuration anyway
	default:
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the HA agent: %w", err)
	}
	ended, passed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(passed)
		p.pass(ctx, cmd.Process, ended)
	}()
	_ = cmd.Wait() // its error is the state's
	close(ended)
	<-passed
	return cmd.ProcessState, nil
}

// pass hands signals to the agent until it has ended.
func (p *agentProcess) pass(ctx context.Context, agent *os.Process, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-p.hangup:
			_ = agent.Signal(unix.SIGHUP) // it is gone
		case <-ctx.Done():
			_ = agent.Signal(unix.SIGTERM)
			select {
			case <-ended:
			case <-time.After(agentStop):
				_ = agent.Kill()
			}
			return
		}
	}
}

// reload tells the agent to read its configuration again. What comes of it is in its log.
func (p *agentProcess) reload() {
	select {
	case p.hangup <- struct{}{}:
	default: // it has been told
	}
}

// status is what the agent says of itself, or why it says nothing.
func (p *agentProcess) status() any {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	text, err := p.global.control(status.Socket).call(ctx, "GET", "/status", nil)
	var s status.Status
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	return s
}
