package interop

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// atOnce is how many stories run at a time. They wait for the protocol's timers most of the time.
const atOnce = "12"

// TestMain builds the program under test once, unless the environment names one.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getenv(programVariable) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "keepwatch-haagent")
	if out, err := exec.Command("go", "build", "-o", program, "keepwatch/cmd/keepwatch-haagent").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "interop: cannot build keepwatch-haagent: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(programVariable, program); err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		return 1
	}
	return m.Run()
}
