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

// TestImportGanglia: Debian's own files and what includes others, from a file and from stdin.
func TestImportGanglia(t *testing.T) {
	folder := t.TempDir()
	gmond, gmetad := filepath.Join(folder, "gmond.conf"), filepath.Join(folder, "gmetad.conf")
	write(t, gmond, "include ('"+folder+"/conf.d/*.conf')\nudp_send_channel { host = 127.0.0.1 port = 8649 bind_hostname = yes }\nglobals { mtue = no }\n")
	if err := os.Mkdir(filepath.Join(folder, "conf.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "conf.d", "a.conf"), "cluster { name = \"${KW_CLUSTER}\" }\ntcp_accept_channel { port = 8649 acl { default = deny } }\n")
	write(t, gmetad, "include "+folder+"/*.inc\ndata_source lab 20 localhost\n")
	write(t, filepath.Join(folder, "grid.inc"), "gridname '${KW_CLUSTER}'\ntrusted_hosts localhost nosuch.invalid\n")
	t.Setenv("KW_CLUSTER", "lab")
	run := func(in string, args ...string) (out, notes string, c conf.Config, err error) {
		t.Helper()
		cmd := command()
		var o, e bytes.Buffer
		cmd.SetArgs(append([]string{"import"}, args...))
		cmd.SetIn(strings.NewReader(in))
		cmd.SetOut(&o)
		cmd.SetErr(&e)
		if err = cmd.ExecuteContext(t.Context()); o.Len() > 0 {
			var bad error
			if c, bad = conf.Parse("out.yaml", o.Bytes(), nil); bad != nil {
				t.Errorf("%q: does not load: %v\n%s", args, bad, o.String())
			}
		}
		return o.String(), e.String(), c, err
	}
	_, notes, c, err := run("", "gmond", gmond)
	if g := c.Collector.Gmond; err != nil || c.Cluster != "lab" || len(g.Send) != 1 || len(g.Receive) != 0 || g.XML.Listen != "0.0.0.0:8649" {
		t.Errorf("got %+v, %v", g, err)
	}
	for _, want := range []string{gmond + `:3:11: mistake: "mtue"`, "a.conf:2:34: remark: acl with default", "changed: send_metadata_interval 0 with the unicast channel of line 2"} {
		if !strings.Contains(notes, want) {
			t.Errorf("got notes\n%s\nwant %q in them", notes, want)
		}
	}
	if out, _, _, err := run("", "gmond", "--strict", gmond); err == nil || err.Error() != "mistakes in \""+gmond+"\": 1" || out == "" {
		t.Errorf("strict: got %v, want the translation and an error", err)
	}
	_, notes, c, err = run("", "gmetad", gmetad)
	if g := c.Extractor.Ganglia; err != nil || g.Grid != "lab" || len(g.Sources) != 1 || len(g.AcceptFrom) != 1 {
		t.Errorf("got %+v, %v\n%s", g, err, notes)
	}
	for program, file := range map[string]string{"gmond": "gmond-t.conf", "gmetad": "debian.conf"} {
		data, err := os.ReadFile("../../internal/" + program + "conf/testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if out, notes, _, err := run(string(data), program, "--strict", "-"); err != nil || out == "" || notes != "" && !strings.HasPrefix(notes, "stdin:") {
			t.Errorf("%s of %s: got %v\n%s", program, file, err, notes)
		}
	}
	for _, bad := range [][]string{{"gmond", folder}, {"gmond", "/dev/zero"}, {"gmetad", folder + "/none"}, {"gmond", gmetad}, {"gmetad"}} {
		if out, _, _, err := run("", bad...); err == nil || out != "" {
			t.Errorf("%q: got %v and %q, want an error and nothing", bad, err, out)
		}
	}
}
