package ganglia

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"pgregory.net/rapid"
)

func capture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The head is gmond's and gmetad's, byte for byte but for the mark of the one.
func TestHead(t *testing.T) {
	for file, source := range map[string]string{"gmond-8649-1.xml": "gmond", "gmetad-8651.xml": "gmetad"} {
		got := bytes.Replace(AppendHead(nil, "3.7.2", source), []byte(twiceMark+"\n"), nil, 1)
		if !bytes.HasPrefix(capture(t, file), got) {
			t.Errorf("head of %s:\n%s", file, got)
		}
	}
}

func gmondDocument(c *Cluster) []byte {
	b := AppendCluster(AppendHead(nil, "3.7.2", "gmond"), c)
	for i := range c.Hosts {
		b = AppendHost(b, &c.Hosts[i])
	}
	return AppendTail(AppendClusterEnd(b))
}

// A host of gmond's comes out as gmond wrote it.
func TestHostAsGmond(t *testing.T) {
	doc := capture(t, "gmond-8649-1.xml")
	d, _ := read(t, doc)
	n := 0
	for _, h := range d.Cluster.Hosts {
		got := AppendHost(nil, &h)
		if bytes.ContainsAny(got, "&_") && !bytes.Contains(doc, got) {
			continue // text that gmond wrote in a broken or another way
		}
		n++
		if !bytes.Contains(doc, got) {
			t.Errorf("gmond wrote host %s differently", h.Name)
		}
	}
	if n < 2 {
		t.Errorf("%d hosts compared", n)
	}
}

type failer interface{ Fatalf(string, ...any) }

// wellFormed judges a document by encoding/xml, and its lines by what gmond and gmetad bear.
func wellFormed(t failer, doc []byte) []string {
	out, err := elements(doc)
	if err != nil {
		t.Fatalf("no XML: %v\n%s", err, doc[len(preamble):])
	}
	for _, line := range bytes.Split(doc, newline) {
		if len(line) >= 1000 {
			t.Fatalf("a line of %d bytes: %s", len(line), line)
		}
		for _, c := range line {
			if c < 0x20 || c > 0x7e {
				t.Fatalf("byte %#x in %q", c, line)
			}
		}
	}
	return out
}

// gmetadWould gives what gmetad makes of an attribute: escapes resolved and not made again.
func gmetadWould(doc []byte) []byte { return resolve(nil, doc) }

// Whatever the texts are, what we write is XML, and what a gmetad that escapes nothing makes of gmond's form too.
func TestWrittenIsAlwaysXML(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "bytes"))
		case 1:
			return string(bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(t, "bytes"), rapid.IntRange(1, 1200).Draw(t, "times")))
		case 2:
			return rapid.StringMatching(`[&<>"'/;#x0-9\n ]{0,30}`).Draw(t, "markup")
		}
		return rapid.String().Draw(t, "text")
	})
	extra := rapid.Custom(func(t *rapid.T) Extra { return Extra{text.Draw(t, "name"), text.Draw(t, "value")} })
	metric := rapid.Custom(func(t *rapid.T) Metric {
		return Metric{
			Name: text.Draw(t, "name"), Value: text.Draw(t, "value"), Type: text.Draw(t, "type"), Units: text.Draw(t, "units"), Slope: text.Draw(t, "slope"),
			Source: text.Draw(t, "source"), TN: rapid.Uint32().Draw(t, "tn"), TMax: rapid.Uint32().Draw(t, "tmax"), Extra: rapid.SliceOfN(extra, 0, 40).Draw(t, "extra"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		h := Host{
			Name: text.Draw(t, "host"), IP: text.Draw(t, "ip"), Tags: text.Draw(t, "tags"), Location: text.Draw(t, "location"), TN: rapid.Uint32().Draw(t, "tn"),
			Reported: rapid.Int64().Draw(t, "reported"), Started: rapid.Int64().Draw(t, "started"), Metrics: rapid.SliceOfN(metric, 0, 3).Draw(t, "metrics"),
		}
		c := Cluster{Name: text.Draw(t, "cluster"), Owner: text.Draw(t, "owner"), LatLong: text.Draw(t, "latlong"), URL: text.Draw(t, "url"), Hosts: []Host{h}}
		doc := gmondDocument(&c)
		wellFormed(t, doc)
		passed := gmetadWould(doc)
		if _, err := elements(passed); err != nil {
			t.Fatalf("gmetad would make no XML of it: %v\n%s", err, passed[len(preamble):])
		}
		sum := Sum{Name: text.Draw(t, "sum"), Sum: rapid.Float64().Draw(t, "v"), Units: text.Draw(t, "units"), Slope: text.Draw(t, "slope"), Decimals: rapid.IntRange(0, 9).Draw(t, "d")}
		c.Summary = &Summary{Metrics: []Sum{sum}}
		g := Grid{Name: text.Draw(t, "grid"), Authority: text.Draw(t, "authority"), Clusters: []Cluster{c}, Grids: []Grid{{Name: "inner", Summary: c.Summary}}}
		wellFormed(t, answerTo(t, &g, "/", 5))
		wellFormed(t, answerTo(t, &g, "/?filter=summary", 5))
	})
}

// What one of us writes another reads as it was, as long as it is no longer than allowed.
func TestReadWhatWeWrite(t *testing.T) {
	h := Host{Name: "web1.example", IP: "10.0.0.1", Tags: "a & b", Location: "1,2,3", TN: 3, TMax: 20, Reported: 1795210537, Started: 1795210477, Metrics: []Metric{
		{Name: "m", Value: `a<b>&"c' žluť &amp;`, Type: "string", Units: "°C", Slope: "zero", TN: 1, TMax: 60, Source: "gmond", Extra: []Extra{{"TITLE", "A & B"}, {"GROUP", "x"}}},
	}}
	c := Cluster{Name: "lab", LocalTime: 1795210540, Owner: "o & p", LatLong: "l", URL: "http://x/?a=b&c=d", Hosts: []Host{h}}
	d, rep := read(t, gmondDocument(&c))
	if got, want := fmt.Sprintf("%+v", *d.Cluster), fmt.Sprintf("%+v", c); got != want || rep.Faults != 0 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	g := Grid{Name: "g", Authority: "http://a/?b&c", LocalTime: 5, Clusters: []Cluster{c}}
	d, rep = read(t, answerTo(t, &g, "/", 5))
	if got, want := fmt.Sprintf("%+v", *d.Grid), fmt.Sprintf("%+v", g); got != want || rep.Faults != 0 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
