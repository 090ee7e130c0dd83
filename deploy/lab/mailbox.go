package main

import (
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// message is one mail or short message that arrived.
type message struct {
	at                time.Time
	to, subject, text string
}

// mailbox is a real SMTP server that keeps what it takes.
type mailbox struct {
	mu   sync.Mutex
	mail []message
}

// NewSession implements smtp.Backend.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailSession{box: m}, nil }

type mailSession struct {
	box *mailbox
	to  string
}

func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return nil
}
func (s *mailSession) Reset()        {}
func (s *mailSession) Logout() error { return nil }
func (s *mailSession) Data(r io.Reader) error {
	msg, err := mail.ReadMessage(io.LimitReader(r, 1<<20))
	if err != nil {
		return err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil {
		return err
	}
	text, err := plainText(msg)
	if err != nil {
		return err
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mail = append(s.box.mail, message{at: time.Now(), to: s.to, subject: subject, text: text})
	return nil
}

// plainText is the first text/plain part.
func plainText(msg *mail.Message) (string, error) {
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		b, err := io.ReadAll(msg.Body)
		return string(b), err
	}
	for parts := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if err != nil {
			return "", err
		}
		if !strings.HasPrefix(p.Header.Get("Content-Type"), "text/plain") {
			continue
		}
		var r io.Reader = p
		if strings.EqualFold(p.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
			r = quotedprintable.NewReader(p)
		}
		b, err := io.ReadAll(r)
		return string(b), err
	}
}

func (m *mailbox) since(t time.Time) []message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return after(m.mail, t)
}

func after(all []message, t time.Time) (out []message) {
	for _, msg := range all {
		if msg.at.After(t) {
			out = append(out, msg)
		}
	}
	return out
}

// gateway is an HTTP gateway for short messages as the alerter is configured for.
type gateway struct {
	mu  sync.Mutex
	sms []message
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var in struct{ ID, To, Text string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sms = append(g.sms, message{at: time.Now(), to: in.To, text: in.Text})
}

func (g *gateway) since(t time.Time) []message {
	g.mu.Lock()
	defer g.mu.Unlock()
	return after(g.sms, t)
}

// startMailAndSMS serves both on the monitoring node's loopback.
func (l *lab) startMailAndSMS() error {
	l.mail, l.sms = &mailbox{}, &gateway{}
	smtpPort, err := listenInside("mon", "127.0.0.1:2525")
	if err != nil {
		return err
	}
	server := smtp.NewServer(l.mail)
	server.Domain = "lab.example"
	go func() { _ = server.Serve(smtpPort) }()
	smsPort, err := listenInside("mon", "127.0.0.1:2580")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: l.sms, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = web.Serve(smsPort) }()
	l.closers = append(l.closers, server, web)
	return nil
}
