package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"golang.org/x/sync/errgroup"

	"keepwatch/schema/db"
)

// Bounds of the stream.
const (
	maxStreams  = 1000
	clientQueue = 256                   // messages that wait for one client; past it, the client is dropped
	gatherFor   = 50 * time.Millisecond // changes that come together are told together
	maxGathered = 500                   // past it, clients are told to ask for everything again
	samplesEach = time.Second           // "samples" is told at most this often
	rateEach    = 10 * time.Second      // how long a rate of samples is measured over
)

var (
	droppedStreams = metrics.GetOrCreateCounter("keepwatch_ui_streams_dropped_total")
	toldChanges    = metrics.GetOrCreateCounter("keepwatch_ui_changes_total")
)

// message is one server-sent event, encoded once for all clients.
type message []byte

func encode(event string, data any) message {
	text, err := json.Marshal(data)
	if err != nil { // a bug: all that is sent is plain structs
		text = []byte("{}")
	}
	return message("event: " + event + "\ndata: " + string(text) + "\n\n")
}

// change is what the database's triggers say: a row of a table is another one.
type change struct {
	Table string          `json:"table"`
	Op    string          `json:"op"`
	ID    json.RawMessage `json:"id"`
}

// hub hears what changes in the database and tells every stream.
type hub struct {
	db  *db.DB
	log *slog.Logger

	changes chan string   // payloads of the channel keepwatch
	samples chan struct{} // something was committed
	resync  chan struct{} // changes may have been missed

	mu      sync.Mutex
	clients map[*client]struct{}
	ended   bool
	perSec  *float64
}

// client is one stream. Its queue is closed when it is dropped or the hub ends.
type client struct {
	queue chan message
}

func newHub(d *db.DB, log *slog.Logger) *hub {
	return &hub{
		db: d, log: log, clients: make(map[*client]struct{}),
		changes: make(chan string, 4*maxGathered), samples: make(chan struct{}, 1), resync: make(chan struct{}, 1),
	}
}

// subscribe adds a stream; nil: there are too many, or the hub has ended.
func (h *hub) subscribe() *client {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended || len(h.clients) >= maxStreams {
		return nil
	}
	c := &client{queue: make(chan message, clientQueue)}
	h.clients[c] = struct{}{}
	return c
}

func (h *hub) unsubscribe(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(c)
}

// drop ends a stream. The lock is held.
func (h *hub) drop(c *client) {
	if _, ok := h.clients[c]; ok {
		delete(h.clients, c)
		close(c.queue)
	}
}

// tell queues a message for every stream. It never waits: a stream that is full is dropped, its client comes back
// and asks for everything again.
func (h *hub) tell(m message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		select {
		case c.queue <- m:
		default:
			droppedStreams.Inc()
			h.drop(c)
		}
	}
}

func (h *hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients) == 0
}

// rate is how many samples a second were committed lately; nil: not known.
func (h *hub) rate() *float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.perSec
}

// run listens and tells until ctx ends.
func (h *hub) run(ctx context.Context) error {
	defer h.end()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.listen(ctx, "keepwatch", h.hear) })
	g.Go(func() error { return h.listen(ctx, "keepwatch_samples", func(string) { signal(h.samples) }) })
	g.Go(func() error { return h.tellChanges(ctx) })
	g.Go(func() error { return h.tellSamples(ctx) })
	g.Go(func() error { return h.measure(ctx) })
	return g.Wait()
}

func (h *hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	for c := range h.clients {
		h.drop(c)
	}
}

// signal leaves a mark that is there at most once.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// listen follows one channel for as long as ctx lasts, through losses of the database.
func (h *hub) listen(ctx context.Context, channel string, fn func(string)) error {
	again := false
	wait := 100 * time.Millisecond
	for {
		err := h.db.Listen(ctx, channel, func() {
			if again { // what changed meanwhile was not told
				signal(h.resync)
				h.log.Info("hears of changes again", "channel", channel)
			}
			again, wait = true, 100*time.Millisecond
		}, fn)
		if ctx.Err() != nil {
			return nil
		}
		again = true
		h.log.Warn("cannot hear of changes; will try again", "channel", channel, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, 3*time.Second)
	}
}

// hear must not wait: it runs on the connection.
func (h *hub) hear(payload string) {
	select {
	case h.changes <- payload:
	default:
		signal(h.resync)
	}
}
