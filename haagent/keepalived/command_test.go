package keepalived

import (
	"slices"
	"testing"
)

// TestCommandLine: escapes and quotes of keepalived.conf(5), Quoted strings, as keepalived -d prints the arguments.
func TestCommandLine(t *testing.T) {
	f := func(raw string, want ...string) {
		t.Helper()
		got, err := split(unescape(raw))
		if (err != nil) != (want == nil) || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v, want %q", raw, got, err, want)
		}
	}
	f(`/bin/true 'a b' \"c d\" x\x41\101`, "/bin/true", "a b", "c d", "xAA")
	f(`/bin/sh -c \"exit 0; $X 'y z'\"`, "/bin/sh", "-c", "exit 0; $X 'y z'")
	f(`pidof '' haproxy`, "pidof", "", "haproxy")
	f(`a"b c"d  e`, "ab cd", "e")
	f(`a\tb \e\E\cA\x \\`, "a", "b", "e\x1b\x01x", `\`)
	f(`\x1234 \8`, "4", "8")
	f(`a\`, `a\`)
	f(`it's`)
	f(`"a`)
}

// TestProcess: only scripts that look for one process by its name are told apart.
func TestProcess(t *testing.T) {
	f := func(want string, argv ...string) {
		t.Helper()
		if got := process(argv); got != want {
			t.Errorf("%q: got %q, want %q", argv, got, want)
		}
	}
	f("haproxy", "/usr/bin/killall", "-0", "haproxy")
	f("nginx", "/usr/bin/pgrep", "-x", "nginx")
	f("nginx", "pidof", "nginx")
	f("", "killall", "haproxy")
	f("", "pgrep", "-f", "nginx: master")
	f("", "pgrep", "-u", "root", "nginx")
	f("", "pgrep", "^nginx")
	f("", "/bin/true")
	f("", "/bin/true", "nginx")
}
