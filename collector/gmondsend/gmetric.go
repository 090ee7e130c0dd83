package gmondsend

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"keepwatch/collector/gmond"
)

// Gmetric is one metric as the gmetric of Ganglia takes it from its flags; the JSON is what 'keepwatch send' hands to
// the running keepwatch.
type Gmetric struct {
	Name      string `json:"name"`
	Value     string `json:"value"`
	Type      string `json:"type"`
	Units     string `json:"units,omitempty"`
	Slope     string `json:"slope,omitempty"` // a word that is none means unspecified, as to gmetric
	TMax      uint32 `json:"tmax"`            // seconds
	DMax      uint32 `json:"dmax"`            // seconds
	Group     string `json:"group,omitempty"` // parted by commas and blanks
	Cluster   string `json:"cluster,omitempty"`
	Desc      string `json:"desc,omitempty"`
	Title     string `json:"title,omitempty"`
	Spoof     string `json:"spoof,omitempty"`     // ip:name of the host that it is of
	Heartbeat bool   `json:"heartbeat,omitempty"` // Spoof lives; name, value, type, units, slope, tmax and dmax do not count
}

// ParseGmetric reads the JSON of a Gmetric. A key that is none is an error: this keepwatch is older than the command.
func ParseGmetric(text []byte) (Gmetric, error) {
	var g Gmetric
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&g); err != nil {
		return g, fmt.Errorf("cannot read the metric: %w", err)
	}
	return g, nil
}

// strtod is all that C's strtod takes to its end.
var strtod = regexp.MustCompile(`^[ \t\n\v\f\r]*[+-]?(?i:inf(inity)?|nan(\([0-9a-z_]*\))?|` +
	`0x([0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(p[+-]?[0-9]+)?|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)$`)

// Check says what gmetric refuses too: a double quote, an unknown type, a number that is none, a spoof without colon.
// Three more are refused, which gmetric sends and no receiver can use: an empty name, the empty text as a number, and
// a heartbeat without spoof, which it marks as spoofed all the same.
func (g *Gmetric) Check() error {
	if g.Spoof != "" && !strings.Contains(g.Spoof, ":") {
		return fmt.Errorf("spoof %.60q: want address:name of the host, as 10.0.0.9:printer", g.Spoof)
	}
	if g.Heartbeat && g.Spoof == "" {
		return errors.New("a heartbeat without spoof: say whose it is, as 10.0.0.9:printer")
	}
	if g.Heartbeat {
		return nil // its name, value and type are its own
	}
	if g.Name == "" {
		return errors.New("a metric needs a name")
	}
	for _, f := range [][2]string{{"name", g.Name}, {"value", g.Value}, {"type", g.Type}, {"units", g.Units}} {
		if strings.Contains(f[1], `"`) {
			return fmt.Errorf("%s %.60q holds a double quote, which gmond's XML cannot carry; leave it out", f[0], f[1])
		}
	}
	types := []string{"string", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float", "double"}
	switch {
	case !slices.Contains(types, g.Type):
		return fmt.Errorf("type %.60q: want one of %s", g.Type, strings.Join(types, ", "))
	case g.Type == types[0]:
		return nil
	case g.Value == "":
		return fmt.Errorf("the value is empty: want a number, as the type is %s", g.Type)
	case !strtod.MatchString(g.Value):
		return fmt.Errorf("value %.60q is no number: want one, as the type is %s, or the type string", g.Value, g.Type)
	}
	return nil
}

// Datagrams makes what gmetric sends: metadata, then the value as text. host is this host's name, override what a
// configured override_hostname makes of it (see Override), or empty.
func (g *Gmetric) Datagrams(host, override string) (metadata, value []byte, err error) {
	m := *g
	if m.Heartbeat {
		m.Name, m.Value, m.Type, m.Units, m.Slope, m.TMax, m.DMax = "heartbeat", "0", "uint32", "", "zero", 0, 0
	}
	spoof := m.Spoof
	if spoof == "" {
		spoof = override
	}
	p := gmond.Packet{
		Host: []byte(host), Name: []byte(m.Name), Type: []byte(m.Type), Units: []byte(m.Units),
		Slope: slopeOf(m.Slope), TMax: m.TMax, DMax: m.DMax, Extra: m.extra(spoof),
		ID: gmond.ValueString, Format: []byte("%s"), Text: []byte(m.Value),
	}
	if spoof != "" {
		p.Host, p.Spoof = []byte(spoof), true
	}
	if metadata, err = gmond.AppendMetadata(nil, &p); err != nil {
		return nil, nil, err
	}
	if value, err = gmond.AppendValue(nil, &p); err != nil {
		return nil, nil, err
	}
	return metadata, value, nil
}

// extra lists the extra elements in gmetric's order.
func (g *Gmetric) extra(spoof string) (all []gmond.Extra) {
	add := func(name, data string) {
		if data != "" {
			all = append(all, gmond.Extra{Name: []byte(name), Data: []byte(data)})
		}
	}
	add("SPOOF_HOST", spoof)
	if g.Heartbeat {
		add("SPOOF_HEARTBEAT", "yes")
	}
	add("CLUSTER", g.Cluster)
	for _, group := range strings.FieldsFunc(g.Group, func(r rune) bool { return r == ',' || r == ' ' }) {
		add("GROUP", group)
	}
	add("DESC", g.Desc)
	add("TITLE", g.Title)
	return all
}

// slopeOf reads gmond's words for a slope.
func slopeOf(word string) gmond.Slope {
	for s := gmond.Zero; s <= gmond.Derivative; s++ {
		if s.String() == word {
			return s
		}
	}
	return gmond.Unspecified
}

// Override is the host field of packets that speak for another host than their sender, as override_hostname makes
// them: the name stands for the address too where there is none.
func Override(hostname, ip string) string {
	switch {
	case hostname == "":
		return ""
	case ip == "":
		return hostname + ":" + hostname
	}
	return ip + ":" + hostname
}
