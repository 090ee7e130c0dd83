package ganglia

import (
	"strconv"
	"strings"
)

// Summarize sums up a cluster as gmetad does: hosts that are up count with all of their metrics of a number type,
// timestamps and what was carried over apart; a sum has the decimals of the first value, the rest of its description too. A cluster of which
// only a summary was told keeps it. now is epoch seconds.
func Summarize(c *Cluster, now int64) *Summary {
	if len(c.Hosts) == 0 && c.Summary != nil {
		return c.Summary
	}
	s, at := &Summary{}, make(map[string]int)
	age := ageOf(c, now)
	for i := range c.Hosts {
		h := &c.Hosts[i]
		if !up(h, age) {
			s.Down++
			continue
		}
		s.Up++
		for j := range h.Metrics {
			s.add(&h.Metrics[j], at, age)
		}
	}
	return s
}

// ageOf is how many seconds ago a cluster was told.
func ageOf(c *Cluster, now int64) uint32 {
	if c.Polled == 0 || now <= c.Polled {
		return 0
	}
	return uint32(min(now-c.Polled, 1<<32-1))
}

func up(h *Host, age uint32) bool {
	at := Host{TN: grown(h.TN, age), TMax: h.TMax}
	return at.Up()
}

// expired metrics are shown by nobody: gmond forgets them only when it cleans up.
func expired(m *Metric, age uint32) bool { return m.DMax > 0 && grown(m.TN, age) > m.DMax }

func (s *Summary) add(m *Metric, at map[string]int, age uint32) {
	class := ClassOf(m.Type)
	if class != Integer && class != Floating || m.Type == "timestamp" || m.Carried || expired(m, age) {
		return
	}
	v, ok := Number(m.Value)
	if !ok {
		return
	}
	i, found := at[m.Name]
	if !found {
		i = len(s.Metrics)
		at[m.Name] = i
		_, fraction, _ := strings.Cut(m.Value, ".")
		s.Metrics = append(s.Metrics, Sum{
			Name: m.Name, Type: "double", Units: m.Units, Slope: m.Slope, Decimals: decimals([]byte("." + fraction)), Extra: described(m.Extra),
		})
	}
	s.Metrics[i].Sum += v
	s.Metrics[i].Num++
}

// described are the extras that hold for the metric of every host.
func described(extras []Extra) []Extra {
	for i := range extras {
		if extras[i].Name == "SPOOF_HOST" {
			out := append([]Extra(nil), extras[:i]...)
			return append(out, described(extras[i+1:])...)
		}
	}
	return extras
}

// Merge sums up several summaries, as of the clusters of a grid. Extras are left out, as gmetad has it.
func Merge(all ...*Summary) *Summary {
	s, at := &Summary{}, make(map[string]int)
	for _, o := range all {
		s.Up += o.Up
		s.Down += o.Down
		for _, m := range o.Metrics {
			if i, found := at[m.Name]; found {
				s.Metrics[i].Sum += m.Sum
				s.Metrics[i].Num += m.Num
				continue
			}
			at[m.Name] = len(s.Metrics)
			m.Extra = nil
			s.Metrics = append(s.Metrics, m)
		}
	}
	return s
}

func (f form) summary(dst []byte, s *Summary) []byte {
	dst = append(strconv.AppendInt(append(dst, `<HOSTS UP="`...), int64(s.Up), 10), '"')
	dst = append(strconv.AppendInt(append(dst, ` DOWN="`...), int64(s.Down), 10), `" SOURCE="gmetad"/>`+"\n"...)
	for i := range s.Metrics {
		m := &s.Metrics[i]
		start := len(dst)
		dst = appendAttr(dst, `<METRICS NAME="`, m.Name, inName, maxNameText)
		dst = append(strconv.AppendFloat(append(dst, ` SUM="`...), m.Sum, 'f', m.Decimals, 64), '"')
		dst = appendInt(dst, ` NUM="`, int64(m.Num))
		dst = appendAttr(dst, ` TYPE="`, m.Type, inName, maxWordText)
		dst = appendAttr(dst, ` UNITS="`, m.Units, f.text, maxUnitsText)
		dst = appendAttr(dst, ` SLOPE="`, m.Slope, inName, maxWordText)
		dst = append(dst, ` SOURCE="gmond">`+"\n"...)
		dst = append(f.extras(dst, m.Extra, maxMetricText-(len(dst)-start)), "</METRICS>\n"...)
	}
	return dst
}
