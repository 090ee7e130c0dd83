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
	oldSuffix = ".old" // of the file before the last
	saveEvery = 2 * time.Second
)

// book is what an extractor must remember over a restart: a page for each cluster.
type book struct {
	file string
	log  *slog.Logger

	mu    sync.Mutex
	pages map[string]*page
}

// page is what is known of one cluster. Times are ms since the epoch.
type page struct {
	mu sync.Mutex
	// Received: everything heard before it is on the bus.
	Received int64                `json:"received"`
	Followed string               `json:"followed,omitempty"` // address of the aggregator that told it
	Hosts    map[string]*hostLife `json:"hosts"`              // by cluster, NUL, name as it is heard

	// Wraps are the counters that have wrapped, by the key of their series as it is heard.
	Wraps map[string]normalize.Wrap `json:"wraps,omitempty"`

	Clocks      map[string]*clock           `json:"clocks,omitempty"`      // by the sender's boot
	Skews       map[string]int64            `json:"skews,omitempty"`       // what was told last of the clock of a host, ms, by the key of Hosts
	Aggregators map[string]*aggregatorClock `json:"aggregators,omitempty"` // by address

	// Forgotten are the hosts of which it is not on the bus yet that they are, by cluster, NUL, name as it was kept.
	Forgotten map[string]farewell `json:"forgotten,omitempty"`

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
	whole, err := b.read(b.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read how far the clusters were pulled: %w", err)
	}
	if !whole {
		if _, err := b.read(b.file + oldSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Warn("cannot read how far the clusters were pulled a moment before", "err", err)
		}
	}
	return b, nil
}

// read takes the pages that are not there yet from a file. What of it cannot be read is told and left out; then, and
// without the file, it is not whole.
func (b *book) read(file string) (whole bool, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return false, err
	}
	var pages map[string]json.RawMessage
	if err := json.Unmarshal(text, &pages); err != nil {
		b.log.Warn("cannot read how far the clusters were pulled; the last ten minutes are pulled again, or what an older file leaves of them", "file", file, "err", err)
		return false, nil
	}
	whole = true
	for cluster, raw := range pages {
		if b.pages[cluster] != nil {
			continue
		}
		var p *page
		if err := json.Unmarshal(raw, &p); err != nil {
			b.log.Warn("cannot read how far a cluster was pulled; its last ten minutes are pulled again, or what an older file leaves of them", "file", file, "cluster", cluster, "err", err)
			whole = false
		} else if p != nil {
			b.pages[cluster] = p
		}
	}
	return whole, nil
}

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

// save writes the file aside and puts it in place, each step on disk before the next, so that a power failure leaves
// the new file or the one before.
func (b *book) save() error {
	text, err := b.encode()
	if err != nil {
		return fmt.Errorf("cannot write how far the clusters were pulled: %w", err)
	}
	if err := writeSynced(b.file+".new", text); err != nil {
		return fmt.Errorf("cannot note how far the clusters were pulled: %w", err)
	}
	if err := os.Rename(b.file, b.file+oldSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot keep what was noted before of how far the clusters were pulled: %w", err)
	}
	if err := os.Rename(b.file+".new", b.file); err != nil {
		return fmt.Errorf("cannot note how far the clusters were pulled: %w", err)
	}
	if err := syncFolder(filepath.Dir(b.file)); err != nil {
		return fmt.Errorf("cannot note how far the clusters were pulled: %w", err)
	}
	return nil
}

func writeSynced(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncFolder puts the names in a folder on disk.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
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

// follows is the aggregator that was followed last; empty: none was.
func (p *page) follows() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Followed
}

func (p *page) follow(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Followed = addr
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
