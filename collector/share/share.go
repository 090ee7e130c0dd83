// Package share decides which collectors of a cluster run a remote check, and what their answers together mean. It owns
// what every collector last said: that it stands ready for a check, and what it sees of the check's target. It never
// runs a check, hears, sends or stores anything. collector/state gives it the samples named below as they come and
// publishes what it combines; collector asks it each second which checks to run.
//
// Who runs a check is a rendezvous (highest random weight) hash of the check's name over the living members, so all
// who know the same members agree without a word, and a member that comes or goes moves only its own checks.
// A member that hears nobody is the only living one that it knows, and runs everything that it lists.
package share

import (
	"math"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/metric"
)

// Metrics that collectors tell, and Up, which this package makes of them.
const (
	// Member is of the collector's own host, with labels kind and check: 1 while it stands ready, 0 when it leaves.
	Member = "keepwatch_check_member"
	// View, Seconds, Interval and Quorum are of the checked host, with labels check, target and vantage: the collector
	// that looked. View is 1 or 0; Interval is 0 when the collector looks no more.
	View     = "keepwatch_check_vantage_up"
	Seconds  = "keepwatch_check_vantage_seconds"
	Interval = "keepwatch_check_vantage_interval_seconds"
	Quorum   = "keepwatch_check_quorum"
	// Up is of the checked host, with labels check and target; see Table.Samples.
	Up = "keepwatch_check_up"
)

// Bounds and waits.
const (
	MaxChecks  = 1_000   // that one collector may list
	MaxVantage = 16      // collectors that run one check
	MaxMembers = 100_000 // collectors times checks that a Table holds; more are dropped and counted
	MaxViews   = 20_000  // targets times vantage points, likewise

	forget      = 3_600_000 // ms; what was not heard for longer is forgotten
	settle      = 1_000     // ms; the words that were said after a late one have come within this
	maxInterval = 86_400    // s, of a check
)

// Word is one sample of a metric of this package as it was heard. The order in which a sender said its words is that of
// their origins and not of their times: a clock may be set. Which of two boots is the later one decides who opens
// their frames, so a word of another boot counts.
type Word struct {
	Series *metric.Series
	Time   int64 // ms since the epoch, by the sender's clock
	Value  float64
	Origin frame.Origin // of the frame; those of one frame have the same one
	Late   bool         // the sender is known to have sent other frames after it
}

// Check is one check of which a collector asks whether to run it.
type Check struct {
	Cluster  string
	Kind     string // as tcp or snmp
	Name     string // unique in the cluster among its kind
	Interval time.Duration
	Vantage  int // how many members run it
}

// Table is what is known of all checks. It is not for concurrent use.
type Table struct {
	maxMembers, maxViews int

	members map[memberKey]map[string]*member // by check and host
	nMember int
	targets map[targetKey]*target
	nView   int
	dirty   []*target // to be judged
	changed []*target // Up is another than was said
	began   int64     // ms: since when it listens
	ticked  int64     // ms
	swept   int64
	dropped uint64
}

// New makes a table with these bounds.
func New(maxMembers, maxViews int) *Table {
	return &Table{
		maxMembers: maxMembers, maxViews: maxViews, began: math.MaxInt64,
		members: make(map[memberKey]map[string]*member), targets: make(map[targetKey]*target),
	}
}

// Dropped is how many words were dropped because they were of too many members or views.
func (t *Table) Dropped() uint64 { return t.dropped }

// Hear takes a word at the time heard, by our clock. Words of other metrics, and those that lack a label, are passed over.
func (t *Table) Hear(w Word, heard int64) {
	t.began = min(t.began, heard)
	switch w.Series.Name {
	case Member:
		t.hearMember(w, heard)
	case View, Interval, Quorum:
		t.hearView(w, heard)
	}
}

// Tick is called once a second with our time in ms. It lets views go stale and forgets what is too old.
func (t *Table) Tick(now int64) {
	if now < t.ticked {
		t.Away(0, now)
	}
	t.ticked = now
	t.began = min(t.began, now)
	for _, x := range t.targets {
		x.dirt(t)
	}
	t.judge(now)
	if now-t.swept < 60_000 {
		return
	}
	t.swept = now
	t.sweepMembers(now)
	t.sweepViews(now)
}

// Away takes a time of that many ms, in which nobody could be heard, out of everybody's silence: our clock was set
// forward, or we did not run. What was heard in the future, by a clock that has been set back, counts as heard now: who is
// dead lives no longer than it would, and a view does not go stale by it, which would say up of what is down.
func (t *Table) Away(by, now int64) {
	for _, of := range t.members {
		for _, m := range of {
			m.heard = min(m.heard+by, now)
		}
	}
	for _, x := range t.targets {
		x.said, x.since = min(x.said, now), min(x.since, now)
		for _, v := range x.views {
			for _, at := range [...]*int64{&v.heard, &v.began, &v.left, &v.last} {
				*at = min(*at+by, now)
			}
		}
	}
	t.swept = min(t.swept, now)
}

// before reports whether a word was said before another one of the same sender's run.
func before(word, last frame.Origin) bool { return word.Boot == last.Boot && word.Seq < last.Seq }
