package ganglia

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"keepwatch/metric"
)

// Prefix stands before the name of every metric that came from a gmond, by packet or by XML.
const Prefix = "gmond_"

// InfoSuffix ends the name of a metric whose value is text: the text is its label value, its sample is 1.
const InfoSuffix = "_info"

// ErrName is a metric that cannot be named.
var ErrName = errors.New("unfit metric name")

const maxName = metric.MaxName - len(Prefix) - len(InfoSuffix)

// MetricName makes the name of a series of the name that a sender gave, of 1 to 189 bytes: what no metric name may
// hold becomes "_". The error wraps ErrName.
func MetricName[S string | []byte](name S) (string, error) {
	if len(name) == 0 || len(name) > maxName {
		return "", fmt.Errorf("%w: %d bytes, want 1 to %d", ErrName, len(name), maxName)
	}
	b := append(make([]byte, 0, len(Prefix)+len(name)), Prefix...)
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			c = '_'
		}
		b = append(b, c)
	}
	return string(b), nil
}

// Text makes clean UTF-8 of at most limit bytes: a gmond's text is ISO 8859-1 where it is not UTF-8, control
// characters become blanks, blanks around it go.
func Text[S string | []byte](b S, limit int) string {
	s := utf8Of(string(b))
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, s))
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strings.TrimSpace(s[:limit])
}

// utf8Of reads a text that is not UTF-8 as ISO 8859-1.
func utf8Of(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// Class is what a metric's TYPE means for its values.
type Class uint8

// The classes of types.
const (
	ByValue  Class = iota // no type of gmond's: the value decides
	Textual               // text
	Integer               // a whole number
	Floating              // a number with decimals
)

// ClassOf reads a type as gmond and gmetad write it (libgmond.c; timestamp is gmetad's).
func ClassOf[S string | []byte](typ S) Class {
	switch string(typ) {
	case "string":
		return Textual
	case "int8", "uint8", "int16", "uint16", "int32", "uint32", "timestamp":
		return Integer
	case "float", "double":
		return Floating
	}
	return ByValue
}

// KindOf reads a SLOPE: what only grows is a counter.
func KindOf(slope string) metric.Kind {
	if slope == "positive" || slope == "derivative" {
		return metric.Counter
	}
	return metric.Gauge
}

// Number reads a number that came as text, as gmetric sends all of them. gmetric judges by strtod, so hexadecimal
// passes; "nan" and "inf" pass there and are no numbers here.
func Number[S string | []byte](text S) (float64, bool) {
	s := bytes.TrimSpace([]byte(text))
	if len(s) == 0 || len(s) > 64 || bytes.IndexByte(s, '_') >= 0 {
		return 0, false
	}
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' {
		if v, err := strconv.ParseUint(string(s[2:]), 16, 64); err == nil {
			return float64(v), true
		}
	}
	v, err := strconv.ParseFloat(string(s), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false
	}
	return v, true
}

// NewSeries names the series of a metric, its values text where info is not empty. It has the label source="gmond",
// and gmond_name where the name had to be changed.
func NewSeries(cluster, host string, m *Metric, info string) (*metric.Series, error) {
	name, err := MetricName(m.Name)
	if err != nil {
		return nil, err
	}
	labels := []metric.Label{{Name: "source", Value: "gmond"}}
	if name[len(Prefix):] != m.Name {
		labels = append(labels, metric.Label{Name: "gmond_name", Value: Text(m.Name, metric.MaxLabelValue)})
	}
	kind, unit := KindOf(m.Slope), metric.Unit(Text(m.Units, metric.MaxUnit))
	if info != "" {
		name, kind, unit = name+InfoSuffix, metric.State, metric.NoUnit
		labels = append(labels, metric.Label{Name: "value", Value: info})
	}
	return metric.NewSeries(cluster, host, name, labels, unit, kind)
}

// What gmond_metric_info keeps of a text is bounded, in bytes, so that the series is never longer than one may be.
const (
	maxTitle = 128
	maxGroup = 256
	maxUnits = 64
)

// InfoName is the metric that tells what the metadata of another says.
const InfoName = Prefix + "metric" + InfoSuffix

// Info is what gmond_metric_info tells of a metric, in its labels.
type Info struct {
	Metric, Original          string // name of its own series; its own name where that is another
	Title, Desc, Group, Units string
	Slope                     string
}

// Series names the series gmond_metric_info, whose value is 1. Texts that are too long are cut.
func (i *Info) Series(cluster, host string) (*metric.Series, error) {
	return metric.NewSeries(cluster, host, InfoName, []metric.Label{
		{Name: "source", Value: "gmond"}, {Name: "metric", Value: i.Metric}, {Name: "gmond_name", Value: Text(i.Original, metric.MaxLabelValue)},
		{Name: "title", Value: Text(i.Title, maxTitle)}, {Name: "desc", Value: Text(i.Desc, metric.MaxLabelValue)}, {Name: "group", Value: Text(i.Group, maxGroup)},
		{Name: "units", Value: Text(i.Units, maxUnits)}, {Name: "slope", Value: Text(i.Slope, maxUnits)},
	}, metric.NoUnit, metric.State)
}

// NewInfoSeries names the series gmond_metric_info of a metric.
func NewInfoSeries(cluster, host string, m *Metric) (*metric.Series, error) {
	name, err := MetricName(m.Name)
	if err != nil {
		return nil, err
	}
	i := Info{Metric: name, Units: m.Units, Slope: m.Slope}
	if name[len(Prefix):] != m.Name {
		i.Original = m.Name
	}
	if ClassOf(m.Type) == Textual {
		i.Metric += InfoSuffix
	}
	var groups []string
	for _, e := range m.Extra {
		switch e.Name {
		case "TITLE":
			i.Title = e.Value
		case "DESC":
			i.Desc = e.Value
		case "GROUP":
			groups = append(groups, e.Value)
		}
	}
	i.Group = strings.Join(groups, ",")
	return i.Series(cluster, host)
}
