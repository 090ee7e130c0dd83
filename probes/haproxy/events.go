package haproxy

import (
	"crypto/rand"
	"fmt"
	"strings"

	"keepwatch/metric"
)

// events makes the events of servers. Their ids are a random word of this process's life and a counter.
type events struct {
	who  owner
	boot string
	n    uint64
}

func newEvents(who owner) *events {
	return &events{who: who, boot: rand.Text()}
}

func (e *events) add(o *object, line *row, c change, r *run) {
	e.n++
	word, status, reason := "UP", string(line.at[colStatus]), reason(line)
	switch {
	case c.passed:
		word, status, reason = "DOWN", "DOWN", "it came back before this look at it"
	case c.kind == metric.EventServerDown:
		word, _, _ = strings.Cut(status, " ")
	}
	address := clean(line.at[colAddress])
	text := fmt.Sprintf("server %s/%s", o.proxy, o.server)
	if address != "" {
		text += " (" + address + ")"
	}
	text += " went " + word
	if reason != "" {
		text += ": " + reason
	}
	ev := metric.Event{
		ID: fmt.Sprintf("haproxy-%s-%d", e.boot, e.n), Cluster: e.who.cluster, Host: e.who.host,
		Time: c.time, Kind: c.kind, Text: text,
	}
	for _, l := range []metric.Label{
		{Name: "proxy_instance", Value: e.who.instance}, {Name: "proxy", Value: o.proxy}, {Name: "server", Value: o.server},
		{Name: "address", Value: address}, {Name: "status", Value: clean([]byte(status))},
		{Name: "check", Value: clean(checkStatus(line))},
	} {
		if l.Value != "" {
			ev.Labels = append(ev.Labels, l)
		}
	}
	if ev.Check() == nil { // else the name of the proxy is no label, which objects.end tells
		r.out.Events = append(r.out.Events, ev)
	}
}

// reason is what the last check found, as "L4CON: Connection refused".
func reason(line *row) string {
	var parts []string
	for _, p := range []string{clean(checkStatus(line)), clean(line.at[colLastCheck])} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// clean makes text of a server or an agent fit for a label: no control characters, no broken UTF-8, bounded.
func clean(b []byte) string {
	s := strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(string(b[:min(len(b), metric.MaxLabelValue)]), ""))
	return strings.TrimSpace(s)
}
