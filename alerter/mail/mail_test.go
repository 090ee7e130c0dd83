package mail_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"keepwatch/alerter/delivery"
	"keepwatch/alerter/mail"
	"keepwatch/internal/conf"
)

// trusted is a certificate that the system's store vouches for during these tests.
var trusted *tls.Certificate

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "keepwatch-mail-")
	if err != nil {
		panic(err)
	}
	trusted = makeCertificate()
	pemText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted.Certificate[0]})
	if err := os.WriteFile(filepath.Join(dir, "roots.pem"), pemText, 0o600); err != nil {
		panic(err)
	}
	os.Setenv("SSL_CERT_FILE", filepath.Join(dir, "roots.pem"))
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

const password = "s3cret pass"

// backend is what the server does with who connects to it.
type backend struct {
	refuse *smtp.SMTPError // the recipient
	reject *smtp.SMTPError // the content
	sender *smtp.SMTPError
	mails  chan received
}

type received struct {
	from, to, content string
	tls               bool
	user              string
}

type session struct {
	b    *backend
	conn *smtp.Conn
	r    received
}

func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{b: b, conn: c}, nil
}
func (s *session) Reset()                   {}
func (s *session) Logout() error            { return nil }
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if user != "keepwatch" || pass != password {
			return smtp.ErrAuthFailed
		}
		s.r.user = user
		return nil
	}), nil
}
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.b.sender != nil {
		return s.b.sender
	}
	s.r.from = from
	_, s.r.tls = s.conn.TLSConnectionState()
	return nil
}
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.b.refuse != nil {
		return s.b.refuse
	}
	s.r.to = to
	return nil
}
func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.b.reject != nil {
		return s.b.reject
	}
	s.r.content = string(b)
	s.b.mails <- s.r
	return nil
}

// serve starts a mail server on loopback, which speaks TLS when it has a certificate.
func serve(t *testing.T, b *backend, cert *tls.Certificate, implicit bool) string {
	t.Helper()
	b.mails = make(chan received, 10)
	s := smtp.NewServer(b)
	s.Domain, s.AllowInsecureAuth, s.ErrorLog = "mail.example.com", true, log.New(io.Discard, "", 0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if cert != nil {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}}
		if implicit {
			l = tls.NewListener(l, s.TLSConfig)
		}
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { _, _ = s.Close(), l.Close(); <-done }) // Close alone misses a Serve that has not begun
	return address
}

// makeCertificate makes one of its own authority.
func makeCertificate() *tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func options(address string) conf.SMTP {
	return conf.SMTP{Address: address, From: "Keepwatch <keepwatch@ops.example.com>", TLS: "starttls", Timeout: 10 * time.Second}
}

var one = delivery.Message{ID: 7, Key: "7.1795212000000", Alert: 12, To: "ann@example.com",
	Subject: "严重：lb1 磁盘满，97.1 %", Text: "严重：lb1\n.\nFrom here\n", HTML: "<p>严重</p>"}

func TestMailArrives(t *testing.T) {
	b := &backend{}
	s := mail.New(options(serve(t, b, nil, false)))
	if got := s.Send(t.Context(), one); got != delivery.OK() {
		t.Fatalf("got %+v", got)
	}
	r := <-b.mails
	if r.from != "keepwatch@ops.example.com" || r.to != one.To {
		t.Errorf("envelope: from %s to %s", r.from, r.to)
	}
	m, err := netmail.ReadMessage(strings.NewReader(r.content))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != one.Subject {
		t.Errorf("subject: got %q, %v", subject, err)
	}
	for name, want := range map[string]string{
		"Message-Id": "<keepwatch.7.1795212000000@ops.example.com>", "Auto-Submitted": "auto-generated", "X-Keepwatch-Alert": "12",
		"References": "<keepwatch.alert.12@ops.example.com>", "From": `"Keepwatch" <keepwatch@ops.example.com>`, "To": "<ann@example.com>",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if _, err := m.Header.Date(); err != nil {
		t.Errorf("date: %v", err)
	}
	if got := parts(t, m); got["text/plain"] != one.Text || got["text/html"] != one.HTML {
		t.Errorf("parts: got %q", got)
	}
}

func parts(t *testing.T, m *netmail.Message) map[string]string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %s, %v", kind, err)
	}
	got := make(map[string]string)
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || params["charset"] != "UTF-8" || p.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Errorf("part %v: %v", p.Header, err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		got[kind] = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
}

func TestHeadersCannotBeInjected(t *testing.T) {
	b := &backend{}
	s := mail.New(options(serve(t, b, nil, false)))
	m := one
	m.Subject = "a\r\nBcc: eve@example.com\r\n\r\nbody"
	if got := s.Send(t.Context(), m); got != delivery.OK() {
		t.Fatalf("got %+v", got)
	}
	read, err := netmail.ReadMessage(strings.NewReader((<-b.mails).content))
	if err != nil || read.Header.Get("Bcc") != "" {
		t.Errorf("header %v, %v", read.Header, err)
	}
}

func TestWhatFailuresMean(t *testing.T) {
	tests := []struct {
		name string
		b    backend
		edit func(*conf.SMTP, *delivery.Message)
		want delivery.Result
	}{
		{"no such recipient", backend{refuse: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}}, nil,
			delivery.Never("the mail server refused the recipient: 550 5.1.1 no such user")},
		{"greylisted", backend{refuse: &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "greylisted"}}, nil,
			delivery.Later("the mail server answered: 450 4.2.0 greylisted")},
		{"content refused", backend{reject: &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "spam"}}, nil,
			delivery.Never("the mail server refused the mail: 554 5.7.1 spam")},
		{"sender refused", backend{sender: &smtp.SMTPError{Code: 553, EnhancedCode: smtp.EnhancedCode{5, 1, 8}, Message: "sender unknown"}}, nil,
			delivery.Later("the mail server answered: 553 5.1.8 sender unknown")},
		{"nobody listens", backend{}, func(c *conf.SMTP, _ *delivery.Message) { c.Address = "127.0.0.1:1" },
			delivery.Later("cannot send by the mail server 127.0.0.1:1: dial failed: dial tcp 127.0.0.1:1: connect: connection refused")},
		{"not configured", backend{}, func(c *conf.SMTP, _ *delivery.Message) { c.Address = "" },
			delivery.Never("no mail server is configured: set alerter.smtp.address")},
		{"no address", backend{}, func(_ *conf.SMTP, m *delivery.Message) { m.To = "ann" },
			delivery.Never(`cannot send to "ann": it is no mail address`)},
		{"TLS not offered", backend{}, func(c *conf.SMTP, _ *delivery.Message) { c.TLS = "require" },
			delivery.Later(`cannot send by the mail server ADDRESS: dial failed: STARTTLS mode set to: "TLSMandatory", but target host does not support STARTTLS`)},
		{"no password file", backend{}, func(c *conf.SMTP, _ *delivery.Message) { c.User, c.PasswordFile = "keepwatch", "/nowhere/password" },
			delivery.Later("cannot read alerter.smtp.password_file: open /nowhere/password: no such file or directory")},
	}
	for _, tt := range tests {
		b, m := tt.b, one
		c := options(serve(t, &b, nil, false))
		want := tt.want
		want.Reason = strings.ReplaceAll(want.Reason, "ADDRESS", c.Address)
		if tt.edit != nil {
			tt.edit(&c, &m)
		}
		if got := mail.New(c).Send(t.Context(), m); got != want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, want)
		}
	}
}

func TestTLSAndSignIn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(wrong, []byte("not "+password), 0o600); err != nil {
		t.Fatal(err)
	}
	own := makeCertificate()
	tests := []struct {
		name     string
		tls      string
		implicit bool
		cert     *tls.Certificate
		password string
		want     string // prefix of the reason; empty: sent
		secure   bool
	}{
		{"offered, not vouched for, nothing to protect", "starttls", false, own, "", "", true},
		{"offered, not vouched for, a password to protect", "starttls", false, own, file, "cannot send by the mail server", false},
		{"offered, a password to protect", "starttls", false, trusted, file, "", true},
		{"required", "require", false, trusted, file, "", true},
		{"required, not vouched for", "require", false, own, "", "cannot send by the mail server", false},
		{"implicit", "implicit", true, trusted, file, "", true},
		{"implicit, not vouched for", "implicit", true, own, "", "cannot send by the mail server", false},
		{"none, though offered", "none", false, own, "", "", false},
		{"signed in without TLS on loopback", "none", false, nil, file, "", false},
		{"wrong password", "none", false, nil, wrong, "cannot send by the mail server", false},
	}
	for _, tt := range tests {
		b := &backend{}
		c := options(serve(t, b, tt.cert, tt.implicit))
		c.TLS, c.PasswordFile = tt.tls, tt.password
		if tt.password != "" {
			c.User = "keepwatch"
		}
		got := mail.New(c).Send(t.Context(), one)
		if tt.want != "" {
			if got.Outcome != delivery.Retry || !strings.HasPrefix(got.Reason, tt.want) || strings.Contains(got.Reason, password) {
				t.Errorf("%s: got %+v, want %s…", tt.name, got, tt.want)
			}
			continue
		}
		if got != delivery.OK() {
			t.Errorf("%s: got %+v", tt.name, got)
			continue
		}
		if r := <-b.mails; r.tls != tt.secure || (r.user != "") != (tt.password != "") {
			t.Errorf("%s: arrived with TLS %v as user %q", tt.name, r.tls, r.user)
		}
	}
}

// A server that accepts the connection and says nothing ends with the time that a mail has.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	got := mail.New(options(l.Addr().String())).Send(ctx, one)
	if got.Outcome != delivery.Retry || !strings.Contains(got.Reason, "did not answer in time") {
		t.Errorf("got %+v", got)
	}
}

// The server took the mail and then lost the connection: that is sent, not to be sent again.
func TestTakenIsSentWhateverFollows(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		takeOne(conn)
	}()
	if got := mail.New(options(l.Addr().String())).Send(t.Context(), one); got != delivery.OK() {
		t.Errorf("got %+v", got)
	}
	<-done
}

// takeOne speaks just enough SMTP to take a mail.
func takeOne(conn net.Conn) {
	say := func(s string) { _, _ = io.WriteString(conn, s+"\r\n") }
	say("220 hello")
	buf := make([]byte, 64<<10)
	var text string
	for data := false; ; {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		text += string(buf[:n])
		switch {
		case data && strings.HasSuffix(text, "\r\n.\r\n"):
			say("250 taken")
			return
		case data:
		case strings.HasSuffix(text, "\r\n"):
			if data = strings.HasPrefix(text, "DATA"); data {
				say("354 go on")
			} else {
				say("250 fine")
			}
			text = ""
		}
	}
}
