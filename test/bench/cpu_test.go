package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// selfCPU is user and system time of this process or thread.
func selfCPU(who int) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(who, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// postgresCPU is user and system time of the server, of the children that it still has and of those that ended.
func postgresCPU(pidFile string) (time.Duration, error) {
	text, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		// "pid (name) state ppid …": the name may hold anything, so what follows the last parenthesis counts.
		f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(f) < 15 || f[1] != first && filepath.Base(filepath.Dir(file)) != first {
			continue
		}
		fields := f[11:13] // utime, stime
		if filepath.Base(filepath.Dir(file)) == first {
			fields = f[11:15] // and those of children that ended
		}
		for _, s := range fields {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("cannot read %s: %w", file, err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / 100, nil
}
