package host

import (
	"bytes"
	"slices"
	"strings"
)

// Mount is one file system that is asked how full it is.
type Mount struct {
	ID       string // major:minor, the same for every place where one file system is seen
	Point    string
	Type     string // of the file system
	Source   string // device
	ReadOnly bool
}

// ParseMounts reads a mountinfo file (proc(5)) and keeps the real file systems, each once: at its shortest mount
// point, so that bind mounts do not show one disk several times. Lines that are not as proc(5) says are passed over.
func ParseMounts(b []byte) []Mount {
	at := make(map[string]Mount) // by mount Point: what is mounted last hides what was there
	for len(b) > 0 {
		var line []byte
		line, b = CutLine(b)
		if m, ok := parseMount(line); ok {
			at[m.Point] = m
		}
	}
	one := make(map[string]Mount)
	for _, m := range at {
		if !realFilesystem(m.Type, m.Point) {
			continue
		}
		if o, ok := one[m.ID]; !ok || shorter(m.Point, o.Point) {
			one[m.ID] = m
		}
	}
	all := make([]Mount, 0, len(one))
	for _, m := range one {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Mount) int { return strings.Compare(a.Point, b.Point) })
	return all
}

func shorter(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// parseMount reads one line: id, parent, major:minor, root, mount point, options, optional fields, "-", type,
// source, options of the file system.
func parseMount(line []byte) (m Mount, ok bool) {
	var f [6][]byte
	for i := range f {
		if f[i], line = CutField(line); len(f[i]) == 0 {
			return m, false
		}
	}
	for {
		var field []byte
		if field, line = CutField(line); len(field) == 0 {
			return m, false
		}
		if string(field) == "-" {
			break
		}
	}
	fstype, line := CutField(line)
	source, line := CutField(line)
	super, _ := CutField(line)
	if len(fstype) == 0 {
		return m, false
	}
	return Mount{
		ID: string(f[2]), Point: unescape(f[4]), Type: unescape(fstype), Source: unescape(source),
		ReadOnly: hasOption(f[5], "ro") || hasOption(super, "ro"),
	}, true
}

func hasOption(list []byte, option string) bool {
	for o := range bytes.SplitSeq(list, []byte{','}) {
		if string(o) == option {
			return true
		}
	}
	return false
}

// unescape undoes the kernel's mangling of blank, tab, newline, backslash and '#' as three octal digits.
func unescape(b []byte) string {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+3 < len(b) && octal(b[i+1]) && octal(b[i+2]) && octal(b[i+3]) {
			out = append(out, (b[i+1]-'0')<<6|(b[i+2]-'0')<<3|(b[i+3]-'0'))
			i += 3
			continue
		}
		out = append(out, b[i])
	}
	return string(out)
}

func octal(c byte) bool { return c >= '0' && c <= '7' }

// realFilesystem says whether the file system keeps files that can fill it. The root of a container is one though
// its type is overlay; a tmpfs is one unless it belongs to the system, as those below /run and /dev do.
func realFilesystem(fstype, point string) bool {
	switch fstype {
	case "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
		"erofs", "fusectl", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "hugetlbfs", "iso9660", "mqueue", "nfsd",
		"nsfs", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs", "tracefs":
		return false
	case "overlay":
		return point == "/"
	case "tmpfs":
		return !below(point, "/run") && !below(point, "/dev") && !below(point, "/sys") && !below(point, "/proc")
	}
	return true
}

func below(point, dir string) bool {
	return point == dir || strings.HasPrefix(point, dir+"/")
}

// Local says whether statfs(2) answers from the kernel's memory. Any other file system, known or not, asks a server
// or a process that may never answer.
func Local(fstype string) bool {
	switch fstype {
	case "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "nilfs2", "ntfs3", "overlay",
		"reiserfs", "tmpfs", "udf", "vfat", "xfs", "zfs":
		return true
	}
	return false
}
