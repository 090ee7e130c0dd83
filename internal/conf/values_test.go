package conf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	f := func(text string, want time.Duration, written string) {
		t.Helper()
		got, ok := parseDuration(text)
		if !ok || got != want || short(got) != written {
			t.Errorf("%s: got %s %v, written %s; want %s, %s", text, got, ok, short(got), want, written)
		}
	}
	f("15s", 15*time.Second, "15s")
	f("0", 0, "0s")
	f("14d", 336*time.Hour, "14d")
	f("1d12h", 36*time.Hour, "36h")
	f("90m", 90*time.Minute, "1h30m")
	f("40.95s", 40950*time.Millisecond, "40.95s")
	for _, bad := range []string{"", "15", "d", "1d-1h", "14 d", "1dd", "99999d2562047h", "9999999d"} {
		if got, ok := parseDuration(bad); ok {
			t.Errorf("%q: got %s, want a refusal", bad, got)
		}
	}
}

func TestSMSTemplate(t *testing.T) {
	tmpl, err := ParseSMSTemplate(`{"to":"{{json .To}}","text":"{{json .Text}}"{{if .Secret}},"q":"{{query .Secret}}"{{end}}}`)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, SMSMessage{To: "1", Text: "a \"b\"\n", Secret: "x&y"}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), `{"to":"1","text":"a \"b\"\n","q":"x%26y"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{"{{", "{{range 1000000000000}}{{end}}", `{{define "x"}}{{template "x"}}{{end}}`, `{{if .To}}{{range 9}}x{{end}}{{end}}`, strings.Repeat("x", maxTemplate+1)} {
		if _, err := ParseSMSTemplate(bad); err == nil {
			t.Errorf("%.40q: got no error", bad)
		}
	}
}

// FuzzParse: no input panics, hangs or brings a configuration that does not stand its own check.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/bad/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, "KEEPWATCH_UI_LISTEN=:1")
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, variable string) {
		c, err := Parse("k.yaml", data, []string{variable})
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 || len(faults) > maxFaults+1 {
				t.Fatalf("got %T %v, want faults", err, err)
			}
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("loaded, yet has faults: %v", err)
		}
	})
}

func TestAnswers(t *testing.T) {
	f := func(u UI, want string) {
		t.Helper()
		if got := u.PublicURL(); got != want {
			t.Errorf("%+v: got %s, want %s", u, got, want)
		}
	}
	f(Default().UI, "http://127.0.0.1:8080")
	f(UI{Listen: ":80"}, "http://localhost:80")
	f(UI{Listen: "[::]:80"}, "http://localhost:80")
	f(UI{Listen: "[fd00::1]:80"}, "http://[fd00::1]:80")
	f(UI{Listen: ":80", URL: "https://watch.example/k/"}, "https://watch.example/k")
	for _, why := range []string{Default().Alerter.SMTP.Why(), Default().Alerter.SMS.Why()} {
		if !strings.Contains(why, ": set alerter.") {
			t.Errorf("not configured: got %q, want what to set", why)
		}
	}
	if got := (SMTP{Address: "mail:25"}).Why() + (SMSGateway{URL: "http://sms"}).Why(); got != "" {
		t.Errorf("configured: got %q, want nothing", got)
	}
}
