package ganglia

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/probes/host"
)

// gigabyte is gmond's: a thousand million bytes.
const gigabyte = 1e9

// readDisks adds up the file systems that are on a device of this machine and can be written, each once. gmond takes
// those whose source is below /dev and has no colon; file systems of a user process (fuseblk), which may never answer,
// are left out here. Free is what an ordinary user may have; used is all the rest.
func (p *Probe) readDisks(time.Time, []int) error {
	b, err := p.tree.Read("/proc/1/mountinfo")
	if err != nil {
		if b, err = p.tree.Read("/proc/self/mountinfo"); err != nil {
			return err
		}
	}
	var size, free, fullest float64
	var errs []error
	for _, m := range host.ParseMounts(b) {
		if m.ReadOnly || !strings.HasPrefix(m.Source, "/dev") || strings.Contains(m.Source, ":") || !host.Local(m.Type) {
			continue
		}
		var st unix.Statfs_t
		if err := p.statfs(filepath.Join(p.opt.Root, m.Point), &st); err != nil {
			errs = append(errs, fmt.Errorf("cannot ask file system %q how full it is: %w", m.Point, err))
			continue
		}
		block := float64(st.Frsize)
		if block == 0 {
			block = float64(st.Bsize)
		}
		size += float64(st.Blocks) * block
		free += float64(st.Bavail) * block
		if st.Blocks > 0 {
			fullest = max(fullest, 100*(1-float64(st.Bavail)/float64(st.Blocks)))
		}
	}
	p.number(diskTotal, size/gigabyte)
	p.number(diskFree, free/gigabyte)
	p.number(partMaxUsed, fullest)
	return errors.Join(errs...)
}
