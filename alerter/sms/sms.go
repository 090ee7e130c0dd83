// Package sms sends one notification as one short message by an HTTP gateway that the configuration describes. It
// never retries, stores or shortens. The outbox of the sms channel calls Send.
package sms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"text/template"

	"keepwatch/alerter/delivery"
	"keepwatch/internal/conf"
)

// maxAnswer bounds what is read of a gateway's answer, in bytes.
const maxAnswer = 64 << 10

// Sender sends by one gateway. It is safe for concurrent use.
type Sender struct {
	opt     conf.SMSGateway
	url     *template.Template
	body    *template.Template
	headers map[string]*template.Template
	success *regexp.Regexp // nil: any 2xx
	client  *http.Client
}

// New reads the templates. It connects to nothing; a gateway that is not configured is the reason of each Send.
func New(opt conf.SMSGateway) (*Sender, error) {
	s := &Sender{opt: opt, headers: make(map[string]*template.Template)}
	var err error
	if s.url, err = conf.ParseSMSTemplate(opt.URL); err != nil {
		return nil, errors.New("cannot read the template alerter.sms.url") // which may hold a secret
	}
	if s.body, err = conf.ParseSMSTemplate(opt.Body); err != nil {
		return nil, errors.New("cannot read the template alerter.sms.body")
	}
	for name, text := range opt.Headers {
		if s.headers[name], err = conf.ParseSMSTemplate(text); err != nil {
			return nil, fmt.Errorf("cannot read the template alerter.sms.headers.%s", name)
		}
	}
	if opt.Success != "" {
		if s.success, err = regexp.Compile(opt.Success); err != nil {
			return nil, fmt.Errorf("cannot read alerter.sms.success: %w", err)
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 4
	s.client = &http.Client{
		Transport: transport, Timeout: opt.Timeout,
		// A redirect would take the secret and the number to another place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// Close ends the idle connections.
func (s *Sender) Close() { s.client.CloseIdleConnections() }

// Send sends one message and says what became of it. 5xx, 408, 425, 429, no answer in time, and a 2xx whose body does
// not match the success expression may work later; any other answer will not.
func (s *Sender) Send(ctx context.Context, m delivery.Message) delivery.Result {
	if why := s.opt.Why(); why != "" {
		return delivery.Never("%s", why)
	}
	v := conf.SMSMessage{To: m.To, Text: m.Text, ID: m.Key}
	if s.opt.SecretFile != "" {
		var err error
		if v.Secret, err = delivery.Secret(s.opt.SecretFile); err != nil {
			return delivery.Later("cannot read alerter.sms.secret_file: %v", err)
		}
	}
	hide := hider(v.Secret)
	req, err := s.request(ctx, v)
	if err != nil {
		return delivery.Never("%s", hide(delivery.OneLine(err.Error())))
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return delivery.Later("cannot reach the SMS gateway: %s", hide(delivery.OneLine(cause(err).Error())))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return delivery.Later("the SMS gateway broke off its answer: %s", hide(delivery.OneLine(cause(err).Error())))
	}
	return s.explain(resp, string(answer), hide)
}

// request makes the request. The error names the template and nothing of its content.
func (s *Sender) request(ctx context.Context, v conf.SMSMessage) (*http.Request, error) {
	fill := func(name string, t *template.Template) (string, error) {
		var b strings.Builder
		if err := t.Execute(&b, v); err != nil {
			return "", fmt.Errorf("cannot fill the template alerter.sms.%s", name)
		}
		return b.String(), nil
	}
	target, err := fill("url", s.url)
	if err != nil {
		return nil, err
	}
	body, err := fill("body", s.body)
	if err != nil {
		return nil, err
	}
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, s.opt.Method, target, content)
	if err != nil {
		return nil, errors.New("alerter.sms.url does not make an address with this message: put what it inserts through query")
	}
	for name, t := range s.headers {
		value, err := fill("headers."+name, t)
		if err != nil {
			return nil, err
		}
		if strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("alerter.sms.headers.%s would have more than one line with this message: put what it inserts through query", name)
		}
		req.Header.Set(name, value)
	}
	if body != "" && req.Header.Get("Content-Type") == "" {
		kind := "application/x-www-form-urlencoded"
		if strings.HasPrefix(strings.TrimSpace(body), "{") {
			kind = "application/json"
		}
		req.Header.Set("Content-Type", kind)
	}
	return req, nil
}

func (s *Sender) explain(resp *http.Response, answer string, hide func(string) string) delivery.Result {
	said := resp.Status
	if text := hide(delivery.OneLine(answer)); text != "" {
		said += ": " + text
	}
	switch code := resp.StatusCode; {
	case code/100 == 2 && (s.success == nil || s.success.MatchString(answer)):
		return delivery.OK()
	case code/100 == 2:
		return delivery.Later("the SMS gateway's answer does not match alerter.sms.success: %s", said)
	case code/100 == 3:
		return delivery.Never("the SMS gateway redirects (%s): set alerter.sms.url to where it is now", resp.Status)
	case code/100 == 5, code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests:
		return delivery.Later("the SMS gateway answered %s", said)
	}
	return delivery.Never("the SMS gateway refused the message: %s", said)
}

// cause is an error of the client without the address that it is about, which may hold secrets.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		if u.Timeout() {
			return errors.New("no answer in time")
		}
		return u.Err
	}
	return err
}

// hider replaces the secret in text of the far side, in each form in which it may have been sent.
func hider(secret string) func(string) string {
	if secret == "" {
		return func(s string) string { return s }
	}
	return strings.NewReplacer(secret, "***", url.QueryEscape(secret), "***", url.PathEscape(secret), "***").Replace
}
