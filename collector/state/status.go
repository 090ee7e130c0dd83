package state

import (
	"cmp"
	"slices"
	"time"
)

// Host is one host as Status tells it.
type Host struct {
	Cluster  string        `json:"cluster"`
	Name     string        `json:"name"`
	Address  string        `json:"address"`           // source of its last packet
	Through  string        `json:"through,omitempty"` // the host that speaks for it
	Native   bool          `json:"native"`            // heard in frames
	Gmond    bool          `json:"gmond"`             // heard in gmond packets
	Heard    time.Time     `json:"heard"`
	Interval time.Duration `json:"interval"` // it promised to be heard again after this
	Started  time.Time     `json:"started"`  // start of its sender, zero while unknown
	Lost     bool          `json:"lost"`     // silent for four intervals
	Series   int           `json:"series"`
	Dropped  uint64        `json:"dropped"` // its frames and packets past a bound
}

// Status is what `keepwatch status` shows of a collector's state.
type Status struct {
	Hosts        []Host    `json:"hosts"` // by cluster and name
	HistoryBytes int64     `json:"history_bytes"`
	Oldest       time.Time `json:"oldest"` // when the oldest frame of the history came
}

// Status takes a copy of what is known at now.
func (s *State) Status(now time.Time) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{HistoryBytes: s.history.Bytes(), Oldest: time.UnixMilli(s.history.Oldest(now.UnixMilli()))}
	for _, h := range s.hosts.m {
		if h.heard() == 0 {
			continue // only others speak of it
		}
		c := &h.native
		if h.gmond.deadline() > h.native.deadline() {
			c = &h.gmond
		}
		out := Host{
			Cluster: h.cluster, Name: h.name, Through: h.through, Native: h.native.heard > 0, Gmond: h.gmond.heard > 0,
			Heard: time.UnixMilli(h.heard()), Interval: time.Duration(c.interval) * time.Millisecond,
			Lost: h.lost, Series: h.series.len(), Dropped: h.dropped,
		}
		if h.address.IsValid() {
			out.Address = h.address.String()
		}
		if c.epoch > 0 {
			out.Started = time.UnixMilli(c.epoch)
		}
		st.Hosts = append(st.Hosts, out)
	}
	slices.SortFunc(st.Hosts, func(a, b Host) int {
		return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name))
	})
	return st
}

// Hosts is the number of hosts known.
func (s *State) Hosts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.hosts.m)
}
