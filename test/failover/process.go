package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a started program.
type process struct {
	cmd    *exec.Cmd
	output string // file of what it printed
	ended  chan struct{}
}

// launch starts a prepared command; output is the file that gets what it prints.
func launch(cmd *exec.Cmd, output string) (*process, error) {
	out, err := os.OpenFile(output, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the output of a program: %w", err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", strings.Join(cmd.Args, " "), err)
	}
	p := &process{cmd: cmd, output: output, ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// errEnded is what makes it useless to wait for a condition any longer.
var errEnded = errors.New("it ended by itself")

// alive tells whether the program has not ended.
func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// said is the end of what the program printed.
func (p *process) said() string {
	b, _ := os.ReadFile(p.output)
	return string(b[max(0, len(b)-800):])
}

// signal is sent to the program alone.
func (p *process) signal(s syscall.Signal) {
	if p.alive() {
		_ = p.cmd.Process.Signal(s)
	}
}

// wait waits for the end of the program.
func (p *process) wait(limit time.Duration) error {
	select {
	case <-p.ended:
		return nil
	case <-time.After(limit):
		return fmt.Errorf("process %d does not end within %s; it said:\n%s", p.pid(), limit, p.said())
	}
}

// kill ends the program and all that it started, and waits for the program.
func (p *process) kill() error {
	if !p.alive() {
		return nil
	}
	pids := tree(p.pid())
	for { // a parent may start another child until it is stopped
		each(pids, syscall.SIGSTOP)
		again := tree(p.pid())
		if len(again) <= len(pids) {
			break
		}
		pids = again
	}
	each(pids, syscall.SIGKILL)
	return p.wait(10 * time.Second)
}

// tree lists a process and its descendants, leaves first.
func tree(root int) []int {
	children := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		if f := statFields(file); f != nil {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			parent, _ := strconv.Atoi(f[1])
			children[parent] = append(children[parent], pid)
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	slices.Reverse(all)
	return all
}

// statFields are the fields of a /proc/PID/stat from the state on, nil when the process is gone. They stand after
// the last parenthesis, since the name may hold anything.
func statFields(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(f) < 15 {
		return nil
	}
	return f
}

// each sends a signal to all, in their order. Those that are gone are no error.
func each(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, s)
	}
}

// killNow ends processes, leaves first, as if at one instant: all are stopped before the first dies, so that no
// parent and no child sees the death of another and says farewell.
func killNow(pids []int) {
	each(pids, syscall.SIGSTOP)
	each(pids, syscall.SIGKILL)
}
