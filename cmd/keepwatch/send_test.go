package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keepwatch/collector"
	"keepwatch/collector/gmondsend"
	"keepwatch/internal/conf"
	"keepwatch/internal/control"
	"keepwatch/internal/netnstest"
)

// execute runs 'keepwatch' with arguments.
func execute(t *testing.T, args ...string) error {
	t.Helper()
	c := command()
	c.SetArgs(args)
	c.SetOut(io.Discard)
	c.SetErr(io.Discard)
	return c.ExecuteContext(t.Context())
}

func gmondFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gmond.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// wire is a receiver of datagrams in a node's namespace.
type wire struct{ conn *net.UDPConn }

func openWire(t *testing.T, nd *netnstest.Node) *wire {
	t.Helper()
	w := new(wire)
	var err error
	nd.Do(func() { w.conn, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9998}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	return w
}

// take gives the datagrams that a run sent: over loopback they are there when it has ended.
func (w *wire) take(t *testing.T) (all [][]byte) {
	t.Helper()
	end := []byte("end")
	if _, err := w.conn.WriteTo(end, w.conn.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2000)
	for {
		if err := w.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := w.conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(buf[:n], end) {
			return all
		}
		all = append(all, bytes.Clone(buf[:n]))
	}
}

// TestSendMatchesGmetric runs the real gmetric and our command with the same flags and compares what they send, byte
// for byte, and whether they succeed.
func TestSendMatchesGmetric(t *testing.T) {
	if _, err := exec.LookPath("gmetric"); err != nil {
		t.Fatal("this test runs the real gmetric: install Debian's package ganglia-monitor")
	}
	nd := netnstest.New(t).Node("gmetric", "10.99.0.1/24")
	w := openWire(t, nd)
	plain := gmondFile(t, "udp_send_channel { host = 127.0.0.1 port = 9998 }\n")
	overridden := gmondFile(t, `globals { override_hostname = "virt" override_ip = "10.0.0.7" }
udp_send_channel { host = 127.0.0.1 port = 9998 }
udp_send_channel { host = 127.0.0.1 port = 9998 bind = 127.0.0.1 }
`)
	onlyName := gmondFile(t, "globals { override_hostname = virt }\nudp_send_channel { host = 127.0.0.1 port = 9998 }\n")
	long := strings.Repeat("x", 1500)
	f := func(file string, args ...string) {
		t.Helper()
		theirs := nd.Command("gmetric", append([]string{"-c", file}, args...)...).Run()
		want := w.take(t)
		var ours error
		nd.Do(func() { ours = execute(t, append([]string{"send", "-c", file}, args...)...) })
		got := w.take(t)
		if (theirs == nil) != (ours == nil) {
			t.Errorf("%.80q: gmetric: %v; we: %v", args, theirs, ours)
		}
		if theirs != nil {
			want = nil // of what it cannot send whole, it sends the metadata; we send nothing
		}
		if fmt.Sprintf("%x", got) != fmt.Sprintf("%x", want) {
			t.Errorf("%.80q:\n got %q\nwant %q", args, got, want)
		}
	}
	for _, file := range []string{plain, overridden, onlyName} {
		f(file, "-n", "a", "-v", "5", "-t", "uint32")
		f(file, "--name=temperature", "--value", "21.5", "--type=float", "--units", "C", "--slope", "positive", "--tmax=30", "--dmax", "90",
			"--group", "a, b,,c d", "--cluster", "lab", "--desc", "What it is, in full", "--title", "Temperature")
		f(file, "-n", "x", "-v", "on", "-t", "string", "-u", "u", "-s", "zero", "-x", "5", "-d", "6", "-g", "g", "-C", "c", "-D", "d", "-T", "t", "-S", "10.0.0.9:ghost")
		f(file, "-H", "-S", "10.0.0.9:ghost")
	}
	for _, slope := range []string{"zero", "positive", "negative", "both", "derivative", "unspecified", "bogus", ""} {
		f(plain, "-n", "a", "-v", "1", "-t", "int16", "-s", slope)
	}
	for _, value := range []string{" 7", "7 ", "0x1f", "nan(1)", "1e", "inf", "1e400", "five", "-3"} {
		f(plain, "-n", "a", "-v", value, "-t", "double")
		f(plain, "-n", "a", "-v", value, "-t", "string")
	}
	f(plain, "-n", "ž <&> a:b", "-v", "é '<&>", "-t", "string", "-D", `"quoted"`)
	f(plain, "-n", "a", "-v", "", "-t", "string")
	for _, bad := range [][]string{
		{"-n", `a"`, "-v", "1", "-t", "int8"}, {"-n", "a", "-v", `"`, "-t", "string"}, {"-n", "a", "-v", "1", "-t", "int8", "-u", `"`},
		{"-n", "a", "-v", "1", "-t", "int64"}, {"-n", "a", "-v", "1"}, {"-n", "a", "-t", "int8"}, {"-v", "1", "-t", "int8"}, {},
		{"-n", "a", "-v", "1", "-t", "int8", "-S", "ghost"}, {"-n", "a", "-v", "1", "-t", "int8", "-S", ""},
		{"-n", "a", "-v", "1", "-t", "int8", "-x", "soon"}, {"-n", long, "-v", "1", "-t", "int8"}, {"-n", "a", "-v", long, "-t", "string"},
	} {
		f(plain, bad...)
	}
	f(gmondFile(t, "cluster { name = lab }\n"), "-n", "a", "-v", "1", "-t", "int8")
	f("/nonexistent/gmond.conf", "-n", "a", "-v", "1", "-t", "int8")
	f(gmondFile(t, "colour = red\n"), "-n", "a", "-v", "1", "-t", "int8")
}

// What a real gmond makes of our packets.
func TestSendReachesGmond(t *testing.T) {
	if _, err := exec.LookPath("gmond"); err != nil {
		t.Fatal("this test runs the real gmond: install Debian's package ganglia-monitor")
	}
	nd := netnstest.New(t).Node("gmond", "10.99.0.1/24")
	file := gmondFile(t, `globals { daemonize = no setuid = no }
cluster { name = "lab" }
udp_send_channel { host = 127.0.0.1 port = 8649 }
udp_recv_channel { bind = 127.0.0.1 port = 8649 }
tcp_accept_channel { bind = 127.0.0.1 port = 8649 }
`)
	nd.Start(nd.Command("gmond", "-c", file, "-f"))
	read := func() (text string, err error) {
		nd.Do(func() {
			var conn net.Conn
			if conn, err = net.Dial("tcp", "127.0.0.1:8649"); err != nil {
				return
			}
			defer conn.Close()
			var b []byte
			b, err = io.ReadAll(conn)
			text = string(b)
		})
		return text, err
	}
	netnstest.Await(t, "gmond", func() error { _, err := read(); return err })
	nd.Do(func() {
		if err := execute(t, "send", "-c", file, "-n", "jobs", "-v", "17", "-t", "uint32", "-u", "jobs", "-x", "30", "-g", "queue", "-S", "10.0.0.9:ghost"); err != nil {
			t.Error(err)
		}
	})
	want := regexp.MustCompile(`(?s)<HOST NAME="ghost" IP="10\.0\.0\.9".*<METRIC NAME="jobs" VAL="17" TYPE="uint32" UNITS="jobs" TN="\d+" TMAX="30" DMAX="0" SLOPE="both">.*NAME="GROUP" VAL="queue"`)
	netnstest.Await(t, "the metric in gmond's XML", func() error {
		text, err := read()
		if err == nil && !want.MatchString(text) {
			err = errors.New(text)
		}
		return err
	})
}

// Without -c the running keepwatch takes it.
func TestSendToTheRunningKeepwatch(t *testing.T) {
	data := t.TempDir()
	err := execute(t, "send", "--data", data, "-n", "a", "-v", "1", "-t", "int8")
	if !errors.Is(err, errNotRunning) {
		t.Errorf("without a keepwatch: %v", err)
	}
	cfg := conf.Default().Collector
	cfg.Native.Group, cfg.Native.Listen, cfg.Serve.Listen, cfg.Gmond.Receive = "", "", "127.0.0.1:0", nil
	cfg.Probes.Host.Enabled, cfg.Gmond.XML.Listen = false, ""
	c, err := collector.New(collector.Options{Config: cfg, Cluster: "lab", Host: "me", DataDir: data})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	serve(t, data, control.Controls{Send: c.TakeGmetric})
	if err := execute(t, "send", "--data", data, "-n", "jobs", "-v", "17", "-t", "uint32", "-T", "Jobs"); err != nil {
		t.Error(err)
	}
	status, err := json.Marshal(c.Status())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(status, []byte(`"me"`)) {
		t.Errorf("the collector knows nothing of it: %s", status)
	}
	for _, args := range [][]string{
		{"-n", "jobs", "-v", "", "-t", "uint32"}, {"-n", "jobs", "-v", "nan", "-t", "float"}, {"-n", "", "-v", "1", "-t", "int8"},
		{"-n", "jobs", "-v", "1", "-t", "int8", "argument"}, {"-H", "-n", "jobs", "-v", "1", "-t", "int8"},
	} {
		if err := execute(t, append([]string{"send", "--data", data}, args...)...); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}

func TestSendIsRefusedWhereNoCollectorRuns(t *testing.T) {
	data := t.TempDir()
	serve(t, data, control.Controls{})
	err := execute(t, "send", "--data", data, "-n", "a", "-v", "1", "-t", "int8")
	if err == nil || !strings.Contains(err.Error(), "runs no collector") {
		t.Errorf("got %v", err)
	}
	g := global{data: data}
	_, err = g.control(controlSocket).call(t.Context(), "POST", "/send", gmondsend.Gmetric{Desc: strings.Repeat("x", 1<<17)})
	if err == nil {
		t.Error("a metric without bound is read")
	}
}

// serve serves the control socket of a data folder until the end of the test.
func serve(t *testing.T, data string, c control.Controls) {
	t.Helper()
	c.Status = func() any { return nil }
	c.Metrics = metricsHandler()
	ln, err := control.Listen(filepath.Join(data, controlSocket))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- control.Serve(ctx, ln, c, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
