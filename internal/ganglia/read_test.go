package ganglia

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func read(t testing.TB, doc []byte) (*Document, *Report) {
	t.Helper()
	d, rep, err := ReadDocument(bytes.NewReader(doc), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d, rep
}

// latin1 is the reader that encoding/xml wants for ISO 8859-1.
func latin1(_ string, in io.Reader) (io.Reader, error) {
	b, err := io.ReadAll(in)
	return strings.NewReader(utf8Of(string(b))), err
}

// elements lists all elements of a well-formed document by encoding/xml.
func elements(doc []byte) (out []string, err error) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	d.CharsetReader = latin1
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if e, ok := tok.(xml.StartElement); ok {
			line := e.Name.Local
			for _, a := range e.Attr {
				line += fmt.Sprintf(" %s=%q", a.Name.Local, a.Value)
			}
			out = append(out, line)
		}
	}
}

// What gmetad wrote is written again byte for byte after it was read: nothing is lost, nothing is made up.
func TestGmetadCapturesComeOutAsTheyWentIn(t *testing.T) {
	for _, file := range []string{
		"gmetad-8651-nested-grid.xml", "gmetad-8652-cluster-summary.xml", "gmetad-8652-host.xml", "gmetad-8652-metric.xml",
		"gmetad-8652-http-wildcard.txt",
	} {
		doc := capture(t, file)
		doc = doc[bytes.Index(doc, []byte("<?xml")):]
		d, rep := read(t, doc)
		if rep.Faults != 0 {
			t.Errorf("%s: %v", file, rep.First)
		}
		if got := answerTo(t, d.Grid, "/", 0); string(got) != string(doc) {
			t.Errorf("%s comes out differently: %s", file, difference(got, doc))
		}
	}
	// The summary of the root asks for itself.
	doc := capture(t, "gmetad-8652-root-summary.xml")
	d, _ := read(t, doc)
	if got := answerTo(t, d.Grid, "/?filter=summary", 0); string(got) != string(doc) {
		t.Errorf("root summary: %s", difference(got, doc))
	}
}

func answerTo(t failer, g *Grid, line string, now int64) []byte {
	req, err := ParseRequest([]byte(line))
	if err != nil {
		t.Fatalf("%v", err)
	}
	var b bytes.Buffer
	if err := WriteAnswer(&b, g, req, now); err != nil {
		t.Fatalf("%v", err)
	}
	return b.Bytes()
}

func difference(got, want []byte) string {
	g, w := bytes.Split(got, newline), bytes.Split(want, newline)
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			return fmt.Sprintf("line %d\n got %s\nwant %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// gmetad's document that is no XML from line 350 on is read to its end.
func TestReadGmetadsUnescapedText(t *testing.T) {
	doc := capture(t, "gmetad-8651.xml")
	if _, err := elements(doc); err == nil {
		t.Fatal("the capture should be no XML")
	}
	d, rep := read(t, doc)
	if rep.Faults != 0 || rep.Hosts != 4 {
		t.Errorf("%d hosts, faults %v", rep.Hosts, rep.First)
	}
	out := answerTo(t, d.Grid, "/", 0)
	want := bytes.Replace(doc, []byte(`VAL="<a&b'c>"`), []byte(`VAL="&lt;a&amp;b&apos;c&gt;"`), 1)
	want = bytes.ReplaceAll(want, []byte("lu\xc5\xa5"), []byte("lu&#357;"))
	if string(out) != string(want) {
		t.Errorf("comes out differently: %s", difference(out, want))
	}
	if _, err := elements(out); err != nil {
		t.Errorf("what comes out is no XML: %v", err)
	}
}

// gmond's document is read as encoding/xml reads it, but for the line that this refuses.
func TestReadAgreesWithXML(t *testing.T) {
	doc := bytes.Replace(capture(t, "gmond-8649-1.xml"), []byte("lab & co"), []byte("lab &amp; co"), 1)
	var clean [][]byte
	for _, line := range bytes.Split(doc, newline) {
		if i := bytes.Index(line, []byte("&#")); i >= 0 && line[i+2] > '9' {
			line = bytes.Replace(line, line[i:bytes.IndexByte(line, ';')+1], nil, 1)
			for bytes.Contains(line, []byte("&#")) {
				i = bytes.Index(line, []byte("&#"))
				line = append(bytes.Clone(line[:i]), line[i+bytes.IndexByte(line[i:], ';')+1:]...)
			}
		}
		clean = append(clean, line)
	}
	doc = bytes.Join(clean, newline)
	want, err := elements(doc)
	if err != nil {
		t.Fatal(err)
	}
	d, rep := read(t, doc)
	if rep.Faults != 0 {
		t.Errorf("faults %v", rep.First)
	}
	b := AppendCluster(AppendHead(nil, d.Version, d.Source), d.Cluster)
	for i := range d.Cluster.Hosts {
		b = AppendHost(b, &d.Cluster.Hosts[i])
	}
	b = AppendTail(AppendClusterEnd(b))
	got, err := elements(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d elements, want %d", len(got), len(want))
	}
	for i := range got {
		got[i] = string(resolve(nil, []byte(got[i]))) // gmond's form escapes twice
		if got[i] != strings.ReplaceAll(want[i], `\'`, `'`) {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
}

func TestReadBrokenValues(t *testing.T) {
	d, rep := read(t, capture(t, "gmond-8649-broken-values.xml"))
	if rep.Hosts != 2 || rep.Faults != 1 || rep.First[0].Host != "node3" || rep.First[0].Metric != "long" || rep.First[0].Line == 0 {
		t.Errorf("%d hosts, %d faults: %v", rep.Hosts, rep.Faults, rep.First)
	}
	got := make(map[string]Metric)
	for _, m := range d.Cluster.Hosts[0].Metrics {
		got[m.Name] = m
	}
	for name, want := range map[string]string{
		"ctl": "a\tb\nc\x01d\x7fe", "utf8": "žluť", "latin1": "é\u00ff", "a\"b<c>&": "1", "inf": "inf", "nan": "nan", "lit": "no directive",
		"u1": "4294967295", "i1": "-5",
	} {
		if got[name].Value != want && name != "latin1" {
			t.Errorf("%s: got %q, want %q", name, got[name].Value, want)
		}
	}
	if m := got["a\"b<c>&"]; m.Type != `fl"oat` || m.Units != "<&>" || m.TMax != 60 {
		t.Errorf("got %+v", m)
	}
	if v := got["latin1"].Value; !strings.HasPrefix(v, "é") {
		t.Errorf("latin1: got %q", v)
	}
}

func TestReadGzip(t *testing.T) {
	d, rep := read(t, capture(t, "gzip.bin"))
	if !rep.Gzip || rep.Hosts == 0 || d.Cluster == nil || rep.Bytes < 10_000 {
		t.Errorf("%+v", rep)
	}
	doc := capture(t, "gzip.bin")
	if _, _, err := ReadDocument(bytes.NewReader(doc[:len(doc)/2]), Limits{}); !errors.Is(err, ErrTruncated) {
		t.Errorf("half of it: %v", err)
	}
	if _, _, err := ReadDocument(bytes.NewReader(doc), Limits{Bytes: 4000}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// However the bytes come, the tree is the same.
func TestReadInSmallPieces(t *testing.T) {
	for _, file := range []string{"gmond-8649-broken-values.xml", "gmetad-8651.xml"} {
		doc := capture(t, file)
		_, want := read(t, doc)
		_, got, err := ReadDocument(iotest.OneByteReader(bytes.NewReader(doc)), Limits{})
		if err != nil || got.Metrics != want.Metrics || got.Faults != want.Faults || got.Bytes != want.Bytes {
			t.Errorf("%s: got %+v, want %+v, err %v", file, got, want, err)
		}
	}
}

const (
	opening = `<GANGLIA_XML VERSION="3.7.2" SOURCE="gmond"><CLUSTER NAME="c" LOCALTIME="1">` + "\n"
	hostA   = `<HOST NAME="a" IP="10.0.0.1" REPORTED="1" TN="0">` + "\n"
	closing = "</HOST></CLUSTER></GANGLIA_XML>\n"
	good    = `<METRIC NAME="good" VAL="1" TYPE="float" UNITS="" TN="0"/>` + "\n"
)

func TestReadHostile(t *testing.T) {
	long := strings.Repeat("x", 10<<20)
	for _, c := range []struct {
		name, doc string
		err       error
		metrics   int
		fault     string
	}{
		{"entity bomb", `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + opening, ErrEntity, 0, ""},
		{"entity later", opening + `<!ENTITY a "aaaa">`, ErrEntity, 0, ""},
		{"doctype without end", `<!DOCTYPE a [` + long, ErrForeign, 0, ""},
		{"attribute of ten megabytes", opening + hostA + `<METRIC NAME="m" VAL="` + long + `" TYPE="string"/>` + "\n" + good + closing, nil, 1, "too long"},
		{"name of ten megabytes", opening + hostA + `<METRIC NAME="` + long + `" VAL="1"/>` + "\n" + good + closing, nil, 1, "too long"},
		{"tag without end", opening + hostA + `<METRIC ` + long, ErrTruncated, 0, "no list of attributes"},
		{"attributes for ever", opening + hostA + `<METRIC ` + strings.Repeat(`A="1" `, 1<<20) + ">\n" + good + closing, nil, 1, "twice"},
		{"grids in grids", `<GANGLIA_XML VERSION="1" SOURCE="gmetad">` + strings.Repeat(`<GRID NAME="g">`, 100), ErrTooLarge, 0, ""},
		{"cut line", opening + hostA + `<METRIC NAME="cut" VAL="1` + good + closing, nil, 1, "another element begins"},
		{"line ends in name", opening + hostA + "<METRIC NAME=\"c\nut\" VAL=\"1\"/>\n" + good + closing, nil, 1, "line ends"},
		{"name that plays value", opening + hostA + `<METRIC NAME="x" VAL="9" TYPE="" VAL="1" TYPE="float"/>` + "\n" + good + closing, nil, 1, "twice"},
		{"cut host", opening + `<HOST NAME="a" IP="10.0` + "\n" + good + hostA + good + closing, nil, 1, "host cannot be read"},
		{"ends early", opening + hostA + good, ErrTruncated, 1, ""},
		{"no document", "HTTP/1.0 404 Not Found\r\n\r\n<html>", ErrForeign, 0, ""},
		{"nothing", "", ErrForeign, 0, ""},
		{"wrong root", hostA, ErrForeign, 0, ""},
		{"second cluster", opening + hostA + good + `</HOST></CLUSTER><CLUSTER NAME="d">` + hostA + closing, nil, 1, "second cluster"},
	} {
		d, rep, err := ReadDocument(strings.NewReader(c.doc), Limits{})
		if !errors.Is(err, c.err) || err != nil && c.err == nil {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
		if rep.Metrics != c.metrics {
			t.Errorf("%s: %d metrics, want %d", c.name, rep.Metrics, c.metrics)
		}
		if c.fault == "" && rep.Faults > 0 || c.fault != "" && (rep.Faults != 1 || !strings.Contains(rep.First[0].What, c.fault)) {
			t.Errorf("%s: faults %v, want %q", c.name, rep.First, c.fault)
		}
		_ = d
	}
}

func TestReadIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(opening)
	for i := range 1000 {
		fmt.Fprintf(&b, `<HOST NAME="h%d" IP="10.0.0.1" REPORTED="1"><METRIC NAME="m%d" VAL="%d"/></HOST>`, i, i, i)
	}
	doc := b.String()
	for _, lim := range []Limits{{Hosts: 999}, {Held: 100_000}, {Bytes: int64(len(doc) - 1)}} {
		d, _, err := ReadDocument(strings.NewReader(doc), lim)
		if !errors.Is(err, ErrTooLarge) || d == nil {
			t.Errorf("%+v: %v", lim, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range []string{"gmond-8649-broken-values.xml", "gmetad-8651-nested-grid.xml", "gzip.bin", "gmetad-8652-root-summary.xml"} {
		f.Add(capture(f, file))
	}
	f.Add([]byte(opening + hostA + good + closing))
	f.Add([]byte(opening + hostA + `<METRIC NAME="a"b<c>&" VAL="&#<7;&amp;lt;" TYPE="fl"oat"/>` + closing))
	f.Fuzz(func(t *testing.T, in []byte) {
		d, rep, _ := ReadDocument(bytes.NewReader(in), Limits{Bytes: 1 << 20, Held: 4 << 20, Hosts: 1000})
		if rep.Faults < len(rep.First) || len(rep.First) > maxFaults {
			t.Fatalf("%d faults, %d told", rep.Faults, len(rep.First))
		}
		if d == nil {
			return
		}
		if d.Cluster != nil {
			wellFormed(t, gmondDocument(d.Cluster))
			Summarize(d.Cluster, 0)
		}
		if d.Grid != nil {
			wellFormed(t, answerTo(t, d.Grid, "/", 0))
			wellFormed(t, answerTo(t, d.Grid, "/?filter=summary", 0))
		}
	})
}

// 2,000 hosts with 30 metrics of three extras, as gmond tells them.
func BenchmarkRead(b *testing.B) {
	doc := bigDocument(2000, 30)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, rep, err := ReadDocument(bytes.NewReader(doc), Limits{}); err != nil || rep.Metrics != 60_000 {
			b.Fatal(err, rep)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/60_000, "ns/metric")
}

func bigDocument(hosts, metrics int) []byte {
	c := &Cluster{Name: "big", LocalTime: 1795210540, Owner: "unspecified", LatLong: "unspecified", URL: "unspecified"}
	for i := range hosts {
		h := Host{Name: fmt.Sprintf("node%05d.example", i), IP: fmt.Sprintf("10.1.%d.%d", i/250, i%250), TN: 3, TMax: 20, Location: "unspecified", Reported: 1795210537}
		for j := range metrics {
			h.Metrics = append(h.Metrics, Metric{
				Name: fmt.Sprintf("metric_number_%d", j), Value: fmt.Sprintf("%d.%02d", i*j, j), Type: "float", Units: "bytes/sec", TN: uint32(j), TMax: 60, Slope: "both", Source: "gmond",
				Extra: []Extra{{"GROUP", "network"}, {"DESC", fmt.Sprintf("Number of bytes of kind %d in per second", j)}, {"TITLE", "Bytes Received"}},
			})
		}
		c.Hosts = append(c.Hosts, h)
	}
	return gmondDocument(c)
}
