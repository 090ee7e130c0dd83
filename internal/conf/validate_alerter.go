package conf

import (
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
)

func (k *checker) alerter(a *Alerter) {
	k.smtp(&a.SMTP)
	k.sms(&a.SMS)
	k.duration("alerter.no_data_for", a.NoDataFor, time.Second, 24*time.Hour)
	k.durationOrZero("alerter.repeat", a.Repeat, time.Minute, 720*time.Hour, "never")
}

func (k *checker) smtp(s *SMTP) {
	if s.Address != "" {
		k.target("alerter.smtp.address", s.Address)
	}
	if _, err := mail.ParseAddress(s.From); err != nil || strings.ContainsFunc(s.From, control) {
		k.add("alerter.smtp.from", "%.60q: want a mail address, as keepwatch@example.com", s.From)
	}
	switch {
	case s.User != "" && s.PasswordFile == "":
		k.add("alerter.smtp.password_file", `"": want the file that holds the password of alerter.smtp.user`)
	case s.User == "" && s.PasswordFile != "":
		k.add("alerter.smtp.user", `"": want the user whose password alerter.smtp.password_file holds`)
	}
	k.secretFileIfAny("alerter.smtp.password_file", s.PasswordFile)
	k.oneOf("alerter.smtp.tls", s.TLS, "starttls", "require", "implicit", "none")
	k.duration("alerter.smtp.timeout", s.Timeout, time.Second, 5*time.Minute)
}

var headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$") // token of RFC 9110

func (k *checker) sms(s *SMSGateway) {
	k.oneOf("alerter.sms.method", s.Method, "GET", "POST")
	k.duration("alerter.sms.timeout", s.Timeout, time.Second, 5*time.Minute)
	if _, err := regexp.Compile(s.Success); err != nil {
		k.add("alerter.sms.success", "want a regular expression: %v", err)
	}
	k.secretFileIfAny("alerter.sms.secret_file", s.SecretFile)
	if s.Body != "" && s.Method == "GET" {
		k.add("alerter.sms.body", "set: a GET has no body, set alerter.sms.method to POST")
	}
	if s.URL != "" {
		if text, ok := k.smsTemplate("alerter.sms.url", s.URL); ok && !webURL(text) {
			k.add("alerter.sms.url", "(not shown): want a template of an http:// or https:// address")
		}
	}
	k.smsTemplate("alerter.sms.body", s.Body)
	texts := []string{s.URL, s.Body}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		at := join("alerter.sms.headers", name)
		if !headerName.MatchString(name) {
			k.add(at, "want the name of an HTTP header")
		}
		if strings.ContainsFunc(s.Headers[name], control) {
			k.add(at, "(not shown): want one line")
		}
		k.smsTemplate(at, s.Headers[name])
		texts = append(texts, s.Headers[name])
	}
	if s.SecretFile == "" && slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, ".Secret") }) {
		k.add("alerter.sms.secret_file", `"": want the file whose content {{.Secret}} stands for`)
	}
}

// smsTemplate checks a template by writing a message with it, which it returns.
func (k *checker) smsTemplate(path, text string) (string, bool) {
	t, err := ParseSMSTemplate(text)
	if err == nil {
		var b strings.Builder
		if err = t.Execute(&b, SMSMessage{To: "+8613800138000", Text: "host down", ID: "1", Secret: "s"}); err == nil {
			return b.String(), true
		}
	}
	k.add(path, "(not shown): want a template of {{.To}}, {{.Text}}, {{.ID}} and {{.Secret}}, their text through query or json: %s", templateFault(err))
	return "", false
}

var templatePlace = regexp.MustCompile(`^template: sms:(\d+)(?::\d+)?: `)

// templateFault is the reason without the piece of the template that it quotes, which may be a secret.
func templateFault(err error) string {
	text := err.Error()
	if m := templatePlace.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("line %s of the template is wrong", m[1])
	}
	return text
}
