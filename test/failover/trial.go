package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

const vrid = 51

// result is what one trial found; a line of the results file.
type result struct {
	Case     string  `json:"case"`
	Mode     string  `json:"mode"`
	System   string  `json:"system"`
	Trial    int     `json:"trial"`
	Phase    float64 `json:"phase"` // of the interval, when the event came
	GapMS    float64 `json:"gap_ms"`
	Failed   int     `json:"failed"`
	Requests int     `json:"requests"`
	HoleMS   float64 `json:"hole_ms"` // the client's own longest pause
	CPUUS    float64 `json:"cpu_us"`  // the client's, for a request

	FreezeGapMS  float64 `json:"freeze_gap_ms,omitempty"` // while the agent stood still
	FreezeFailed int     `json:"freeze_failed,omitempty"`

	Tries int    `json:"tries"` // how often it was carried out: see tooLate
	Build string `json:"build"` // of the agent
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// trial runs one: fresh agents, steady state, event, recovery.
type trial struct {
	*rig
	sys    system
	mode   mode
	sc     *scenario
	phase  float64
	client *client
}

func (t *trial) run() (res result, err error) {
	defer func() { err = errors.Join(err, t.clear()) }()
	res = result{Case: t.sc.name, Mode: t.mode.name, System: t.sys.name(), Phase: t.phase}
	if err := t.prepare(); err != nil {
		return res, err
	}
	t.client = t.connect()
	defer func() {
		if stopped := t.client.stop(); err == nil {
			err = stopped
		}
	}()
	from := t.a
	if t.sc.returns {
		from = t.b
	}
	if err := t.await("the client to be answered", func() error { return t.answeredBy(from) }); err != nil {
		return res, err
	}
	start := t.client.since(time.Now())
	frozen, continued, err := t.happen()
	if err != nil {
		return res, err
	}
	to := t.b
	if t.sc.back {
		to = t.a
	}
	if err := t.await("recovery", func() error { return errors.Join(t.answeredBy(to), t.quiet(to)) }); err != nil {
		return res, err
	}
	if err := t.client.stop(); err != nil {
		return res, err
	}
	t.measure(&res, start, frozen, continued)
	return res, nil
}

// prepare brings both nodes into the state before the event and waits until everything agrees on it.
func (t *trial) prepare() error {
	if err := t.clear(); err != nil {
		return err
	}
	for _, s := range []*side{t.a, t.b} {
		if err := t.serve(s); err != nil {
			return err
		}
		if err := errors.Join(t.configure(s), t.sys.start(s)); err != nil {
			return err
		}
	}
	if err := t.await("a steady state", func() error { return t.steady(t.a, t.b) }); err != nil {
		return fmt.Errorf("%w; a said:\n%s\nb said:\n%s", err, t.a.agent.said(), t.b.agent.said())
	}
	if !t.sc.returns {
		return nil
	}
	t.a.terminate()
	if err := t.a.agent.wait(limit); err != nil {
		return err
	}
	return t.await("b to be alone", func() error { return t.quiet(t.b) })
}

func (t *trial) configure(s *side) error {
	w := setup{vrid: vrid, version: t.mode.version, priority: t.mode.strong, interval: t.mode.interval, addresses: []string{vip + "/24"},
		watch: t.sc.watch[t.sys.name()], check: t.sc.check[t.sys.name()]}
	peer := t.b
	if s == t.b {
		w.priority, peer = t.mode.weak, t.a
	}
	if t.sc.bfd {
		w.bfd = peer.address.String()
	}
	return t.sys.configure(s, w)
}

// steady tells whether one node is master, the other backup, and all see it so: the wire, both agents, the kernel.
func (t *trial) steady(master, backup *side) error {
	for _, s := range []*side{master, backup} {
		if !s.agent.alive() {
			return fmt.Errorf("agent %c: %w", s.letter, errEnded)
		}
	}
	if err := t.quiet(master); err != nil {
		return err
	}
	if v := t.seen.from(master.address, vrid).version; v != t.mode.version {
		return fmt.Errorf("%s speaks VRRP version %d, want %d", t.sys.name(), v, t.mode.version)
	}
	for s, want := range map[*side]string{master: "master", backup: "backup"} {
		got, err := t.sys.state(s)
		if err == nil && got != want {
			err = fmt.Errorf("%c is %s, want %s", s.letter, got, want)
		}
		if err != nil {
			return err
		}
	}
	if !master.Holds(vip) || backup.Holds(vip) {
		return fmt.Errorf("a holds %v, b %v", t.a.Addresses(), t.b.Addresses())
	}
	return nil
}

// quiet tells whether a node advertises, and the other has not for longer than a master may pause.
func (t *trial) quiet(master *side) error {
	other := t.a
	if master == t.a {
		other = t.b
	}
	late := t.mode.interval*3/2 + 20*time.Millisecond
	if heard := t.seen.from(master.address, vrid); heard.priority == 0 || time.Since(heard.at) > late {
		return fmt.Errorf("%c does not advertise", master.letter)
	}
	if heard := t.seen.from(other.address, vrid); heard.priority != 0 && time.Since(heard.at) < late {
		return fmt.Errorf("%c still advertises", other.letter)
	}
	return nil
}

// settled is for how long every request must have been answered by one node.
const settled = 200 * time.Millisecond

// answeredBy tells whether all requests of the last while were, except for those that are on their way.
func (t *trial) answeredBy(s *side) error {
	select {
	case <-t.client.ended:
		return fmt.Errorf("the client: %w: %w", errEnded, t.client.err)
	default:
	}
	now := t.client.since(time.Now())
	good := 0
	for _, q := range t.client.from(now - settled - promptly) {
		switch {
		case q.prompt() && q.node == s.letter:
			good++
		case q.done || now-q.start > promptly:
			return fmt.Errorf("a request of %s ago was not answered by %c", now-q.start, s.letter)
		}
	}
	if want := int(settled / every * 8 / 10); good < want { // the client may be late now and then
		return fmt.Errorf("%d requests were answered, want %d", good, want)
	}
	return nil
}

// happen waits for the phase and makes the event. A freeze has a begin and an end on the client's clock.
func (t *trial) happen() (frozen, continued time.Duration, err error) {
	var at time.Time
	if !t.sc.returns {
		if at, err = t.moment(); err != nil {
			return 0, 0, err
		}
		sleepUntil(at)
	}
	if t.sc.freeze == 0 {
		return 0, 0, t.sc.event(t.sys, t.a)
	}
	pids := t.a.all(false)
	frozen = t.client.since(time.Now())
	each(pids, syscall.SIGSTOP)
	sleepUntil(time.Now().Add(t.sc.freeze))
	continued = t.client.since(time.Now())
	each(pids, syscall.SIGCONT)
	return frozen, continued, nil
}

// moment is the next time that lies a part of an interval, the phase, after an advertisement, or after a run of the
// script that sees the event.
func (t *trial) moment() (time.Time, error) {
	last, interval := t.seen.from(t.a.address, vrid).at, t.mode.interval
	if w := t.sc.watch[t.sys.name()]; t.sc.stamped && w == byScript {
		info, err := os.Stat(t.a.path("ran"))
		if err != nil {
			return last, fmt.Errorf("cannot tell when the script ran: %w", err)
		}
		last, interval = info.ModTime(), t.sc.check[t.sys.name()]
	}
	at := last.Add(time.Duration(t.phase * float64(interval)))
	for time.Until(at) < time.Millisecond {
		at = at.Add(interval)
	}
	return at, nil
}

// measure fills in what the client saw.
func (t *trial) measure(res *result, start, frozen, continued time.Duration) {
	all := t.client.from(0)
	if t.sc.freeze > 0 {
		o := judge(all, frozen, continued)
		res.FreezeGapMS, res.FreezeFailed = ms(o.gap), o.failed
		start = continued
	}
	o := judge(all, start, t.client.since(time.Now()))
	res.GapMS, res.Failed, res.Requests, res.HoleMS = ms(o.gap), o.failed, o.requests, ms(o.hole)
	res.CPUUS = float64(t.client.cpu.Nanoseconds()) / 1000 / float64(max(1, len(all)))
}

// applies tells whether a case is measured with a system in a mode.
func (sc *scenario) applies(sys system, m mode) bool {
	_, known := sc.watch[sys.name()]
	return known && strings.HasPrefix(m.name, sc.only)
}
