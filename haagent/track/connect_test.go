package track

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/conf"
)

const beats = 50 * time.Millisecond

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	w := watch(t, conf.Track{TCP: at, Interval: beats, Timeout: time.Second, Rise: 1, Fall: 1}, Options{}, nil)
	w.next(true, 0, at+" takes connections")
	_ = l.Close()
	w.next(false, 0, "connection refused")
	if l, err = net.Listen("tcp", at); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w.next(true, 0, "")
}

// hangs is a listener whose queue is full: the kernel answers nobody any more.
func hangs(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { err = unix.Listen(int(fd), 0) })
	if err != nil {
		t.Fatal(err)
	}
	for {
		c, err := net.DialTimeout("tcp", l.Addr().String(), 200*time.Millisecond)
		if err != nil {
			return l.Addr().String()
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

func TestNoAnswer(t *testing.T) {
	at := hangs(t)
	w := watch(t, conf.Track{TCP: at, Interval: time.Hour, Timeout: 20 * time.Millisecond}, Options{}, nil)
	w.next(false, 0, "no answer within 20ms")
	w = watch(t, conf.Track{HTTP: "http://" + at, Interval: time.Hour, Timeout: 20 * time.Millisecond}, Options{}, nil)
	w.next(false, 0, "no answer within 20ms")
}

func TestHTTP(t *testing.T) {
	var status, asked atomic.Int64
	status.Store(200)
	seen := make(chan string, 1024)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		seen <- r.RemoteAddr + " " + r.Method + " " + r.URL.String() + " " + r.UserAgent()
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write(make([]byte, 1<<20))
	}))
	defer s.Close()
	w := watch(t, conf.Track{HTTP: s.URL + "/health?a=b", Interval: beats, Timeout: time.Second, Rise: 1, Fall: 1}, Options{}, nil)
	w.next(true, 0, "the answer is 200")
	first, second := strings.Fields(<-seen), strings.Fields(<-seen)
	if first[0] == second[0] || strings.Join(first[1:], " ") != "GET /health?a=b keepwatch-haagent" {
		t.Errorf("got %q, then %q", first, second)
	}
	for i, code := range []int{400, 302, 500, 399, 503, 204} {
		status.Store(int64(code))
		w.next(i%2 == 1, 0, "the answer is "+strconv.Itoa(code))
	}
	w.stop()
	close(seen)
	for line := range seen {
		if strings.Contains(line, "elsewhere") {
			t.Errorf("a redirect is followed: %s", line)
		}
	}
}

func TestHTTPWithoutSense(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n": "exceeded",
		"SSH-2.0-OpenSSH\r\n": "malformed",
		"":                    "EOF",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan struct{})
		go func() {
			defer close(served)
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = fmt.Fprint(c, answer)
			_ = c.Close()
		}()
		w := watch(t, conf.Track{HTTP: "http://" + l.Addr().String(), Interval: time.Hour, Timeout: time.Minute}, Options{}, nil)
		w.next(false, 0, want)
		_ = l.Close()
		<-served
	}
}

// A certificate must be one of those that this host trusts, and be for the name in the URL.
func TestHTTPS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // it minds who hangs up
	s.StartTLS()
	defer s.Close()
	path := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", path) // read once, when the first certificate is verified: by this test alone
	t.Setenv("SSL_CERT_DIR", t.TempDir())
	c := conf.Track{HTTP: s.URL, Interval: time.Hour, Timeout: time.Minute}
	w := watch(t, c, Options{}, nil)
	w.next(true, 0, "the answer is 200")
	c.HTTP = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	w = watch(t, c, Options{}, nil)
	w.next(false, 0, "certificate")
}

func BenchmarkTCP(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	look := lookTCP(conf.Track{TCP: l.Addr().String(), Timeout: time.Minute})
	b.ReportAllocs()
	for b.Loop() {
		look(b.Context(), func(good bool, detail string) {
			if !good {
				b.Fatal(detail)
			}
		})
	}
}
