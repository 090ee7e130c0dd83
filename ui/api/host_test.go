package api

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"keepwatch/schema/db"
)

func latest(metric string, value, age float64, labels map[string]string) db.UILatestOfHostRow {
	text, _ := json.Marshal(labels)
	return db.UILatestOfHostRow{Metric: metric, Labels: text, Value: value, Age: age}
}

// A host that gmond alone speaks of shows the same facts as one with a collector; where both speak the collector is
// believed.
func TestFacts(t *testing.T) {
	gmond := []db.UILatestOfHostRow{
		latest("node_boot_time_seconds", 1.7e9, 1, map[string]string{"source": "gmond"}),
		latest("node_location_info", 1, 1, map[string]string{"source": "gmond", "location": "1-3-0"}),
		latest("node_uname_info", 1, 1, map[string]string{"source": "gmond", "machine": "x86_64"}),
		latest("node_uname_info", 1, 1, map[string]string{"source": "gmond", "release": "6.1.0"}),
		latest("node_uname_info", 1, 1, map[string]string{"source": "gmond", "sysname": "Linux"}),
		latest("gmond_bios_info", 1, 1, map[string]string{"source": "gmond", "value": "v2"}),
		latest("gmond_metric_info", 1, 1, map[string]string{"source": "gmond", "metric": "gmond_bios"}),
		latest("keepwatch_host_name_info", 1, 1, map[string]string{"name": "web1"}),
	}
	f := func(rows []db.UILatestOfHostRow, want map[string]string) {
		t.Helper()
		if got := factsOf(rows); !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	f(gmond, map[string]string{"boot_time": "2023-11-14T22:13:20.000Z", "location": "1-3-0", "uname": "Linux 6.1.0 x86_64", "gmond_bios_value": "v2"})
	own := latest("node_uname_info", 1, 1, map[string]string{"sysname": "Linux", "release": "6.12.1", "version": "#1 SMP", "machine": "x86_64", "nodename": "web1"})
	want := map[string]string{"boot_time": "2023-11-14T22:13:20.000Z", "location": "1-3-0", "uname": "Linux 6.12.1 #1 SMP x86_64", "gmond_bios_value": "v2"}
	f(append([]db.UILatestOfHostRow{own}, gmond...), want)
	f(append(slices.Clone(gmond), own), want)
}

// Of each name the newest word counts; one that is not repeated is no name any more.
func TestNames(t *testing.T) {
	name := func(name, rule, from string, age float64) db.UILatestOfHostRow {
		return latest("keepwatch_host_name_info", 1, age, map[string]string{"name": name, "rule": rule, "from": from})
	}
	got := namesOf([]db.UILatestOfHostRow{
		name("web1", "", "collector", 5), name("web1.a.net", "strip_domains a.net", "probe", 900),
		name("web1.a.net", "strip_domains a.net", "probe,gmond", 5), name("old", "aliases", "gmond", nameStale+1),
	})
	want := []HostName{{"web1", "", "collector"}, {"web1.a.net", "strip_domains a.net", "probe,gmond"}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := namesOf(nil); got == nil || len(got) != 0 {
		t.Errorf("got %v, want an empty list", got)
	}
}
