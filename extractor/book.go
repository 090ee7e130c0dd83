package extractor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"keepwatch/extractor/normalize"
)

const (
	bookFile  = "extractor.json"
	saveEvery = 2 * time.Second
)

// book is what an extractor must remember over a restart: a page for each cluster.
type book struct {
	file string
	log  *slog.Logger

	mu    sync.Mutex
	pages map[string]*page
}

// page is what is known of one cluster. Times are ms since the epoch by its aggregators' clocks.
type page struct {
	mu sync.Mutex
	// Received: everything heard before it is on the bus.
	Received int64                `json:"received"`
	Hosts    map[string]*hostLife `json:"hosts"` // by cluster, NUL, name as it is heard

	// Wraps are the counters that have wrapped, by the key of their series as it is heard.
	Wraps map[string]normalize.Wrap `json:"wraps,omitempty"`

	Clocks      map[string]*clock           `json:"clocks,omitempty"`      // by the sender's boot
	Skews       map[string]int64            `json:"skews,omitempty"`       // what was told last of the clock of a host, ms, by the key of Hosts
	Aggregators map[string]*aggregatorClock `json:"aggregators,omitempty"` // by address

	kept map[string]*keptHost // by cluster, NUL, name under which they are kept
}

// hostLife is how a host was heard under one name: in native frames and in gmond packets.
type hostLife struct {
	Native promise `json:"native"`
	Gmond  promise `json:"gmond"`
	Own    promise `json:"own,omitzero"` // of Native, frames of its own collector

	// Refused: the rules would keep it under a name that another host has.
	Refused bool `json:"refused,omitempty"`

	cluster, name string
	rule          normalize.Rule // that names the host it is kept as
	kept          *keptHost
	nameTold      int64 // when nameMetric told of it last, ms
}

// promise is when a host was heard and after how long, in ms, it is to be heard again.
type promise struct {
	Heard    int64 `json:"heard"`
	Interval int64 `json:"interval"`
}

func openBook(dir string, log *slog.Logger) (*book, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the extractor's folder: %w", err)
	}
	b := &book{file: filepath.Join(dir, bookFile), log: log, pages: make(map[string]*page)}
	text, err := os.ReadFile(b.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read how far the clusters were pulled: %w", err)
	}
	if err == nil {
		if err = json.Unmarshal(text, &b.pages); err != nil {
			log.Warn("cannot read how far the clusters were pulled; the last ten minutes are pulled again", "file", b.file, "err", err)
			b.pages = make(map[string]*page)
		}
	}
	for name, p := range b.pages {
		if p == nil {
			delete(b.pages, name)
			continue
		}
		if p.Hosts == nil {
			p.Hosts = make(map[string]*hostLife)
		}
		for key, h := range p.Hosts {
			if h == nil {
				delete(p.Hosts, key)
			}
		}
	}
	return b, nil
}

// page gives that of a cluster, made when it is not there. It reads nothing in it: somebody else may be writing there.
func (b *book) page(cluster string) *page {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pages[cluster]
	if p == nil {
		p = &page{Hosts: make(map[string]*hostLife)}
		b.pages[cluster] = p
	}
	return p
}

func (b *book) run(ctx context.Context) error {
	t := time.NewTicker(saveEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := b.save(); err != nil {
				b.log.Warn("a restart now would pull some of the last ten minutes again", "err", err)
			}
		}
	}
}

// save writes the file aside and puts it in place.
func (b *book) save() error {
	text, err := b.encode()
	if err != nil {
		return fmt.Errorf("cannot write how far the clusters were pulled: %w", err)
	}
	if err := os.WriteFile(b.file+".new", text, 0o600); err != nil {
		return fmt.Errorf("cannot note how far the clusters were pulled: %w", err)
	}
	if err := os.Rename(b.file+".new", b.file); err != nil {
		return fmt.Errorf("cannot note how far the clusters were pulled: %w", err)
	}
	return nil
}

func (b *book) encode() ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.pages {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	return json.Marshal(b.pages)
}

func (p *page) since() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Received
}

// published notes that everything received before at is on the bus.
func (p *page) published(at int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Received = max(p.Received, at)
}

func (p *page) wraps() map[string]normalize.Wrap {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Wraps
}

// wrapped notes which counters have wrapped.
func (p *page) wrapped(wraps map[string]normalize.Wrap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Wraps = wraps
}

func (p *page) count() (hosts, up int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kept {
		if k.up {
			up++
		}
	}
	return len(p.kept), up
}
