package normalize

// What a counter of 32 bits may count to.
const wrapAt = 1 << 32

const (
	// A drop is a wrap when the counter was in its last quarter and the step over the edge is less than a quarter of
	// what it counts to; every other drop is a reset.
	nearEdge = wrapAt / 4 * 3
	maxStep  = wrapAt / 4

	maxCounters = 1_000_000 // that are remembered; those past it are not unwound
	maxWrapped  = 10_000    // that may have wrapped, as these are kept over a restart
	maxSteps    = 64        // of one counter
	stepsFor    = 15 * 60 * 1000
	forgetAfter = 60 * 60 * 1000 // ms of silence; of those that have wrapped 24 times as long
)

// Wrap is what is known of a counter that has wrapped. Times are ms since the epoch.
type Wrap struct {
	Last  float64 `json:"last"` // value that came last, as it came
	At    int64   `json:"at"`   // its time
	Steps []Step  `json:"steps"`
}

// Step is what is added to the values of a counter from one time on.
type Step struct {
	From int64   `json:"from"`
	Add  float64 `json:"add"`
}

// counter is one series that only grows.
type counter struct {
	Wrap
	wide bool // it has counted past 2^32, so it is wider
}

// counters are those of a cluster, by the key of their series.
type counters struct {
	m       map[string]*counter
	wrapped int   // with steps
	newest  int64 // ms
}

func newCounters() counters { return counters{m: make(map[string]*counter)} }

// of gives the counter of a series; nil when there are too many.
func (cs *counters) of(key string) *counter {
	if c := cs.m[key]; c != nil {
		return c
	}
	if len(cs.m) >= maxCounters {
		return nil
	}
	c := &counter{}
	cs.m[key] = c
	return c
}

// unwind gives a value as it would be had the counter more than 32 bits. Values older than the last one, which come
// again after a restart, get what they got the first time.
func (cs *counters) unwind(c *counter, at int64, v float64) float64 {
	if at < c.At-stepsFor {
		cs.setBack(c, at)
	}
	cs.newest = max(cs.newest, at)
	if at <= c.At {
		return v + c.add(at)
	}
	c.wide = c.wide || v >= wrapAt
	if v < c.Last {
		cs.drop(c, at, v)
	}
	c.Last, c.At = v, at
	return v + c.add(at)
}

// setBack takes back what was noted of a counter by a clock that was ahead: nothing so much older comes again.
func (cs *counters) setBack(c *counter, at int64) {
	cs.newest, c.At = min(cs.newest, at), at-1
	for i := range c.Steps {
		c.Steps[i].From = min(c.Steps[i].From, at)
	}
}

func (cs *counters) drop(c *counter, at int64, v float64) {
	had := len(c.Steps) > 0
	add := 0.0
	if !c.wide && c.Last >= nearEdge && v+wrapAt-c.Last < maxStep && (had || cs.wrapped < maxWrapped) {
		add = c.add(at) + wrapAt
	}
	if !had && add == 0 {
		return
	}
	c.Steps = append(c.Steps, Step{at, add})
	if !had {
		cs.wrapped++
	}
	// The last step that is older than what may come again says what holds before the others.
	for len(c.Steps) > 1 && (c.Steps[1].From < at-stepsFor || len(c.Steps) > maxSteps) {
		c.Steps = c.Steps[1:]
	}
	if len(c.Steps) == 1 && c.Steps[0].Add == 0 {
		c.Steps = nil
		cs.wrapped--
	}
}

// add is what a value of that time lacks.
func (c *counter) add(at int64) float64 {
	for i := len(c.Steps) - 1; i >= 0; i-- {
		if c.Steps[i].From <= at {
			return c.Steps[i].Add
		}
	}
	return 0
}

func (cs *counters) wraps() map[string]Wrap {
	if cs.wrapped == 0 {
		return nil
	}
	out := make(map[string]Wrap, cs.wrapped)
	for key, c := range cs.m {
		if len(c.Steps) > 0 {
			w := c.Wrap
			w.Steps = append([]Step(nil), c.Steps...)
			out[key] = w
		}
	}
	return out
}

func (cs *counters) restore(wraps map[string]Wrap) {
	for key, w := range wraps {
		if len(w.Steps) == 0 || len(w.Steps) > maxSteps || cs.wrapped >= maxWrapped {
			continue
		}
		cs.m[key] = &counter{Wrap: w, wide: w.Last >= wrapAt}
		cs.wrapped++
		cs.newest = max(cs.newest, w.At)
	}
}

func (cs *counters) sweep() {
	for key, c := range cs.m {
		silent := cs.newest - c.At
		switch {
		case len(c.Steps) == 0 && silent > forgetAfter:
			delete(cs.m, key)
		case silent > 24*forgetAfter:
			delete(cs.m, key)
			cs.wrapped--
		}
	}
}
