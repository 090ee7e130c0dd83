package netnstest

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestSegment(t *testing.T) {
	var names []string
	t.Run("two hosts", func(t *testing.T) {
		n := New(t)
		a, b := n.Node("a", "10.9.0.1/24"), n.Node("b", "10.9.0.2/24", "fd09::2/64")
		names = append(names, n.sw, a.Namespace, b.Namespace)
		if !b.Holds("10.9.0.2") || !b.Holds("fd09::2") || b.Holds("10.9.0.1") {
			t.Errorf("b holds %v", b.Addresses())
		}
		p := a.Start(a.Command("sleep", "1000"))
		Await(t, "the program to replace ip", func() error {
			if comm, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID()) + "/comm"); err != nil || strings.TrimSpace(string(comm)) != "sleep" {
				return errors.New(string(comm))
			}
			return nil
		})
		p.Signal(syscall.SIGTERM)
		if err := p.Wait(); err == nil {
			t.Error("sleep was not stopped by the signal")
		}
		b.SetPort(false)
		Await(t, "b to lose its carrier", func() error {
			if !strings.Contains(b.IP("link", "show", "eth0"), "NO-CARRIER") {
				return errors.New("carrier is there")
			}
			return nil
		})
	})
	for _, name := range names {
		if _, err := os.Stat("/run/netns/" + name); !os.IsNotExist(err) {
			t.Errorf("namespace %s is left: %v", name, err)
		}
	}
}

func TestSweep(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left := prefix + strconv.Itoa(dead.Process.Pid) + "-1-left"
	if out, err := exec.Command("ip", "netns", "add", left).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mine := prefix + strconv.Itoa(os.Getpid()) + "-0-mine"
	if out, err := exec.Command("ip", "netns", "add", mine).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", mine).Run() })
	sweep(t)
	if _, err := os.Stat("/run/netns/" + left); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", left, err)
	}
	if _, err := os.Stat("/run/netns/" + mine); err != nil {
		t.Errorf("a namespace of a living process was removed: %v", err)
	}
}
