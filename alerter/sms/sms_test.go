package sms_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"keepwatch/alerter/delivery"
	"keepwatch/alerter/sms"
	"keepwatch/internal/conf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var one = delivery.Message{ID: 7, Key: "7.1795212000000", To: "+8613800138000", Text: `严重 lb1 "load1" 12 & more`}

func send(t *testing.T, c conf.SMSGateway, m delivery.Message) delivery.Result {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	s, err := sms.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.Send(t.Context(), m)
}

// gateway answers each request with what answer writes, and keeps the last one.
func gateway(t *testing.T, answer http.HandlerFunc) (url string, last func() (*http.Request, string)) {
	t.Helper()
	type kept struct {
		r    *http.Request
		body string
	}
	requests := make(chan kept, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		requests <- kept{r, string(b)}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() (*http.Request, string) { k := <-requests; return k.r, k.body }
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestKannelRequest(t *testing.T) {
	url, last := gateway(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte("0: Accepted for delivery"))
	})
	c := conf.SMSGateway{Method: "GET", SecretFile: secretFile(t, "p&ss word"), Success: "^[03]: ",
		URL: url + "/cgi-bin/sendsms?username=kw&password={{query .Secret}}&to={{query .To}}&charset=UTF-8&coding=2&text={{query .Text}}"}
	if got := send(t, c, one); got != delivery.OK() {
		t.Fatalf("got %+v", got)
	}
	r, _ := last()
	q := r.URL.Query()
	if q.Get("password") != "p&ss word" || q.Get("to") != one.To || q.Get("text") != one.Text {
		t.Errorf("got %v", q)
	}
}

func TestJSONRequest(t *testing.T) {
	url, last := gateway(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"code":"OK"}`)) })
	c := conf.SMSGateway{Method: "POST", URL: url + "/v1/messages", SecretFile: secretFile(t, "t0ken"), Success: `"code":"OK"`,
		Headers: map[string]string{"Authorization": "Bearer {{.Secret}}", "Idempotency-Key": "{{.ID}}"},
		Body:    `{"to":"{{json .To}}","text":"{{json .Text}}"}`}
	if got := send(t, c, one); got != delivery.OK() {
		t.Fatalf("got %+v", got)
	}
	r, body := last()
	if want := `{"to":"+8613800138000","text":"严重 lb1 \"load1\" 12 \u0026 more"}`; body != want {
		t.Errorf("body: got %s, want %s", body, want)
	}
	for name, want := range map[string]string{"Authorization": "Bearer t0ken", "Idempotency-Key": one.Key, "Content-Type": "application/json"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		name    string
		code    int
		body    string
		success string
		want    delivery.Result
	}{
		{"taken", 200, "ok", "", delivery.OK()},
		{"taken, as it says", 200, "OK 17", "^OK", delivery.OK()},
		{"taken, but it says otherwise", 200, "ERR no credit", "^OK", delivery.Later("the SMS gateway's answer does not match alerter.sms.success: 200 OK: ERR no credit")},
		{"overloaded", 503, "later", "", delivery.Later("the SMS gateway answered 503 Service Unavailable: later")},
		{"too many", 429, "", "", delivery.Later("the SMS gateway answered 429 Too Many Requests")},
		{"refused", 400, "bad\nnumber", "", delivery.Never("the SMS gateway refused the message: 400 Bad Request: bad number")},
		{"echoes the secret", 403, "wrong key s3cret+x or s3cret%2Bx", "", delivery.Never("the SMS gateway refused the message: 403 Forbidden: wrong key *** or ***")},
		{"redirect", 302, "", "", delivery.Never("the SMS gateway redirects (302 Found): set alerter.sms.url to where it is now")},
	}
	for _, tt := range tests {
		url, _ := gateway(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(tt.code)
			_, _ = w.Write([]byte(tt.body))
		})
		c := conf.SMSGateway{Method: "GET", URL: url + "/?k={{query .Secret}}&t={{query .Text}}", Success: tt.success, SecretFile: secretFile(t, "s3cret+x")}
		if got := send(t, c, one); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// What a Kannel 1.4.5 said, word for word.
func TestRealKannelAnswers(t *testing.T) {
	captured, err := os.ReadFile("testdata/kannel-sendsms.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]delivery.Result{
		"ok":           delivery.OK(),
		"queued":       delivery.OK(),
		"bad password": delivery.Never("the SMS gateway refused the message: 403 Forbidden: Authorization failed for sendsms"),
		"missing to":   delivery.Never("the SMS gateway refused the message: 400 Bad Request: Missing receiver number, rejected"),
	}
	for _, part := range strings.Split(string(captured), "$ ")[1:] {
		name, raw, _ := strings.Cut(part, "\n")
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(raw)), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		url, _ := gateway(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(resp.StatusCode)
			_, _ = w.Write(body)
		})
		c := conf.SMSGateway{Method: "GET", URL: url + "/cgi-bin/sendsms?to={{query .To}}", Success: "^[03]: "}
		if got := send(t, c, one); got != want[name] {
			t.Errorf("%s: got %+v, want %+v", name, got, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("not in the capture: %v", want)
	}
}

func TestFailuresTellNoSecret(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	tests := []struct {
		name string
		c    conf.SMSGateway
		want delivery.Result
	}{
		{"not configured", conf.SMSGateway{}, delivery.Never("no SMS gateway is configured: set alerter.sms.url")},
		{"nobody listens", conf.SMSGateway{Method: "GET", URL: "http://127.0.0.1:1/{{.Secret}}"}, delivery.Later("cannot reach the SMS gateway: dial tcp 127.0.0.1:1: connect: connection refused")},
		{"no answer", conf.SMSGateway{Method: "GET", URL: "http://" + silent.Addr().String() + "/{{.Secret}}", Timeout: 50 * time.Millisecond}, delivery.Later("cannot reach the SMS gateway: no answer in time")},
		{"no address", conf.SMSGateway{Method: "GET", URL: "http://h/%zz{{.Secret}}"}, delivery.Never("alerter.sms.url does not make an address with this message: put what it inserts through query")},
		{"two header lines", conf.SMSGateway{Method: "GET", URL: "http://h/", Headers: map[string]string{"X": "{{.Text}}\n{{.Secret}}"}}, delivery.Never("alerter.sms.headers.X would have more than one line with this message: put what it inserts through query")},
		{"no secret file", conf.SMSGateway{Method: "GET", URL: "http://h/", SecretFile: "/nowhere/key"}, delivery.Later("cannot read alerter.sms.secret_file: open /nowhere/key: no such file or directory")},
	}
	for _, tt := range tests {
		if tt.c.SecretFile == "" {
			tt.c.SecretFile = secretFile(t, "s3cret")
		}
		got := send(t, tt.c, one)
		if got != tt.want || strings.Contains(got.Reason, "s3cret") {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestHugeAnswerIsBounded(t *testing.T) {
	url, _ := gateway(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
	})
	got := send(t, conf.SMSGateway{Method: "GET", URL: url}, one)
	if got.Outcome != delivery.GiveUp || len(got.Reason) > 500 {
		t.Errorf("got %s with a reason of %d bytes", got.Outcome, len(got.Reason))
	}
}

func TestNewTellsNoSecret(t *testing.T) {
	_, err := sms.New(conf.SMSGateway{URL: "http://h/?key=s3cret&{{.Bogus"})
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}
