package api

// Moved is a track that moves the priority of a virtual router, or forces its fault.
type Moved struct {
	Track  string  `json:"track"`
	Effect float64 `json:"effect" doc:"what it adds to or takes off the priority"`
	Fault  bool    `json:"fault"`
}

// Group is a sync group on one host: its virtual routers are master, backup or in fault together.
type Group struct {
	Cluster string `json:"cluster"`
	Host    string `json:"host"`
	Group   string `json:"group"`
	State   string `json:"state" enum:"init,backup,master,fault,unknown"`
	Time    Time   `json:"time" doc:"of the newest sample"`
}

// BFD is one end of a session of bidirectional forwarding detection.
type BFD struct {
	Cluster          string   `json:"cluster"`
	Host             string   `json:"host"`
	Session          string   `json:"session"`
	Peer             string   `json:"peer"`
	State            string   `json:"state" enum:"up,down,unknown"`
	DetectionSeconds *float64 `json:"detection_seconds" doc:"silence after which it is lost"`
	Time             Time     `json:"time" doc:"of the newest sample"`
}

func addMoved(all []Moved, r *haSeries) []Moved {
	i := len(all)
	for j := range all {
		if all[j].Track == r.labels["track"] {
			i = j
		}
	}
	if i == len(all) {
		all = append(all, Moved{Track: r.labels["track"]})
	}
	if r.Metric == metricFault {
		all[i].Fault = true
	} else {
		all[i].Effect = r.Value
	}
	return all
}

// stateWord is what a sample of a VRRP state says of now.
func (s *haRows) stateWord(r *haSeries) string {
	if n := int(r.Value); s.fresh(r) && n >= 0 && n < len(vrrpStates) {
		return vrrpStates[n]
	}
	return "unknown"
}

func (s *haRows) is(k instanceKey, name string, value float64) bool {
	v := s.number[k][name]
	return v != nil && *v == value
}

func (s *haRows) paused(k instanceKey) string {
	switch {
	case s.is(k, metricPaused, 1):
		return "switched over"
	case s.is(k, metricPaused, 2):
		return "drained"
	}
	return ""
}

func (s *haRows) groups() []Group {
	return each(s.series[metricGroup], func(r haSeries) Group {
		return Group{Cluster: r.Cluster, Host: r.Host, Group: r.labels["group"], State: s.stateWord(&r), Time: at(r.Time)}
	})
}

func (s *haRows) bfd() []BFD {
	type key struct {
		hostKey
		session, peer string
	}
	detection := map[key]*float64{}
	for _, r := range s.series[metricDetection] {
		detection[key{r.host(), r.labels["session"], r.labels["peer"]}] = &r.Value
	}
	return each(s.series[metricBFD], func(r haSeries) BFD {
		b := BFD{
			Cluster: r.Cluster, Host: r.Host, Session: r.labels["session"], Peer: r.labels["peer"], State: "unknown",
			DetectionSeconds: detection[key{r.host(), r.labels["session"], r.labels["peer"]}], Time: at(r.Time),
		}
		if s.fresh(&r) {
			b.State = "down"
			if r.Value == 1 {
				b.State = "up"
			}
		}
		return b
	})
}
