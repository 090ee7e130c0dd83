package main

import (
	"bytes"
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
