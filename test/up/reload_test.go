package up_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// reload writes another configuration, tells the program, and waits until it says what came of it, a time more than
// before.
func (r *program) reload(p place, text, says string) {
	r.t.Helper()
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	before := strings.Count(r.out.String(), says)
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	r.until(says, func() bool { return strings.Count(r.out.String(), says) > before })
}

// send gives the running program a metric of this host.
func (p place) send(t *testing.T, name string) {
	t.Helper()
	if out, err := exec.Command(binary(t), "send", "--data", p.data, "-n", name, "-v", "1", "-t", "uint32").CombinedOutput(); err != nil {
		t.Fatalf("send: %v: %s", err, out)
	}
}

func (r *program) signedIn() {
	r.t.Helper()
	r.until("the first password is printed", func() bool { return r.password() != "" })
	if got := r.signIn(r.password()); got != 200 {
		r.t.Fatalf("sign in: status %d", got)
	}
}

// The frame key is changed in three reloads, as the documentation has it, and not a sample is lost.
func TestKeysAreRotatedByReload(t *testing.T) {
	p := newPlace(t)
	base, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(p.config)
	var list [3]string
	for id := 1; id <= 2; id++ {
		file := filepath.Join(dir, fmt.Sprint("key", id))
		if err := os.WriteFile(file, []byte(strings.Repeat(fmt.Sprintf("%02x", id), 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		list[id] = fmt.Sprintf("{id: %d, file: %s}", id, file)
	}
	config := func(ids ...int) string {
		var keys []string
		for _, id := range ids {
			keys = append(keys, list[id])
		}
		return strings.Replace(string(base), "collector:\n", "collector:\n  keys: ["+strings.Join(keys, ", ")+"]\n", 1)
	}
	if err := os.WriteFile(p.config, []byte(config(1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := p.start(t)
	r.signedIn()
	sent := 0
	some := func() {
		for range 3 {
			sent++
			p.send(t, fmt.Sprint("rotation_", sent))
		}
	}
	some()
	for _, ids := range [][]int{{1, 2}, {2, 1}, {2}} {
		r.reload(p, config(ids...), `msg="reloaded;`)
		some()
	}
	r.until("every sample is there", func() bool { return r.query(`{__name__=~"gmond_rotation_.*"}`) == sent })
	r.signal(syscall.SIGINT)
}

// A reload that one part refuses changes nothing in the others; one that cannot change all says what waits for a start.
func TestReloadIsAllOrNothing(t *testing.T) {
	p := newPlace(t)
	base, err := os.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	text := "host: node1\n" + string(base)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := p.start(t)
	r.signedIn()
	p.send(t, "before")
	r.until("the host's own name", func() bool { return r.query(`gmond_before{host="node1"}`) == 1 })
	renamed := text + "extractor: {hosts: {aliases: [{host: other, names: [node1]}]}}\n"
	r.reload(p, strings.Replace(renamed, "serve: {listen: \"127.0.0.1:", "max_hosts: 77\n  serve: {listen: \"127.0.0.1:", 1), "cannot reload; the running configuration stays in force")
	p.send(t, "refused")
	r.until("the host keeps its name", func() bool { return r.query(`gmond_refused{host="node1"}`) == 1 })
	r.reload(p, renamed+"bus: {max_bytes: 99999999}\n", `keys=bus.max_bytes`)
	r.until("the host's other name", func() bool { p.send(t, "after"); return r.query(`gmond_after{host="other"}`) == 1 })
	r.signal(syscall.SIGINT)
}
