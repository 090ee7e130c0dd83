package vrrp

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// samples appends all that the agent's state says.
func (p *Agent) samples(out *batch.Batch, now time.Time, s status.Status) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := writer{cache: p.series, out: out, ms: now.UnixMilli()}
	p.put(out, p.upOf, now, 1)
	w.put("keepwatch_ha_drained", metric.State, truth(s.Drained))
	w.put("keepwatch_ha_parent", metric.State, truth(s.Parent))
	for i := range s.Instances {
		w.instance(&s.Instances[i])
	}
	for _, g := range s.Groups {
		w.put("keepwatch_vrrp_group_state", metric.State, stateNumber(g.State), "group", g.Name)
	}
	for i := range s.BFD {
		w.bfd(&s.BFD[i])
	}
	for _, t := range s.Tracks {
		w.put("keepwatch_ha_track_up", metric.State, truth(t.Up), "track", t.Name, "kind", t.Kind)
	}
	if s.Proxy != nil {
		w.put("keepwatch_ha_proxy_up", metric.State, truth(s.Proxy.Up), "engine", s.Proxy.Engine)
		w.put("keepwatch_ha_proxy_restarts_total", metric.Counter, float64(s.Proxy.Restarts), "engine", s.Proxy.Engine)
	}
	return errors.Join(w.errs...)
}

func (w *writer) instance(i *status.Instance) {
	vrid := strconv.Itoa(i.VRID)
	w.put("keepwatch_vrrp_state", metric.State, float64(i.StateNumber), "instance", i.Name, "vrid", vrid, "interface", i.Interface, "family", i.Family)
	w.put("keepwatch_vrrp_info", metric.State, 1, "instance", i.Name, "vrid", vrid, "version", strconv.Itoa(i.Version), "group", i.Group, "source", i.Source)
	w.put("keepwatch_vrrp_leaving", metric.State, truth(i.Leaving), "instance", i.Name, "vrid", vrid)
	w.put("keepwatch_vrrp_paused", metric.State, float64(slices.Index(pauses, i.Paused)), "instance", i.Name, "vrid", vrid)
	gauge := func(name string, v int) { w.put(name, metric.Gauge, float64(v), "instance", i.Name, "vrid", vrid) }
	gauge("keepwatch_vrrp_priority", i.Priority)
	gauge("keepwatch_vrrp_priority_configured", i.PriorityConfigured)
	for _, t := range i.Tracks {
		w.put("keepwatch_vrrp_track_effect", metric.Gauge, float64(t.Effect), "instance", i.Name, "vrid", vrid, "track", t.Name)
		w.put("keepwatch_vrrp_track_fault", metric.State, truth(t.Fault), "instance", i.Name, "vrid", vrid, "track", t.Name)
	}
	w.seconds("keepwatch_vrrp_advert_lateness_seconds", milliseconds(i.LatenessMS), "instance", i.Name, "vrid", vrid)
	w.addresses(i)
	w.counters(i, vrid)
}

// pauses are the values of Instance.Paused by the number that stands for them.
var pauses = []string{"", status.PausedSwitchover, status.PausedDrained}

// addresses tells of each virtual address whether this host has it and whether another one has it too.
func (w *writer) addresses(i *status.Instance) {
	for _, vip := range slices.Concat(i.Addresses, i.Excluded) {
		address, _, _ := strings.Cut(vip, "/")
		conflict := slices.ContainsFunc(i.Conflicts, func(c status.Conflict) bool { return c.Address == address })
		w.put("keepwatch_vip_held", metric.State, truth(slices.Contains(i.Held, vip)), "instance", i.Name, "vip", vip)
		w.put("keepwatch_vrrp_conflict", metric.State, truth(conflict), "instance", i.Name, "vip", vip)
	}
}

func (w *writer) counters(i *status.Instance, vrid string) {
	for _, c := range []struct {
		name  string
		value uint64
	}{
		{"advertisements_sent", i.Sent}, {"advertisements_sent_zero", i.SentZero},
		{"advertisements_received", i.Received}, {"advertisements_received_zero", i.ReceivedZero},
		{"advertisements_discarded", i.Discarded}, {"address_mismatch", i.AddressMismatch},
		{"announcements", i.Announced}, {"transitions", i.Transitions}, {"stalls", i.Stalls},
		{"late_stepdowns", i.LateStepdowns}, {"scripts_dropped", i.ScriptsDropped},
	} {
		w.put("keepwatch_vrrp_"+c.name+"_total", metric.Counter, float64(c.value), "instance", i.Name, "vrid", vrid)
	}
	for reason, n := range i.Dropped {
		w.put("keepwatch_vrrp_advertisements_dropped_total", metric.Counter, float64(n), "instance", i.Name, "vrid", vrid, "reason", reason)
	}
}

func (w *writer) bfd(b *status.BFDSession) {
	of := []string{"session", b.Name, "peer", b.Peer}
	w.put("keepwatch_bfd_up", metric.State, truth(b.Up), of...)
	w.seconds("keepwatch_bfd_detection_seconds", milliseconds(b.DetectionMS), of...)
	w.put("keepwatch_bfd_packets_sent_total", metric.Counter, float64(b.Sent), of...)
	w.put("keepwatch_bfd_packets_received_total", metric.Counter, float64(b.Received), of...)
	for reason, n := range b.Dropped {
		w.put("keepwatch_bfd_packets_dropped_total", metric.Counter, float64(n), append(of[:len(of):len(of)], "reason", reason)...)
	}
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// stateNumber is the number by which keepwatch_vrrp_state tells a state; -1 for a word that is none.
func stateNumber(word string) float64 {
	return float64(slices.Index([]string{"init", "backup", "master", "fault"}, word))
}
