// Package mail sends one notification as one mail by SMTP. It never retries, stores or renders. The outbox of the
// mail channel calls Send.
package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"keepwatch/alerter/delivery"
	"keepwatch/internal/conf"
)

// Sender sends mails by one server. It is safe for concurrent use: each mail has a connection of its own.
type Sender struct{ opt conf.SMTP }

// New makes a Sender. It connects to nothing; a server that is not configured is the reason of each Send.
func New(opt conf.SMTP) *Sender { return &Sender{opt} }

// Send sends a mail and says what became of it. A server that refuses the recipient or the message for good (5xx) is
// the end of it; all else may be mended: a server that is away, a sign-in that fails, a sender that is refused.
func (s *Sender) Send(ctx context.Context, m delivery.Message) delivery.Result {
	if why := s.opt.Why(); why != "" {
		return delivery.Never("%s", why)
	}
	msg, err := s.compose(m)
	if err != nil {
		return delivery.Never("%s", delivery.OneLine(err.Error()))
	}
	client, err := s.client(ctx)
	if err != nil {
		return delivery.Later("%s", delivery.OneLine(err.Error()))
	}
	err = client.DialAndSendWithContext(ctx, msg)
	if err == nil || msg.IsDelivered() { // what goes wrong after the server took it is not the mail's business
		return delivery.OK()
	}
	return s.explain(ctx, err)
}

// compose makes the mail. The error is about what the recipient or the sender is called.
func (s *Sender) compose(m delivery.Message) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := msg.From(s.opt.From); err != nil {
		return nil, fmt.Errorf("cannot use alerter.smtp.from %q: %w", s.opt.From, err)
	}
	if err := msg.To(m.To); err != nil {
		return nil, fmt.Errorf("cannot send to %q: it is no mail address", m.To)
	}
	domain := "keepwatch"
	if from := msg.GetFrom(); len(from) == 1 {
		if _, d, ok := strings.Cut(from[0].Address, "@"); ok {
			domain = d
		}
	}
	msg.SetMessageIDWithValue(fmt.Sprintf("keepwatch.%s@%s", m.Key, domain))
	msg.SetDate()
	msg.Subject(m.Subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no auto-replies please
	msg.SetGenHeader("X-Keepwatch-Notification", strconv.FormatInt(m.ID, 10))
	if m.Alert > 0 {
		msg.SetGenHeader("X-Keepwatch-Alert", strconv.FormatInt(m.Alert, 10))
		msg.SetGenHeader("References", fmt.Sprintf("<keepwatch.alert.%d@%s>", m.Alert, domain)) // one thread an alert
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// client makes the client of one mail, whose connection ends with ctx.
func (s *Sender) client(ctx context.Context) (*gomail.Client, error) {
	host, port, err := net.SplitHostPort(s.opt.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot use alerter.smtp.address %q: want host:port", s.opt.Address)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, fmt.Errorf("cannot use alerter.smtp.address %q: want host:port", s.opt.Address)
	}
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	o := []gomail.Option{
		gomail.WithPort(number), gomail.WithTimeout(s.opt.Timeout), gomail.WithoutNoop(), gomail.WithTLSConfig(config),
		gomail.WithDialContextFunc(s.dialer(ctx, config)),
	}
	switch s.opt.TLS {
	case "implicit":
		o = append(o, gomail.WithSSL())
	case "require":
		o = append(o, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case "none":
		o = append(o, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		// Who can forge a certificate here can also hide that TLS is offered: without a password to protect, a
		// certificate of one's own is better than none.
		config.InsecureSkipVerify = s.opt.User == ""
		o = append(o, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	}
	if s.opt.User != "" {
		password, err := delivery.Secret(s.opt.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read alerter.smtp.password_file: %w", err)
		}
		o = append(o, gomail.WithUsername(s.opt.User), gomail.WithPassword(password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthSCRAMSHA1, gomail.SMTPAuthCramMD5, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	client, err := gomail.NewClient(host, o...)
	if err != nil {
		return nil, fmt.Errorf("cannot use alerter.smtp: %w", err)
	}
	return client, nil
}

// dialer connects, at once with TLS when that is configured. The library minds its own timeout only while it
// connects; here the connection ends with the mail's context.
func (s *Sender) dialer(ctx context.Context, config *tls.Config) func(context.Context, string, string) (net.Conn, error) {
	return func(dial context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(dial, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		if s.opt.TLS != "implicit" {
			return conn, nil
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(dial); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
}

// explain says what a failure means.
func (s *Sender) explain(ctx context.Context, err error) delivery.Result {
	var refused *gomail.SendError
	if errors.As(err, &refused) {
		text := refused.Error()
		for _, tail := range []string{", affected recipient(s): ", ", affected message ID: "} {
			text, _, _ = strings.Cut(text, tail)
		}
		if _, said, ok := strings.Cut(text, ": "); ok && refused.ErrorCode() > 0 {
			text = said
		}
		text = delivery.OneLine(plain(text))
		switch {
		case refused.ErrorCode() >= 500 && refused.Reason == gomail.ErrSMTPRcptTo:
			return delivery.Never("the mail server refused the recipient: %s", text)
		case refused.ErrorCode() >= 500 && (refused.Reason == gomail.ErrSMTPDataClose || refused.Reason == gomail.ErrSMTPData):
			return delivery.Never("the mail server refused the mail: %s", text)
		case refused.ErrorCode() > 0:
			return delivery.Later("the mail server answered: %s", text)
		}
	}
	if ctx.Err() != nil {
		return delivery.Later("the mail server %s did not answer in time (%v)", s.opt.Address, s.opt.Timeout)
	}
	return delivery.Later("cannot send by the mail server %s: %s", s.opt.Address, delivery.OneLine(err.Error()))
}

// plain takes the quotes away that the library puts around the words of a server: 550 "no such user".
func plain(said string) string {
	code, words, _ := strings.Cut(said, " ")
	if unquoted, err := strconv.Unquote(words); err == nil {
		return code + " " + unquoted
	}
	return said
}
