package gmetadconf

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const lab = "data_source \"lab\" 127.0.0.1\n"

// texts are small configurations that gmetad takes (true) or refuses. The environment has KW_SET=20.
var texts = map[string]bool{
	"": false, "# only\n": false, lab: true, "  " + lab: true, "\t# x\n\n" + lab: true, strings.TrimSuffix(lab, "\n"): true,
	"DATA_Source lab 127.0.0.1": false, "data_source 'lab' 10 127.0.0.1:8650 localhost\r\n": true, "data_source lab": false,
	"data_source": false, "data_source lab 10": true, "data_source lab 127.0.0.1 # localhost": true,
	"data_source \\\nlab \\\n127.0.0.1\n": true, "data_source lab \\\r\n127.0.0.1\n": false,
	lab + "gridname a\\\r\nfoo\n": true, "  # data_source\n": true, "data_source lab 127.0.0.1:x": true, "data_source \"lab 127.0.0.1\n": false,
	"data_source lab nosuch.invalid": true, lab + "foo bar\n": false, lab + "grid_name x\n": false,
	lab + "gridname\n": false, lab + "gridname \"\"\n": false, lab + "gridname \"a b\" c\n": true, lab + "gridname a#b\n": false,
	lab + "gridname #b\n": false, lab + "gridname \\#b\n": true, lab + "gridname a\\": true, lab + "gridname a\\\n": true,
	lab + "gridname \"a\n": true, lab + "gridname ${KW_SET}\n": true, lab + "gridname ${KW_NONE}\n": true,
	lab + "gridname ${KW_NONE:-x}\n": true, lab + "gridname ${KW_SET\n": false, lab + "foo ${KW_SET\n": false,
	lab + "xml_port 8651\n": true, lab + "xml_port x\n": true, lab + "xml_port\n": false, lab + "xml_port 0x10 y\n": true,
	lab + "setuid maybe\n": true, lab + "setuid\n": false, lab + "all_trusted off\n": true, lab + "all_trusted\n": false,
	lab + "trusted_hosts\n": true, lab + "trusted_hosts 127.0.0.1 nosuch.invalid\n": true, lab + "scalable off\n": true,
	lab + "include none\n": false, lab + "include none*\n": true, lab + "include part.conf\n": true, lab + "include broken.conf\n": false,
	lab + "include pa?t.conf\n": true, "Include source.conf": false, lab + "include\n": false, lab + "includepath sub\ninclude in.conf\n": true,
	lab + "includepath sub\ninclude part.conf\n": false, lab + "\"gridname\" x\n": false, lab + lab: true,
}

// TestOracle asks the real gmetad whether it takes a configuration: so do we, or so do we not. It is told to store in a
// folder that does not exist, and ends at that when it has taken the rest.
func TestOracle(t *testing.T) {
	binary, err := exec.LookPath("gmetad")
	if err != nil {
		t.Fatal("gmetad is missing: apt-get install gmetad")
	}
	t.Setenv("KW_SET", "20")
	t.Chdir(t.TempDir())
	if err := os.Mkdir("sub", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"part.conf": "gridname x\n", "broken.conf": "foo\n", "source.conf": lab, "sub/in.conf": "gridname y\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := make(map[string]bool)
	for text, want := range texts {
		all[text] = want
	}
	for name, kind := range directives { // each without an argument
		if name != "data_source" {
			all[lab+name+"\n"] = kind == list
		}
	}
	const head = "rrd_rootdir /nonexistent/kw\nsetuid off\n"
	for text, want := range all {
		if err := os.WriteFile("gmetad.conf", []byte(head+text), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, _ := exec.CommandContext(ctx, binary, "-c", "gmetad.conf", "-d", "1").CombinedOutput() // it ends with an error either way
		cancel()
		if got := strings.Contains(string(out), "Please make sure that /nonexistent/kw exists"); got != want {
			t.Errorf("%q: gmetad takes it: %t, want %t: %s", text, got, want, out)
		}
		o := Options{Read: os.ReadFile, Glob: filepath.Glob, Env: os.LookupEnv}
		if _, err := Parse("gmetad.conf", []byte(head+text), o); (err == nil) != want {
			t.Errorf("%q: got %v, want taken %t; gmetad says %s", text, err, want, out)
		}
	}
}
