package track

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"keepwatch/internal/conf"
)

func TestCounter(t *testing.T) {
	// + and - are good and bad looks; U and D what the count says after each.
	f := func(rise, fall int, initFail bool, looks, want string) {
		t.Helper()
		c, got := newCounter(rise, fall, initFail), ""
		for _, l := range looks {
			c.count(l == '+')
			got += map[bool]string{true: "U", false: "D"}[c.up()]
		}
		if got != want {
			t.Errorf("rise %d, fall %d, init_fail %t, %s: got %s, want %s", rise, fall, initFail, looks, got, want)
		}
	}
	f(1, 1, false, "+-+-", "UDUD")
	f(0, 0, false, "+-+-", "UDUD") // as 1
	f(2, 3, false, "-++---+-++", "DDUUUDDDDU")
	f(2, 3, false, "+--+---++", "UUUUUUDDU")
	f(2, 3, true, "+---", "UUUD")
	f(2, 3, true, "-+-++", "DDDDU")
	f(3, 1, false, "-++-+++", "DDDDDDU")
	f(1, 3, true, "+--+---+", "UUUUUUDU")
	if c := newCounter(2, 2, false); !c.up() {
		t.Error("down before the first look")
	}
	if c := newCounter(2, 2, true); c.up() {
		t.Error("up before the first look")
	}
}

// However it began: rise good looks in a row are up, fall bad ones are down, and fewer change nothing once the
// opposite was certain.
func TestCounterTurnsAfterRiseAndFall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rise, fall := rapid.IntRange(1, 5).Draw(t, "rise"), rapid.IntRange(1, 5).Draw(t, "fall")
		c := newCounter(rise, fall, rapid.Bool().Draw(t, "init"))
		up, row, last := c.up(), 0, false
		for i, good := range rapid.SliceOf(rapid.Bool()).Draw(t, "looks") {
			if row++; i > 0 && good != last {
				row = 1
			}
			last = good
			c.count(good)
			switch {
			case i == 0:
				up = good
			case good && row >= rise:
				up = true
			case !good && row >= fall:
				up = false
			}
			if c.up() != up {
				t.Fatalf("look %d, %d in a row: up is %t", i, row, c.up())
			}
		}
	})
}

func TestBeat(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	f := func(last, now, want int) {
		t.Helper()
		if got := beat(at(last), at(now), 100*time.Millisecond); got != at(want) {
			t.Errorf("after %d, at %d: got %d, want %d", last, now, got.UnixMilli(), want)
		}
	}
	f(0, 0, 100)
	f(0, 99, 100)
	f(0, 100, 200)
	f(0, 350, 400)
	f(0, -5, 100) // the timer was early
}

// Looks that take long skip beats: no second one beside them, no burst after them, no drift.
func TestBeatsAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun []int
		takes := []time.Duration{0, 30, 250, 100, 10, 1000, 0}
		begin := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		running := false
		err := check(ctx, conf.Track{Interval: 100 * time.Millisecond}, func(context.Context, func(bool, string)) {
			if running {
				t.Error("two at once")
			}
			running = true
			begun = append(begun, int(time.Since(begin).Milliseconds()))
			time.Sleep(takes[len(begun)-1] * time.Millisecond)
			running = false
			if len(begun) == len(takes) {
				cancel()
			}
		}, &teller{})
		if want := []int{0, 100, 200, 500, 700, 800, 1900}; !slices.Equal(begun, want) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, %v, want %v", begun, err, want)
		}
	})
}

func TestNewsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		looks := "++--+++--"
		ctx, cancel := context.WithCancel(t.Context())
		i := 0
		_ = check(ctx, conf.Track{Interval: time.Second, Rise: 2, Fall: 2}, func(_ context.Context, verdict func(bool, string)) {
			if i == len(looks) {
				cancel()
			}
			verdict(i < len(looks) && looks[i] == '+', fmt.Sprint(i))
			i++
		}, &teller{changed: func(f Finding) { told = append(told, fmt.Sprintf("%t %s", f.Up, f.Detail)) }})
		if got, want := strings.Join(told, ", "), "true 0, false 3, true 5, false 8"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
