package message_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"keepwatch/alerter/message"
	"keepwatch/alerter/rule"
	"keepwatch/metric"
	"keepwatch/metric/threshold"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func mustRange(t rapid.TB, text string) threshold.Range {
	t.Helper()
	r, err := threshold.ParseRange(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const t0 = 1795212000_000 // 2026-11-20 22:00:00 UTC

func disk(t rapid.TB) message.Facts {
	return message.Facts{
		Kind: message.Problem, Alert: 12, State: rule.Critical, From: rule.OK, Time: t0, Began: t0,
		Rule: "Disk nearly full", About: "Delete old logs, or grow the volume.\nRunbook: see the wiki, page \"disks\".",
		Series: metric.MustSeries("web", "lb1.example.com", "node_filesystem_used_ratio",
			[]metric.Label{{Name: "mountpoint", Value: "/var"}, {Name: "device", Value: "sda1"}}, metric.Ratio, metric.Gauge),
		Transform: threshold.Value, Value: 0.9712, HasValue: true, Warning: mustRange(t, "0.8"), Critical: mustRange(t, "0.9"), NoData: 2 * time.Minute,
		URL: "https://watch.example.com", Zone: time.FixedZone("CST", 8*3600),
	}
}

func failover(t rapid.TB) message.Facts {
	f := message.Facts{
		Kind: message.Problem, Alert: 7, State: rule.Critical, From: rule.OK, Time: t0, Began: t0,
		Rule: "Proxy down", Series: metric.MustSeries("web", "lb1", "haproxy_up", nil, "", metric.State),
		Transform: threshold.Value, HasValue: true, Critical: mustRange(t, "1:"), NoData: 2 * time.Minute,
		URL: "https://watch.example.com", Zone: time.FixedZone("CST", 8*3600),
	}
	f.Events = []message.Event{
		{Host: "lb2", Time: t0 - 1000, Kind: metric.EventVRRPTransition, Text: "VI_1: backup to master, no advertisement from 10.0.0.1 for 3.6 s"},
		{Host: "lb1", Time: t0 - 3000, Kind: metric.EventProxyStopped, Text: "haproxy ended: signal killed"},
		{Host: "lb1", Time: t0 - 2000, Kind: metric.EventVRRPTransition, Text: "VI_1: master to fault, proxy is down <script>"},
		{Host: "lb2", Time: t0 - 900, Kind: metric.EventVIPTaken, Text: "took 10.0.0.100/24 on eth0"},
		{Host: "db1", Time: t0 - 400000, Kind: metric.EventServerUp, Text: "app/a1 is UP"},
		{Host: "db1", Time: t0 - 400000, Kind: metric.EventHostJoined, Text: "db1 joined"},
		{Host: "lb1", Time: t0 - 1900, Kind: metric.EventVIPReleased, Text: "released 10.0.0.100/24"},
	}
	return f
}

func cases(t rapid.TB) map[string]message.Facts {
	recovery := disk(t)
	recovery.Kind, recovery.State, recovery.From, recovery.Value, recovery.Time = message.Recovery, rule.OK, rule.Critical, 0.41, t0+754_000
	repeat := disk(t)
	repeat.Kind, repeat.Time = message.Repeat, t0+4*3600_000
	unknown := disk(t)
	unknown.State, unknown.About = rule.Unknown, ""
	closed := recovery
	closed.Closed, closed.Alert = message.RuleDeleted, 0
	hostile := disk(t)
	hostile.Rule = "<b>Disk</b>\r\nBcc: eve@example.com"
	hostile.About = "</div><script>alert(1)</script>"
	return map[string]message.Facts{"disk": disk(t), "failover": failover(t), "recovery": recovery, "repeat": repeat, "unknown": unknown, "closed": closed, "hostile": hostile}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestGolden(t *testing.T) {
	for name, f := range cases(t) {
		for _, language := range []string{"en", "zh"} {
			m := f.Mail(language)
			sms := f.SMS(language)
			golden(t, name+"."+language+".txt", "Subject: "+m.Subject+"\n\n"+m.Text+"\n-- SMS\n"+sms+"\n-- history\n"+f.EventText()+"\n")
			golden(t, name+"."+language+".html", m.HTML)
			if strings.ContainsAny(m.Subject, "\r\n") {
				t.Errorf("%s.%s: the subject has more than one line: %q", name, language, m.Subject)
			}
			if !message.Fits(sms) {
				t.Errorf("%s.%s: does not fit into one short message: %s", name, language, sms)
			}
			if strings.Contains(m.HTML, "<script>") || strings.Contains(m.HTML, "src=") {
				t.Errorf("%s.%s: the HTML holds what must not be in it:\n%s", name, language, m.HTML)
			}
		}
	}
}

func TestTestMessages(t *testing.T) {
	for _, language := range []string{"en", "zh"} {
		m := message.TestMail(language, "Ann", "https://watch.example.com")
		golden(t, "test."+language+".txt", "Subject: "+m.Subject+"\n\n"+m.Text+"\n-- SMS\n"+message.TestSMS(language, "Ann")+"\n")
		if long := message.TestSMS(language, strings.Repeat("名", 100)); !message.Fits(long) {
			t.Errorf("%s: does not fit: %s", language, long)
		}
	}
}

func TestFits(t *testing.T) {
	tests := []struct {
		text string
		want bool
	}{
		{strings.Repeat("a", 160), true}, {strings.Repeat("a", 161), false},
		{strings.Repeat("[", 80), true}, {strings.Repeat("[", 81), false},
		{strings.Repeat("主", 70), true}, {strings.Repeat("主", 71), false},
		{strings.Repeat("😀", 35), true}, {strings.Repeat("😀", 36), false}, // two UTF-16 units each
		{"`" + strings.Repeat("a", 70), false},
	}
	for _, tt := range tests {
		if got := message.Fits(tt.text); got != tt.want {
			t.Errorf("%.20s… (%d characters): got %v, want %v", tt.text, utf8.RuneCountInString(tt.text), got, tt.want)
		}
	}
}

// Whatever the names, a short message is one, and it begins with the state and the host.
func TestSMSIsAlwaysOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z0-9._/\[\]主机` + "`" + `—😀 -]{1,200}`)
		f := disk(t)
		f.Series = metric.MustSeries("c", "h"+string([]rune(text.Draw(t, "host"))[:1]), "node_x", []metric.Label{{Name: "a", Value: text.Draw(t, "label")}}, metric.Bytes, metric.Gauge)
		f.Rule = text.Draw(t, "rule")
		f.Value = rapid.Float64().Draw(t, "value")
		f.Kind = rapid.SampledFrom([]message.Kind{message.Problem, message.Recovery, message.Repeat}).Draw(t, "kind")
		f.State = rapid.SampledFrom([]rule.State{rule.OK, rule.Warning, rule.Critical, rule.Unknown}).Draw(t, "state")
		f.Events = []message.Event{{Host: "h", Kind: metric.EventServerDown, Text: text.Draw(t, "event")}}
		for _, language := range []string{"en", "zh"} {
			sms := f.SMS(language)
			if !message.Fits(sms) || !utf8.ValidString(sms) || sms == "" {
				t.Fatalf("%s: %q", language, sms)
			}
			if m := f.Mail(language); utf8.RuneCountInString(m.Subject) > 200 || !utf8.ValidString(m.HTML) {
				t.Fatalf("%s: %q", language, m.Subject)
			}
		}
	})
}

func TestValuesInHumanUnits(t *testing.T) {
	tests := []struct {
		name      string
		unit      metric.Unit
		kind      metric.Kind
		transform string
		value     float64
		critical  string
		want      string
	}{
		{"x", metric.Ratio, metric.Gauge, "", 0.9712, "0.9", "x is 97.1 %, CRITICAL is above 90 %"},
		{"x", metric.Ratio, metric.Gauge, "", 0.90004, "0.9", "x is 90.004 %, CRITICAL is above 90 %"},
		{"x", metric.Percent, metric.Gauge, "", 5, "10:", "x is 5 %, CRITICAL is below 10 %"},
		{"x", metric.Bytes, metric.Gauge, "", 3.5 * 1024 * 1024, "1048576", "x is 3.5 MiB, CRITICAL is above 1 MiB"},
		{"x", metric.Bytes, metric.Counter, "rate", 1.5e6, "1000000", "rate of x is 1.43 MiB/s, CRITICAL is above 976.5625 KiB/s"},
		{"x", metric.Seconds, metric.Counter, "rate", 0.93, "0.9", "rate of x is 93 %, CRITICAL is above 90 %"},
		{"x", metric.Seconds, metric.Gauge, "", 0.25, "~:0.2", "x is 250 ms, CRITICAL is above 200 ms"},
		{"x", metric.Seconds, metric.Gauge, "", 5400, "~:60", "x is 90 min, CRITICAL is above 60 s"},
		{"node_load1", "", metric.Gauge, "", 12.345, "8", "node_load1 is 12.3, CRITICAL is above 8"},
		{"x", "", metric.Gauge, "", 12.345, "2:8", "x is 12.3, CRITICAL is below 2 or above 8"},
		{"x", "", metric.Gauge, "", 3, "@2:8", "x is 3, CRITICAL is between 2 and 8"},
		{"x", "", metric.Gauge, "", 3, "@3:3", "x is 3, CRITICAL is exactly 3"},
		{"x", "", metric.Gauge, "", 1234567, "@~:2000000", "x is 1234567, CRITICAL is 2000000 or less"},
		{"keepwatch_host_up", "", metric.State, "", 0, "1:", "keepwatch_host_up is 0 (down), CRITICAL is below 1"},
		{"keepwatch_vrrp_state", "", metric.State, "", 3, "@3:3", "keepwatch_vrrp_state is 3 (fault), CRITICAL is exactly 3"},
		{"x", metric.Celsius, metric.Gauge, "", 85.26, "80", "x is 85.3 °C, CRITICAL is below 0 °C or above 80 °C"},
		{"x", "rpm", metric.Gauge, "", 100, "200:", "x is 100 rpm, CRITICAL is below 200 rpm"},
	}
	for _, tt := range tests {
		f := message.Facts{State: rule.Critical, Series: metric.MustSeries("c", "h", tt.name, nil, tt.unit, tt.kind), Transform: tt.transform,
			Value: tt.value, HasValue: true, Critical: mustRange(t, tt.critical)}
		if got := f.EventText(); got != tt.want {
			t.Errorf("%v %s as %q of %q: got %q, want %q", tt.value, tt.name, tt.transform, tt.unit, got, tt.want)
		}
	}
}
