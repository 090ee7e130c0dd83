package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"keepwatch/metric"
	"keepwatch/schema/db"
	"keepwatch/ui/auth"
)

// Instance is one VRRP virtual router on one host.
type Instance struct {
	Cluster            string   `json:"cluster"`
	Host               string   `json:"host"`
	Instance           string   `json:"instance"`
	VRID               int      `json:"vrid"`
	Interface          string   `json:"interface"`
	Family             string   `json:"family"`
	State              string   `json:"state" enum:"init,backup,master,fault,unknown" doc:"unknown: the agent or the host says nothing"`
	Since              *Time    `json:"since" nullable:"true"`
	Priority           *float64 `json:"priority"`
	PriorityConfigured *float64 `json:"priority_configured"`
	LastReason         string   `json:"last_reason" doc:"why it changed its state last"`
	Version            int      `json:"version" doc:"of VRRP; 0: not told"`
	Group              string   `json:"group" doc:"its sync group"`
	Moved              []Moved  `json:"moved" doc:"the tracks that move its priority now, or force the fault"`
	Paused             string   `json:"paused" enum:",switched over,drained" doc:"why it does not take over"`
	Leaving            bool     `json:"leaving" doc:"a handover is under way"`
	VIPs               []string `json:"vips"`
	AgentUp            bool     `json:"agent_up"`
	Time               Time     `json:"time" doc:"of the newest sample"`
}

// Heard is a virtual router that a host hears on its network, whoever runs it.
type Heard struct {
	Cluster   string  `json:"cluster"`
	Host      string  `json:"host" doc:"who heard it"`
	Interface string  `json:"interface"`
	VRID      int     `json:"vrid"`
	Source    string  `json:"source"`
	Version   string  `json:"version"`
	Family    string  `json:"family"`
	Priority  float64 `json:"priority"`
	Time      Time    `json:"time"`
}

// HA is all of failover.
type HA struct {
	Instances   []Instance `json:"instances"`
	Groups      []Group    `json:"groups"`
	BFD         []BFD      `json:"bfd"`
	VIPs        []VIP      `json:"vips"`
	Proxies     []Proxy    `json:"proxies"`
	Transitions []Event    `json:"transitions" doc:"at most 100, newest first"`
	Heard       []Heard    `json:"heard"`
}

// The series that failover is told by.
const (
	metricAgentUp    = "keepwatch_ha_up"
	metricState      = "keepwatch_vrrp_state"
	metricPriority   = "keepwatch_vrrp_priority"
	metricConfigured = "keepwatch_vrrp_priority_configured"
	metricVIPHeld    = "keepwatch_vip_held"
	metricInfo       = "keepwatch_vrrp_info"
	metricEffect     = "keepwatch_vrrp_track_effect"
	metricFault      = "keepwatch_vrrp_track_fault"
	metricPaused     = "keepwatch_vrrp_paused"
	metricLeaving    = "keepwatch_vrrp_leaving"
	metricForeign    = "keepwatch_vrrp_conflict"
	metricGroup      = "keepwatch_vrrp_group_state"
	metricBFD        = "keepwatch_bfd_up"
	metricDetection  = "keepwatch_bfd_detection_seconds"
	metricHeard      = "vrrp_heard_priority"
)

var haMetrics = []string{
	metricAgentUp, metricState, metricPriority, metricConfigured, metricVIPHeld, metricInfo, metricEffect, metricFault, metricPaused,
	metricLeaving, metricForeign, metricGroup, metricBFD, metricDetection, metricHeard,
}

var haEvents = []string{
	string(metric.EventVRRPTransition), string(metric.EventVIPTaken), string(metric.EventVIPReleased), string(metric.EventServerUp),
	string(metric.EventServerDown), string(metric.EventProxyStarted), string(metric.EventProxyStopped),
	string(metric.EventVIPConflict), string(metric.EventVIPConflictEnded),
}

func (a *API) registerHA() {
	register(a, "get-ha", http.MethodGet, "/ha", auth.Viewer, "Virtual routers, addresses and proxies", a.getHA)
}

type haQuery struct {
	Instance string `query:"instance" maxLength:"512" doc:"transitions of the virtual routers of this name only"`
}

func (a *API) getHA(ctx context.Context, in *haQuery) (*body[HA], error) {
	s, err := a.loadHA(ctx)
	if err != nil {
		return nil, err
	}
	out := HA{VIPs: s.vips(), Instances: s.instances(), Groups: s.groups(), BFD: s.bfd(), Heard: s.heard()}
	if out.Proxies, err = a.proxies(ctx); err != nil {
		return nil, err
	}
	events, err := a.db.UIEventsOfKinds(ctx, db.UIEventsOfKindsParams{Kinds: haEvents, Instance: in.Instance, N: 100})
	out.Transitions = each(events, eventOf)
	return one(out), err
}

// haSeries is the newest sample of a series, with its labels read.
type haSeries struct {
	db.UILatestRow
	labels map[string]string
}

func (s *haSeries) host() hostKey { return hostKey{s.Cluster, s.Host} }

type instanceKey struct {
	hostKey
	instance string
}

type vipOnHost struct {
	hostKey
	vip string
}

// haRows is what the database says of failover at one moment.
type haRows struct {
	stale    time.Duration
	series   map[string][]haSeries // by metric
	hostUp   map[hostKey]upness
	agent    map[hostKey]haSeries
	last     map[instanceKey]db.UILastTransitionsRow
	taken    map[vipOnHost]time.Time
	routers  map[instanceKey]haSeries // keepwatch_vrrp_state
	info     map[instanceKey]haSeries // the newest
	moved    map[instanceKey][]Moved
	number   map[instanceKey]map[string]*float64
	ofRouter map[instanceKey][]string // VIPs
}

func (a *API) loadHA(ctx context.Context) (*haRows, error) {
	rows, err := a.db.UILatest(ctx, haMetrics)
	if err != nil {
		return nil, err
	}
	s := indexHA(rows, a.o.Stale)
	hosts := []string{}
	for _, r := range rows {
		if !slices.Contains(hosts, r.Host) {
			hosts = append(hosts, r.Host)
		}
	}
	if len(hosts) == 0 {
		return s, nil
	}
	up, err := a.db.UIHostsUp(ctx, hosts)
	if err != nil {
		return nil, err
	}
	for _, r := range up {
		s.hostUp[hostKey{r.Cluster, r.Host}] = upness{r.Value, r.Age}
	}
	return s, a.loadHistory(ctx, s)
}

// indexHA sorts rows by what they are about.
func indexHA(rows []db.UILatestRow, stale time.Duration) *haRows {
	s := &haRows{
		stale: stale, series: map[string][]haSeries{}, hostUp: map[hostKey]upness{}, agent: map[hostKey]haSeries{},
		last: map[instanceKey]db.UILastTransitionsRow{}, taken: map[vipOnHost]time.Time{}, routers: map[instanceKey]haSeries{},
		number: map[instanceKey]map[string]*float64{}, ofRouter: map[instanceKey][]string{},
		info: map[instanceKey]haSeries{}, moved: map[instanceKey][]Moved{},
	}
	for _, r := range rows {
		h := haSeries{r, labelsOf(r.Labels)}
		k := instanceKey{h.host(), h.labels["instance"]}
		s.series[r.Metric] = append(s.series[r.Metric], h)
		switch r.Metric {
		case metricAgentUp:
			s.agent[h.host()] = h
		case metricState:
			s.routers[k] = h
		case metricInfo:
			if known, ok := s.info[k]; !ok || h.Time.After(known.Time) {
				s.info[k] = h
			}
		case metricEffect, metricFault:
			if h.Value != 0 && h.Age <= stale.Seconds() {
				s.moved[k] = addMoved(s.moved[k], &h)
			}
		case metricPriority, metricConfigured, metricPaused, metricLeaving:
			if s.number[k] == nil {
				s.number[k] = map[string]*float64{}
			}
			s.number[k][r.Metric] = &h.Value
		case metricVIPHeld:
			s.ofRouter[k] = append(s.ofRouter[k], h.labels["vip"])
		}
	}
	return s
}

// loadHistory asks since when things are as they are.
func (a *API) loadHistory(ctx context.Context, s *haRows) error {
	var t db.UILastTransitionsParams
	for _, r := range s.series[metricState] {
		t.Clusters, t.Hosts, t.Instances = append(t.Clusters, r.Cluster), append(t.Hosts, r.Host), append(t.Instances, r.labels["instance"])
	}
	if len(t.Hosts) > 0 {
		rows, err := a.db.UILastTransitions(ctx, t)
		if err != nil {
			return err
		}
		for _, r := range rows {
			s.last[instanceKey{hostKey{r.Cluster, r.Host}, r.Instance}] = r
		}
	}
	var v db.UILastTakenParams
	for _, r := range s.series[metricVIPHeld] {
		if r.Value == 1 {
			v.Clusters, v.Hosts, v.Vips = append(v.Clusters, r.Cluster), append(v.Hosts, r.Host), append(v.Vips, r.labels["vip"])
		}
	}
	if len(v.Hosts) == 0 {
		return nil
	}
	rows, err := a.db.UILastTaken(ctx, v)
	for _, r := range rows {
		s.taken[vipOnHost{hostKey{r.Cluster, r.Host}, r.Vip}] = r.Time
	}
	return err
}

// fresh reports whether a sample says something about now: it is young, its host is not known to be down, and the
// agent that said it has not been found dead since.
func (s *haRows) fresh(r *haSeries) bool {
	if r.Age > s.stale.Seconds() {
		return false
	}
	if up, ok := s.hostUp[r.host()]; ok && up.value == 0 && up.age <= s.stale.Seconds() {
		return false
	}
	agent, ok := s.agent[r.host()]
	return !ok || agent.Value != 0 || agent.Time.Before(r.Time)
}

func (s *haRows) agentUp(k hostKey) bool {
	agent, ok := s.agent[k]
	return ok && agent.Value == 1 && s.fresh(&agent)
}

var vrrpStates = []string{"init", "backup", "master", "fault"}

func (s *haRows) instances() []Instance {
	return each(s.series[metricState], func(r haSeries) Instance {
		k := instanceKey{r.host(), r.labels["instance"]}
		i := Instance{
			Cluster: r.Cluster, Host: r.Host, Instance: k.instance, VRID: numberOf(r.labels["vrid"]), Interface: r.labels["interface"],
			Family: r.labels["family"], State: s.stateWord(&r), VIPs: append([]string{}, s.ofRouter[k]...), AgentUp: s.agentUp(k.hostKey), Time: at(r.Time),
			Priority: s.number[k][metricPriority], PriorityConfigured: s.number[k][metricConfigured],
			Version: numberOf(s.info[k].labels["version"]), Group: s.info[k].labels["group"], Moved: append([]Moved{}, s.moved[k]...),
			Paused: s.paused(k), Leaving: s.is(k, metricLeaving, 1),
		}
		if last, ok := s.last[k]; ok {
			i.LastReason = last.Reason
			if last.ToState == i.State {
				i.Since = &Time{last.Time}
			}
		}
		return i
	})
}

func (s *haRows) heard() []Heard {
	out := []Heard{}
	for _, r := range s.series[metricHeard] {
		if s.fresh(&r) {
			out = append(out, Heard{
				Cluster: r.Cluster, Host: r.Host, Interface: r.labels["interface"], VRID: numberOf(r.labels["vrid"]), Source: r.labels["source"],
				Version: r.labels["version"], Family: r.labels["family"], Priority: r.Value, Time: at(r.Time),
			})
		}
	}
	return out
}

// numberOf reads a label that is a number; 0 is what it is when it is none.
func numberOf(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
