package normalize

import (
	"bufio"
	"encoding/binary"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keepwatch/metric"
)

func lines(t *testing.T) [][]string {
	t.Helper()
	all, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[1:]
}

// sampleOf reads the column sample as a collector would bring it.
func sampleOf(t *testing.T, l []string) metric.Sample {
	t.Helper()
	name, text, ok := strings.Cut(l[colSample], " ")
	if !ok {
		t.Fatalf("line of %s: sample %q: want a name and a value", l[colGmond], l[colSample])
	}
	if l[colKind] == "info" {
		return metric.Sample{Series: gmondSeries(name, l[colSent], text, 0), Value: 1}
	}
	kind, err := metric.ParseKind(l[colKind])
	if err != nil {
		t.Fatal(err)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return metric.Sample{Series: gmondSeries(name, l[colSent], "", kind), Value: v}
}

// Each line of the table makes of its sample what it says, in its unit and kind.
func TestEveryLine(t *testing.T) {
	n := normalizer(t)
	for i, l := range lines(t) {
		t.Run(fmt.Sprintf("%d %s", i+2, l[colGmond]), func(t *testing.T) {
			in := sampleOf(t, l)
			kind := metric.State
			if l[colKind] != "info" {
				kind = in.Series.Kind
			}
			var got []string
			for _, s := range n.one(in.Series, int64(i), in.Value) {
				got = append(got, written(s))
				if written(s) == l[colBecomes] {
					if s.Series.Unit != metric.Unit(l[colUnit]) || s.Series.Kind != kind {
						t.Errorf("unit %q, kind %v", s.Series.Unit, s.Series.Kind)
					}
					if s.Series.Label("source") != "gmond" {
						t.Errorf("source is %q", s.Series.Label("source"))
					}
					return
				}
			}
			t.Errorf("%s in %q becomes %v, want %s", l[colSample], l[colSent], got, l[colBecomes])
		})
	}
}

// What one line claims no other claims: neither what comes in nor what it becomes.
func TestLinesDoNotOverlap(t *testing.T) {
	n, err := readTable(table)
	if err != nil {
		t.Fatal(err)
	}
	all := lines(t)
	from, to := make(map[string]int), make(map[string]string)
	for i, l := range all {
		in := fmt.Sprint(l[colGmond], "\x00", fold(l[colSent]), "\x00", l[colName], "\x00", l[colLabels])
		if other, ok := from[in]; ok {
			t.Errorf("lines %d and %d are the same", other, i+2)
		}
		from[in] = i + 2
		target := l[colName] + "{" + l[colLabels]
		if _, rest, ok := strings.Cut(l[colGmond], "<"); ok {
			target += " " + rest[:strings.Index(rest, ">")]
		}
		if other, ok := to[target]; ok && other != l[colGmond] {
			t.Errorf("%s and %s would be one series, %s}", other, l[colGmond], target)
		}
		to[target] = l[colGmond]
		in0 := sampleOf(t, l)
		original := in0.Series.Label("gmond_name")
		if original == "" {
			original, _, _ = strings.Cut(l[colSample], " ")
		}
		for _, m := range n.find(original, l[colSent], l[colKind] == "info") {
			if other := all[m.rule.line-2]; other[colGmond] != l[colGmond] {
				t.Errorf("line %d takes the sample of line %d, %s", m.rule.line, i+2, l[colSample])
			}
		}
	}
}

func TestTableIsRefused(t *testing.T) {
	head := "gmond,sent,name,labels,unit,kind,scale,offset,sample,becomes\n"
	for _, bad := range []string{"a,b\n", "a,,n,,,counted,1,0,,\n", "a,,n,,,gauge,x,0,,\n", "a<b,,n,,,gauge,1,0,,\n", "a<>,,n,,,gauge,1,0,,\n"} {
		if _, err := readTable(head + bad); err == nil || !strings.Contains(err.Error(), "table of gmond names") {
			t.Errorf("%q: got %v, want a refusal that names the table", bad, err)
		}
	}
}

// packet is what a captured datagram says; integers are big endian, strings begin with their length.
type packet struct {
	id                      uint32
	name, typ, units, group string
	slope                   uint32
	value                   float64
	text                    string
}

func decode(t *testing.T, b []byte) (p packet) {
	t.Helper()
	u32 := func() uint32 { v := binary.BigEndian.Uint32(b); b = b[4:]; return v }
	str := func() string {
		n := int(u32())
		s := string(b[:n])
		b = b[(n+3)/4*4:]
		return s
	}
	p.id = u32()
	str()
	p.name = str()
	u32()
	switch p.id {
	case 128:
		p.typ, _, p.units = str(), str(), str()
		p.slope = u32()
		u32()
		u32()
		for range u32() {
			if key, value := str(), str(); key == "GROUP" {
				p.group = value
			}
		}
	case 136:
	default:
		p.value, p.text = valueOf(t, p.id, str(), b)
	}
	return p
}

func valueOf(t *testing.T, id uint32, format string, b []byte) (float64, string) {
	t.Helper()
	v := binary.BigEndian.Uint32(b)
	switch id {
	case 129, 132:
		return float64(v), ""
	case 133:
		return 0, string(b[4 : 4+v])
	case 134:
		return rounded(t, format, float64(math.Float32frombits(v))), ""
	case 135:
		return rounded(t, format, math.Float64frombits(binary.BigEndian.Uint64(b))), ""
	}
	t.Fatalf("value with id %d", id)
	return 0, ""
}

// rounded is how a collector reads a float: as its sender would print it.
func rounded(t *testing.T, format string, v float64) float64 {
	t.Helper()
	r, err := strconv.ParseFloat(fmt.Sprintf(format, v), 64)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Golden: every metric that a real gmond announced of its own modules has a line, for the units that it sent, and the
// captured value becomes what the line's scale makes of it.
func TestEveryCapturedMetricHasALine(t *testing.T) {
	n := normalizer(t)
	metadata, values := captured(t)
	own := []string{"core", "cpu", "disk", "load", "memory", "network", "process", "system", "fs", "io", "disk_io"}
	found := 0
	for name, m := range metadata {
		if !slices.Contains(own, m.group) && name != "heartbeat" {
			continue // of a gmetric
		}
		v, ok := values[name]
		if !ok {
			t.Errorf("%s was captured without a value", name)
			continue
		}
		found++
		kind := metric.Gauge
		if m.slope == 1 || m.slope == 5 {
			kind = metric.Counter
		}
		text := ""
		if m.typ == "string" {
			text, v.value = v.text, 1
		}
		got := n.one(gmondSeries(name, m.units, text, kind), int64(found), v.value)
		ms := n.table.find(name, m.units, m.typ == "string")
		if len(ms) == 0 || len(got) != len(ms) {
			t.Errorf("%s in %q has %d lines and becomes %v", name, m.units, len(ms), got)
			continue
		}
		for i, r := range ms {
			if want := v.value*r.rule.scale + r.rule.offset; got[i].Value != want || got[i].Series.Name != r.rule.name {
				t.Errorf("%s %v: got %s, want %s %v", name, v.value, written(got[i]), r.rule.name, want)
			}
		}
	}
	if found < 55 {
		t.Errorf("%d metrics of gmond's own were captured, want at least 55", found)
	}
}

func captured(t *testing.T) (metadata, values map[string]packet) {
	t.Helper()
	metadata, values = make(map[string]packet), make(map[string]packet)
	files, err := filepath.Glob("../../collector/gmond/testdata/payloads/*.hex")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d captured payloads, %v", len(files), err)
	}
	for _, file := range append(files, "testdata/gmond-modules.hex") {
		if strings.Contains(file, "-spoof") {
			continue
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for sc := bufio.NewScanner(f); sc.Scan(); {
			raw, err := hex.DecodeString(sc.Text())
			if err != nil || len(raw) == 0 {
				continue // a line that explains
			}
			if p := decode(t, raw); p.id == 128 {
				metadata[p.name] = p
			} else if p.id != 136 {
				values[p.name] = p
			}
		}
	}
	return metadata, values
}
