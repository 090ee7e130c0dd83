// Package proxy runs the HAProxy of a host: renders its configuration from ours, has it checked by HAProxy itself,
// starts it, notices its death at once, starts it again and reloads it without losing a connection. It never touches
// addresses or VRRP: it tells whether the proxy serves, and haagent draws the conclusion.
package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"keepwatch/internal/conf"
)

// Files are where a proxy's files lie, absolute.
type Files struct {
	Stats  string // socket that the haproxy probe reads
	Master string // socket of the master process
	Config string
	PID    string
}

// Render writes the haproxy.cfg that c declares. With a config_file of the operator's, it is only what must stand
// beside that: the stats socket. drop names the user that HAProxy becomes after binding; empty: it stays.
func Render(c conf.Proxy, f Files, drop string) []byte {
	var b strings.Builder
	b.WriteString("# Written by keepwatch haagent; changes are lost.\nglobal\n")
	fmt.Fprintf(&b, "\tstats socket %s mode 600 level admin expose-fd listeners\n\tstats timeout 30s\n", quote(f.Stats))
	if c.ConfigFile != "" {
		return []byte(b.String())
	}
	fmt.Fprintf(&b, "\tmaxconn %d\n\thard-stop-after 30s\n", c.MaxConn)
	if drop != "" {
		fmt.Fprintf(&b, "\tuser %s\n\tgroup %s\n", drop, drop)
	}
	b.WriteString("\ndefaults\n\ttimeout connect 3s\n\ttimeout client 30s\n\ttimeout server 30s\n\ttimeout queue 5s\n" +
		"\ttimeout http-request 10s\n\ttimeout http-keep-alive 10s\n\ttimeout tunnel 1h\n\tretries 2\n\toption redispatch\n")
	for _, fe := range c.Frontends {
		frontend(&b, fe)
	}
	for _, be := range c.Backends {
		backend(&b, be)
	}
	return []byte(b.String())
}

func frontend(b *strings.Builder, f conf.Frontend) {
	fmt.Fprintf(b, "\nfrontend %s\n\tmode %s\n", f.Name, f.Mode)
	if f.Mode == "http" {
		b.WriteString("\toption forwardfor\n")
	}
	for _, addr := range f.Bind {
		fmt.Fprintf(b, "\tbind %s%s\n", addr, nonLocal(addr))
	}
	fmt.Fprintf(b, "\tdefault_backend %s\n", f.Backend)
}

// nonLocal lets a backup bind the virtual address that only the master holds.
func nonLocal(bind string) string {
	host, _, err := net.SplitHostPort(bind)
	if err != nil {
		return ""
	}
	if a, err := netip.ParseAddr(host); err != nil || a.IsUnspecified() || a.IsLoopback() {
		return ""
	}
	return " transparent"
}

func backend(b *strings.Builder, be conf.Backend) {
	fmt.Fprintf(b, "\nbackend %s\n\tmode %s\n\tbalance %s\n", be.Name, be.Mode, be.Balance)
	if be.Check.Path != "" {
		fmt.Fprintf(b, "\toption httpchk GET %s\n", be.Check.Path)
	}
	fmt.Fprintf(b, "\tdefault-server check inter %s rise %d fall %d\n", millis(be.Check.Interval), be.Check.Rise, be.Check.Fall)
	for _, s := range be.Servers {
		fmt.Fprintf(b, "\tserver %s %s weight %d", s.Name, s.Address, s.Weight)
		if s.Backup {
			b.WriteString(" backup")
		}
		b.WriteByte('\n')
	}
}

func millis(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// quote protects a path of the data folder; names and addresses are checked by internal/conf.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}
