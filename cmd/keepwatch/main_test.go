package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWrongArguments: what no command takes is an error that names it, and prints nothing on stdout.
func TestWrongArguments(t *testing.T) {
	for line, want := range map[string]string{
		"confg":                           `unknown command "confg" for "keepwatch"`,
		"config chek":                     `unknown command "chek" of 'keepwatch config', see 'keepwatch config --help'`,
		"import gmondd X":                 `unknown command "gmondd" of 'keepwatch import'`,
		"ha foo":                          `unknown command "foo" of 'keepwatch ha'`,
		"send -n x -v 1 -t uint32 extra":  `"extra": there are no arguments but flags`,
		"send -n x -v 1 -t uint32 -x -5":  `invalid argument "-5" for "-x, --tmax" flag: want seconds, 0 to 4294967295`,
		"send -n x -v 1 -t uint32 -d 1h":  `invalid argument "1h" for "-d, --dmax" flag: want seconds, 0 to 4294967295`,
		"send -n x -v 1 -t uint32 -d 1e9": `want seconds, 0 to 4294967295`,
	} {
		c := command()
		var out bytes.Buffer
		c.SetArgs(strings.Fields(line))
		c.SetOut(&out)
		if err := c.ExecuteContext(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) && !strings.HasSuffix(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%s: got %v and %q, want %q and nothing", line, err, out.String(), want)
		}
	}
	for _, line := range []string{"config", "import", "ha", "config --help"} {
		c := command()
		var out bytes.Buffer
		c.SetArgs(strings.Fields(line))
		c.SetOut(&out)
		if err := c.ExecuteContext(t.Context()); err != nil || !strings.Contains(out.String(), "Available Commands") {
			t.Errorf("%s: got %v and %q, want help", line, err, out.String())
		}
	}
}

// TestConfigCheck: a configuration is valid when the keys that it names can be used.
func TestConfigCheck(t *testing.T) {
	dir := t.TempDir()
	key, config := filepath.Join(dir, "frame.key"), filepath.Join(dir, "keepwatch.yaml")
	check := func(text string, mode os.FileMode, want string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(key, mode); err != nil && mode != 0 {
			t.Fatal(err)
		}
		c := command()
		var out bytes.Buffer
		c.SetArgs([]string{"--config", config, "config", "check"})
		c.SetOut(&out)
		err := c.ExecuteContext(t.Context())
		if want == "" && (err != nil || out.String() != "the configuration is valid\n") || want != "" && (err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0) {
			t.Errorf("%q, mode %o: got %v and %q, want %q", text, mode, err, out.String(), want)
		}
	}
	check("cluster: web\n", 0, "")
	check("clutser: web\n", 0, "clutser")
	named := "collector: {keys: [{id: 1, file: " + key + "}]}\n"
	check(named, 0, "no such file")
	write(t, key, strings.Repeat("0123456789abcdef", 4)+"\n")
	check(named, 0o644, "can be read or written by everybody")
	check(named, 0o600, "")
	write(t, key, "short\n")
	check(named, 0o600, "cannot use key file")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("the check left files: %v, %v", entries, err)
	}
}
