package conf

import (
	"net"
	"net/netip"
	"strings"
)

// PublicURL is the address under which people reach the web app, without a slash at its end.
func (u UI) PublicURL() string {
	if u.URL != "" {
		return strings.TrimRight(u.URL, "/")
	}
	host, port, err := net.SplitHostPort(u.Listen)
	if a, addrErr := netip.ParseAddr(host); err != nil || host == "" || addrErr == nil && a.IsUnspecified() {
		host = "localhost" // listens on all addresses: this one is always among them
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Why says why mail cannot be sent and what to do; empty when it can.
func (s SMTP) Why() string {
	if s.Address == "" {
		return "no mail server is configured: set alerter.smtp.address"
	}
	return ""
}

// Why says why short messages cannot be sent and what to do; empty when they can.
func (s SMSGateway) Why() string {
	if s.URL == "" {
		return "no SMS gateway is configured: set alerter.sms.url"
	}
	return ""
}
