package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"keepwatch/haagent/status"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fakeAgent answers on a data folder's agent socket with a status, events, and what it was told.
func fakeAgent(t *testing.T, s *status.Status, events []status.Event) (dir string, told *[]string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kwha") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ln, err := net.Listen("unix", filepath.Join(dir, status.Socket))
	if err != nil {
		t.Fatal(err)
	}
	told = new([]string)
	answer := func(w http.ResponseWriter, code int, v any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, s) })
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, status.Events{Boot: s.Boot, Items: events})
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		*told = append(*told, r.URL.String())
		if r.URL.Query().Get("instance") == "db" {
			answer(w, 409, status.Refusal{Error: "db is not master here: nothing to hand over"})
			return
		}
		answer(w, 200, status.Answer{Text: "done\x1b[2J"})
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return dir, told
}

// ha runs a command line as a shell would.
func ha(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := haCommand(&global{data: dir})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(&out)
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestHAStatus(t *testing.T) {
	now := time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	full := &status.Status{
		Host: "a", Boot: "b1", Started: before(75 * time.Hour), Now: now, Parent: true, Drained: true,
		Instances: []status.Instance{{
			Name: "web", Interface: "eth0", Family: "ipv4", VRID: 51, Version: 3, Group: "site", State: "master", Since: before(192 * time.Second),
			Priority: 140, PriorityConfigured: 200, Addresses: []string{"10.0.0.100/24", "10.0.0.101/24"}, Excluded: []string{"fd00::100/64"},
			Held: []string{"10.0.0.100/24", "10.0.0.101/24"}, LateStepdowns: 2, LastError: "cannot add 10.0.0.102/24: permission denied",
			Reason:    "heard no advertisement from 10.0.0.2 for 3.61 s; its last priority was 75 after its track haproxy failed, and nobody else of a higher priority was heard",
			Tracks:    []status.TrackEffect{{Name: "chk_fs", Weight: -60, Effect: -60}, {Name: "proxy", Weight: 20, Up: true}},
			Peers:     []string{"10.0.0.2", "10.0.0.3"},
			PeersSeen: []status.Peer{{Address: "10.0.0.2", Priority: 75, IntervalMS: 100, Heard: before(3700 * time.Millisecond), Notes: []string{"advertises other addresses: 10.0.0.200"}}},
			Conflicts: []status.Conflict{{Address: "10.0.0.100", MAC: "52:54:00:12:34:56", Seen: before(2 * time.Second), Source: status.SourceARP}, {Address: "10.0.0.101", Seen: before(time.Second), Source: status.SourceVRRP}},
		}, {
			Name: "web6", Interface: "eth0", Family: "ipv6", VRID: 51, Version: 3, State: "backup", Since: before(5 * time.Hour), Paused: status.PausedDrained,
			Priority: 200, PriorityConfigured: 200, Addresses: []string{"fd00::101/64"},
		}, {
			Name: "db", Interface: "bond0.100", Family: "ipv4", VRID: 7, Version: 2, State: "fault", Since: before(time.Minute),
			Priority: 100, PriorityConfigured: 100, Addresses: []string{"10.1.0.7/24"}, Tracks: []status.TrackEffect{{Name: "postgres", Fault: true}, {Name: "load", Effect: 5}}, Leaving: true,
		}},
		Groups: []status.Group{{Name: "site", State: "master", Members: []string{"web", "web6"}, Reason: "all members are master"}},
		BFD: []status.BFDSession{
			{Name: "b", Peer: "10.0.0.2", State: "down", Since: before(4 * time.Second), DetectionMS: 37.5, Sent: 120000, Received: 119980, RemoteDiag: "control detection time expired"},
		},
		Tracks: []status.Track{
			{Name: "chk_fs", Kind: "script", Target: "/usr/local/bin/chk_fs", Since: before(9 * time.Second), Detail: "exit status 1 after 12 ms"},
			{Name: "proxy", Kind: "proxy", Up: true, Since: before(70 * time.Hour), Detail: "runs as 4711"},
		},
		Proxy: &status.Proxy{Engine: "haproxy", Up: true, PID: 4711, Since: before(70 * time.Hour), Restarts: 1},
	}
	var events []status.Event
	for n := range 12 {
		events = append(events, status.Event{Seq: uint64(2 * n), Time: before(time.Duration(100-n) * time.Minute), Kind: "vrrp_transition", Labels: map[string]string{
			"instance": "web", "from": "backup", "to": "master", "priority": fmt.Sprint(n), "reason": strings.Repeat("heard no advertisement from 10.0.0.2; ", n/6+1),
		}}, status.Event{Seq: uint64(2*n + 1), Kind: "vip_taken", Text: "not shown"})
	}
	f := func(name string, s *status.Status, events []status.Event) {
		t.Helper()
		dir, _ := fakeAgent(t, s, events)
		got, err := ha(t, dir, "status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(got) {
			if n := utf8.RuneCountInString(line); n > gridWidth+1 {
				t.Errorf("%s: a line of %d columns: %s", name, n, line)
			}
		}
		path := filepath.Join("testdata", name+".txt")
		if *update {
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
	f("ha_status", full, events)
	f("ha_status_little", &status.Status{Host: "a\x1b[2J", Started: before(time.Second), Now: now}, nil)
}

func TestHAControl(t *testing.T) {
	dir, told := fakeAgent(t, &status.Status{}, nil)
	f := func(want string, args ...string) {
		t.Helper()
		*told = nil
		if got, err := ha(t, dir, args...); err != nil || got != "done [2J\n" {
			t.Errorf("%v: got %q, %v", args, got, err)
		}
		if len(*told) != 1 || (*told)[0] != want {
			t.Errorf("%v: got %v, want %s", args, *told, want)
		}
	}
	f("/switchover?instance=", "switchover")
	f("/switchover?instance=web+1", "switchover", "web 1")
	f("/drain?on=true", "drain")
	f("/drain?on=false", "drain", "--off")
	if _, err := ha(t, dir, "switchover", "db"); err == nil || err.Error() != "db is not master here: nothing to hand over" {
		t.Errorf("a refusal: got %v", err)
	}
	if _, err := ha(t, t.TempDir(), "drain"); err == nil || !strings.Contains(err.Error(), "start it") {
		t.Errorf("no agent: got %v", err)
	}
}
