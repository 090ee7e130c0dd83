package main

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// scenario is a row of the table: what is tracked, what happens to node a, and who answers in the end.
type scenario struct {
	name, title string
	watch       map[string]watched       // by system; a system that is not there is not measured
	check       map[string]time.Duration // by system: interval of script or connection
	only        string                   // the one mode that it is measured in; empty: all
	bfd         bool
	returns     bool // the event is the return of a, which was stopped before
	back        bool // a answers in the end, otherwise b
	stamped     bool // the phase is that of the script, not of the advertisements
	freeze      time.Duration
	event       func(sys system, s *side) error
}

func same(w watched) map[string]watched { return map[string]watched{"keepwatch": w, "keepalived": w} }

// The smallest interval of a check that each can do: keepalived's are whole seconds.
var smallest = map[string]time.Duration{"keepwatch": 100 * time.Millisecond, "keepalived": time.Second}

var scenarios = []scenario{
	{name: "kill", title: "kill -9 of agent and service at one instant", watch: same(nothing), event: killAll},
	// The service is tracked so that the child that the parent starts anew does not take the address back.
	{name: "kill-child", title: "kill -9 of the agent's child and the service, the parent lives", check: smallest,
		watch: map[string]watched{"keepwatch": byProcess, "keepalived": byScript}, event: killChild},
	{name: "stop", title: "clean stop (SIGTERM), service stays", watch: same(nothing),
		event: func(_ system, s *side) error { s.terminate(); return nil }},
	{name: "link", title: "interface down", watch: same(nothing),
		event: func(_ system, s *side) error { return s.link.set(false) }},
	{name: "port", title: "switch port down", watch: same(nothing),
		event: func(_ system, s *side) error { return s.port.set(false) }},
	{name: "script", title: "tracked script fails, service stays", watch: same(byFlag), check: smallest, event: raiseFlag},
	{name: "service", title: "service dies; seen by process event (keepalived: script, 1 s)", check: smallest, stamped: true,
		watch: map[string]watched{"keepwatch": byProcess, "keepalived": byScript}, event: killService},
	{name: "service-check", title: "service dies; seen by a 100 ms TCP check", check: smallest,
		watch: map[string]watched{"keepwatch": byConnect}, event: killService},
	{name: "freeze", title: "agent stopped 5 s, continued: the return", watch: same(nothing), freeze: 5 * time.Second, back: true},
	{name: "return", title: "stronger node returns (preemption)", watch: same(nothing), returns: true, back: true,
		event: func(sys system, s *side) error { return sys.start(s) }},
	{name: "kill-bfd", title: "kill -9 of agent and service, BFD 30 ms × 3 beside VRRP", only: "v2-1s", bfd: true,
		watch: map[string]watched{"keepwatch": nothing}, event: killAll},
}

func killAll(_ system, s *side) error {
	killNow(s.all(true))
	return nil
}

// killChild kills what the agent's first process started, and the service.
func killChild(_ system, s *side) error {
	pids := s.all(true)
	var children []int
	for _, pid := range pids {
		if pid != s.agent.pid() {
			children = append(children, pid)
		}
	}
	if len(children) < 2 {
		return errors.New("the agent is one process, it has no child")
	}
	killNow(children)
	return nil
}

func raiseFlag(_ system, s *side) error { return os.WriteFile(s.path("fail"), nil, 0o644) }

func killService(_ system, s *side) error {
	s.service.signal(syscall.SIGKILL)
	return nil
}
