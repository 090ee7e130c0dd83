// Package up_test starts the whole product as a user does, keepwatch up on an empty folder, and asks it what a user
// would. The program under test is bin/keepwatch, as make build leaves it.
package up_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is one running keepwatch up.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *output
	url    string
	exited chan struct{}
	http   *http.Client
}

// place is a data folder and the ports that go with it, over several runs of the program.
type place struct {
	data, url, config string
	gmond             int // port of the gmond group
}

func binary(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/keepwatch")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return path
}

func newPlace(t *testing.T) place {
	t.Helper()
	dir, err := os.MkdirTemp("", "keepwatch-up-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports := freePorts(t, 4)
	config := filepath.Join(dir, "keepwatch.yaml")
	text := fmt.Sprintf(`collector:
  interval: 1s
  native: {group: "239.2.11.72:%d", interface: lo}
  gmond: {receive: [{group: "239.2.11.71:%d", interface: lo}]}
  serve: {listen: "127.0.0.1:%d"}
ui: {listen: "127.0.0.1:%d"}
`, ports[0], ports[1], ports[2], ports[3])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return place{data: filepath.Join(dir, "data"), url: fmt.Sprintf("http://127.0.0.1:%d", ports[3]), config: config, gmond: ports[1]}
}

// freePorts are ports that nobody has now, all different.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

func (p place) start(t *testing.T) *program {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &program{t: t, url: p.url, out: &output{}, exited: make(chan struct{}), http: &http.Client{Timeout: 30 * time.Second, Jar: jar}}
	r.cmd = exec.Command(binary(t), "up", "--config", p.config, "--data", p.data)
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.cmd.Wait(); close(r.exited) }()
	t.Cleanup(func() { r.signal(syscall.SIGKILL) })
	r.until("the web app answers", func() bool { return strings.Contains(r.out.String(), p.url) })
	return r
}

// signal sends a signal and waits for the end of the program.
func (r *program) signal(s syscall.Signal) {
	_ = r.cmd.Process.Signal(s)
	<-r.exited
}

// until waits for a condition, at most two minutes, and shows what the program wrote when it does not come.
func (r *program) until(what string, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-r.exited:
			r.t.Fatalf("keepwatch ended before: %s\n%s", what, r.out)
		case <-ctx.Done():
			r.t.Fatalf("does not happen: %s\n%s", what, r.out)
		case <-tick.C:
		}
	}
}

// password is the one that the first start prints.
func (r *program) password() string {
	_, after, found := strings.Cut(r.out.String(), "password ")
	if !found {
		return ""
	}
	return strings.Fields(after)[0]
}

func (r *program) signIn(password string) int {
	r.t.Helper()
	status, _ := r.call("POST", "/api/v1/session", map[string]string{"name": "admin", "password": password})
	return status
}

func (r *program) call(method, path string, in any) (int, []byte) {
	r.t.Helper()
	b, err := json.Marshal(in)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, bytes.NewReader(b))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, text
}

// output is what a program writes, readable while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
