// Package notify tells programs and named pipes of the transitions of instances and groups, in keepalived's words. It
// owns the queues between the transition and the program: whoever tells never waits, and what does not fit is dropped,
// oldest first, and counted. It never decides what a transition is; haagent calls it.
package notify

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"keepwatch/haagent/script"
	"keepwatch/internal/conf"
)

// The kinds and the states, as keepalived writes them.
const (
	KindInstance = "INSTANCE"
	KindGroup    = "GROUP"

	StateMaster = "MASTER"
	StateBackup = "BACKUP"
	StateFault  = "FAULT"
	StateStop   = "STOP"
)

const (
	maxWaiting  = 1024 // transitions that the dispatcher has not seen yet
	maxPrograms = 64   // transitions of one instance whose programs have not run yet
	maxLines    = 256  // lines that a named pipe has not taken yet

	programTimeout = 60 * time.Second
	retryEvery     = time.Second

	// At the end, what runs or waits for an earlier transition has endOthers, and what is queued for STOP endStop.
	endOthers = 2 * time.Second
	endStop   = 5 * time.Second
)

// Options are what a Notifier needs.
type Options struct {
	Scripts *script.Runner
	Log     *slog.Logger
}

// event is one transition.
type event struct {
	to         conf.Notify
	kind, name string
	state      string
	priority   int
}

func (e *event) of() owner { return owner{e.kind, e.name} }

// owner is whose programs run one after the other.
type owner struct{ kind, name string }

// Notifier tells of transitions.
type Notifier struct {
	opt     Options
	dropped atomic.Uint64
	wake    chan struct{}

	mu      sync.Mutex // held for the move of one event, never while anything is waited for
	waiting ring[event]

	// These belong to Run's goroutine.
	programs map[owner]*queue[event]
	pipes    map[string]*queue[string]
}

// New makes a notifier. Nothing is told before Run.
func New(o Options) *Notifier {
	return &Notifier{
		opt: o, wake: make(chan struct{}, 1), waiting: newRing[event](maxWaiting),
		programs: make(map[owner]*queue[event]), pipes: make(map[string]*queue[string]),
	}
}

// Dropped counts what was dropped because a queue was full, or because the end came first: transitions whose programs
// did not run, and lines that a named pipe did not take.
func (n *Notifier) Dropped() uint64 { return n.dropped.Load() }

// Tell hands over a transition of an instance or a group and returns at once: it takes a lock that nobody holds for
// longer than a copy, and waits for nothing else. kind is KindInstance or KindGroup, state one of the four states.
func (n *Notifier) Tell(to conf.Notify, kind, name, state string, priority int) {
	n.mu.Lock()
	lost := n.waiting.push(event{to, kind, name, state, priority})
	n.mu.Unlock()
	if lost {
		n.dropped.Add(1)
	}
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run tells until ctx ends, and then for up to five seconds what is queued. It must run once only; its error is
// ctx's.
func (n *Notifier) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	l := newLife(ctx)
	defer l.cancel()
	for ctx.Err() == nil {
		select {
		case <-n.wake:
			n.dispatch(l, &workers)
		case <-ctx.Done():
		}
	}
	n.dispatch(l, &workers)
	for _, q := range n.programs {
		q.close()
	}
	for _, q := range n.pipes {
		q.close()
	}
	workers.Wait()
	return ctx.Err()
}

// life is how long work may go on after the end was asked for: for STOP longer than for others.
type life struct {
	others, stop context.Context
	cancel       func()
}

func newLife(ctx context.Context) life {
	others, cancelOthers := context.WithCancel(context.WithoutCancel(ctx))
	stop, cancelStop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	var timers sync.WaitGroup
	timers.Go(func() {
		select {
		case <-ctx.Done():
		case <-ended:
			return
		}
		for _, part := range []struct {
			after  time.Duration
			cancel func()
		}{{endOthers, cancelOthers}, {endStop - endOthers, cancelStop}} {
			timer := time.NewTimer(part.after)
			select {
			case <-timer.C:
				part.cancel()
			case <-ended:
				timer.Stop()
			}
		}
	})
	return life{others: others, stop: stop, cancel: func() {
		close(ended)
		timers.Wait()
		cancelOthers()
		cancelStop()
	}}
}

// dispatch moves what was told to the queues of those whom it is for.
func (n *Notifier) dispatch(l life, workers *sync.WaitGroup) {
	for {
		n.mu.Lock()
		e, ok := n.waiting.pop()
		n.mu.Unlock()
		if !ok {
			return
		}
		if len(commands(&e)) > 0 {
			q := n.programs[e.of()]
			if q == nil {
				q = newQueue[event](maxPrograms)
				n.programs[e.of()] = q
				workers.Go(func() { n.runPrograms(l, q) })
			}
			n.count(q.put(e))
		}
		if path := e.to.FIFO; path != "" {
			q := n.pipes[path]
			if q == nil {
				q = newQueue[string](maxLines)
				n.pipes[path] = q
				workers.Go(func() { n.feed(l, path, q) })
			}
			n.count(q.put(line(&e)))
		}
	}
}

func (n *Notifier) count(lost bool) {
	if lost {
		n.dropped.Add(1)
	}
}

// commands are the programs of a transition in keepalived's order: the state's first, then the one for all.
func commands(e *event) (all [][]string) {
	of := map[string][]string{StateMaster: e.to.Master, StateBackup: e.to.Backup, StateFault: e.to.Fault, StateStop: e.to.Stop}
	if argv := of[e.state]; len(argv) > 0 {
		all = append(all, argv)
	}
	if len(e.to.Any) > 0 {
		argv := append([]string{}, e.to.Any...)
		all = append(all, append(argv, e.kind, e.name, e.state, strconv.Itoa(e.priority)))
	}
	return all
}

// line is what a named pipe gets.
func line(e *event) string {
	return e.kind + " \"" + e.name + "\" " + e.state + " " + strconv.Itoa(e.priority) + "\n"
}
