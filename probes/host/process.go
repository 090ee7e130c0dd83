package host

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"keepwatch/metric"
)

// load is the class of /proc/loadavg.
type load struct{ series []*metric.Series }

func newLoad(who owner) *load {
	return &load{fixed(who, []desc{
		{name: "node_load1", kind: metric.Gauge}, {name: "node_load5", kind: metric.Gauge},
		{name: "node_load15", kind: metric.Gauge}, {name: "node_processes_threads", kind: metric.Gauge},
	})}
}

func (c *load) collect(_ context.Context, t *Tree, r *run) error {
	b, err := t.Read("/proc/loadavg")
	if err != nil {
		return err
	}
	l, ok := ParseLoad(b)
	if !ok {
		return fmt.Errorf("cannot read /proc/loadavg: %.60q is not as proc(5) says", b)
	}
	for i, v := range l.Averages {
		r.put(c.series[i], v)
	}
	r.putUint(c.series[3], l.Threads)
	return nil
}

// Load is what /proc/loadavg says.
type Load struct {
	Averages         [3]float64 // over 1, 5 and 15 minutes
	Running, Threads uint64     // threads that run or want to, the reader among them; all threads
}

// ParseLoad reads /proc/loadavg.
func ParseLoad(b []byte) (l Load, ok bool) {
	line, _ := CutLine(b)
	for i := range l.Averages {
		var f []byte
		f, line = CutField(line)
		if l.Averages[i], ok = parseDecimal(f); !ok {
			return l, false
		}
	}
	f, _ := CutField(line)
	running, threads, _ := bytes.Cut(f, []byte{'/'})
	if l.Running, ok = ParseUint(running); !ok {
		return l, false
	}
	l.Threads, ok = ParseUint(threads)
	return l, ok
}

// maxProcesses bounds the time of a run: a process costs some microseconds.
const maxProcesses = 65536

// The states of a process, as in the label of node_processes.
const (
	pRunning = iota
	pSleeping
	pUninterruptible
	pIdle
	pStopped
	pTraced
	pZombie
	pOther
	nStates
)

// processes is the class that counts the processes by their state.
type processes struct {
	series []*metric.Series
	counts [nStates]int
	dir    []byte
	name   []byte
	stat   []byte
}

func newProcesses(who owner) *processes {
	names := [nStates]string{"running", "sleeping", "uninterruptible", "idle", "stopped", "traced", "zombie", "other"}
	var descs []desc
	for _, n := range names {
		descs = append(descs, desc{"node_processes", metric.NoUnit, metric.Gauge, metric.Label{Name: "state", Value: n}})
	}
	return &processes{series: fixed(who, descs), dir: make([]byte, 32<<10), stat: make([]byte, 512)}
}

func (c *processes) collect(ctx context.Context, t *Tree, r *run) error {
	path := "/proc"
	if t.root != "" {
		path = filepath.Join(t.root, path)
	}
	fd, err := open(path)
	if err != nil {
		return fmt.Errorf("cannot read %q: %w", path, err)
	}
	defer unix.Close(fd)
	clear(c.counts[:])
	total := 0
	for {
		n, err := unix.Getdents(fd, c.dir)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot read %q: %w", path, err)
		}
		if n == 0 {
			break
		}
		total += c.count(fd, c.dir[:n])
		if total > maxProcesses {
			return fmt.Errorf("cannot count processes: there are more than %d", maxProcesses)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("cannot count processes in time: %w", err)
		}
	}
	for i, n := range c.counts {
		r.put(c.series[i], float64(n))
	}
	return nil
}

// count reads the stat files of the processes among directory entries. A process that ended meanwhile is no process.
func (c *processes) count(fd int, entries []byte) (total int) {
	for len(entries) > 0 {
		var name []byte
		if name, entries = cutDirent(entries); !digits(name) {
			continue
		}
		total++
		c.name = append(append(c.name[:0], name...), "/stat"...)
		if b, ok := c.readStat(fd); ok {
			c.counts[processState(b)]++
		}
	}
	return total
}

// readStat reads the beginning of one stat file, which holds the state: pid and name are short.
func (c *processes) readStat(dir int) ([]byte, bool) {
	fd, err := unix.Openat(dir, string(c.name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	n, err := unix.Read(fd, c.stat)
	unix.Close(fd)
	return c.stat[:max(0, n)], err == nil && n > 0
}

// cutDirent takes the name of the first entry of what getdents64(2) gave: inode and offset of 8 bytes each, record
// length of 2, type of 1, name ended by NUL.
func cutDirent(b []byte) (name, rest []byte) {
	const header = 19
	if len(b) < header {
		return nil, nil
	}
	n := int(binary.NativeEndian.Uint16(b[16:]))
	if n < header || n > len(b) {
		return nil, nil
	}
	name, _, _ = bytes.Cut(b[header:n], []byte{0})
	return name, b[n:]
}

// processState reads the state out of a stat file: the letter after the name, which is in parentheses and may hold
// anything, parentheses and blanks too.
func processState(b []byte) int {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 || i+2 >= len(b) {
		return pOther
	}
	switch b[i+2] {
	case 'R':
		return pRunning
	case 'S':
		return pSleeping
	case 'D':
		return pUninterruptible
	case 'I':
		return pIdle
	case 'T':
		return pStopped
	case 't':
		return pTraced
	case 'Z':
		return pZombie
	}
	return pOther
}
