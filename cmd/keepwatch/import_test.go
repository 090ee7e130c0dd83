package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keepwatch/internal/conf"
)

const keepalivedConf = `global_defs {
   router_id LVS_DEVEL
}
@node1 include part.conf
vrrp_instance VI_1 {
    state BAKCUP
    interface eth0
    virtual_router_id 51
    priority 100
    virtual_ipaddress {
        10.0.0.100/24
    }
}
`

// TestImportKeepalived: the translation on stdout loads, what differs is on stderr with its line.
func TestImportKeepalived(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "keepalived.conf")
	write(t, file, keepalivedConf)
	write(t, filepath.Join(folder, "empty.conf"), "# nothing\n")
	run := func(in string, args ...string) (out, notes string, err error) {
		t.Helper()
		c := command()
		var o, e bytes.Buffer
		c.SetArgs(append([]string{"import", "keepalived"}, args...))
		c.SetIn(strings.NewReader(in))
		c.SetOut(&o)
		c.SetErr(&e)
		err = c.ExecuteContext(t.Context())
		return o.String(), e.String(), err
	}
	out, notes, err := run("", "--config-id", "node2", file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := conf.Parse("out.yaml", []byte(out), nil)
	if err != nil || len(c.HAAgent.Instances) != 1 || c.HAAgent.Instances[0].VRID != 51 {
		t.Errorf("got %+v, %v from\n%s", c.HAAgent, err, out)
	}
	for _, want := range []string{file + ":2: no equivalent: router_id", file + `:6: mistake: unknown state "BAKCUP"`} {
		if !strings.Contains(notes, want) {
			t.Errorf("got notes\n%s\nwant %q in them", notes, want)
		}
	}
	if again, notes, err := run(keepalivedConf, "-"); err != nil || !strings.Contains(notes, "stdin:6: mistake") ||
		again != strings.ReplaceAll(out, file, "stdin") {
		t.Errorf("from stdin: %v, got\n%s\n%s", err, again, notes)
	}
	if out, _, err := run("", "--strict", file); err == nil || err.Error() != "mistakes in \""+file+"\": 1" || out == "" {
		t.Errorf("strict: got %v, want the translation and an error", err)
	}
	for _, bad := range [][]string{{filepath.Join(folder, "empty.conf")}, {filepath.Join(folder, "none.conf")}, {folder}, {"/dev/zero"}, {}} {
		if out, _, err := run("", bad...); err == nil || out != "" {
			t.Errorf("%q: got %v and %q, want an error and nothing", bad, err, out)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
