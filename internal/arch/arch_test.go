package arch

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestTree holds the rules over this module.
func TestTree(t *testing.T) {
	found, err := Check(os.DirFS("../.."), Keepwatch())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// tree makes a source tree of "path: body" lines' worth of files: each body follows a package clause with a doc.
func tree(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{"go.mod": {Data: []byte("module keepwatch\n")}}
	for name, body := range files {
		folder := name[:strings.LastIndex(name, "/")]
		p := folder[strings.LastIndex(folder, "/")+1:]
		fsys[name] = &fstest.MapFile{Data: []byte("// Package " + p + " is a fixture.\npackage " + p + "\n\n" + body + "\n")}
	}
	return fsys
}

func check(t *testing.T, fsys fstest.MapFS) []string {
	t.Helper()
	found, err := Check(fsys, Keepwatch())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, v := range found {
		lines = append(lines, v.String())
	}
	return lines
}

// breaks wants exactly one violation, which begins so.
func breaks(t *testing.T, files map[string]string, want string) {
	t.Helper()
	if got := check(t, tree(files)); len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("%v:\n got %q\nwant %q", files, got, want)
	}
}

func holds(t *testing.T, files map[string]string) {
	t.Helper()
	if got := check(t, tree(files)); len(got) > 0 {
		t.Errorf("%v:\n got %q\nwant none", files, got)
	}
}

func one(name, body string) map[string]string { return map[string]string{name: body} }

func TestParts(t *testing.T) {
	parts := Keepwatch().Parts
	for _, from := range parts {
		for _, to := range parts {
			if from == to || from == "collector" && to == "probes" {
				continue
			}
			breaks(t, one(from+"/x.go", `import "keepwatch/`+to+`"`), from+"/x.go:4: imports keepwatch/"+to+": parts never")
		}
	}
	breaks(t, one("alerter/rule/x_test.go", `import "keepwatch/extractor/promql"`), "alerter/rule/x_test.go:4: imports keepwatch/extractor/promql: parts")
	breaks(t, one("probes/host/x.go", `import "keepwatch/haagent/vrrp"`), "probes/host/x.go:4: ")
	breaks(t, one("probes/vrrp/x.go", `import "keepwatch/haagent/link"`), "probes/vrrp/x.go:4: ")
	breaks(t, one("extractor/x.go", `import "keepwatch/collector/state"`), "extractor/x.go:4: ")
	for _, a := range Keepwatch().Between {
		holds(t, one(a.From+"/x.go", `import "keepwatch/`+a.To+`"`))
	}
	holds(t, one("haagent/x.go", `import "keepwatch/haagent/vrrp"`))
	holds(t, one("uivisor/x.go", `import "keepwatch/alerter"`)) // a name that only begins like a part
}

func TestDatabaseUnreached(t *testing.T) {
	for _, b := range Keepwatch().Unreached {
		breaks(t, one(b.From+"/a/x.go", `import "keepwatch/`+b.To+`/db"`), b.From+"/a/x.go:4: imports "+b.To+"/db: what must survive")
		breaks(t, map[string]string{
			b.From + "/x.go":          `import "keepwatch/internal/near"`,
			"internal/near/x.go":      `import "keepwatch/internal/near/deep"`,
			"internal/near/deep/x.go": `import "keepwatch/` + b.To + `"`,
			"internal/near/deep/y.go": `import "keepwatch/internal/near"`, // a circle must end the search
		}, b.From+"/x.go:4: imports internal/near → internal/near/deep → "+b.To+": what must survive")
	}
	holds(t, map[string]string{
		"haagent/x.go":            `import "keepwatch/internal/near"`,
		"internal/near/x.go":      ``,
		"internal/near/x_test.go": `import "keepwatch/schema"`,
	})
}

func TestOnly(t *testing.T) {
	for _, o := range Keepwatch().Only {
		breaks(t, one("internal/zzz/x.go", `import _ "`+o.What+`"`), "internal/zzz/x.go:4: imports "+o.What+": ")
		breaks(t, one("internal/zzz/x_test.go", `import _ "`+o.What+`/v9/deeper"`), "internal/zzz/x_test.go:4: imports "+o.What+"/v9/deeper: ")
		for _, in := range o.In {
			holds(t, one(in+"/x_test.go", `import _ "`+o.What+`"`)) // the same rule, but for Standard
		}
	}
}

func TestNamesAndLiterals(t *testing.T) {
	for _, o := range Keepwatch().Names {
		dot := strings.LastIndex(o.What, ".")
		body := "import sys \"" + o.What[:dot] + "\"\n\nvar _ = sys." + o.What[dot+1:]
		breaks(t, one("ui/x.go", body), "ui/x.go:6: uses "+o.What+": raw sockets")
		for _, in := range o.In {
			holds(t, one(in+"/x.go", body))
		}
	}
	for _, o := range Keepwatch().Literals {
		breaks(t, one("ui/x.go", "const network = `"+o.What+"icmp`"), "ui/x.go:4: holds ")
	}
	// A variable that has the name of a package is none.
	holds(t, one("ui/x.go", "import \"syscall\"\n\nvar _ = syscall.EINTR\n\nfunc f(syscall struct{ SOCK_RAW int }) int { return syscall.SOCK_RAW }"))
}

func TestPure(t *testing.T) {
	for _, p := range Keepwatch().Pure {
		at := p.Folder + "/x.go"
		for _, name := range Keepwatch().Clock {
			pkg, fn, _ := strings.Cut(name, ".")
			breaks(t, one(at, "import clock \""+pkg+"\"\n\nvar _ = clock."+fn), at+":6: uses "+name+": ")
		}
		breaks(t, one(at, "func f() { go f() }"), at+":4: starts a goroutine: ")
		breaks(t, one(at, "import . \"time\"\n\nvar _ = Now"), at+":4: imports time by '.': ")
		for _, o := range Keepwatch().Impure {
			path := o.What
			if strings.HasSuffix(path, "/") {
				path += "x"
			}
			if within(p.Folder, "metric") && strings.Contains(path, ".") || slices.Contains(p.But, path) {
				continue
			}
			breaks(t, one(at, `import _ "`+path+`"`), at+":4: imports "+path+", ")
		}
		holds(t, one(at, "import (\n\t\"net/netip\"\n\t\"time\"\n)\n\nvar _ netip.Addr\n\nvar _ = time.Second"))
		holds(t, one(p.Folder+"/x_test.go", "import (\n\t\"os\"\n\t\"time\"\n)\n\nvar _, _ = time.Now, os.Exit\n\nfunc f() { go f() }"))
	}
	breaks(t, one("alerter/rule/x.go", `import "keepwatch/internal/conf"`), "alerter/rule/x.go:4: imports keepwatch/internal/conf, which is not pure: ")
	holds(t, one("alerter/rule/x.go", `import "keepwatch/metric"`))
	holds(t, one("internal/batch/x.go", `import "sync"`))
	holds(t, one("alerter/x.go", "import \"time\"\n\nfunc f() { go time.Now() }"))
}

func TestStandard(t *testing.T) {
	breaks(t, one("metric/x.go", `import "go.uber.org/goleak"`), "metric/x.go:4: imports go.uber.org/goleak: the vocabulary")
	holds(t, one("metric/threshold/x.go", `import "keepwatch/metric"`))
	breaks(t, one("metric/x.go", `import "keepwatch/internal/batch"`), "metric/x.go:4: imports keepwatch/internal/batch: the vocabulary")
	holds(t, one("metric/x.go", `import "strings"`))
	holds(t, one("metric/x_test.go", `import "pgregory.net/rapid"`))
}

func TestEnds(t *testing.T) {
	for _, e := range Keepwatch().Ends {
		breaks(t, one("ui/x_test.go", `import "keepwatch/`+e.Folder+`/a"`), "ui/x_test.go:4: imports keepwatch/"+e.Folder+"/a: ")
		holds(t, one(e.Folder+"/x.go", `import "keepwatch/`+e.Folder+`/a"`))
	}
}

func TestCircles(t *testing.T) {
	got := check(t, tree(map[string]string{
		"schema/a/x.go":       `import "keepwatch/internal/pg"`,
		"internal/pg/x.go":    `import "keepwatch/internal/deep/er"`,
		"internal/deep/x.go":  `import "keepwatch/schema/b"`,
		"internal/other/x.go": `import "keepwatch/schema"`,
	}))
	want := []string{
		"internal/deep/x.go:4: imports keepwatch/schema/b: a circle of folders, internal/deep → schema → internal/pg → internal/deep",
		"internal/pg/x.go:4: imports keepwatch/internal/deep/er: a circle of folders, internal/pg → internal/deep → schema → internal/pg",
		"schema/a/x.go:4: imports keepwatch/internal/pg: a circle of folders, schema → internal/pg → internal/deep → schema",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	holds(t, map[string]string{
		"schema/x.go":           `import "keepwatch/internal/pg"`,
		"internal/pg/x_test.go": `import "keepwatch/schema"`,
		"schema/db/x.go":        `import "keepwatch/schema"`,
	})
}

func TestDocsAndNames(t *testing.T) {
	f := func(name, source, want string) {
		t.Helper()
		got := check(t, fstest.MapFS{name: {Data: []byte(source)}})
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], want)) {
			t.Errorf("%s %q:\n got %q\nwant %q", name, source, got, want)
		}
	}
	f("bus/x.go", "package bus", "bus/x.go:1: package bus has no package doc")
	f("bus/x.go", "// Bus carries.\npackage bus", "bus/x.go:1: package bus has no package doc")
	f("bus/x.go", "// Package bus carries.\n\npackage bus", "bus/x.go:1: package bus has no package doc")
	f("bus/x.go", "// Package bus carries.\npackage bus", "")
	f("cmd/keepwatch/x.go", "package main", "cmd/keepwatch/x.go:1: package main has no package doc")
	f("cmd/keepwatch/x.go", "// Keepwatch watches.\npackage main", "")
	f("test/x_test.go", "package test", "test/x_test.go:1: package test has no package doc")
	f("test/x_test.go", "// Package test tests.\npackage test_test", "")
	for _, name := range Keepwatch().BadNames {
		f("internal/"+name+"/x.go", "// Package "+name+" is.\npackage "+name, "internal/"+name+"/x.go:2: package "+name+": want a name")
	}
	if got := check(t, fstest.MapFS{
		"bus/x.go":      {Data: []byte("// Package bus carries.\npackage bus")},
		"bus/x_test.go": {Data: []byte("package bus_test")},
	}); len(got) > 0 {
		t.Errorf("tests beside a documented package: got %q", got)
	}
}

// TestLeftOut: what is not this module's code is not read, what cannot be parsed is an error.
func TestLeftOut(t *testing.T) {
	broken := &fstest.MapFile{Data: []byte("this is not Go")}
	fsys := fstest.MapFS{
		"a/testdata/x.go": broken, "ui/web/node_modules/y/x.go": broken, ".cache/x.go": broken, "_old/x.go": broken,
		"internal/tools/go.mod": {Data: []byte("module tools")}, "internal/tools/x.go": broken,
	}
	if got := check(t, fsys); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	fsys["ui/x.go"] = broken
	if _, err := Check(fsys, Keepwatch()); err == nil || !strings.Contains(err.Error(), `cannot parse "ui/x.go"`) {
		t.Errorf("got %v", err)
	}
}
