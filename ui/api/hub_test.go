package api

import (
	"fmt"
	"log/slog"
	"testing"
)

func testHub() *hub { return newHub(nil, slog.New(slog.DiscardHandler)) }

// One client that reads nothing costs its own stream, not the others'.
func TestSlowClientIsDropped(t *testing.T) {
	h := testHub()
	slow, quick := h.subscribe(), h.subscribe()
	for n := range clientQueue + 1 {
		m := message(fmt.Sprint(n))
		h.tell(m)
		if got := <-quick.queue; string(got) != string(m) {
			t.Fatalf("got %s, want %s", got, m)
		}
	}
	n := 0
	for range slow.queue { // ends: it is closed
		n++
	}
	if n != clientQueue || len(h.clients) != 1 {
		t.Errorf("the slow client was told %d, %d clients are left; want %d and 1", n, len(h.clients), clientQueue)
	}
	h.unsubscribe(slow)
	h.unsubscribe(quick)
	if !h.idle() {
		t.Error("a client is left")
	}
}

func TestStreamsAreBounded(t *testing.T) {
	h := testHub()
	for range maxStreams {
		if h.subscribe() == nil {
			t.Fatal("refused within the bound")
		}
	}
	if h.subscribe() != nil {
		t.Error("let in past the bound")
	}
	h.end()
	if !h.idle() || h.subscribe() != nil {
		t.Error("the hub has ended and still takes clients")
	}
}

func TestGatheredTellsEachRowOnce(t *testing.T) {
	g := gathered{told: map[string]bool{}}
	for _, p := range []string{
		`{"table":"alerts","op":"insert","id":7}`, `{"table":"alerts","op":"update","id":7}`, `{"table":"rules","op":"update","id":7}`,
		`{"table":"events","op":"insert","id":"e1"}`, `{"table":"unknown","id":1}`, `{"table":"alerts","id":null}`, `{"table":"alerts"}`, `nonsense`, ``,
	} {
		g.add(p)
	}
	if got := fmt.Sprintf("%q %q", g.messages, g.events); got != `["event: alert\ndata: {\"id\":7}\n\n" "event: rule\ndata: {\"id\":7}\n\n"] ["e1"]` {
		t.Errorf("got %s", got)
	}
	for n := range 2 * maxGathered {
		g.add(fmt.Sprintf(`{"table":"alerts","op":"update","id":%d}`, n))
	}
	if !g.resync || len(g.messages) > maxGathered {
		t.Errorf("a flood of changes: resync %v, %d messages", g.resync, len(g.messages))
	}
}

func TestHubNeverWaits(t *testing.T) {
	h := testHub()
	for range 2 * cap(h.changes) {
		h.hear("x")
	}
	select {
	case <-h.resync:
	default:
		t.Error("changes were dropped, and nobody is told")
	}
}
