package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/netnstest"
)

const gaveUp = "10.7.0.1 gave the addresses up (priority 0)"

// pair are two agents of ours: the first is master.
func pair(t *testing.T, interval string) (a, b *program) {
	t.Helper()
	n := netnstest.New(t)
	a = newProgram(t, n.Node("a", "10.7.0.1/24"), web(200, interval)).start()
	a.await("master")
	b = newProgram(t, n.Node("b", "10.7.0.2/24"), web(100, interval)).start()
	b.await("backup")
	netnstest.Await(t, "the backup to hear the master", func() error {
		if i := b.await("backup"); i.Received == 0 {
			return errors.New("it has heard nothing yet")
		}
		return nil
	})
	return a, b
}

// tookOver wants that the peer is master because it was told, not because it waited.
func (p *program) tookOver() {
	p.t.Helper()
	if i := p.await("master"); !strings.Contains(i.Reason, gaveUp) {
		p.t.Errorf("the peer is master because: %s; want %s", i.Reason, gaveUp)
	}
}

func (p *program) holdsNothing() {
	p.t.Helper()
	netnstest.Await(p.t, "the address to go", func() error {
		if p.node.Holds("10.7.0.100") {
			return errors.New("it is still there")
		}
		return nil
	})
}

func TestKilledAgentIsSurvived(t *testing.T) {
	t.Parallel()
	a, b := pair(t, "1s")
	child := a.child(0)
	a.kill(child, unix.SIGKILL)
	a.holdsNothing()
	b.tookOver()
	a.says("farewells=2 addresses=1")
	a.child(child)
	a.await("master") // it is the stronger one
	b.await("backup")
	a.Signal(syscall.SIGTERM)
	a.ends(0)
	b.tookOver()
}

// keepalived hears the farewell of a killed agent too.
func TestKilledAgentBesideKeepalived(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("keepalived"); err != nil {
		t.Fatal("this test runs against the real thing: install Debian's package keepalived")
	}
	n := netnstest.New(t)
	a := newProgram(t, n.Node("a", "10.7.0.1/24"), web(200, "1s")).start()
	a.await("master")
	dir := t.TempDir()
	conf := "global_defs {\n vrrp_version 3\n}\nvrrp_instance web {\n state BACKUP\n interface eth0\n virtual_router_id 51\n priority 100\n advert_int 1\n virtual_ipaddress {\n 10.7.0.100/24\n }\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "keepalived.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	node := n.Node("b", "10.7.0.2/24")
	peer := node.Start(node.Command("unshare", "--mount", "sh", "-c",
		`mount --bind "$0" /tmp && exec keepalived -n -l -D -P -f /tmp/keepalived.conf --pid=/tmp/pid --vrrp_pid=/tmp/vrrp.pid`, dir))
	logged := func(what string) {
		t.Helper()
		netnstest.Await(t, "keepalived to say "+what, func() error {
			if !strings.Contains(peer.Output(), what) {
				return errors.New("it said:\n" + peer.Output())
			}
			return nil
		})
	}
	logged("Entering BACKUP STATE")
	a.kill(a.child(0), unix.SIGKILL)
	a.holdsNothing()
	logged("Backup received priority 0 advertisement")
}

// The interval is so long that the peer would wait for six seconds and more: it is told after three.
func TestFrozenAgentIsReplaced(t *testing.T) {
	t.Parallel()
	a, b := pair(t, "2s")
	child := a.child(0)
	a.kill(child, unix.SIGSTOP)
	b.tookOver()
	a.says("no sign of life")
	a.child(child)
	a.holdsNothing()
}

func TestAgentOfKilledParentHandsOver(t *testing.T) {
	t.Parallel()
	a, b := pair(t, "1s")
	child := a.child(0)
	a.Signal(syscall.SIGKILL)
	b.tookOver()
	a.holdsNothing()
	netnstest.Await(t, "the agent to end", func() error {
		if unix.Kill(child, 0) == nil {
			return errors.New("it still runs")
		}
		return nil
	})
}

// Nobody says anything then: the kernel takes the address back by itself.
func TestAddressOfTwoKilledOnesEnds(t *testing.T) {
	t.Parallel()
	a, b := pair(t, "1s")
	child := a.child(0)
	a.kill(child, unix.SIGSTOP)
	a.Signal(syscall.SIGKILL)
	a.kill(child, unix.SIGKILL)
	a.holdsNothing()
	b.await("master")
}

func TestReload(t *testing.T) {
	t.Parallel()
	a := newProgram(t, netnstest.New(t).Node("a", "10.7.0.1/24"), web(200, "100ms")).start()
	before := a.await("master")
	reloads := func(config, says string, instances int) {
		t.Helper()
		a.configure(config)
		a.Signal(syscall.SIGHUP)
		a.says(says)
		if all, err := a.instances(); err != nil || len(all) != instances || !all[0].Since.Equal(before.Since) {
			t.Errorf("got %+v, %v; want %d instances, the first master since %s", all, err, instances, before.Since)
		}
	}
	reloads(web(200, "100ms")+"    - {name: web2, interface: eth0, vrid: 52, priority: 10, addresses: [10.7.0.101/24]}\n", "msg=reloaded", 2)
	reloads(web(200, "100us"), "cannot reload; the running configuration stays in force", 2)
	reloads("haagent: {instances: [{name: web, interface: eth9, vrid: 51, priority: 1, addresses: [10.7.0.100/24]}]}\n", `there is no interface`, 2)
	a.Signal(syscall.SIGINT)
	a.ends(0)
	a.holdsNothing()
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	node := netnstest.New(t).Node("a", "10.7.0.1/24")
	for name, c := range map[string]struct {
		config, want string
		code         int
	}{
		"a bad file":      {"haagent: {instances: [{nome: web}]}\n", "keepwatch-haagent: ", exitRefused},
		"nothing to do":   {"", "keepwatch-haagent: haagent cannot run this configuration: there are neither instances nor a proxy", exitRefused},
		"no interface":    {strings.ReplaceAll(web(100, "1s"), "eth0", "eth9"), `keepwatch-haagent: instance "web": there is no interface "eth9"`, exitRefused},
		"another's place": {web(100, "1s"), "keepwatch-haagent: another HA agent runs on ", exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProgram(t, node, c.config)
			if c.code == exitFailed {
				if err := os.Mkdir(p.file("data"), 0o755); err != nil {
					t.Fatal(err)
				}
				lock, err := os.Create(p.file("data/haagent.lock"))
				if err == nil {
					err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
				}
				if err != nil {
					t.Fatal(err)
				}
				defer lock.Close()
			}
			p.start().ends(c.code)
			if out := p.Output(); !strings.HasPrefix(out, c.want) && !strings.Contains(out, "\n"+c.want) {
				t.Errorf("got %s\nwant %s", out, c.want)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"--version", "keepwatch-haagent unknown\n", 0},
		{"--help", "It needs CAP_NET_ADMIN and CAP_NET_RAW.", 0},
		{"--nonsense", "flag provided but not defined: -nonsense", exitRefused},
		{"nonsense", `keepwatch-haagent: "nonsense": there are no arguments but flags`, exitRefused},
		{"--config /nonexistent", `keepwatch-haagent: cannot read configuration "/nonexistent"`, exitRefused},
	} {
		cmd := exec.Command(self, strings.Fields(c.args)...)
		cmd.Env = append(os.Environ(), beProgram+"=1")
		out, _ := cmd.CombinedOutput() // its error is the exit code's
		if !strings.Contains(string(out), c.want) || cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("%s: got %d and %s", c.args, cmd.ProcessState.ExitCode(), out)
		}
	}
}

// ordinary is the number of a user that has no name and no rights.
const ordinary = 64500

// unprivileged runs a program as an ordinary user with some capabilities, as deploy/systemd does.
func (p *program) unprivileged(capabilities string) *program {
	p.t.Helper()
	if _, err := exec.LookPath("setpriv"); err != nil {
		p.t.Fatal("this test runs the agent as another user: install Debian's package util-linux")
	}
	err := errors.Join(os.Mkdir(p.file("data"), 0o755), os.Chown(p.file("data"), ordinary, ordinary))
	if err != nil {
		p.t.Fatal(err)
	}
	p.run = []string{"setpriv", "--reuid", fmt.Sprint(ordinary), "--regid", fmt.Sprint(ordinary), "--clear-groups", "--no-new-privs",
		"--inh-caps", "-all" + capabilities, "--ambient-caps", "-all" + capabilities, "--bounding-set", "-all" + capabilities}
	return p
}

func TestTwoCapabilitiesAreEnough(t *testing.T) {
	t.Parallel()
	n := netnstest.New(t)
	a := newProgram(t, n.Node("a", "10.7.0.1/24"), web(200, "100ms")).unprivileged(",+net_admin,+net_raw").start()
	a.await("master")
	b := newProgram(t, n.Node("b", "10.7.0.2/24"), web(100, "100ms")).start()
	b.await("backup")
	child := a.child(0)
	for _, pid := range []int{a.PID(), child} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{fmt.Sprintf("Uid:\t%d\t%d\t%d", ordinary, ordinary, ordinary), "CapEff:\t0000000000003000", "CapBnd:\t0000000000003000"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("process %d: want %q in\n%s", pid, want, text)
			}
		}
	}
	a.kill(child, unix.SIGKILL) // the parent has what it takes, too
	a.says("farewells=2 addresses=1")
	a.child(child)
	a.await("master")
	a.Signal(syscall.SIGTERM)
	a.ends(0)
	a.holdsNothing()
	b.tookOver()
}

func TestWithoutCapabilities(t *testing.T) {
	t.Parallel()
	p := newProgram(t, netnstest.New(t).Node("a", "10.7.0.1/24"), web(200, "100ms")).unprivileged("").start()
	p.ends(exitRefused)
	if out := p.Output(); !strings.Contains(out, "CAP_NET_RAW") || strings.Count(out, "\n") != 1 {
		t.Errorf("got %s", out)
	}
}

// TestSystemdIsTold listens as systemd does.
func TestSystemdIsTold(t *testing.T) {
	t.Parallel()
	p := newProgram(t, netnstest.New(t).Node("a", "10.7.0.1/24"), web(200, "100ms"))
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: p.file("notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	p.start("NOTIFY_SOCKET="+p.file("notify"), "WATCHDOG_USEC=10000000")
	hears := func(want string) {
		t.Helper()
		b := make([]byte, 4096)
		_ = systemd.SetReadDeadline(time.Now().Add(time.Minute))
		for {
			n, err := systemd.Read(b)
			if err != nil {
				t.Fatalf("%s is not told: %v", want, err)
			}
			if strings.HasPrefix(string(b[:n]), want) {
				return
			}
		}
	}
	hears("READY=1\n")
	hears("WATCHDOG=1")
	p.Signal(syscall.SIGHUP)
	hears("RELOADING=1\nMONOTONIC_USEC=")
	hears("READY=1\n")
	p.kill(p.child(0), unix.SIGKILL)
	hears("STATUS=The agent ended: signal: killed")
	hears("READY=1\n")
	p.Signal(syscall.SIGTERM)
	hears("STOPPING=1")
	p.ends(0)
}
