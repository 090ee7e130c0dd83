// Package gmondsend decides which of this host's gmond metrics are collected and sent when, by gmond's own rules
// (collection groups, value and time thresholds), and what a gmetric sends. It never reads a metric, opens a socket or
// looks at a clock. collector runs a Sender; cmd/keepwatch makes a Gmetric of its flags.
//
// The rules, gmond's but where it says otherwise:
//
//   - A group is collected each Every, or until each of its metrics has a value once.
//   - The whole group is sent when its time threshold has passed since it was last sent, when a collection found a
//     value moved by its value threshold or more since the collection before (not since what was last sent), and when
//     metadata of one of its metrics was never sent or is asked for.
//   - A group that could not be sent stays due, and is tried again at the next Due.
//   - Metadata goes before the first value. Unlike gmond's it goes out again each Options.Metadata at the latest, value
//     behind it, whether the group is due or not: a receiver that started anew knows all within that time. And a
//     request is answered at the next Due, not at the next collection, at most once a second for each metric.
package gmondsend

import (
	"fmt"
	"math"
	"slices"
	"time"

	"keepwatch/internal/conf"
)

// askedEvery is how often metadata is sent on request at most, of one metric.
const askedEvery = time.Second

// Options say what a Sender decides about. Times of a Sender are durations since any fixed point.
type Options struct {
	Names    []string          // of all metrics that this host has; everything else names them by their place here
	Groups   []conf.GmondGroup // empty: Default
	Metadata time.Duration     // metadata is sent again after this
	Seed     uint64            // spreads the repetition of metadata; another on every host
}

// Sender is the state of all groups. It is not safe for concurrent use.
type Sender struct {
	opt     Options
	groups  []group
	metrics []state // as Options.Names
	unknown []string
	chance  uint64
}

type group struct {
	once             bool
	every, threshold time.Duration
	metrics          []int
	collected        bool
	next             time.Duration // collection
	due              time.Duration // sending, at the latest
	moved            bool          // a value has moved by its threshold
}

type state struct {
	group     int // -1: none
	threshold float64
	title     string

	known    bool // it has a value
	previous float64
	numeric  bool // previous is one

	described bool          // metadata was sent
	asked     bool          // and is asked for
	sent      time.Duration // metadata, the last time
	again     time.Duration // metadata, at the latest
}

// New selects the metrics of each group. The error names an expression that is none.
func New(o Options) (*Sender, error) {
	if o.Metadata <= 0 {
		return nil, fmt.Errorf("cannot send gmond metadata again after %v: it must be positive", o.Metadata)
	}
	s := &Sender{opt: o, metrics: make([]state, len(o.Names)), chance: o.Seed}
	for i := range s.metrics {
		s.metrics[i].group = -1
	}
	groups := o.Groups
	if len(groups) == 0 {
		groups = Default()
	}
	for i := range groups {
		if err := s.add(&groups[i]); err != nil {
			return nil, fmt.Errorf("group %d of gmond metrics: %w", i+1, err)
		}
	}
	return s, nil
}

func (s *Sender) add(c *conf.GmondGroup) error {
	g := group{once: c.Once, every: c.Every, threshold: c.Threshold}
	for i := range c.Metrics {
		m := &c.Metrics[i]
		found, err := choose(s.opt.Names, m)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			s.unknown = append(s.unknown, m.Name+m.Match)
		}
		for _, f := range found {
			st := &s.metrics[f.metric]
			if st.group < 0 { // a metric belongs to the first group that takes it
				st.group = len(s.groups)
				g.metrics = append(g.metrics, f.metric)
			}
			if st.group == len(s.groups) { // and has what was said of it last there, as in gmond
				st.threshold, st.title = m.ValueThreshold, f.title
			}
		}
	}
	s.groups = append(s.groups, g)
	return nil
}

// Unknown lists the names and expressions of the groups that fit no metric of this host.
func (s *Sender) Unknown() []string { return s.unknown }

// Title is what a group calls a metric; empty: nothing.
func (s *Sender) Title(metric int) string { return s.metrics[metric].title }

// Collect appends the metrics that are to be collected now to dst. Each must be told to Collected before Due is asked.
func (s *Sender) Collect(now time.Duration, dst []int) []int {
	for i := range s.groups {
		g := &s.groups[i]
		if g.collected && (now < g.next || g.once && s.complete(g)) {
			continue
		}
		if !g.collected {
			g.collected, g.due = true, now
		}
		g.next = now + g.every
		dst = append(dst, g.metrics...)
	}
	return dst
}

// complete says whether all metrics of a group have a value: a group of what is collected once is collected until then.
func (s *Sender) complete(g *group) bool {
	return !slices.ContainsFunc(g.metrics, func(i int) bool { return !s.metrics[i].known })
}

// Value is what a collection found.
type Value struct {
	Known   bool // false: nothing, so that the metric is not sent until a collection finds something
	Numeric bool
	Number  float64
}

// Collected tells what the collection of a metric found.
func (s *Sender) Collected(metric int, v Value) {
	m := &s.metrics[metric]
	if m.group < 0 {
		return
	}
	// The first value has nothing to have moved from; its group is sent for its metadata anyway.
	if v.Known && v.Numeric && m.known && m.numeric && m.threshold >= 0 && math.Abs(v.Number-m.previous) >= m.threshold {
		s.groups[m.group].moved = true
	}
	m.known, m.numeric, m.previous = v.Known, v.Numeric, v.Number
}

// Asked tells that a receiver asks for the metadata of a metric, and says whether this host has it.
func (s *Sender) Asked(name string) bool {
	for i := range s.metrics {
		if m := &s.metrics[i]; m.group >= 0 && s.opt.Names[i] == name {
			m.asked = true
			return true
		}
	}
	return false
}

// Message is one metric that is to be sent: its value, or metadata and then value.
type Message struct {
	Metric   int
	Metadata bool
}

// Sending is what goes out together.
type Sending struct {
	Messages []Message
	group    int // -1: metadata that is due again
}

// Due gives what is to be sent now. Each must be told to Sent.
func (s *Sender) Due(now time.Duration) []Sending {
	var out []Sending
	for i := range s.groups {
		if s.due(&s.groups[i], now) {
			if one := s.sending(i, now); len(one.Messages) > 0 {
				out = append(out, one)
			}
			continue
		}
		again := Sending{group: -1}
		for _, metric := range s.groups[i].metrics {
			if m := &s.metrics[metric]; m.known && now >= m.again {
				again.Messages = append(again.Messages, Message{metric, true})
			}
		}
		if len(again.Messages) > 0 {
			out = append(out, again)
		}
	}
	return out
}

func (s *Sender) due(g *group, now time.Duration) bool {
	if !g.collected {
		return false
	}
	if g.moved || now >= g.due {
		return true
	}
	for _, metric := range g.metrics {
		if m := &s.metrics[metric]; m.known && (!m.described || m.answer(now)) {
			return true
		}
	}
	return false
}

func (m *state) answer(now time.Duration) bool { return m.asked && now >= m.sent+askedEvery }

func (s *Sender) sending(group int, now time.Duration) Sending {
	out := Sending{group: group}
	for _, metric := range s.groups[group].metrics {
		if m := &s.metrics[metric]; m.known {
			out.Messages = append(out.Messages, Message{metric, !m.described || m.answer(now) || now >= m.again})
		}
	}
	return out
}

// Sent tells how a sending went. What failed stays due.
func (s *Sender) Sent(now time.Duration, what Sending, ok bool) {
	if !ok {
		return
	}
	for _, x := range what.Messages {
		if x.Metadata {
			m := &s.metrics[x.Metric]
			m.described, m.asked, m.sent, m.again = true, false, now, now+s.pause()
		}
	}
	if what.group >= 0 {
		g := &s.groups[what.group]
		g.moved, g.due = false, now+g.threshold
	}
}

// pause is the time until metadata is sent again: between half of Options.Metadata and all of it, so that what was
// sent together at the start spreads (splitmix64).
func (s *Sender) pause() time.Duration {
	s.chance += 0x9e3779b97f4a7c15
	z := s.chance
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	half := s.opt.Metadata / 2
	return half + time.Duration((z^z>>31)%uint64(half+1))
}
