package haagent

import (
	"time"

	"golang.org/x/sys/unix"
)

// sleep tells for how long the machine stood still without its clock moving: CLOCK_BOOTTIME goes on over a suspend,
// the clock of timers does not. It asks only when the time of day has moved against the clock of timers, since that
// costs nothing to see.
type sleep struct {
	start     time.Time
	wall, gap time.Duration
}

func newSleep() *sleep { return &sleep{start: time.Now(), gap: bootGap()} }

// sleepLeast is what the clocks may be apart by reading one after the other.
const sleepLeast = 10 * time.Millisecond

func (s *sleep) since() time.Duration {
	now := time.Now()
	wall := now.Round(0).Sub(s.start.Round(0)) - now.Sub(s.start)
	if moved := wall - s.wall; moved > -sleepLeast && moved < sleepLeast {
		return 0
	}
	s.wall = wall
	gap := bootGap()
	slept := gap - s.gap
	s.gap = gap
	if slept < sleepLeast {
		return 0
	}
	return slept
}

func bootGap() time.Duration {
	var boot, mono unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &mono) != nil {
		return 0
	}
	return time.Duration(boot.Nano() - mono.Nano())
}
