package notify

import "sync"

// ring is a queue of bounded length that loses its oldest when it is full. Its memory grows with its use.
type ring[T any] struct {
	slots       []T
	first, used int
	limit       int
}

func newRing[T any](limit int) ring[T] { return ring[T]{limit: limit} }

// push tells whether the oldest was lost.
func (r *ring[T]) push(v T) (lost bool) {
	if r.used == r.limit {
		r.slots[r.first] = v
		r.first = (r.first + 1) % len(r.slots)
		return true
	}
	r.grow()
	r.slots[(r.first+r.used)%len(r.slots)] = v
	r.used++
	return false
}

// unpop puts the oldest back. It is lost when the queue has filled up meanwhile.
func (r *ring[T]) unpop(v T) (lost bool) {
	if r.used == r.limit {
		return true
	}
	r.grow()
	r.first = (r.first + len(r.slots) - 1) % len(r.slots)
	r.slots[r.first] = v
	r.used++
	return false
}

func (r *ring[T]) pop() (v T, ok bool) {
	if r.used == 0 {
		return v, false
	}
	var none T
	v, r.slots[r.first] = r.slots[r.first], none
	r.first = (r.first + 1) % len(r.slots)
	r.used--
	return v, true
}

// grow makes room for one more.
func (r *ring[T]) grow() {
	if r.used < len(r.slots) {
		return
	}
	bigger := make([]T, min(max(4, 2*len(r.slots)), r.limit))
	n := copy(bigger, r.slots[r.first:])
	copy(bigger[n:], r.slots[:r.first])
	r.slots, r.first = bigger, 0
}

// queue is a ring between two goroutines.
type queue[T any] struct {
	mu     sync.Mutex
	ring   ring[T]
	closed bool
	bell   chan struct{} // rung by put and close
}

func newQueue[T any](size int) *queue[T] {
	return &queue[T]{ring: newRing[T](size), bell: make(chan struct{}, 1)}
}

func (q *queue[T]) put(v T) (lost bool) {
	q.mu.Lock()
	lost = q.ring.push(v)
	q.mu.Unlock()
	q.wake()
	return lost
}

// close says that nothing more comes. What is queued stays.
func (q *queue[T]) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *queue[T]) wake() {
	select {
	case q.bell <- struct{}{}:
	default:
	}
}

// take returns the oldest without waiting; more is false when there is none and none will come.
func (q *queue[T]) take() (v T, ok, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	v, ok = q.ring.pop()
	return v, ok, ok || !q.closed
}

// giveBack returns the oldest to its place.
func (q *queue[T]) giveBack(v T) (lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.ring.unpop(v)
}

func (q *queue[T]) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// discard empties the queue and tells how many were in it.
func (q *queue[T]) discard() (n uint64) {
	for {
		if _, ok, _ := q.take(); !ok {
			return n
		}
		n++
	}
}
