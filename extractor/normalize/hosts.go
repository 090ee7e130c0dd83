package normalize

import (
	"fmt"
	"net/netip"
	"strings"

	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// Rule says why a host is kept under a name, in the words of the configuration; empty: it is its own.
type Rule string

// The rules, in the order in which they are asked. The domain follows strip_domains.
const (
	RuleOwn       Rule = ""
	RuleAlias     Rule = "aliases"
	RuleDomain    Rule = "strip_domains"
	RuleLowercase Rule = "lowercase"
)

// Names are the rules by which names are one host. They are safe for concurrent use.
type Names struct {
	lower   bool
	domains []string // with the dot before them
	aliases map[string]string
}

// NewNames reads the rules. It refuses a name that they would send to two hosts, and says which.
func NewNames(c conf.HostNames) (*Names, error) {
	n := &Names{lower: c.Lowercase, aliases: make(map[string]string)}
	for i, d := range c.StripDomains {
		d = strings.Trim(d, ".")
		if d == "" {
			return nil, fmt.Errorf("cannot use strip_domains[%d] %q: want a domain, as example.com", i, c.StripDomains[i])
		}
		n.domains = append(n.domains, "."+n.fold(d))
	}
	for i, a := range c.Aliases {
		if err := metric.CheckHost("host", a.Host); err != nil {
			return nil, fmt.Errorf("cannot use aliases[%d]: %w", i, err)
		}
		for _, name := range append([]string{a.Host}, a.Names...) {
			if err := metric.CheckHost("host", name); err != nil {
				return nil, fmt.Errorf("cannot use aliases[%d]: %w", i, err)
			}
			if other, ok := n.aliases[n.fold(name)]; ok && other != a.Host {
				return nil, fmt.Errorf("cannot use aliases[%d]: %q is a name of host %q already, and would be one of %q; leave one of them out", i, name, other, a.Host)
			}
			n.aliases[n.fold(name)] = a.Host
		}
	}
	return n, nil
}

// fold makes names comparable. Of addresses all ways to write one are the same.
func (n *Names) fold(name string) string {
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().String()
	}
	if n.lower {
		name = strings.ToLower(name)
	}
	return name
}

// Host gives the name under which a host is kept, and the rule that says so. What it gives is kept under itself.
func (n *Names) Host(name string) (string, Rule) {
	if host, ok := n.aliases[n.fold(name)]; ok {
		if host == name {
			return name, RuleOwn
		}
		return host, RuleAlias
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return name, RuleOwn
	}
	host, rule := n.fold(name), RuleOwn
	if host != name {
		rule = RuleLowercase
	}
	if short, domain := n.strip(host); short != host {
		host, rule = short, RuleDomain+" "+Rule(domain)
	}
	if alias, ok := n.aliases[host]; ok && rule != RuleOwn && alias != host {
		return alias, RuleAlias
	}
	return host, rule
}

// strip cuts the domains off, the longest that fits first, and says which was cut last.
func (n *Names) strip(host string) (short, domain string) {
	for {
		longest := ""
		for _, d := range n.domains {
			if strings.HasSuffix(host, d) && len(host) > len(d) && len(d) > len(longest) {
				longest = d
			}
		}
		if longest == "" {
			return host, domain
		}
		host, domain = strings.TrimSuffix(host, longest), longest[1:]
	}
}
