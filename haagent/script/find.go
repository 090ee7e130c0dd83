package script

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Path is where programs are found that are named without a folder, and the PATH that they get.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// find tells the file of a program.
func find(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	if name == "" || strings.ContainsRune(name, '/') {
		return "", fmt.Errorf("cannot find %q: want an absolute path", name)
	}
	for dir := range strings.SplitSeq(Path, ":") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("cannot find %q in %s: name it with its folder", name, Path)
}

// maxLinks bounds the symbolic links on the way to one program.
const maxLinks = 40

// safeForRoot refuses a program that another user than root could put something else in the place of: the file, each
// link and each folder on the way must be root's and writable by root alone.
func safeForRoot(path string) error {
	rest := strings.Split(strings.Trim(path, "/"), "/")
	if err := rootsOwn("/"); err != nil {
		return fmt.Errorf("refuse to run %q as root: %w", path, err)
	}
	at := "/"
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, part)
		if err := rootsOwn(next); err != nil {
			return fmt.Errorf("refuse to run %q as root: %w", path, err)
		}
		target, err := os.Readlink(next)
		if err != nil { // no link
			at = next
			continue
		}
		if links++; links > maxLinks {
			return fmt.Errorf("refuse to run %q as root: more than %d symbolic links on the way", path, maxLinks)
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return nil
}

// rootsOwn tells who else could change a file, a link or a folder.
func rootsOwn(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("cannot tell the owner of " + path)
	}
	switch {
	case stat.Uid != 0:
		return fmt.Errorf("%s belongs to user %d: give it to root, or run the program as another user", path, stat.Uid)
	case info.Mode()&fs.ModeSymlink != 0: // its mode means nothing
		return nil
	case info.Mode()&0o002 != 0:
		return fmt.Errorf("%s is writable by everybody: take that right away (chmod o-w), or run the program as another user", path)
	case info.Mode()&0o020 != 0 && stat.Gid != 0:
		return fmt.Errorf("%s is writable by group %d: take that right away (chmod g-w), or run the program as another user", path, stat.Gid)
	}
	return nil
}
