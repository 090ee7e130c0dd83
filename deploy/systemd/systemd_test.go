// Package systemd_test has systemd itself judge the units that are shipped here.
package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keepwatch/haagent/supervise"
)

// exposure is the most that a unit may have, in tenths of what systemd-analyze security says: 27 are 2.7, "OK".
const exposure = "27"

// analyze runs systemd-analyze on copies of the units, in which the programs are where they would be installed.
func analyze(t *testing.T, dropIn string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("this test asks systemd-analyze about the units: install Debian's package systemd")
	}
	dir := t.TempDir()
	for _, program := range []string{"keepwatch", "keepwatch-collector", "keepwatch-haagent"} {
		if err := os.WriteFile(filepath.Join(dir, program), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	unit := args[len(args)-1]
	install(t, unit, filepath.Join(dir, unit), dir)
	if dropIn != "" {
		install(t, dropIn, filepath.Join(dir, unit+".d", filepath.Base(dropIn)), dir)
	}
	args[len(args)-1] = filepath.Join(dir, unit)
	out, err := exec.Command("systemd-analyze", append([]string{"--no-pager"}, args...)...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func install(t *testing.T, from, to, programs string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/", programs+"/")), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestUnits(t *testing.T) {
	units, err := filepath.Glob("*.service")
	if err != nil || len(units) != 3 {
		t.Fatalf("got %q, %v", units, err)
	}
	for _, unit := range units {
		if out := analyze(t, "", "verify", unit); out != "" {
			t.Errorf("%s: %s", unit, out)
		}
		analyze(t, "", "security", "--offline=true", "--threshold="+exposure, unit)
	}
	dropIns, err := filepath.Glob("drop-ins/haagent-*.conf")
	if err != nil || len(dropIns) == 0 {
		t.Fatalf("got %q, %v", dropIns, err)
	}
	for _, dropIn := range dropIns {
		if out := analyze(t, dropIn, "verify", "keepwatch-haagent.service"); out != "" {
			t.Errorf("%s: %s", dropIn, out)
		}
	}
}

// What the unit allows for must be more than what the program takes.
func TestTimesFitTheProgram(t *testing.T) {
	text, err := os.ReadFile("keepwatch-haagent.service")
	if err != nil {
		t.Fatal(err)
	}
	for key, least := range map[string]time.Duration{
		"TimeoutStopSec": supervise.StopTime, "TimeoutStartSec": supervise.FirstSilence, "WatchdogSec": supervise.FirstSilence + supervise.LongestPause,
	} {
		m := regexp.MustCompile(`(?m)^` + key + `=(.*)$`).FindSubmatch(text)
		if m == nil {
			t.Errorf("%s is not set", key)
			continue
		}
		if got, err := time.ParseDuration(string(m[1])); err != nil || got <= least {
			t.Errorf("%s=%s: want more than %s (%v)", key, m[1], least, err)
		}
	}
}
