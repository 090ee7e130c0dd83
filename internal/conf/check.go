package conf

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checker collects the faults of a finished configuration. Each method checks one rule; the words of its message
// name the bound.
type checker struct {
	faults Faults
}

func (c *checker) add(path, format string, args ...any) {
	c.faults = append(c.faults, &Fault{Path: path, Text: fmt.Sprintf(format, args...)})
}

func (c *checker) number(path string, v, low, high int) {
	if v < low || v > high {
		c.add(path, "%d: want %d to %d", v, low, high)
	}
}

func (c *checker) atLeast(path string, v, low int64) {
	if v < low {
		c.add(path, "%d: want at least %d", v, low)
	}
}

func (c *checker) duration(path string, v, low, high time.Duration) {
	if v < low || v > high {
		c.add(path, "%s: want %s to %s", short(v), short(low), short(high))
	}
}

// durationOrZero is duration for keys whose 0 has a meaning of its own, said by zero.
func (c *checker) durationOrZero(path string, v, low, high time.Duration, zero string) {
	if v != 0 && (v < low || v > high) {
		c.add(path, "%s: want %s to %s, or 0: %s", short(v), short(low), short(high), zero)
	}
}

func (c *checker) oneOf(path, v string, words ...string) {
	if !slices.Contains(words, v) {
		c.add(path, "%.60q: want %s", v, list(words))
	}
}

// list is "a, b or c".
func list(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (c *checker) present(path, v string) bool {
	if v == "" {
		c.add(path, `"": want a value`)
	}
	return v != ""
}

// unique notes v in seen, which maps values to where they were met. No value is the fault of another check.
func (c *checker) unique(path, v string, seen map[string]string) {
	if v == "" {
		return
	}
	if first, twice := seen[v]; twice {
		c.add(path, "%.60q: stands twice, first in %s", v, first)
		return
	}
	seen[v] = path
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,62}$`)

// name checks what haproxy.cfg and file names can hold.
func (c *checker) name(path, v string) {
	if !nameForm.MatchString(v) {
		c.add(path, "%.60q: want 1 to 63 letters, digits, '_', '.', ':' or '-'", v)
	}
}

var interfaceForm = regexp.MustCompile(`^[!-.0-~]{1,15}$`) // dev_valid_name of Linux, ASCII only: no blank, no '/'

func (c *checker) iface(path, v string) {
	if !interfaceForm.MatchString(v) || v == "." || v == ".." {
		c.add(path, "%.60q: want the name of an interface, as eth0", v)
	}
}

// absolute checks the path of a file that holds no secret.
func (c *checker) absolute(path, v string) {
	if !strings.HasPrefix(v, "/") || strings.ContainsFunc(v, control) {
		c.add(path, "%.60q: want an absolute path", v)
	}
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }

var hostForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$`)

func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return hostForm.MatchString(host)
}

// target checks "host:port" that is dialled: a host and a port that is not 0.
func (c *checker) target(path, v string) {
	host, port, ok := splitHostPort(v)
	if !ok || port == 0 || !validHost(host) {
		c.add(path, "%.60q: want host:port, port 1 to 65535", v)
	}
}

// listen checks "address:port" that is listened on; no address means all of them, port 0 any free one.
func (c *checker) listen(path, v string) {
	host, _, ok := splitHostPort(v)
	if !ok || host != "" && !validHost(host) {
		c.add(path, "%.60q: want address:port, as 127.0.0.1:8080 or :8080", v)
	}
}

func splitHostPort(v string) (host string, port int, ok bool) {
	host, p, err := net.SplitHostPort(v)
	if err != nil {
		return "", 0, false
	}
	n, err := strconv.ParseUint(p, 10, 16)
	return host, int(n), err == nil
}

func (c *checker) multicast(path, v string) {
	if v == "" {
		return
	}
	at, err := netip.ParseAddrPort(v)
	if err != nil || !at.Addr().IsMulticast() || at.Port() == 0 {
		c.add(path, "%.60q: want a multicast group and port, as 239.2.11.72:8660", v)
	}
}

func (c *checker) network(path, v string) {
	p, err := netip.ParsePrefix(v)
	switch {
	case err != nil:
		c.add(path, "%.60q: want a network, as 10.0.0.0/8, or local", v)
	case p != p.Masked():
		c.add(path, "%s: want the network itself, %s", p, p.Masked())
	}
}

// webURL checks an absolute http or https address. Its value is not shown: it may carry a token.
func webURL(v string) bool {
	u, err := url.Parse(v)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && !strings.ContainsFunc(v, control)
}
