package api

import (
	"sync"
	"time"
)

// recent keeps an answer that is dear to make for a moment, so that many open pages cost as much as one. Who asks
// while it is made waits for it.
type recent[T any] struct {
	mu    sync.Mutex
	until time.Time
	value T
}

func (r *recent[T]) get(lasts time.Duration, load func() (T, error)) (T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.until) {
		return r.value, nil
	}
	v, err := load()
	if err == nil {
		r.value, r.until = v, time.Now().Add(lasts)
	}
	return v, err
}
