package draft

import (
	"testing"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// TestSet: what conf refuses is not set, and told.
func TestSet(t *testing.T) {
	d := New()
	at := report.Place{File: "f", Line: 2, Column: 3}
	if !d.Set(at, "cluster", func(c *conf.Config) { c.Cluster = "lab" }) || d.Config.Cluster != "lab" {
		t.Errorf("got %q, want lab", d.Config.Cluster)
	}
	if d.Set(at, "cluster", func(c *conf.Config) { c.Cluster = "" }) || d.Config.Cluster != "lab" {
		t.Errorf("got %q, want lab as before", d.Config.Cluster)
	}
	send := func(to string) func(*conf.Config) {
		return func(c *conf.Config) {
			s := conf.NewItem[conf.GmondSend]()
			s.To = to
			c.Collector.Gmond.Send = append(c.Collector.Gmond.Send, s)
		}
	}
	if !d.Add(at, "channel", send("a:1")) || d.Add(at, "channel", send("a:0")) || len(d.Config.Collector.Gmond.Send) != 1 {
		t.Errorf("got %+v, want one channel", d.Config.Collector.Gmond.Send)
	}
	if got := d.Text(at, "M\xfcnchen"); got != "München" {
		t.Errorf("got %q", got)
	}
	if got := d.Seconds(at, "x", 1<<62, time.Second, time.Hour); got != time.Hour {
		t.Errorf("got %v", got)
	}
	r := d.Finish("f", nil, true)
	want := []string{
		`f:2:3: mistake: cluster is left out: cluster: : want 1 to 255 bytes of text without control characters`,
	}
	if len(r.Notes) != 4 || !r.Usable || report.Mistakes(r.Notes) != 2 {
		t.Errorf("got notes %v, want 4 like %q", r.Notes, want)
	}
}

// TestFinish: a draft whose parts contradict each other becomes nothing rather than what does not load.
func TestFinish(t *testing.T) {
	d := New()
	d.Comment("cluster", "a")
	d.Comment("cluster", "b")
	if d.Comments["cluster"] != "a\nb" {
		t.Errorf("got %q", d.Comments["cluster"])
	}
	d.Config.UI.Listen = d.Config.Collector.Serve.Listen
	if r := d.Finish("f", nil, true); r.Usable || len(r.Notes) != 1 || r.Config.Validate() != nil {
		t.Errorf("got %+v", r.Notes)
	}
}
