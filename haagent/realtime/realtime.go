// Package realtime has the kernel run the HA agent before everything that may wait: an advertisement that is late
// because both processors are busy looks like a death to the other routers. cmd/keepwatch-haagent asks for it at the
// start; haagent/script and haagent/proxy keep it from what they start. It never touches another process than this one
// and its children.
package realtime

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Highest is the most that may be asked for: the kernel's own threads have 50 and more.
const Highest = 49

// Ask gives all threads of this process, and those that they will start, the round-robin policy of sched(7) with a
// priority of 1 to Highest. It needs CAP_SYS_NICE or a limit of RLIMIT_RTPRIO that allows it.
func Ask(priority int) error {
	if priority < 1 || priority > Highest {
		return fmt.Errorf("cannot run with real-time priority %d: want 1 to %d", priority, Highest)
	}
	for range 3 { // a thread may be born of one that was not asked yet
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("cannot list this process's threads: %w", err)
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			if err := set(id, unix.SCHED_RR, uint32(priority)); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("cannot run with real-time priority %d: %w (allow it by LimitRTPRIO= or ulimit -r)", priority, err)
			}
		}
	}
	return nil
}

// Decline makes a thread or a process one like all others; 0 is the calling thread.
func Decline(id int) error {
	if err := set(id, unix.SCHED_NORMAL, 0); err != nil {
		return fmt.Errorf("cannot give up real-time priority for %d: %w", id, err)
	}
	return nil
}

func set(id int, policy, priority uint32) error {
	return unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}, 0)
}
