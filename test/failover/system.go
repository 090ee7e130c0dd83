package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"keepwatch/haagent/status"
)

// mode is a column of the table: version, interval and the priorities of the two nodes.
type mode struct {
	name         string
	version      int
	interval     time.Duration
	strong, weak int
}

var modes = []mode{
	{"v2-1s-200", 2, time.Second, 200, 100},
	{"v2-1s-254", 2, time.Second, 254, 253},
	{"v3-100ms-200", 3, 100 * time.Millisecond, 200, 100},
	{"v3-100ms-254", 3, 100 * time.Millisecond, 254, 253},
	{"v3-10ms-200", 3, 10 * time.Millisecond, 200, 100},
	{"v3-10ms-254", 3, 10 * time.Millisecond, 254, 253},
}

// title is the mode as people read it.
func (m mode) title() string {
	return fmt.Sprintf("v%d %s %d/%d", m.version, m.interval, m.strong, m.weak)
}

// watched is what an agent tracks, with weight 0: nothing, the result of a script, or the service in some way.
type watched int

const (
	nothing   watched = iota
	byFlag            // a script that fails when a file is there
	byScript          // a script that looks whether the service runs
	byProcess         // the service's process
	byConnect         // a connection to the service
)

// setup is how one virtual router is to run; a system turns it into a configuration.
type setup struct {
	vrid, version, priority int
	interval                time.Duration
	addresses               []string // with prefix length
	watch                   watched
	check                   time.Duration // interval of script and connection
	bfd                     string        // address of the peer; empty: none
}

// system is one of the two that are compared.
type system interface {
	name() string
	// configure writes what a node's agent is to run.
	configure(s *side, all ...setup) error
	// start starts a node's agent.
	start(s *side) error
	// state asks the agent whether all its virtual routers are backup of a master that they hear, or master.
	state(s *side) (string, error)
}

// script is the program that a node's agent runs: it leaves the time of its run, and fails when it should.
func (s *side) script(w watched) (string, error) {
	text := "#!/bin/sh\n: >" + s.path("ran") + "\n"
	if w == byFlag {
		text += "[ ! -e " + s.path("fail") + " ]\n"
	} else {
		text += "read pid <" + s.path("service.pid") + " && [ -d /proc/$pid ]\n"
	}
	ran := s.path("ran")
	return s.path("check"), errors.Join(os.WriteFile(s.path("check"), []byte(text), 0o755), os.WriteFile(ran, nil, 0o666), os.Chmod(ran, 0o666))
}

// ours is Keepwatch's agent.
type ours struct{ program string }

func (*ours) name() string { return "keepwatch" }

func (o *ours) configure(s *side, all ...setup) error {
	var b strings.Builder
	b.WriteString("haagent:\n  instances:\n")
	for _, v := range all {
		fmt.Fprintf(&b, "    - {name: v%d, interface: eth0, vrid: %d, version: %d, priority: %d, interval: %s, pair: true, addresses: [%s]",
			v.vrid, v.vrid, v.version, v.priority, v.interval, strings.Join(v.addresses, ", "))
		if v.watch != nothing {
			b.WriteString(", track: [{name: service}]")
		}
		if v.bfd != "" {
			b.WriteString(", bfd: [peer]")
		}
		b.WriteString("}\n")
	}
	v := all[0]
	if v.bfd != "" {
		fmt.Fprintf(&b, "  bfd:\n    - {name: peer, peer: %s, interval: 30ms, multiplier: 3}\n", v.bfd)
	}
	switch v.watch {
	case byFlag, byScript:
		path, err := s.script(v.watch)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "  tracks:\n    - {name: service, script: [%s], interval: %s, rise: 1, fall: 1}\n", path, v.check)
	case byProcess:
		fmt.Fprintf(&b, "  tracks:\n    - {name: service, process: %s}\n", filepath.Base(s.program))
	case byConnect:
		fmt.Fprintf(&b, "  tracks:\n    - {name: service, tcp: \"%s:%d\", interval: %s, rise: 1, fall: 1}\n", s.address, port, v.check)
	}
	data := s.path("data")
	return errors.Join(os.RemoveAll(data), os.Mkdir(data, 0o700), os.WriteFile(s.path("keepwatch.yaml"), []byte(b.String()), 0o600))
}

func (o *ours) start(s *side) (err error) {
	s.agent, err = launch(s.Command(o.program, "haagent", "--config", s.path("keepwatch.yaml"), "--data", s.path("data")), s.path("agent.log"))
	return err
}

func (o *ours) status(s *side) (st status.Status, err error) {
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.path("data"), status.Socket))
	}}}
	r, err := c.Get("http://agent/status")
	if err != nil {
		return st, err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || r.StatusCode != http.StatusOK {
		return st, fmt.Errorf("%s: %.200s, %w", r.Status, text, err)
	}
	return st, json.Unmarshal(text, &st)
}

func (o *ours) state(s *side) (string, error) {
	st, err := o.status(s)
	if err != nil {
		return "", err
	}
	if len(st.Instances) == 0 {
		return "", errors.New("no instance yet")
	}
	for _, b := range st.BFD {
		if !b.Up {
			return "", fmt.Errorf("the BFD session is %s", b.State)
		}
	}
	for _, t := range st.Tracks {
		if !t.Up {
			return "", fmt.Errorf("track %s is down: %s", t.Name, t.Detail)
		}
	}
	found := ""
	for _, i := range st.Instances {
		if i.State == "backup" && (i.Master == nil || i.Master.Priority == 0) {
			return "", fmt.Errorf("%s is backup and hears no master", i.Name)
		}
		if found != "" && i.State != found {
			return "", fmt.Errorf("%s is %s: %s", i.Name, i.State, i.Reason)
		}
		found = i.State
	}
	return found, nil
}

// keepalived is Debian's keepalived, run without a word to a log, which would slow it.
type keepalived struct{}

func (*keepalived) name() string { return "keepalived" }

func (*keepalived) configure(s *side, all ...setup) error {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n vrrp_version %d\n script_user root\n enable_script_security\n}\n", all[0].version)
	v := all[0]
	track := ""
	switch v.watch {
	case byFlag, byScript:
		path, err := s.script(v.watch)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "vrrp_script service {\n script %s\n interval %d\n rise 1\n fall 1\n}\n", path, max(1, v.check/time.Second))
		track = " track_script {\n  service\n }\n"
	case byProcess:
		fmt.Fprintf(&b, "vrrp_track_process service {\n process %s\n}\n", filepath.Base(s.program))
		track = " track_process {\n  service\n }\n"
	}
	for _, v := range all {
		fmt.Fprintf(&b, "vrrp_instance v%d {\n state BACKUP\n interface eth0\n virtual_router_id %d\n priority %d\n advert_int %g\n virtual_ipaddress {\n  %s\n }\n%s}\n",
			v.vrid, v.vrid, v.priority, v.interval.Seconds(), strings.Join(v.addresses, "\n  "), track)
	}
	return os.WriteFile(s.path("keepalived.conf"), []byte(b.String()), 0o600)
}

func (*keepalived) start(s *side) (err error) {
	// A killed one left its file; a signal before the new one is ready would end it.
	if err := ignoreMissing(os.Remove(s.path("vrrp.pid"))); err != nil {
		return err
	}
	// It writes its state into /tmp, so it gets one of its own.
	s.agent, err = launch(s.Command("unshare", "--mount", "sh", "-c",
		`mount --bind "$0" /tmp && exec keepalived -n -G -P -f "$0"/keepalived.conf --pid="$0"/keepalived.pid --vrrp_pid="$0"/vrrp.pid`, s.dir), s.path("agent.log"))
	return err
}

// dump is what is asked of keepalived's state.
type dump struct {
	Data struct {
		Name  string `json:"iname"`
		State int    `json:"state"` // 0 init, 1 backup, 2 master, 3 fault
	} `json:"data"`
	Stats struct {
		Received int `json:"advert_rcvd"`
		Masters  int `json:"become_master"`
	} `json:"stats"`
}

// dump has keepalived write its state.
func (*keepalived) dump(s *side) (all []dump, err error) {
	path := s.path("keepalived.json")
	if err := ignoreMissing(os.Remove(path)); err != nil {
		return nil, err
	}
	if _, err := os.Stat(s.path("vrrp.pid")); err != nil {
		return nil, err // it is not ready for signals
	}
	const sigJSON = syscall.Signal(36) // SIGRTMIN+2
	s.agent.signal(sigJSON)
	for range 50 {
		time.Sleep(time.Millisecond)
		text, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(text, &all) == nil {
			return all, nil
		}
	}
	return nil, errors.New("keepalived does not write its state")
}

func (k *keepalived) state(s *side) (string, error) {
	all, err := k.dump(s)
	if err != nil {
		return "", err
	}
	found := ""
	for _, d := range all {
		word := [...]string{"init", "backup", "master", "fault"}[d.Data.State&3]
		if word == "backup" && d.Stats.Received == 0 {
			return "", fmt.Errorf("%s is backup and hears no master", d.Data.Name)
		}
		if found != "" && word != found {
			return "", fmt.Errorf("%s is %s", d.Data.Name, word)
		}
		found = word
	}
	return found, nil
}
