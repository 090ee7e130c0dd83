package ganglia

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	for line, want := range map[string]Request{
		"/":                                     {},
		"/lab":                                  {Path: []string{"lab"}},
		"/lab/":                                 {Path: []string{"lab"}},
		"/lab one/host/metric/deeper":           {Path: []string{"lab one", "host", "metric", "deeper"}},
		"//lab":                                 {Path: []string{"", "lab"}},
		"/lab//host":                            {Path: []string{"lab", "", "host"}},
		"//":                                    {Path: []string{""}},
		"/?filter=summary":                      {Summary: true},
		"/lab?filter=summary":                   {Path: []string{"lab"}, Summary: true},
		"/lab?filter=other":                     {Path: []string{"lab"}},
		"/lab?other=summary":                    {Path: []string{"lab"}},
		"GET /*/*/load_one HTTP/1.0":            {Path: []string{"*", "*", "load_one"}, HTTP: true},
		"GET /lab?filter=summary HTTP/1.1":      {Path: []string{"lab"}, Summary: true, HTTP: true},
		"/status":                               {Path: []string{"status"}, Status: true},
		"GET /status HTTP/1.1":                  {Path: []string{"status"}, Status: true, HTTP: true},
		"/" + strings.Repeat("x", MaxRequest-2): {Path: []string{strings.Repeat("x", MaxRequest-2)}},
	} {
		got, err := ParseRequest([]byte(line))
		if err != nil || !slices.Equal(got.Path, want.Path) || got.Summary != want.Summary || got.HTTP != want.HTTP || got.Status != want.Status {
			t.Errorf("%.60q: got %+v, %v", line, got, err)
		}
	}
	refuse := []string{"", " ", "lab", "lab/host", "/lab?", "/lab?filter", "GET /", "GET lab HTTP/1.0", "POST / HTTP/1.0", "/" + strings.Repeat("x", MaxRequest-1)}
	for _, c := range ">!@#$%`;|\"\\'<" {
		refuse = append(refuse, "/lab"+string(c))
	}
	for _, line := range refuse {
		if got, err := ParseRequest([]byte(line)); !errors.Is(err, ErrRequest) {
			t.Errorf("%.60q: got %+v, %v", line, got, err)
		}
	}
}

func lab() *Grid {
	m := func(name, value string) Metric {
		return Metric{Name: name, Value: value, Type: "float", Slope: "both", TMax: 60, Source: "gmond"}
	}
	return &Grid{Name: "Lab", Authority: "http://a/", LocalTime: 100, Clusters: []Cluster{
		{Name: "one", LocalTime: 99, Hosts: []Host{
			{Name: "alpha", TMax: 20, Metrics: []Metric{m("load_one", "1.50"), m("cpu", "3")}},
			{Name: "beta", TMax: 20, Metrics: []Metric{m("load_one", "2.123")}},
		}},
		{Name: "two", LocalTime: 98, Hosts: []Host{{Name: "gamma", TMax: 20, Metrics: []Metric{m("load_one", "4")}}}},
	}, Grids: []Grid{{
		Name: "Inner", Clusters: []Cluster{{Name: "deep", Hosts: []Host{{Name: "delta", TMax: 20, Metrics: []Metric{m("load_one", "5")}}}}},
	}}}
}

// shape lists which elements of a name an answer has: "one" for a cluster, "one/alpha" and so on.
func shape(t *testing.T, doc []byte) string {
	t.Helper()
	if i := bytes.Index(doc, []byte("<?xml")); i > 0 {
		doc = doc[i:]
	}
	var out []string
	for _, e := range wellFormed(t, doc) {
		kind, rest, _ := strings.Cut(e, " ")
		name, _, _ := strings.Cut(strings.TrimPrefix(rest, `NAME="`), `"`)
		switch kind {
		case "GRID":
			out = append(out, "["+name+"]")
		case "CLUSTER":
			out = append(out, name+":")
		case "HOST":
			out = append(out, name)
		case "METRIC":
			out = append(out, "."+name)
		case "HOSTS":
			out = append(out, "sum")
		}
	}
	return strings.Join(out, " ")
}

// As measured of gmetad 3.7.2.
func TestAnswers(t *testing.T) {
	const (
		inner = "[Inner] sum "
		one   = "one: alpha .load_one .cpu beta .load_one"
		two   = "two: gamma .load_one"
	)
	all := "[Lab] " + inner + one + " " + two
	for _, c := range [][2]string{
		{"/", all},
		{"/nowhere", all},
		{"/nowhere/alpha", all},
		{"/one", "[Lab] " + one},
		{"/one/", "[Lab] " + one},
		{"/ONE", all},
		{"/one/nobody", "[Lab] " + one},
		{"/one/alpha", "[Lab] one: alpha .load_one .cpu"},
		{"/one/alpha/cpu", "[Lab] one: alpha .cpu"},
		{"/one/alpha/cpu/deeper", "[Lab] one: alpha .cpu"},
		{"/one/alpha/none", "[Lab] one: alpha .load_one .cpu"},
		{"/?filter=summary", "[Lab] sum " + inner + "one: sum two: sum"},
		{"/one?filter=summary", "[Lab] one: sum"},
		{"/one/alpha?filter=summary", "[Lab] one: alpha"},
		{"/one/alpha/cpu?filter=summary", "[Lab] one: alpha .cpu"},
		{"/Inner", "[Lab] [Inner] sum"},
		{"/Inner/deep", "[Lab] [Inner] deep: delta .load_one"},
		{"/Inner/none", "[Lab] [Inner] sum"},
		{"GET / HTTP/1.0", all},
		{"GET /*/*/load_one HTTP/1.0", "[Lab] " + inner + "one: alpha .load_one beta .load_one two: gamma .load_one"},
		{"GET /nowhere HTTP/1.0", "[Lab]"},
		{"GET /one/nobody HTTP/1.1", "[Lab] one:"},
		{"GET /one/alpha/none HTTP/1.1", "[Lab] one: alpha"},
	} {
		doc := answerTo(t, lab(), c[0], 100)
		if got := shape(t, doc); got != strings.TrimSpace(c[1]) {
			t.Errorf("%s:\ngot  %s\nwant %s", c[0], got, c[1])
		}
		if strings.HasPrefix(c[0], "GET") != bytes.HasPrefix(doc, []byte("HTTP/1.0 200 OK\r\n")) {
			t.Errorf("%s: begins with %.20q", c[0], doc)
		}
	}
	status := string(answerTo(t, lab(), "/status", 100))
	if !strings.Contains(status, "Content-Type: application/json\r\n") || !strings.HasSuffix(status, `"clusters":2,"grids":1,"hosts_up":4,"hosts_down":0,"metrics":2}`) {
		t.Errorf("status: %s", status)
	}
}

// 1.50 + 2.123 + 4 is printed as 7.62, a mean is over the hosts that have the metric, text and timestamps do not
// count, and a host that was silent for four times its TMAX is down with all it says.
func TestSummarize(t *testing.T) {
	c := lab().Clusters[0]
	c.Hosts = append(c.Hosts, Host{Name: "c", TN: 79, TMax: 20, Metrics: []Metric{
		{Name: "load_one", Value: "4", Type: "double", Extra: []Extra{{"SPOOF_HOST", "x"}}},
		{Name: "os", Value: "1", Type: "string"}, {Name: "ts", Value: "1", Type: "timestamp"}, {Name: "empty", Type: "float"},
		{Name: "gone", Value: "1", Type: "float", TN: 61, DMax: 60},
		{Name: "count", Value: "7", Type: "uint32", Units: "n", Slope: "positive", Extra: []Extra{{"SPOOF_HOST", "x"}, {"TITLE", "Count"}}},
	}}, Host{Name: "down", TN: 80, TMax: 20, Metrics: []Metric{{Name: "load_one", Value: "100", Type: "float"}}})
	s := Summarize(&c, 100)
	got := string(gmetadForm.summary(nil, s))
	want := `<HOSTS UP="3" DOWN="1" SOURCE="gmetad"/>
<METRICS NAME="load_one" SUM="7.62" NUM="3" TYPE="double" UNITS="" SLOPE="both" SOURCE="gmond">
<EXTRA_DATA>
</EXTRA_DATA>
</METRICS>
<METRICS NAME="cpu" SUM="3" NUM="1" TYPE="double" UNITS="" SLOPE="both" SOURCE="gmond">
<EXTRA_DATA>
</EXTRA_DATA>
</METRICS>
<METRICS NAME="count" SUM="7" NUM="1" TYPE="double" UNITS="n" SLOPE="positive" SOURCE="gmond">
<EXTRA_DATA>
<EXTRA_ELEMENT NAME="TITLE" VAL="Count"/>
</EXTRA_DATA>
</METRICS>
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	c.Polled = 100
	if s := Summarize(&c, 102); s.Up != 2 || s.Down != 2 {
		t.Errorf("two seconds later: %d up, %d down", s.Up, s.Down)
	}
	m := Merge(s, s)
	if m.Up != 6 || m.Metrics[0].Sum != 2*s.Metrics[0].Sum || m.Metrics[0].Num != 6 || m.Metrics[2].Extra != nil {
		t.Errorf("merged: %+v", m)
	}
}

// gmetad's own sums of the lab are ours.
func TestSummaryIsGmetads(t *testing.T) {
	full, _ := read(t, capture(t, "gmetad-8651.xml"))
	told, _ := read(t, capture(t, "gmetad-8652-cluster-summary.xml"))
	ours := make(map[string]Sum)
	for _, m := range Summarize(&full.Grid.Clusters[0], 0).Metrics {
		ours[m.Name] = m
	}
	same := 0
	for _, want := range told.Grid.Clusters[0].Summary.Metrics {
		got := ours[want.Name]
		if got.Num != want.Num || got.Units != want.Units || got.Slope != want.Slope || got.Decimals != want.Decimals {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if d := got.Sum - want.Sum; d < 0.005 && d > -0.005 {
			same++
		}
		delete(ours, want.Name)
	}
	if len(ours) > 0 || same < 40 {
		t.Errorf("%d sums are equal, only we have %v", same, ours)
	}
}
