package rule

import (
	"math"
	"time"

	"keepwatch/metric/threshold"
)

// Step judges one input. now is when it arrived, in ms since the epoch; a backtest passes the sample's own time. The
// result is the machine to remember and the change of state, or nil.
//
// A sample that is not newer than the last one, that is further ahead than MaxAhead, or that is NaN does not count:
// it neither changes the machine nor breaks silence, so a series that sends nothing but NaN becomes UNKNOWN. The
// first sample of a rate tells the counter only. What a machine had from a clock that was ahead of now by more than
// MaxAhead is no reason to be deaf until then: it is forgotten, but for the state. The first sample after UNKNOWN ends it when it is inside, goes back to
// the problem that was interrupted when it is outside, and else waits for Limits.For as any other.
func (l *Limits) Step(m Machine, in Input, now int64) (Machine, *Transition) {
	if m.State == "" {
		m.State = OK
	}
	if limit := now + MaxAhead.Milliseconds(); m.Time > limit || m.Seen > limit {
		// Our clock was ahead then and was set right since.
		m.Time, m.Seen, m.Level = 0, min(m.Seen, now), ""
	}
	if in.Tick {
		return l.tick(m, now)
	}
	if math.IsNaN(in.Value) || in.Time <= m.Time || in.Time > now+MaxAhead.Milliseconds() || in.Time > maxTime {
		return m, nil
	}
	if l.silent(&m, now) {
		m.Level = "" // what it waited for was not continuous
	}
	v, ok := l.value(&m, in)
	m.Time, m.Seen = in.Time, max(m.Seen, now)
	if m.Since == 0 {
		m.Since = in.Time
	}
	if !ok {
		return m, nil
	}
	l.judge(&m, v)
	return change(m, l.next(&m), in.Time)
}

func (l *Limits) tick(m Machine, now int64) (Machine, *Transition) {
	if !l.silent(&m, now) {
		return m, nil
	}
	hadValue := m.Level != ""
	m.Level = ""
	if m.State == Unknown {
		return m, nil
	}
	if m.State != OK {
		m.Before = m.State
	}
	m, t := change(m, Unknown, now)
	t.HasValue = hadValue
	return m, t
}

func (l *Limits) silent(m *Machine, now int64) bool {
	return l.NoData > 0 && m.Seen > 0 && now-m.Seen > l.NoData.Milliseconds()
}

// value is what is judged. A counter that is lower than before was reset: it has grown from 0.
func (l *Limits) value(m *Machine, in Input) (float64, bool) {
	if l.Transform != threshold.Rate {
		return in.Value, true
	}
	last, first := float64(m.Raw), m.Time == 0
	m.Raw = Float(in.Value)
	if first {
		return 0, false
	}
	grown := in.Value - last
	if in.Value < last {
		grown = in.Value
	}
	rate := grown / (float64(in.Time-m.Time) / 1000)
	return rate, !math.IsNaN(rate)
}

// judge notes the level of a value and since when it has been so.
func (l *Limits) judge(m *Machine, v float64) {
	level := OK
	switch {
	case l.Critical.Alerts(v):
		level = Critical
	case l.Warning.Alerts(v):
		level = Warning
	}
	if m.Level == "" || (m.Level == OK) != (level == OK) {
		m.AlarmSince = m.Time
	}
	if m.Level == "" || (m.Level == Critical) != (level == Critical) {
		m.CriticalSince = m.Time
	}
	m.Level, m.Value = level, Float(v)
}

// next is the state that the machine should be in after its newest sample.
func (l *Limits) next(m *Machine) State {
	alarm := time.Duration(m.Time-m.AlarmSince) * time.Millisecond
	critical := time.Duration(m.Time-m.CriticalSince) * time.Millisecond
	if m.State == Unknown {
		switch {
		case m.Level == OK:
			return OK
		case m.Before == Critical:
			return m.Level
		case m.Before == Warning:
			return Warning
		}
	}
	switch {
	case m.Level == Critical && critical >= l.For:
		return Critical
	case m.Level != OK && alarm >= l.For && m.State != Critical:
		return Warning
	case m.Level == OK && alarm >= l.Clear:
		return OK
	case m.State == Critical && m.Level != Critical && critical >= l.Clear:
		return Warning
	}
	return m.State
}

func change(m Machine, to State, at int64) (Machine, *Transition) {
	if to == m.State {
		return m, nil
	}
	if m.State == OK {
		m.Began = at
	}
	t := &Transition{From: m.State, To: to, Time: at, Began: m.Began, Value: float64(m.Value), HasValue: m.Level != ""}
	m.State, m.Since = to, at
	if to == OK {
		m.Began = 0
	}
	if to != Unknown {
		m.Before = ""
	}
	return m, t
}

// Close ends a problem for another reason than a sample: what was judged is judged no longer. The transition is nil
// when the state is OK already.
func Close(m Machine, now int64) (Machine, *Transition) {
	hadValue := m.State != Unknown && m.Time > 0
	m, t := change(m, OK, max(now, m.Since))
	if t != nil {
		t.HasValue = hadValue
	}
	return m.Restarted(), t
}
