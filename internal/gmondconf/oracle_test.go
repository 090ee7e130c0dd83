package gmondconf

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"context"
)

// texts are small configurations that gmond takes (true) or refuses. The environment has KW_SET=20.
var texts = map[string]bool{
	"": true, "# only": true, "//x y\n//\n###\n// z": true, "/* open": true,
	"globals { mute = no } /* open": true, "globals { mute = no": true, "globals { mute = no\n}\n}\n": false,
	"globals\n{\nmute\n=\nno\n}\n": true, "globals {\r\n mute = no\r\n}\r\n": true, "\"globals\" { 'mute' = no }": true,
	"GLOBALS { Mute = NO }": true, "*\nglobals { } +\n": true, "( )": false,
	"globals /* x */ { }": false, "globals { mute = /* x */ no }": false, "globals { mute = # x\n no }": false,
	"globals { mute // x\n = no }": false, "globals { /* a\n*/ mute = no /* x */ deaf = no # y\n }": true,
	"globals { mute no }": false, "globals { mute += no }": false, "globals { mute == no }": false, "globals { mute = }": false,
	"globals mute = no": false, "globals \"x\" { }": false, "globals { mute = no, deaf = no }": false,
	"globals { mute = no; }": false, "globals { user = foo; }": true, "globals { foo = 1 }": false, "foo { }": false,
	"foo \"x\" { a { } b = 1 }\nglobals { }": false, "globals { include (\"x\") }": false,
	"globals { mute = 1 }": false, "globals { mute = On deaf = \"TRUE\" }": true, "globals { mute = ${KW_NONE} }": false,
	"globals { host_dmax = 20 }": true, "globals { host_dmax = \"20\" }": true, "globals { host_dmax = 0x1F }": true,
	"globals { host_dmax = 017 }": true, "globals { host_dmax = 08 }": false, "globals { host_dmax = 20s }": false,
	"globals { host_dmax = 1.5 }": false, "globals { host_dmax = \"\" }": true, "globals { host_dmax = \" 20\" }": true,
	"globals { host_dmax = \"20 \" }": false, "globals { host_dmax = \" \" }": false, "globals { host_dmax = -5 }": true,
	"globals { host_dmax = \"+5\" }": true, "globals { host_dmax = +5 }": true, "globals { host_dmax = \"+-5\" }": false,
	"globals { host_dmax = 99999999999999999999 }": false, "globals { host_dmax = 0x }": false, "globals { host_dmax = 0 }": true,
	"globals { host_dmax = 1_0 }": false, "globals { host_dmax = 0b1 }": false, "globals { host_dmax = ${KW_SET} }": true,
	"globals { host_dmax = ${KW_NONE:-20} }": true, "globals { host_dmax = ${KW_NONE:20} }": true, "globals { host_dmax = ${KW_NONE:-x} }": false,
	"globals { host_dmax = \"1${KW_SET}\" }": true, "globals { host_dmax = 1${KW_SET} }": false,
	"cluster { name = a${X} }": false, "cluster { name = \"${X\" }": false, "cluster { name = \"${X:-a\"b}\" }": true,
	"cluster { name = ${X:-a\nb} }": true, "cluster { name = '${X' }": true, "cluster { name = { } }": false,
	"cluster { name = \"a }": false, "cluster { name = 'a }": false, "cluster { name = \"a\n b\" }": true,
	"cluster { name = 'a\\'b' }": true, "cluster { name = 'a\\\nb\\c' }": true, "cluster { name = a\"b\" }": false,
	"cluster { name = \"a\" \"b\" }": false, `cluster { name = "\x41\101\n\q\x" }`: true, `cluster { name = "\9" }`: false,
	`cluster { name = "\777" }`: false, `cluster { name = "\1234" }`: false, `cluster { name = "\400" }`: false,
	`cluster { name = "\08" }`: false, `cluster { name = "\xzz" }`: true, "cluster { name = \"a\\\nb\" }": true,
	"cluster { url = http://x }\n name = y\n}": false, "cluster { url = //x\n name = y }": false, "cluster { url = /a//b }": true,
	"cluster { url = /x*/ }": false, "cluster { url = \"a\" //x }\n name = y }": true, "cluster { name = a#b\n }": true,
	"cluster { name = a+b }": false, "cluster { name = * }": false, "cluster { name = a* }": true, "cluster { name = ž }": true,
	"/x = y": false, "\xef\xbb\xbfglobals { }": false, "globals {\f }": false, "cluster { name = x } cluster { name = y }": true,
	"collection_group { metric { value_threshold = 1e3 } }": true, "collection_group { metric { value_threshold = inf } }": true,
	"collection_group { metric { value_threshold = nan } }": true, "collection_group { metric { value_threshold = \"-nan(12)\" } }": true,
	"collection_group { metric { value_threshold = 0x10 } }": true, "collection_group { metric { value_threshold = 0x1p3 } }": true,
	"collection_group { metric { value_threshold = 1e999 } }": false, "collection_group { metric { value_threshold = 1e-400 } }": false,
	"collection_group { metric { value_threshold = 1_0 } }": false, "collection_group { metric { value_threshold = \"\" } }": true,
	"collection_group { metric { value_threshold = x } }": false, "collection_group { metric { value_threshold = \".5\" } }": true,
	"collection_group { metric { value_threshold = \"5.\" } }": true, "collection_group { metric { value_threshold = . } }": false,
	"collection_group { metric { value_threshold = 0e-999 } }": true, "collection_group { metric { value_threshold = 1e } }": false,
	"collection_group { metric \"x\" { } }": false, "metric { name = x }": false,
	"modules { module { name = x enabled = no param A { value = 1 } param a { } } }": true,
	"modules { module { enabled = no param { value = 1 } } }":                        false, "modules { module { param \"a\" { foo = 1 } } }": false,
	"modules { name = x }": false, "sflow { udp_port = 1 accept_vm_metrics = no }": true, "sflow { accept_foo_metrics = no }": false,
	"udp_send_channel { mcast_join = 239.2.11.71 mcast_if = lo port = 8649 ttl = 2 host = a bind = b bind_hostname = no }": true,
	"udp_recv_channel { acl { default = deny access { ip = 1.2.3.4 } access { action = foo } } acl { access { } } }":       true,
	"udp_recv_channel { mcast_join = a bind = b port = 1 mcast_if = lo family = foo retry_bind = no buffer = 5 }":          true,
	"udp_recv_channel { ttl = 1 }": false, "udp_send_channel { acl { } }": false,
	"tcp_accept_channel { bind = a port = 1 interface = x timeout = 0 family = inet6 gzip_output = yes acl { } }": true,
	"host { location = \"1,2,3\" }": true, "host { name = x }": false,
	"include \"x\"": false, "include ()": false, "include (": false, "include (\"none*\", \"x*\")": false, "include (\"none*\",)": true,
	"include (\"none.conf\")": false, "include (\"none*.conf\")": true, "include (none*)": false, "include (part.conf)": true,
	"include ( # c\n \"none*\")": false, "include (\"part*.conf\")": true, "include (\"p[a-c]rt.conf\")": true,
	"include (\"p[!x]rt.conf\") foo": false, "INCLUDE ('part.conf') cluster { name = x }": true, "include (\"broken.conf\")": false,
	"include (\"open.conf\") mute = no }": true, "include (\"open.conf\") name = x }": false, "include (\"self.conf\")": false,
	"include (\"none*/part.conf\")": true, "include (\".hidden.conf\")": false, "include (\"*idden.conf\")": true,
	"include (\"1.conf\")": true,
}

// folder has the files that texts include.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"part.conf": "globals { mute = no }\n", "broken.conf": "globals { foo = 1 }\n", "open.conf": "globals { deaf = no\n",
		"self.conf": "include (\"self.conf\")", ".hidden.conf": "foo = 1\n",
		"1.conf": "include (\"2.conf\")", "2.conf": "include (\"3.conf\")", "3.conf": "include (\"4.conf\")", "4.conf": "include (\"5.conf\")",
		"5.conf": "include (\"6.conf\")", "6.conf": "include (\"7.conf\")", "7.conf": "include (\"8.conf\")", "8.conf": "include (\"9.conf\")",
		"9.conf": "cluster { name = deep }",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestOracle asks the real gmond whether it takes a configuration: so do we, or so do we not.
func TestOracle(t *testing.T) {
	binary, err := exec.LookPath("gmond")
	if err != nil {
		t.Fatal("gmond is missing: apt-get install ganglia-monitor")
	}
	t.Setenv("KW_SET", "20")
	dir := folder(t)
	t.Chdir(dir)
	o := Options{Read: os.ReadFile, Glob: filepath.Glob, Env: os.LookupEnv}
	for text, want := range texts {
		if err := os.WriteFile("gmond.conf", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		out, err := exec.CommandContext(ctx, binary, "-c", "gmond.conf", "-m").CombinedOutput()
		cancel()
		said, _, _ := strings.Cut(string(out), "\n")
		if got := err == nil; got != want {
			t.Errorf("%q: gmond takes it: %t, want %t: %v, %s", text, got, want, err, said)
		}
		if _, err := Parse("gmond.conf", []byte(text), o); (err == nil) != want {
			t.Errorf("%q: got %v, want taken %t; gmond says %s", text, err, want, said)
		}
	}
}
