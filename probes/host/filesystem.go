package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/metric"
)

const (
	maxFilesystems = 512
	maxStuck       = 64              // statfs calls that wait for a dead server at most, over all mounts
	statfsTimeout  = 2 * time.Second // for all mounts of one run together
	maxErrors      = 4               // told of one run; all of them show in node_filesystem_device_error
)

// errStuck is what a file system has that does not answer.
var errStuck = errors.New("no answer from its server or process")

// filesystems is the class of statfs(2) over the mounts of the first process, or of this one where that is not
// allowed to be read.
//
// statfs on a dead NFS server or FUSE process never returns and cannot be interrupted, so file systems that may hang
// are asked in a goroutine each. That goroutine ends when the kernel answers; while it waits its mount is not asked
// again, and no more than maxStuck wait at all.
type filesystems struct {
	root   string
	statfs func(string, *unix.Statfs_t) error
	all    *family
	last   []byte // the mountinfo that mounts were parsed from
	mounts []*mounted
	slots  chan struct{}
}

type mounted struct {
	Mount
	key    []byte
	path   string // to ask
	local  bool
	answer chan answer // the one to come, nil when none is asked for
	asked  bool        // in this run: only then it is waited for
	st     unix.Statfs_t
}

type answer struct {
	st  unix.Statfs_t
	err error
}

// The metrics of a file system, as in newFilesystems.
const (
	fsSize = iota
	fsFree
	fsAvail
	fsUsed
	fsFiles
	fsFilesFree
	fsFilesUsed
	fsReadonly
	fsError
)

func newFilesystems(who owner, root string, statfs func(string, *unix.Statfs_t) error) *filesystems {
	return &filesystems{
		root: root, statfs: statfs, slots: make(chan struct{}, maxStuck),
		all: newFamily(who, "file systems", maxFilesystems, []desc{
			fsSize:      {name: "node_filesystem_size_bytes", unit: metric.Bytes, kind: metric.Gauge},
			fsFree:      {name: "node_filesystem_free_bytes", unit: metric.Bytes, kind: metric.Gauge},
			fsAvail:     {name: "node_filesystem_avail_bytes", unit: metric.Bytes, kind: metric.Gauge},
			fsUsed:      {name: "node_filesystem_used_ratio", unit: metric.Ratio, kind: metric.Gauge},
			fsFiles:     {name: "node_filesystem_files", kind: metric.Gauge},
			fsFilesFree: {name: "node_filesystem_files_free", kind: metric.Gauge},
			fsFilesUsed: {name: "node_filesystem_files_used_ratio", unit: metric.Ratio, kind: metric.Gauge},
			fsReadonly:  {name: "node_filesystem_readonly", kind: metric.State},
			fsError:     {name: "node_filesystem_device_error", kind: metric.State},
		}),
	}
}

func (c *filesystems) collect(ctx context.Context, t *Tree, r *run) error {
	b, err := t.Read("/proc/1/mountinfo")
	if err != nil {
		if b, err = t.Read("/proc/self/mountinfo"); err != nil {
			return err
		}
	}
	if !bytes.Equal(b, c.last) {
		c.last = append(c.last[:0], b...)
		c.remount(ParseMounts(b))
	}
	c.ask()
	timer := time.NewTimer(statfsTimeout)
	defer timer.Stop()
	w := wait{ctx: ctx, timeout: timer.C}
	c.all.begin()
	var errs []error
	for _, m := range c.mounts {
		if m.local {
			err = c.statfs(m.path, &m.st)
		} else {
			err = w.forAnswer(m)
		}
		if err = c.emit(m, err, r); err != nil && len(errs) < maxErrors {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, c.all.end())...)
}

// remount takes a new list over. A mount that was there before keeps the answer that it waits for.
func (c *filesystems) remount(list []Mount) {
	old := make(map[Mount]*mounted, len(c.mounts))
	for _, m := range c.mounts {
		old[m.Mount] = m
	}
	c.mounts = c.mounts[:0]
	for _, m := range list {
		if o := old[m]; o != nil {
			c.mounts = append(c.mounts, o)
			continue
		}
		n := &mounted{Mount: m, path: m.Point, local: Local(m.Type)}
		n.key = fmt.Appendf(nil, "%s\x00%s\x00%s", m.Point, m.Source, m.Type)
		if c.root != "" {
			n.path = filepath.Join(c.root, m.Point)
		}
		c.mounts = append(c.mounts, n)
	}
}

// ask starts a goroutine for each mount that may hang and is not waited for already.
func (c *filesystems) ask() {
	for _, m := range c.mounts {
		m.asked = false
		if m.local || m.answer != nil {
			continue
		}
		select {
		case c.slots <- struct{}{}:
		default:
			continue
		}
		ch := make(chan answer, 1)
		m.answer, m.asked = ch, true
		path := m.path
		go func() {
			var a answer
			a.err = c.statfs(path, &a.st)
			<-c.slots
			ch <- a
		}()
	}
}

// wait bounds what is waited for the answers of one run: each comes within the timeout of all. What was asked for in
// an earlier run is taken when it is there and not waited for again, or one dead server would cost every run.
type wait struct {
	ctx     context.Context
	timeout <-chan time.Time
	over    bool
}

// forAnswer fills m.st, or says errStuck.
func (w *wait) forAnswer(m *mounted) error {
	if m.answer == nil {
		return errStuck
	}
	if m.asked && !w.over {
		select {
		case a := <-m.answer:
			return m.take(a)
		case <-w.timeout:
		case <-w.ctx.Done():
		}
		w.over = true
	}
	select {
	case a := <-m.answer:
		return m.take(a)
	default:
		return errStuck
	}
}

func (m *mounted) take(a answer) error {
	m.answer, m.st = nil, a.st
	return a.err
}

func (c *filesystems) emit(m *mounted, err error, r *run) error {
	d := c.all.find(m.key)
	if d == nil {
		d = c.all.add(m.key, metric.Label{Name: "mountpoint", Value: m.Point},
			metric.Label{Name: "device", Value: m.Source}, metric.Label{Name: "fstype", Value: m.Type})
		if d == nil {
			return nil
		}
	}
	readonly := 0.0
	if m.ReadOnly {
		readonly = 1
	}
	r.put(d.series[fsReadonly], readonly)
	if err != nil {
		r.put(d.series[fsError], 1)
		return fmt.Errorf("cannot ask file system %q how full it is: %w", m.path, err)
	}
	r.put(d.series[fsError], 0)
	putStatfs(d.series, &m.st, r)
	return nil
}

// putStatfs works as df(1) does: used is what is neither free nor kept for root, of what a user could have.
func putStatfs(s []*metric.Series, st *unix.Statfs_t, r *run) {
	block := float64(st.Frsize)
	if block == 0 {
		block = float64(st.Bsize)
	}
	size, free, avail := float64(st.Blocks), float64(st.Bfree), float64(st.Bavail)
	r.put(s[fsSize], size*block)
	r.put(s[fsFree], free*block)
	r.put(s[fsAvail], avail*block)
	if used := size - free; used+avail > 0 {
		r.put(s[fsUsed], clampRatio(used/(used+avail)))
	}
	if st.Files > 0 { // btrfs, vfat and others have no table of files
		r.putUint(s[fsFiles], st.Files)
		r.putUint(s[fsFilesFree], st.Ffree)
		r.put(s[fsFilesUsed], clampRatio(1-float64(st.Ffree)/float64(st.Files)))
	}
}
