package gmondconf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keepwatch/internal/acl"
	"keepwatch/internal/report"
)

// TestFaults: each fault says where it is and what is wanted, and one does not hide the next.
func TestFaults(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := Parse("g.conf", []byte(text), Options{})
		if err == nil || err.Error() != strings.Join(want, "\n") {
			t.Errorf("%q:\n got %v\nwant %s", text, err, strings.Join(want, "\n"))
		}
	}
	f("globals {\n  hostdmax = 1\n  mute = maybe\n}\nclutser { a = { } }\n",
		`g.conf:2:3: "hostdmax": gmond knows no such key or section in globals: perhaps host_dmax is meant`,
		`g.conf:3:10: mute: "maybe": want yes or no`,
		`g.conf:5:1: "clutser": gmond knows no such key or section: perhaps cluster is meant`)
	f("globals { host_dmax = 20s; mute = no; }",
		`g.conf:1:23: host_dmax: "20s;": want a whole number; settings do not end in ;`,
		`g.conf:1:35: mute: "no;": want yes or no; settings do not end in ;`)
	f("globals /* a */ { mute = # x\n no }",
		"g.conf:1:9: a comment cannot stand within a setting: put it behind, or on a line of its own",
		"g.conf:1:26: a comment cannot stand within a setting: put it behind, or on a line of its own")
	f("globals { deaf = no, mute no\n user = }\n}",
		"g.conf:1:20: a comma: want nothing between two settings", "g.conf:1:27: want = behind mute",
		"g.conf:2:9: want a value behind user =", "g.conf:3:1: } without {")
	f("cluster {\n name = \"x }\n", `g.conf:2:9: want " at the end of the text that begins here`)
	f(`cluster { name = "a\9" }`, `g.conf:1:20: \9: want an octal number of at most three digits, up to \377`)
	f("include (\"a.conf\")", `g.conf:1:1: cannot read "a.conf": no file can be included here`)
	f("include \"a.conf\"", `g.conf:1:9: want ( behind include, as in include ("conf.d/*.conf")`)
	f("modules { module { param { } } }", "g.conf:1:26: want the title of param, as in param url { value = … }")
}

// TestConfig: what is read lands where it belongs; sections that may not repeat are merged.
func TestConfig(t *testing.T) {
	c, err := Parse("g.conf", []byte(`globals { host_dmax = 0x10 mute = yes }
globals { host_tmax = 010 }
cluster { name = "a\x41" owner = 'x\y' url = ${KW:-http://a/b} }
udp_send_channel { host = a port = 1 }
udp_send_channel { mcast_join = 239.2.11.71 port = 2 ttl = 3 }
collection_group { collect_every = 5 metric { name = "x" value_threshold = "0.5" } metric { name_match = "y_(.+)" title = "\\1" } }
modules { module { name = py language = python param URL { value = 1 } param url { value = 2 } } }
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if g := c.Globals; g.HostDmax != 16 || g.HostTmax != 8 || !g.Mute || g.Set["host_tmax"] != (report.Place{File: "g.conf", Line: 2, Column: 11}) {
		t.Errorf("got globals %+v", g)
	}
	if got, want := [3]string{c.Cluster.Name, c.Cluster.Owner, c.Cluster.URL}, [3]string{"aA", `x\y`, "http://a/b"}; got != want {
		t.Errorf("got cluster %q, want %q", got, want)
	}
	if len(c.Send) != 2 || c.Send[0].Host != "a" || c.Send[1].TTL != 3 || c.Send[1].At.Line != 5 {
		t.Errorf("got channels %+v", c.Send)
	}
	if m := c.Groups[0].Metrics; len(m) != 2 || m[0].ValueThreshold != 0.5 || m[1].Title != `\1` || m[1].ValueThreshold != -1 {
		t.Errorf("got metrics %+v", m)
	}
	if p := c.Modules[0].Param; len(p) != 1 || p[0].Name != "url" || p[0].Value != "2" {
		t.Errorf("got parameters %+v", p)
	}
}

// TestModes: gmond is deaf and mute also without channels.
func TestModes(t *testing.T) {
	f := func(text string, deaf, mute bool, faults ...string) {
		t.Helper()
		c, err := Parse("g.conf", []byte(text), Options{})
		if err != nil || c.Deaf() != deaf || c.Mute() != mute {
			t.Errorf("%q: got deaf %t, mute %t, %v, want %t, %t", text, c.Deaf(), c.Mute(), err, deaf, mute)
		}
		var got []string
		for _, f := range c.Check() {
			got = append(got, f.Error())
		}
		if !slices.Equal(got, faults) {
			t.Errorf("%q: got faults %q, want %q", text, got, faults)
		}
	}
	const send, receive, accept = "udp_send_channel { host = a port = 1 }", "udp_recv_channel { port = 1 }", "tcp_accept_channel { port = 1 }"
	f(send+receive+accept, false, false)
	f(send, true, false)
	f(receive, false, true)
	f(accept, false, true)
	f(send+accept+"globals { deaf = yes }", true, false)
	f(send+accept+"globals { mute = yes }", false, true)
	const nothing = ": gmond has nothing to do and ends at once"
	f("\nglobals { deaf = yes mute = yes }"+send+accept, true, true, "g.conf:2:1: deaf and mute"+nothing)
	f(receive+"\nglobals { deaf = yes }", true, true, "g.conf:2:1: deaf, and no channel to send on"+nothing)
	f(send+"\nglobals { mute = yes }", true, true, "g.conf:2:1: mute, and no channel to hear or serve on"+nothing)
	f("globals { }", true, true, "g.conf: no channel to hear, serve or send on"+nothing)
	f("", true, true, "g.conf: no channel to hear, serve or send on"+nothing)
	f(receive+" udp_send_channel { host = a bind = 1.2.3.4 bind_hostname = yes }", false, false, "g.conf:1:74: bind and bind_hostname exclude each other")
	f("udp_recv_channel { family = ipv4 acl { default = no access { } access { ip = x mask = 8 action = permit } } }", false, true,
		`g.conf:1:20: family: "ipv4": want inet4 or inet6`, `g.conf:1:40: default: "no": want allow or deny`, "g.conf:1:53: want ip, mask and action",
		`g.conf:1:89: action: "permit": want allow or deny`,
		`g.conf:1:73: ip "x" with mask "8": want an address, and a mask as 24 or 255.255.255.0`)
}

// TestRules: an acl as the list that means the same.
func TestRules(t *testing.T) {
	f := func(acl, want string, faults int) {
		t.Helper()
		c, err := Parse("g.conf", []byte("tcp_accept_channel { "+acl+" }"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, bad := c.Accept[0].ACL.Rules()
		if strings.Join(got, " ") != want || len(bad) != faults {
			t.Errorf("%s: got %q, %v, want %q and %d faults", acl, got, bad, want, faults)
		}
	}
	access := func(ip, mask, action string) string {
		return fmt.Sprintf("access { ip = %q mask = %q action = %s } ", ip, mask, action)
	}
	f("", "0.0.0.0/0 ::/0", 0)
	f("acl { default = deny }", "0.0.0.0/0 ::/0", 0)
	f("acl { default = deny "+access("10.1.2.3", "8", "allow")+"}", "10.0.0.0/8", 0)
	f("acl { default = Deny "+access("10.0.0.5", "32", "DENY")+access("10.0.0.0", "255.0.0.0", "Allow")+"}", "!10.0.0.5/32 10.0.0.0/8", 0)
	f("acl { "+access("::1", "128", "deny")+"}", "!::1/128 0.0.0.0/0 ::/0", 0)
	f("acl { default = deny "+access("10.0.5.0", "255.0.255.0", "allow")+"}", "", 1)
	f("acl { "+access("10.0.5.0", "255.0.255.0", "deny")+"}", "!10.0.0.0/8 0.0.0.0/0 ::/0", 1)
	f("acl { default = deny "+access("10.0.0.0", "0", "allow")+access("10.0.0.1", "33", "allow")+"}", "", 2)
	f("acl { default = deny access { ip = 10.1 action = allow } access { ip = 10.2.3.4 action = allow } }", "10.1.0.0/16 10.2.3.4/32", 0)
	f("acl { default = deny "+access("0.0.0.0", "0.0.0.0", "allow")+"}", "0.0.0.0/0", 0)
}

// TestBounds: past a bound reading stops and says so.
func TestBounds(t *testing.T) {
	f := func(name, text, want string) {
		t.Helper()
		o := Options{
			Read: func(path string) ([]byte, error) { return []byte("include (\"x" + path + "\")"), nil },
			Glob: func(string) ([]string, error) { return slices.Repeat([]string{"many"}, 2000), nil },
		}
		_, err := Parse("g.conf", []byte(text), o)
		if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 1<<15 {
			t.Errorf("%s: got %.500v, want %q", name, err, want)
		}
	}
	f("size", strings.Repeat("#", MaxFile+1), "larger than 1048576 bytes")
	f("depth", "include (y)", "files include each other more than 10 deep")
	f("text", "cluster { name = "+strings.Repeat("x", maxText+1)+" }", "a text of more than 16384 bytes")
	f("quoted text", "cluster { name = \""+strings.Repeat("x", maxText+1)+"\n", `a text of more than 16384 bytes: is its closing " missing?`)
	f("sections", strings.Repeat("host { }", maxItems+1), "more than 10000 sections")
	f("nesting", strings.Repeat("x {", 100_000), `"x": gmond knows no such key`)
	f("faults", strings.Repeat("x = y\n", 1000), `"x": gmond knows no such key`)
	f("NUL", "globals { }\x00", "holds NUL bytes")
	f("itself", "include (\"g.conf\")", `g.conf:1:1: "g.conf" includes itself`)

	files := 0
	_, err := Parse("g.conf", []byte("include (\"*\")"), Options{
		Read: func(string) ([]byte, error) { files++; return nil, nil },
		Glob: func(string) ([]string, error) { return slices.Repeat([]string{"many"}, 2000), nil },
	})
	if err == nil || files != maxFiles {
		t.Errorf("got %v after %d files, want %d and an error", err, files, maxFiles)
	}
}

// TestIncluded: files are read in their place, in the order of their names, without hidden ones.
func TestIncluded(t *testing.T) {
	o := Options{
		Read: func(path string) ([]byte, error) {
			if path == "d[1]/broken" {
				return nil, errors.New("no such file")
			}
			return []byte("udp_send_channel { host = " + filepath.Base(path) + " }"), nil
		},
		Glob: func(pattern string) ([]string, error) {
			if pattern != `d\[1]/[^z]*` {
				t.Errorf("got pattern %q", pattern)
			}
			return []string{"d[1]/.hidden", "d[1]/a", "d[1]/b"}, nil
		},
	}
	c, err := Parse("g.conf", []byte("udp_send_channel { host = first }\ninclude ('d[1]/[!z]*')\nudp_send_channel { host = last }"), o)
	var got []string
	for _, s := range c.Send {
		got = append(got, s.Host+" "+s.At.String())
	}
	if want := []string{"first g.conf:1:1", "a d[1]/a:1:1", "b d[1]/b:1:1", "last g.conf:3:1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if want := []string{"g.conf", "d[1]/a", "d[1]/b"}; !slices.Equal(c.Files, want) || len(c.Included) != 1 || c.Included[0].Files != 2 {
		t.Errorf("got files %q, %+v, want %q", c.Files, c.Included, want)
	}
}

// FuzzParse: no text panics or hangs, the same text says the same, and an acl is a list that can be read.
func FuzzParse(f *testing.F) {
	for text := range texts {
		f.Add([]byte(text))
	}
	for _, file := range []string{"testdata/gmond-t.conf", "testdata/debian.conf"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	o := Options{
		Read: func(path string) ([]byte, error) {
			return []byte("globals { mute = no } include (\"" + path + "x\") "), nil
		},
		Glob: func(pattern string) ([]string, error) { return filepath.Glob("testdata/" + filepath.Base(pattern)) },
		Env:  func(name string) (string, bool) { return "20", name == "KW_SET" },
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("fuzz.conf", data, o)
		again, err2 := Parse("fuzz.conf", data, o)
		if fmt.Sprint(err) != fmt.Sprint(err2) || len(c.Files) != len(again.Files) {
			t.Fatalf("got %v, then %v", err, err2)
		}
		var faults report.Faults
		if err != nil && (!errors.As(err, &faults) || len(faults) == 0 || len(faults) > maxFaults) {
			t.Fatalf("got %T of %d faults", err, len(faults))
		}
		for _, a := range c.Accept {
			rules, _ := a.ACL.Rules()
			if _, err := acl.Parse(rules); err != nil {
				t.Fatalf("got rules %q: %v", rules, err)
			}
		}
		c.Check()
	})
}
