package haagent

import (
	"context"
	"sync"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/metric"
)

// remembered is how many events the agent keeps for whoever asks.
const remembered = 2048

// journal keeps the last events in memory. Adding never waits for a reader.
type journal struct {
	mu    sync.Mutex
	boot  string
	items []status.Event
	last  uint64
	grown chan struct{} // closed and replaced with each event
}

func newJournal(boot string) *journal { return &journal{boot: boot, grown: make(chan struct{})} }

func (j *journal) add(now time.Time, kind metric.EventKind, text string, labels map[string]string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.last++
	if len(j.items) == remembered {
		j.items = append(j.items[:0], j.items[1:]...)
	}
	j.items = append(j.items, status.Event{Seq: j.last, Time: now, Kind: string(kind), Text: text, Labels: labels})
	close(j.grown)
	j.grown = make(chan struct{})
}

// after gives what came after seq of that boot, and a channel that closes with the next event.
func (j *journal) after(boot string, seq uint64) (status.Events, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if boot != j.boot {
		seq = 0
	}
	e := status.Events{Boot: j.boot, Last: j.last, Items: []status.Event{}}
	for _, item := range j.items {
		if item.Seq > seq {
			e.Items = append(e.Items, item)
		}
	}
	if len(e.Items) > 0 {
		e.Missed = e.Items[0].Seq - seq - 1
	}
	return e, j.grown
}

// await is after that waits until there is something or ctx ends.
func (j *journal) await(ctx context.Context, boot string, seq uint64) status.Events {
	for {
		e, grown := j.after(boot, seq)
		if len(e.Items) > 0 || boot != j.boot {
			return e
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return e
		}
	}
}
