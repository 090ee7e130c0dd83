package main

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"keepwatch/internal/control"
)

// What a running keepwatch counts of itself is printed, its parts' counters and the runtime's.
func TestMetricsOfTheRunningKeepwatch(t *testing.T) {
	data := t.TempDir()
	if err := execute(t, "metrics", "--data", data); !errors.Is(err, errNotRunning) {
		t.Errorf("without a keepwatch: %v", err)
	}
	serve(t, data, control.Controls{})
	var out bytes.Buffer
	c := command()
	c.SetArgs([]string{"metrics", "--data", data})
	c.SetOut(&out)
	if err := c.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"\nkeepwatch_collector_frames_received_total ", "\ngo_goroutines "} {
		if n := strings.Count(out.String(), name); n != 1 {
			t.Errorf("%q stands %d times in\n%s", name, n, &out)
		}
	}
}

// A Prometheus server asks for what is smaller; it gets a text that it can read to the end all the same.
func TestMetricsAreOneText(t *testing.T) {
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	r.Header.Set("Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,text/plain;version=0.0.4;q=0.5")
	w := httptest.NewRecorder()
	metricsHandler().ServeHTTP(w, r)
	if e, typ := w.Header().Get("Content-Encoding"), w.Header().Get("Content-Type"); e != "" || !strings.HasPrefix(typ, "text/plain") {
		t.Errorf("got encoding %q, type %q", e, typ)
	}
	for _, name := range []string{"\nkeepwatch_collector_frames_received_total ", "\ngo_goroutines "} {
		if !strings.Contains(w.Body.String(), name) {
			t.Errorf("%q is not in\n%s", name, w.Body)
		}
	}
}
