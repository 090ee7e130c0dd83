package keepalived

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"keepwatch/internal/netnstest"
	"keepwatch/internal/report"
)

// accepted are the configurations in which keepalived itself finds nothing wrong.
var accepted = []string{
	"bfd-pair", "definitions", "haproxy-pair", "includes", "ipv6", "lvs", "minimal", "nopreempt", "routes-all", "sequences",
	"strict-owner", "sync-group", "tracks-all", "unicast", "vmac",
}

// TestOracle asks the real keepalived: what it accepts holds no mistake, and what it complains of has a note that is
// more than a remark. It wants root, for a network namespace with the interfaces that the files name.
func TestOracle(t *testing.T) {
	binary, err := exec.LookPath("keepalived")
	if err != nil {
		t.Fatal("keepalived is missing: apt-get install keepalived")
	}
	node := netnstest.New(t).Node("a", "10.0.0.9/24")
	for _, name := range []string{"eth1", "ens33"} {
		node.IP("link", "add", name, "type", "veth", "peer", "name", "p"+name)
		node.IP("link", "set", name, "up")
		node.IP("link", "set", "p"+name, "up")
	}
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.conf"))
	if err != nil || len(files) < 25 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".conf")
		t.Run(name, func(t *testing.T) {
			cmd := node.Command(binary, "-t", "-l", "-G", "-i", "node1", "-f", file)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it ends its process group after trying a script of another user
			out, err := cmd.CombinedOutput()
			if ended(err) && strings.TrimSpace(string(out)) == "" {
				err = nil
			}
			if got, want := err == nil, slices.Contains(accepted, name); got != want {
				t.Errorf("keepalived accepts it: got %t, want %t: %v\n%s", got, want, err, out)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := Import(filepath.Base(file), data, options(os.DirFS("testdata")))
			remarks := slices.DeleteFunc(slices.Clone(r.Notes), func(n report.Note) bool { return n.Kind == report.Remark })
			if mine := slices.Contains(accepted, name); mine && report.Mistakes(r.Notes) > 0 || !mine && len(remarks) == 0 {
				t.Errorf("got notes %v; keepalived accepts it: %t", r.Notes, mine)
			}
		})
	}
}

// ended reports an end by SIGTERM.
func ended(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	s, ok := exit.Sys().(syscall.WaitStatus)
	return ok && s.Signaled() && s.Signal() == syscall.SIGTERM
}
