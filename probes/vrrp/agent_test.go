package vrrp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"keepwatch/haagent/status"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeAgent answers as an HA agent does.
type fakeAgent struct {
	t      *testing.T
	socket string

	mu     sync.Mutex
	server *http.Server
	state  status.Status
	events status.Events
	grown  chan struct{}
}

func newFakeAgent(t *testing.T) *fakeAgent {
	dir, err := os.MkdirTemp("/tmp", "kwvrrp")
	if err != nil {
		t.Fatal(err)
	}
	a := &fakeAgent{t: t, socket: filepath.Join(dir, "a.sock"), grown: make(chan struct{})}
	t.Cleanup(func() {
		a.stop()
		_ = os.RemoveAll(dir)
	})
	return a
}

// start begins a life of the agent under another boot id.
func (a *fakeAgent) start(boot string) {
	a.t.Helper()
	_ = os.Remove(a.socket)
	ln, err := net.Listen("unix", a.socket)
	if err != nil {
		a.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		_ = json.NewEncoder(w).Encode(a.state)
	})
	mux.HandleFunc("GET /events", a.answerEvents)
	s := &http.Server{Handler: mux}
	a.mu.Lock()
	a.server, a.events = s, status.Events{Boot: boot}
	a.mu.Unlock()
	go func() { _ = s.Serve(ln) }()
}

func (a *fakeAgent) answerEvents(w http.ResponseWriter, r *http.Request) {
	var after uint64
	_, _ = fmt.Sscan(r.URL.Query().Get("after"), &after)
	for {
		a.mu.Lock()
		e, grown := a.events, a.grown
		a.mu.Unlock()
		if r.URL.Query().Get("boot") != e.Boot {
			after = 0
		}
		e.Items = slices.DeleteFunc(slices.Clone(e.Items), func(i status.Event) bool { return i.Seq <= after })
		if len(e.Items) > 0 || r.URL.Query().Get("wait") == "0" {
			_ = json.NewEncoder(w).Encode(e)
			return
		}
		select {
		case <-grown:
		case <-r.Context().Done():
			return
		}
	}
}

func (a *fakeAgent) happen(e status.Event, s status.Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events.Last++
	e.Seq = a.events.Last
	a.events.Items = append(a.events.Items, e)
	a.state = s
	close(a.grown)
	a.grown = make(chan struct{})
}

// stop is the agent's death: every connection breaks.
func (a *fakeAgent) stop() {
	a.mu.Lock()
	s := a.server
	a.server = nil
	a.mu.Unlock()
	if s != nil {
		_ = s.Close()
	}
}

func agentStatus(state string, number int) status.Status {
	i := status.Instance{
		Name: "web", Interface: "eth0", Family: "ipv4", VRID: 51, State: state, StateNumber: number, Priority: 140, PriorityConfigured: 200,
		Addresses: []string{"10.0.0.100", "10.0.0.101"}, Sent: 7, Received: 8, Discarded: 1, Transitions: 2, Dropped: map[string]uint64{"ttl": 3},
		Version: 3, Group: "site", Source: "10.0.0.1", Excluded: []string{"fd00::100"}, Leaving: true, Paused: status.PausedDrained,
		SentZero: 4, ReceivedZero: 5, Announced: 20, LateStepdowns: 6, ScriptsDropped: 9, LatenessMS: 12.5,
		Tracks:    []status.TrackEffect{{Name: "haproxy", Effect: -60}, {Name: "proxy", Fault: true}},
		Conflicts: []status.Conflict{{Address: "10.0.0.101"}},
	}
	if state == "master" {
		i.Held = i.Addresses[:1]
	}
	return status.Status{
		Boot: "b", Instances: []status.Instance{i}, Tracks: []status.Track{{Name: "proxy", Kind: "proxy", Up: true}, {Name: "haproxy", Kind: "process"}},
		Drained: true, Parent: true, Groups: []status.Group{{Name: "site", State: "fault"}},
		BFD:   []status.BFDSession{{Name: "b", Peer: "10.0.0.2", Up: true, DetectionMS: 150, Sent: 30, Received: 29, Dropped: map[string]uint64{"ttl": 1}}},
		Proxy: &status.Proxy{Engine: "haproxy", Up: true, Restarts: 1},
	}
}

func newAgent(t *testing.T, socket string) *Agent {
	t.Helper()
	p, err := NewAgent(AgentOptions{Cluster: "c", Host: "h", Socket: socket, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func lines(b *batch.Batch) (out []string) {
	for _, s := range b.Samples {
		out = append(out, fmt.Sprintf("%s %g", strings.ReplaceAll(s.Series.String(), `cluster="c",host="h"`, ""), s.Value))
	}
	slices.Sort(out)
	return out
}

func TestCollectAgent(t *testing.T) {
	a := newFakeAgent(t)
	a.start("b")
	a.state = agentStatus("master", 2)
	p := newAgent(t, a.socket)
	var b batch.Batch
	if err := p.Collect(t.Context(), time.UnixMilli(1000), &b); err != nil {
		t.Fatal(err)
	}
	want := `keepwatch_bfd_detection_seconds{,peer="10.0.0.2",session="b"} 0.15
keepwatch_bfd_packets_dropped_total{,peer="10.0.0.2",reason="ttl",session="b"} 1
keepwatch_bfd_packets_received_total{,peer="10.0.0.2",session="b"} 29
keepwatch_bfd_packets_sent_total{,peer="10.0.0.2",session="b"} 30
keepwatch_bfd_up{,peer="10.0.0.2",session="b"} 1
keepwatch_ha_drained{} 1
keepwatch_ha_parent{} 1
keepwatch_ha_proxy_restarts_total{,engine="haproxy"} 1
keepwatch_ha_proxy_up{,engine="haproxy"} 1
keepwatch_ha_track_up{,kind="process",track="haproxy"} 0
keepwatch_ha_track_up{,kind="proxy",track="proxy"} 1
keepwatch_ha_up{} 1
keepwatch_vip_held{,instance="web",vip="10.0.0.100"} 1
keepwatch_vip_held{,instance="web",vip="10.0.0.101"} 0
keepwatch_vip_held{,instance="web",vip="fd00::100"} 0
keepwatch_vrrp_address_mismatch_total{,instance="web",vrid="51"} 0
keepwatch_vrrp_advert_lateness_seconds{,instance="web",vrid="51"} 0.0125
keepwatch_vrrp_advertisements_discarded_total{,instance="web",vrid="51"} 1
keepwatch_vrrp_advertisements_dropped_total{,instance="web",reason="ttl",vrid="51"} 3
keepwatch_vrrp_advertisements_received_total{,instance="web",vrid="51"} 8
keepwatch_vrrp_advertisements_received_zero_total{,instance="web",vrid="51"} 5
keepwatch_vrrp_advertisements_sent_total{,instance="web",vrid="51"} 7
keepwatch_vrrp_advertisements_sent_zero_total{,instance="web",vrid="51"} 4
keepwatch_vrrp_announcements_total{,instance="web",vrid="51"} 20
keepwatch_vrrp_conflict{,instance="web",vip="10.0.0.100"} 0
keepwatch_vrrp_conflict{,instance="web",vip="10.0.0.101"} 1
keepwatch_vrrp_conflict{,instance="web",vip="fd00::100"} 0
keepwatch_vrrp_group_state{,group="site"} 3
keepwatch_vrrp_info{,group="site",instance="web",source="10.0.0.1",version="3",vrid="51"} 1
keepwatch_vrrp_late_stepdowns_total{,instance="web",vrid="51"} 6
keepwatch_vrrp_leaving{,instance="web",vrid="51"} 1
keepwatch_vrrp_paused{,instance="web",vrid="51"} 2
keepwatch_vrrp_priority_configured{,instance="web",vrid="51"} 200
keepwatch_vrrp_priority{,instance="web",vrid="51"} 140
keepwatch_vrrp_scripts_dropped_total{,instance="web",vrid="51"} 9
keepwatch_vrrp_stalls_total{,instance="web",vrid="51"} 0
keepwatch_vrrp_state{,family="ipv4",instance="web",interface="eth0",vrid="51"} 2
keepwatch_vrrp_track_effect{,instance="web",track="haproxy",vrid="51"} -60
keepwatch_vrrp_track_effect{,instance="web",track="proxy",vrid="51"} 0
keepwatch_vrrp_track_fault{,instance="web",track="haproxy",vrid="51"} 0
keepwatch_vrrp_track_fault{,instance="web",track="proxy",vrid="51"} 1
keepwatch_vrrp_transitions_total{,instance="web",vrid="51"} 2`
	if got := strings.Join(lines(&b), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var again batch.Batch
	if err := p.Collect(t.Context(), time.UnixMilli(2000), &again); err != nil {
		t.Fatal(err)
	}
	for i := range again.Samples {
		if s := again.Samples[i]; s.Time != 2000 || !slices.ContainsFunc(b.Samples, func(o metric.Sample) bool { return o.Series == s.Series }) {
			t.Errorf("%s at %d: another pointer or time", s.Series, s.Time)
		}
	}
	a.stop()
	b.Reset()
	if err := p.Collect(t.Context(), time.UnixMilli(3000), &b); err != nil || strings.Join(lines(&b), "\n") != "keepwatch_ha_up{} 0" {
		t.Errorf("without an agent: got %v, %v", lines(&b), err)
	}
}

func TestWatchAgent(t *testing.T) {
	a := newFakeAgent(t)
	p := newAgent(t, a.socket)
	told := make(chan batch.Batch, 16)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for { // as the collector does
			if err := p.Watch(ctx, func(b *batch.Batch) {
				told <- batch.Batch{Samples: slices.Clone(b.Samples), Events: slices.Clone(b.Events)}
			}); err == nil {
				ended <- err
				return
			}
		}
	}()
	next := func(what, state string, up float64, kinds ...string) batch.Batch {
		t.Helper()
		select {
		case b := <-told:
			var got []string
			for i := range b.Events {
				if err := b.Events[i].Check(); err != nil {
					t.Error(err)
				}
				got = append(got, b.Events[i].ID+" "+string(b.Events[i].Kind))
			}
			if !slices.Equal(got, kinds) {
				t.Errorf("%s: got events %v, want %v", what, got, kinds)
			}
			all := strings.Join(lines(&b), "\n")
			if !strings.Contains(all, fmt.Sprintf("keepwatch_ha_up{} %g", up)) || strings.Contains(all, `interface="eth0",vrid="51"} `+state) != (state != "") {
				t.Errorf("%s: got\n%s", what, all)
			}
			return b
		case <-time.After(time.Minute):
			t.Fatalf("%s: nothing was told", what)
			return batch.Batch{}
		}
	}
	next("no agent yet", "", 0)
	a.mu.Lock()
	a.state = agentStatus("backup", 1)
	a.mu.Unlock()
	a.start("boot1")
	next("the agent came", "1", 1)
	when := time.UnixMilli(1234567)
	a.happen(status.Event{Time: when, Kind: "vrrp_transition", Text: "web: backup to master: silence", Labels: map[string]string{"instance": "web", "from": "backup", "to": "master", "reason": strings.Repeat("é", 400)}}, agentStatus("master", 2))
	b := next("a transition", "2", 1, "boot1-1 vrrp_transition")
	if e := b.Events[0]; e.Time != 1234567 || e.Cluster != "c" || e.Host != "h" || e.Label("to") != "master" || len(e.Label("reason")) > metric.MaxLabelValue {
		t.Errorf("got %+v", e)
	}
	a.happen(status.Event{Time: when, Kind: "track_changed", Text: "x"}, agentStatus("master", 2))
	next("another event", "2", 1, "boot1-2 track_changed")
	a.stop()
	next("the agent's death", "", 0)
	a.start("boot2")
	next("the agent's return", "2", 1)
	a.happen(status.Event{Time: when, Kind: "vip_taken", Text: "x", Labels: map[string]string{"bad label": "x"}}, agentStatus("master", 2))
	a.happen(status.Event{Time: when, Kind: "vip_taken", Text: "x"}, agentStatus("master", 2))
	for limit := time.After(time.Minute); ; {
		select {
		case b := <-told:
			if len(b.Events) == 1 && b.Events[0].ID == "boot2-2" {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				return
			}
			if len(b.Events) > 0 {
				t.Fatalf("got %+v", b.Events)
			}
		case <-limit:
			t.Fatal("the good event after an unfit one is missing")
		}
	}
}

func TestCut(t *testing.T) {
	f := func(in string, limit int, want string) {
		t.Helper()
		if got := cut(in, limit); got != want || len(got) > limit {
			t.Errorf("%q to %d: got %q, want %q", in, limit, got, want)
		}
	}
	f("abc", 3, "abc")
	f("abcdef", 5, "ab…")
	f("éééé", 7, "éé…")
	f("éééé", 6, "é…")
}

func TestNewRefuses(t *testing.T) {
	if _, err := NewAgent(AgentOptions{Cluster: "c", Host: "h"}); err == nil {
		t.Error("an agent without a socket is accepted")
	}
	if _, err := NewAgent(AgentOptions{Socket: "x"}); err == nil {
		t.Error("an agent without a host is accepted")
	}
	if _, err := NewListener(ListenerOptions{Cluster: "c", Host: "h"}); err == nil {
		t.Error("a listener without interfaces is accepted")
	}
	if _, err := NewListener(ListenerOptions{Interfaces: []string{"eth0"}}); err == nil {
		t.Error("a listener without a host is accepted")
	}
}
