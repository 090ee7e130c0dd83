package realtime

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// asked, when set, makes this test program one that asks and tells what its threads and children have.
const asked = "HAAGENT_TEST_REALTIME"

func TestMain(m *testing.M) {
	if os.Getenv(asked) == "" {
		os.Exit(m.Run())
	}
	if err := Ask(5); err != nil {
		panic(err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		panic(err)
	}
	for _, t := range threads {
		b, _ := os.ReadFile("/proc/self/task/" + t.Name() + "/stat")
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')'):]))
		_, _ = os.Stdout.WriteString("priority " + f[38] + " policy " + f[39] + "\n")
	}
	if err := Decline(os.Getpid()); err != nil {
		panic(err)
	}
	a, err := unix.SchedGetAttr(os.Getpid(), 0)
	if err != nil || a.Policy != unix.SCHED_NORMAL {
		panic("not declined")
	}
}

func TestAsk(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asked+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s (this test needs root or a limit of RLIMIT_RTPRIO)", err, out)
	}
	if lines := strings.Count(string(out), "priority 5 policy 2\n"); lines < 2 || lines != strings.Count(string(out), "\n") {
		t.Errorf("not all threads have round-robin with priority 5:\n%s", out)
	}
	for _, priority := range []int{0, -1, Highest + 1} {
		if err := Ask(priority); err == nil {
			t.Errorf("%d was taken", priority)
		}
	}
}
