package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepwatch/internal/control"
)

// The program has no web app: what it counts of itself is told over the control socket, to its owner alone.
func TestMetricsOverTheControlSocket(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "keepwatch.yaml")
	text := `{collector: {native: {group: "", listen: ""}, serve: {listen: ""}, gmond: {receive: [], xml: {listen: ""}}, probes: {host: {enabled: false}}}}`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runCollector(ctx, arguments{config: config, data: dir}) }()
	socket := filepath.Join(dir, control.Socket)
	page, err := get(ctx, socket, "/metrics")
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); page, err = get(ctx, socket, "/metrics") {
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"\nkeepwatch_collector_probe_runs_total ", "\ngo_goroutines "} {
		if !strings.Contains(page, name) {
			t.Errorf("%q is not in\n%s", name, page)
		}
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A reload names the keys that wait for a start, each time, and says nothing of other roles' keys.
func TestReloadNamesWhatWaitsForAStart(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "keepwatch.yaml")
	const silent = `collector: {native: {group: "", listen: ""}, serve: {listen: ""}, gmond: {receive: [], xml: {listen: ""}}, probes: {host: {enabled: false}}`
	written := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte("host: web1\n"+text+"\n"+silent+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	written("")
	p, err := open(arguments{config: config, data: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer p.data.Close()
	defer p.collector.Close()
	for _, c := range []struct{ text, want string }{
		{"log: {level: warn}\nui: {listen: \"127.0.0.1:1\"}", ""},
		{"cluster: other\nlog: {format: json}", `keys="cluster, log.format"`},
		{"cluster: other", "keys=cluster"},
		{"", ""},
	} {
		written(c.text)
		var log bytes.Buffer
		p.log = slog.New(slog.NewTextHandler(&log, nil))
		if err := p.reload(); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); !strings.Contains(got, "msg=reloaded") || strings.Contains(got, "level=WARN") != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("%q: got %s, want %q in it", c.text, got, c.want)
		}
	}
}

func get(ctx context.Context, socket, path string) (string, error) {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://local"+path, nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return string(text), err
}
