package gmond

import (
	"net/netip"
	"slices"
	"strings"

	"keepwatch/internal/ganglia"
)

// source is what gmond's XML gives for metrics of gmond, whoever sent them.
const source = "gmond"

// noLocation is what gmond says of a host that never told where it is.
const noLocation = "unspecified"

// Names appends the name of each host to dst, in no order.
func (t *Table) Names(dst []string) []string {
	for name := range t.hosts {
		dst = append(dst, name)
	}
	return dst
}

// Addresses gives the address of a host, and the one that last disputed it; each empty where there is none.
func (t *Table) Addresses(name string) (first, other string) {
	h := t.hosts[name]
	if h == nil {
		return "", ""
	}
	return h.first.text, h.other.text
}

// Speaker gives the address that gmond's XML has of a host, and the source of its packets where the host speaks for
// itself; that is invalid where others speak for it. It reports whether the host is held.
func (t *Table) Speaker(name string) (address string, from netip.Addr, held bool) {
	h := t.hosts[name]
	if h == nil {
		return "", netip.Addr{}, false
	}
	return h.first.text, h.first.addr, true
}

// Fill tells of one host what gmond's XML tells at now, ms since the epoch, and reports whether it is held. It sets
// all of dst but Tags and DMax, which are the server's own, and uses the memory of dst.Metrics again. Every text is
// UTF-8 without control characters; the Extra of a metric is shared and only to be read. A metric is told when its
// value and its metadata are known, or when its value has waited for metadata in vain; heartbeat and location are
// attributes of the host and no metrics, as in gmond.
func (t *Table) Fill(name string, now int64, dst *ganglia.Host) bool {
	h := t.hosts[name]
	if h == nil {
		return false
	}
	*dst = ganglia.Host{
		Name: h.name, IP: h.first.text, Tags: dst.Tags, Reported: h.heard / second, TN: since(h.heard, now), TMax: t.opt.HostTMax,
		DMax: dst.DMax, Location: noLocation, Started: h.started, Metrics: dst.Metrics[:0],
	}
	t.printed, t.cuts = t.printed[:0], t.cuts[:0]
	for _, n := range h.metrics {
		e := t.entries.at(n)
		if e.id == 0 || e.desc.knowledge == unknown && seconds(now) < e.first+inferAfter {
			continue
		}
		switch e.desc.special {
		case isLocation:
			if ID(e.id) == ValueString && len(e.text.raw) > 0 {
				dst.Location = string(appendClean(nil, e.text.raw))
			}
			continue
		case isHeartbeat:
			continue
		}
		dst.Metrics = append(dst.Metrics, e.tell(now))
		t.printed = e.appendValue(t.printed)
		t.cuts = append(t.cuts, len(t.printed))
	}
	values, from := string(t.printed), 0 // one piece of memory for all
	for i, to := range t.cuts {
		dst.Metrics[i].Value, from = values[from:to], to
	}
	return true
}

// tell gives all of a metric but its value.
func (e *entry) tell(now int64) ganglia.Metric {
	d := e.desc
	m := ganglia.Metric{
		Name: d.shown, Type: d.Type, Units: d.Units, TN: since(e.valued, now), TMax: d.TMax, DMax: d.DMax,
		Slope: d.Slope.String(), Source: source, Extra: d.extra,
	}
	if d.knowledge == unknown {
		m.Type, m.TMax = typeOf(ID(e.id)), inferredTMax
	}
	if d.self {
		m.Extra = slices.Clone(d.extra)
		for i := range m.Extra {
			if x := &m.Extra[i]; x.Value == "" && strings.EqualFold(x.Name, spoofHost) {
				x.Value = e.host.first.text + ":" + e.host.name
			}
		}
	}
	return m
}

func (e *entry) appendValue(dst []byte) []byte {
	if ID(e.id) == ValueString || e.verb == literal {
		return appendClean(dst, e.text.raw)
	}
	return appendPrinted(dst, ID(e.id), e.verb, int(e.decimal), e.number, nil)
}

func since(then, now int64) uint32 { return uint32(min(max(now-then, 0)/second, 1<<31)) }
