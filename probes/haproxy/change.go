package haproxy

import "keepwatch/metric"

// observation is what one run sees of a server.
type observation struct {
	status   int
	settled  bool    // a check has had its first result, or there is none to wait for
	downs    float64 // how often checks took it down since HAProxy started
	hasDowns bool
	changed  int64 // when its state last changed, ms
}

// observe reads an observation out of a row that was read at now.
func observe(r *row, now int64) observation {
	o := observation{status: parseServerStatus(r.at[colStatus]), changed: now}
	// After a start or a reload a server counts as up until its first check is done, status INI.
	o.settled = string(checkStatus(r)) != "INI"
	o.downs, o.hasDowns = parseNumber(r.at[nPlain+mDowns])
	if ago, ok := parseNumber(r.at[nPlain+mChanged]); ok && ago >= 0 && ago < 1e9 {
		o.changed = now - int64(ago)*1000
	}
	return o
}

// memory is the last settled observation of a server.
type memory struct {
	known bool
	last  observation
}

// change is a step of a server: to up or to down.
type change struct {
	kind   metric.EventKind
	time   int64 // ms
	passed bool  // it is over already: the server came back before this run
}

// change gives what happened between the last observation and this one, oldest first: nothing the first time and
// nothing while the server is not settled. A server that went down and came back meanwhile shows by HAProxy's own
// count of that. Times are HAProxy's, whole seconds, and never before the run at since.
func (m *memory) change(o observation, since int64) []change {
	if o.status == statusUnknown || !o.settled {
		return nil
	}
	was := m.last
	known := m.known
	m.known, m.last = true, o
	if !known {
		return nil
	}
	when := max(o.changed, since)
	switch up, wasUp := available(o.status), available(was.status); {
	case up && !wasUp:
		return []change{{kind: metric.EventServerUp, time: when}}
	case !up && wasUp:
		return []change{{kind: metric.EventServerDown, time: when}}
	case up && o.hasDowns && was.hasDowns && o.downs > was.downs:
		return []change{{kind: metric.EventServerDown, time: since, passed: true}, {kind: metric.EventServerUp, time: when}}
	}
	return nil
}
