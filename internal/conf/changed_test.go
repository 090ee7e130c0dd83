package conf

import (
	"slices"
	"testing"
	"time"
)

func TestChanged(t *testing.T) {
	a, b := Default(), Default()
	a.Extractor.Clusters = nil
	b.Extractor.Clusters = []Cluster{}
	if got := Changed(a, b); len(got) > 0 {
		t.Errorf("the same: got %v", got)
	}
	b.Host, b.Log.Format, b.Collector.Interval, b.UI.Listen = "other", "json", 7*time.Second, "127.0.0.1:1"
	b.Extractor.Clusters = append(b.Extractor.Clusters, Cluster{Name: "web"})
	want := []string{"host", "log.format", "collector.interval", "extractor.clusters", "ui.listen"}
	if got := Changed(a, b); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
