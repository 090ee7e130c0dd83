package collector

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

// haAgent answers as an HA agent that holds 10.0.0.100 or not.
type haAgent struct {
	mu      sync.Mutex
	held    string
	events  []string
	changed chan struct{} // closed with each event
}

// startHA serves a fake agent on a socket, which it gives. It holds nothing yet.
func startHA(t *testing.T, a *haAgent) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "ha.sock")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	a.changed = make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		fmt.Fprintf(w, `{"boot":"b","instances":[{"name":"web","vrid":51,"addresses":["10.0.0.100/24"],"held":[%s]}]}`, a.held)
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		after, _ := strconv.Atoi(q.Get("after"))
		a.mu.Lock()
		changed, last := a.changed, len(a.events)
		a.mu.Unlock()
		if q.Get("boot") == "b" && after == last && q.Get("wait") != "0" {
			select {
			case <-changed:
			case <-r.Context().Done():
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		fmt.Fprintf(w, `{"boot":"b","last":%d,"items":[%s]}`, len(a.events), strings.Join(a.events[min(after, len(a.events)):], ","))
	})
	s := &http.Server{Handler: mux}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return socket
}

// hold takes the address or lets it go, and tells of it.
func (a *haAgent) hold(kind metric.EventKind) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = ""
	if kind == metric.EventVIPTaken {
		a.held = `"10.0.0.100/24"`
	}
	a.events = append(a.events, fmt.Sprintf(`{"seq":%d,"time":%q,"kind":%q,"text":"x"}`, len(a.events)+1, time.Now().Format(time.RFC3339Nano), kind))
	close(a.changed)
	a.changed = make(chan struct{})
}

// awaitEvent reads a stream until an event of that kind comes.
func awaitEvent(t *testing.T, r *frame.StreamReader, kind metric.EventKind) metric.Event {
	t.Helper()
	var dec batch.Decoder
	for {
		rec, err := r.Next()
		if err != nil || rec.Err != nil {
			t.Fatalf("%v, %v; no event %s", err, rec.Err, kind)
		}
		var b batch.Batch
		if rec.Heartbeat {
			continue
		}
		if err := dec.Decode(rec.Frame.Payload, &b); err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			if e.Kind == kind {
				return e
			}
		}
	}
}

// Two hosts take one address. Their agents are asked once an hour, so nobody would hear it twice from them if their
// collectors did not ask out of turn.
func TestSplitBrainIsSeenByEveryCollector(t *testing.T) {
	nodes := hosts(t, 2)
	var agents [2]haAgent
	var streams [2]*frame.StreamReader
	for i, name := range []string{"web1", "web2"} {
		cfg := testConf(t)
		cfg.Probes.Host.Enabled = false
		cfg.Probes.VRRP.Agent, cfg.Probes.VRRP.Interval = startHA(t, &agents[i]), time.Hour
		c, _ := start(t, nodes[i], name, cfg)
		streams[i] = stream(t, nodes[i], c, 0)
	}
	for _, r := range streams {
		read(t, r, "web1 keepwatch_vip_held", "web2 keepwatch_vip_held")
	}
	agents[0].hold(metric.EventVIPTaken)
	agents[1].hold(metric.EventVIPTaken)
	for _, kind := range []metric.EventKind{metric.EventVIPConflict, metric.EventVIPConflictEnded} {
		first, second := awaitEvent(t, streams[0], kind), awaitEvent(t, streams[1], kind)
		if first.ID != second.ID || first.Host != "web1" || second.Host != "web1" || first.Label("vip") != "10.0.0.100" {
			t.Errorf("got %+v and %+v, want one event of web1", first, second)
		}
		if kind == metric.EventVIPConflict {
			agents[1].hold(metric.EventVIPReleased)
		}
	}
}
