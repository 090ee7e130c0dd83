package supervise

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// teller hands what systemd is told to a goroutine of its own: the service manager may be slow, a testament not.
type teller struct {
	lines chan string
	ended chan struct{}
}

func newTeller(notify func(string)) *teller {
	t := &teller{lines: make(chan string, 16), ended: make(chan struct{})}
	go func() {
		defer close(t.ended)
		for line := range t.lines {
			if notify != nil {
				notify(line)
			}
		}
	}()
	return t
}

// say never waits: what a service manager does not take for so long is old news.
func (t *teller) say(line string) {
	select {
	case t.lines <- line:
	default:
	}
}

// alive pats systemd's watchdog, unless something else is still waiting to be told.
func (t *teller) alive() {
	if len(t.lines) == 0 {
		t.say("WATCHDOG=1")
	}
}

// reloading says that READY=1 follows later. systemd wants to know since when, by the clock that both share.
func (t *teller) reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err == nil {
		t.say(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=The agent reads its configuration.", now.Nano()/1000))
	}
}

// end waits until all is told.
func (t *teller) end() {
	close(t.lines)
	<-t.ended
}
