package track

import (
	"context"
	"time"

	"keepwatch/internal/conf"
)

// counter turns good and bad looks into up and down, as keepalived does: it is a number from 0 to rise+fall-1 that is
// up from rise on. A look in the other direction starts the count anew. The first look decides alone.
type counter struct{ rise, fall, n int }

// newCounter begins one bad look from down, or with initFail one good look from up.
func newCounter(rise, fall int, initFail bool) counter {
	c := counter{rise: max(rise, 1), fall: max(fall, 1)}
	c.n = c.rise
	if initFail {
		c.n--
	}
	return c
}

func (c *counter) up() bool { return c.n >= c.rise }

func (c *counter) count(good bool) {
	switch top := c.rise + c.fall - 1; {
	case good && c.n < c.rise-1:
		c.n++
	case good:
		c.n = top
	case c.n > c.rise:
		c.n--
	default:
		c.n = 0
	}
}

// looker looks once. It calls verdict once, as soon as it knows, and returns when the next look may begin. After ctx
// has ended it need not call it.
type looker func(ctx context.Context, verdict func(good bool, detail string))

// check looks at once and then at each beat of the interval. A look that takes longer than that skips beats: there is
// never a second one beside it, nor a burst of them after it.
func check(ctx context.Context, c conf.Track, look looker, t *teller) error {
	n := newCounter(c.Rise, c.Fall, c.InitFail)
	verdict := func(good bool, detail string) {
		if ctx.Err() != nil {
			return
		}
		n.count(good)
		t.tell(Finding{Up: n.up(), Detail: detail})
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		look(ctx, verdict)
		now := time.Now()
		next = beat(next, now, c.Interval)
		timer.Reset(next.Sub(now))
	}
}

// beat is the first one after now of those that follow last at the interval.
func beat(last, now time.Time, interval time.Duration) time.Time {
	if now.Before(last) {
		return last.Add(interval)
	}
	return last.Add((now.Sub(last)/interval + 1) * interval)
}

// timeout is how long one look may take.
func timeout(c conf.Track) time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return c.Interval
}
