package threshold_test

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"pgregory.net/rapid"

	"keepwatch/metric"
	"keepwatch/metric/threshold"
)

func TestRangeAlerts(t *testing.T) {
	inf := math.Inf(1)
	tests := []struct {
		text     string
		alerts   []float64
		alertsNo []float64
		canon    string
	}{
		{"10", []float64{-1, 10.1, inf, -inf}, []float64{0, 10, 5}, "10"},
		{"10:", []float64{9.9, -inf}, []float64{10, inf}, "10:"},
		{"~:10", []float64{10.1, inf}, []float64{10, -1e9, -inf}, "~:10"},
		{"10:20", []float64{9, 21}, []float64{10, 20}, "10:20"},
		{"@10:20", []float64{10, 15, 20}, []float64{9.9, 20.1}, "@10:20"},
		{"@10", []float64{0, 10}, []float64{-1, 11}, "@10"},
		{":10", []float64{-1, 11}, []float64{0}, "10"},
		{"0:10", []float64{-1, 11}, []float64{0}, "10"},
		{"-5:-1", []float64{0, -6}, []float64{-5, -1}, "-5:-1"},
		{"@~:0", []float64{0, -3}, []float64{0.1}, "@~:0"},
		{"1:1", []float64{0, 2}, []float64{1}, "1:1"},
		{"@1:1", []float64{1}, []float64{0, 2}, "@1:1"},
		{"0.950", []float64{0.951}, []float64{0.95}, "0.95"},
		{"1e3", []float64{1001}, []float64{1000}, "1000"},
		{"+.5", []float64{0.6}, []float64{0.5}, "0.5"},
		{"~:", nil, []float64{-inf, 0, inf}, "~:"},
		{":", []float64{-1}, []float64{0, inf}, "0:"},
		{"-0:", []float64{-1}, []float64{0}, "0:"},
		{"", nil, []float64{-1, 0, 1}, ""},
	}
	for _, tt := range tests {
		r, err := threshold.ParseRange(tt.text)
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		if got := r.String(); got != tt.canon {
			t.Errorf("%q: written as %q, want %q", tt.text, got, tt.canon)
		}
		for _, v := range tt.alerts {
			if !r.Alerts(v) {
				t.Errorf("%q: %v does not alert", tt.text, v)
			}
		}
		for _, v := range append(tt.alertsNo, math.NaN()) {
			if r.Alerts(v) {
				t.Errorf("%q: %v alerts", tt.text, v)
			}
		}
	}
}

func TestRangeErrorsSayWhereAndWhat(t *testing.T) {
	tests := []struct{ text, want string }{
		{"x", `invalid range "x": at character 1, want a number, as in 10, 10:, ~:10, 10:20 or @10:20`},
		{"10x", `invalid range "10x": at character 3, want a number, as in 10, 10:, ~:10, 10:20 or @10:20`},
		{"80%", `invalid range "80%": at character 3, want a number, as in 10, 10:, ~:10, 10:20 or @10:20`},
		{"@", `invalid range "@": at character 2, want a number, as in 10, 10:, ~:10, 10:20 or @10:20`},
		{"~", `invalid range "~": at character 1, want a number, as in 10, 10:, ~:10, 10:20 or @10:20`},
		{"~10:", `invalid range "~10:": at character 1, want a number or ~ before the colon`},
		{"1e:2", `invalid range "1e:2": at character 3, want a number or ~ before the colon`},
		{"10:~", `invalid range "10:~": at character 4, want a number after the colon, or nothing`},
		{"10:20:30", `invalid range "10:20:30": at character 6, want a number after the colon, or nothing`},
		{"20:10", `invalid range "20:10": at character 4, want a number not below the lower bound 20`},
		{"-1", `invalid range "-1": at character 1, want a number not below the lower bound 0`},
		{" 10", `invalid range " 10": at character 1, want a number, as in 10, 10:, ~:10, 10:20 or @10:20`},
		{"NaN", `invalid range "NaN": at character 1, want a number, as in 10, 10:, ~:10, 10:20 or @10:20`},
		{"1e999", `invalid range "1e999": at character 1, want a number between -1.8e308 and 1.8e308`},
		{"0x10", `invalid range "0x10": at character 2, want a number, as in 10, 10:, ~:10, 10:20 or @10:20`},
	}
	for _, tt := range tests {
		r, err := threshold.ParseRange(tt.text)
		if err == nil || err.Error() != tt.want || !errors.Is(err, threshold.ErrInvalid) {
			t.Errorf("%q: got %v, want %s", tt.text, err, tt.want)
		}
		if !r.IsZero() {
			t.Errorf("%q: a refused range alerts: %v", tt.text, r)
		}
	}
}

func TestBounds(t *testing.T) {
	show := func(p *float64) string {
		if p == nil {
			return "-"
		}
		return fmt.Sprint(*p)
	}
	for text, want := range map[string]string{"10": "0 10 false", "10:": "10 - false", "~:10": "- 10 false", "@10:20": "10 20 true", "": "- - false"} {
		r, err := threshold.ParseRange(text)
		low, high, inside := r.Bounds()
		if got := fmt.Sprint(show(low), " ", show(high), " ", inside); err != nil || got != want {
			t.Errorf("%q: got %s, %v; want %s", text, got, err, want)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"10", "10:", "~:10", "@10:20", "-1.5e3:.5", "@~:", "::", "", "@@1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := threshold.ParseRange(text)
		if err != nil {
			var at *threshold.SyntaxError
			if !errors.As(err, &at) || at.At < 1 || at.At > len(text)+1 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := threshold.ParseRange(r.String())
		if err != nil || again != r {
			t.Fatalf("%q is written as %q, which is read as %v, %v", text, r, again, err)
		}
	})
}

func TestGlob(t *testing.T) {
	tests := []struct {
		glob, text string
		want       bool
	}{
		{"*", "", true}, {"*", "web1", true}, {"web*", "web1", true}, {"web*", "lb1", false},
		{"web?", "web1", true}, {"web?", "web", false}, {"web?", "web12", false}, {"主?", "主机", true},
		{"*-1", "a-1-1", true}, {"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXbYbZ", false}, {"", "", true}, {"", "a", false},
		{"a.c", "abc", false}, {"[a]", "a", false}, {"*a*a*a*b", "aaaaaaaaaaaaaaaaaaaa", false},
	}
	for _, tt := range tests {
		if got := threshold.Glob(tt.glob).Match(tt.text); got != tt.want {
			t.Errorf("%q matches %q: got %v, want %v", tt.glob, tt.text, got, tt.want)
		}
	}
}

// A glob and its regular expression are two ways to one answer.
func TestGlobIsItsRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := threshold.Glob(rapid.StringMatching(`[ab.*?主]{0,8}`).Draw(t, "glob"))
		s := rapid.StringMatching(`[ab.主]{0,8}`).Draw(t, "text")
		want := regexp.MustCompile("^(?s:" + g.Regexp() + ")$").MatchString(s)
		if got := g.Match(s); got != want {
			t.Fatalf("%q matches %q: got %v, want %v", g, s, got, want)
		}
	})
}

func TestSelectorMatches(t *testing.T) {
	series := metric.MustSeries("web", "web1", "node_filesystem_used_ratio", []metric.Label{{Name: "mountpoint", Value: "/var"}}, metric.Ratio, metric.Gauge)
	tests := []struct {
		name string
		sel  threshold.Selector
		want bool
	}{
		{"metric only", threshold.Selector{Metric: "node_filesystem_used_ratio"}, true},
		{"another metric", threshold.Selector{Metric: "node_load1"}, false},
		{"host glob", threshold.Selector{Metric: series.Name, Hosts: "db*, web?"}, true},
		{"other hosts", threshold.Selector{Metric: series.Name, Hosts: "db*,lb1"}, false},
		{"cluster and host", threshold.Selector{Metric: series.Name, Hosts: "web/*"}, true},
		{"other cluster", threshold.Selector{Metric: series.Name, Hosts: "db/web1"}, false},
		{"label", threshold.Selector{Metric: series.Name, Labels: map[string]string{"mountpoint": "/v*"}}, true},
		{"other label value", threshold.Selector{Metric: series.Name, Labels: map[string]string{"mountpoint": "/"}}, false},
		{"label it lacks", threshold.Selector{Metric: series.Name, Labels: map[string]string{"device": "sd?"}}, false},
		{"any value of a label it lacks", threshold.Selector{Metric: series.Name, Labels: map[string]string{"device": "*"}}, true},
	}
	for _, tt := range tests {
		if got := tt.sel.Matches(series); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestPromQL(t *testing.T) {
	tests := []struct {
		sel       threshold.Selector
		transform string
		want      string
	}{
		{threshold.Selector{Metric: "up", Hosts: "*"}, threshold.Value, `up`},
		{threshold.Selector{Metric: "up"}, threshold.Value, `up`},
		{threshold.Selector{Metric: "up", Hosts: "lb1"}, threshold.Value, `up{host="lb1"}`},
		{threshold.Selector{Metric: "up", Hosts: "lb1,web*"}, threshold.Value, `up{host=~"lb1|web.*"}`},
		{threshold.Selector{Metric: "up", Hosts: "web/*, lb1.x"}, threshold.Value, `up{cluster="web"} or up{host="lb1.x"}`},
		{threshold.Selector{Metric: "up", Hosts: "a.b*/x"}, threshold.Value, `up{cluster=~"a\\.b.*",host="x"}`},
		{threshold.Selector{Metric: "x_total", Labels: map[string]string{"mode": "user", "cpu": "?"}}, threshold.Rate, `rate(x_total{cpu=~".",mode="user"}[60s])`},
		{threshold.Selector{Metric: "up", Labels: map[string]string{"a": `q"\*`}}, threshold.Value, `up{a=~"q\"\\\\.*"}`},
	}
	p := parser.NewParser(parser.Options{})
	for _, tt := range tests {
		got := tt.sel.PromQL(tt.transform)
		if got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.sel, got, tt.want)
		}
		if _, err := p.ParseExpr(got); err != nil {
			t.Errorf("%s: %v", got, err)
		}
	}
}

func TestSelectorCheck(t *testing.T) {
	tests := []struct {
		sel  threshold.Selector
		want string
	}{
		{threshold.Selector{Metric: "up", Hosts: "web/*, lb1", Labels: map[string]string{"a": "*"}}, ""},
		{threshold.Selector{Metric: "up"}, ""},
		{threshold.Selector{Metric: "1up"}, `invalid metric name "1up": want 1 to 200 letters, digits, '_' or ':', no digit first`},
		{threshold.Selector{Metric: "up", Hosts: "a,,b"}, `invalid list of hosts "a,,b": number 2 is "", want a glob of host or cluster/host, as web*, site1/* or *`},
		{threshold.Selector{Metric: "up", Hosts: "a/"}, `invalid list of hosts "a/": number 1 is "a/", want a glob of host or cluster/host, as web*, site1/* or *`},
		{threshold.Selector{Metric: "up", Labels: map[string]string{"host": "a"}}, `invalid label name "host": want at most 100 letters, digits or '_', no digit first, and neither cluster, host nor __`},
	}
	for _, tt := range tests {
		got := ""
		if err := tt.sel.Check(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.sel, got, tt.want)
		}
	}
}
