// Package rule owns the judgement of one threshold on one series: when it becomes WARNING, CRITICAL or UNKNOWN and
// when it recovers. It never reads a clock, stores or sends: samples, ticks and times come in as values, so the live
// alerter, a restart and a backtest go through the same code. The alerter calls Step for each sample that a
// threshold watches.
package rule

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"keepwatch/metric/threshold"
)

// State is what a threshold says of a series.
type State string

// The states.
const (
	OK       State = "ok"
	Warning  State = "warning"
	Critical State = "critical"
	Unknown  State = "unknown" // silent for longer than Limits.NoData
)

// MaxAhead is how far a sample may be ahead of the time at which it arrived. One further ahead counts as no sample:
// it would make all later samples of a host whose clock was wrong once look old.
const MaxAhead = 5 * time.Minute

// Limits is what one threshold demands of each of its series.
type Limits struct {
	Transform string          // threshold.Value or threshold.Rate
	Warning   threshold.Range // zero: none
	Critical  threshold.Range // zero: none; wins where both alert
	For       time.Duration   // outside for this long, by the samples' time, before it alerts
	Clear     time.Duration   // back for this long before it recovers
	NoData    time.Duration   // silent for longer is UNKNOWN; 0: silence means nothing
}

// Input is a sample or, with Tick set, the mere passing of time.
type Input struct {
	Time  int64 // the sample's own, ms since the epoch
	Value float64
	Tick  bool
}

// Transition is a change of state.
type Transition struct {
	From, To State
	Time     int64 // ms since the epoch: of the sample that decided; of the tick when To is Unknown
	Began    int64 // ms since the epoch: when the series left OK; for a recovery, before this transition
	Value    float64
	HasValue bool // whether a value was ever judged
}

// Machine is all that is remembered of one threshold on one series. Its JSON is what survives a restart. The zero
// value is that of a series never seen, which is OK.
type Machine struct {
	State         State `json:"state"`
	Since         int64 `json:"since"`            // ms, when State began
	Began         int64 `json:"began,omitempty"`  // ms, when the series left OK; 0 while State is OK
	Before        State `json:"before,omitempty"` // the problem that UNKNOWN interrupted
	Time          int64 `json:"time"`             // ms, newest sample that counted
	Seen          int64 `json:"seen"`             // ms, when a sample that counted last arrived
	Value         Float `json:"value"`            // as judged at Time; means nothing without Level
	Raw           Float `json:"raw,omitempty"`    // the counter at Time, for a rate
	Level         State `json:"level,omitempty"`  // what Value alone would be; empty: nothing was judged since silence
	AlarmSince    int64 `json:"alarm_since"`      // ms, since when Level has been OK, or not OK
	CriticalSince int64 `json:"critical_since"`   // ms, since when Level has been CRITICAL, or not
	Writes        int64 `json:"writes"`           // set by who stores it, growing: a machine replaces one with fewer only
}

// Float is a float64 whose infinities have a JSON form too.
type Float float64

// MarshalJSON writes a number, or "+Inf" or "-Inf". A NaN, which no machine holds, is an error.
func (f Float) MarshalJSON() ([]byte, error) {
	if math.IsInf(float64(f), 0) {
		return strconv.AppendQuote(nil, strconv.FormatFloat(float64(f), 'g', -1, 64)), nil
	}
	return json.Marshal(float64(f))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Float) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"+Inf"`:
		*f = Float(math.Inf(1))
		return nil
	case `"-Inf"`:
		*f = Float(math.Inf(-1))
		return nil
	}
	return json.Unmarshal(b, (*float64)(f))
}

// Parse reads a machine from its JSON. What no Step can have made is an error.
func Parse(b []byte) (Machine, error) {
	var m Machine
	if err := json.Unmarshal(b, &m); err != nil {
		return Machine{}, fmt.Errorf("cannot read the machine of an alert: %w", err)
	}
	switch m.State {
	case OK, Warning, Critical, Unknown:
	default:
		return Machine{}, fmt.Errorf("cannot read the machine of an alert: state %.20q", m.State)
	}
	if m.Level != "" && m.Level != OK && m.Level != Warning && m.Level != Critical {
		return Machine{}, fmt.Errorf("cannot read the machine of an alert: level %.20q", m.Level)
	}
	if m.Before != "" && (m.State != Unknown || m.Before != Warning && m.Before != Critical) {
		return Machine{}, fmt.Errorf("cannot read the machine of an alert: %.20q before %s", m.Before, m.State)
	}
	for _, t := range []int64{m.Since, m.Began, m.Time, m.Seen, m.AlarmSince, m.CriticalSince, m.Writes} {
		if t < 0 || t > maxTime {
			return Machine{}, errors.New("cannot read the machine of an alert: a time or count out of bounds")
		}
	}
	return m, nil
}

// maxTime is the end of year 9999 in ms, the last that RFC 3339 can write.
const maxTime = 253_402_300_799_999

// Awake is m as of a shell that heard nothing until now: silence is counted from now on.
func (m Machine) Awake(now int64) Machine {
	m.Seen = max(m.Seen, now)
	return m
}

// Restarted is m for changed limits: its state stays until the next sample is judged, all it was waiting for begins
// anew.
func (m Machine) Restarted() Machine {
	m.Level, m.Before, m.Raw, m.AlarmSince, m.CriticalSince = "", "", 0, 0, 0
	return m
}

// Unremarkable reports whether the series is well and waits for nothing.
func (m *Machine) Unremarkable() bool {
	return (m.State == OK || m.State == "") && m.Level != Warning && m.Level != Critical
}

// Rank orders the states by what they demand of a person. UNKNOWN counts as CRITICAL: nobody knows that it is not.
func (s State) Rank() int {
	switch s {
	case Warning:
		return 1
	case Critical, Unknown:
		return 2
	}
	return 0
}
