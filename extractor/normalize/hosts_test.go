package normalize

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"keepwatch/internal/conf"
)

var office = conf.HostNames{
	Lowercase: true, StripDomains: []string{"example.com", ".lab.example.com"},
	Aliases: []conf.HostAlias{
		{Host: "Gateway", Names: []string{"gw", "10.0.0.1", "fd00::1"}},
		{Host: "db1.other.net", Names: []string{"db1"}},
	},
}

func TestHost(t *testing.T) {
	f := func(c conf.HostNames, name, host string, rule Rule) {
		t.Helper()
		n, err := NewNames(c)
		if err != nil {
			t.Fatal(err)
		}
		if h, r := n.Host(name); h != host || r != rule {
			t.Errorf("%s is kept as %s by %q, want %s by %q", name, h, r, host, rule)
		}
	}
	f(office, "web1", "web1", RuleOwn)
	f(office, "Web1", "web1", RuleLowercase)
	f(office, "WEB1.Example.Com", "web1", "strip_domains example.com")
	f(office, "web1.lab.example.com", "web1", "strip_domains lab.example.com")
	f(office, "example.com", "example.com", RuleOwn)
	f(office, ".example.com", ".example.com", RuleOwn)
	f(office, "web1.example.com.example.com", "web1", "strip_domains example.com")
	f(office, "GW", "Gateway", RuleAlias)
	f(office, "gw.example.com", "Gateway", RuleAlias)
	f(office, "gateway", "Gateway", RuleAlias)
	f(office, "Gateway", "Gateway", RuleOwn)
	f(office, "10.0.0.1", "Gateway", RuleAlias)
	f(office, "fd00:0::1", "Gateway", RuleAlias)
	f(office, "::ffff:10.0.0.1", "Gateway", RuleAlias)
	f(office, "10.0.0.2", "10.0.0.2", RuleOwn)
	f(office, "db1.example.com", "db1.other.net", RuleAlias)
	f(office, "db1.other.net", "db1.other.net", RuleOwn)
	f(conf.HostNames{}, "Web1.example.com", "Web1.example.com", RuleOwn)
	f(conf.HostNames{StripDomains: []string{"example.com"}}, "Web1.example.com", "Web1", "strip_domains example.com")
}

func TestRulesAreRefused(t *testing.T) {
	f := func(c conf.HostNames, want string) {
		t.Helper()
		if _, err := NewNames(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a refusal that says %q", err, want)
		}
	}
	f(conf.HostNames{StripDomains: []string{"a", "."}}, "strip_domains[1]")
	f(conf.HostNames{Aliases: []conf.HostAlias{{Host: ""}}}, "aliases[0]")
	f(conf.HostNames{Aliases: []conf.HostAlias{{Host: "a", Names: []string{"x"}}, {Host: "b", Names: []string{"x"}}}}, `"x" is a name of host "a" already`)
	f(conf.HostNames{Aliases: []conf.HostAlias{{Host: "a", Names: []string{"b"}}, {Host: "b"}}}, `"b" is a name of host "a" already`)
	f(conf.HostNames{Lowercase: true, Aliases: []conf.HostAlias{{Host: "a", Names: []string{"X"}}, {Host: "b", Names: []string{"x"}}}}, `"x" is a name`)
}

// Property: the name under which a host is kept is kept under itself, whatever the rules.
func TestHostIsIdempotent(t *testing.T) {
	name := rapid.StringMatching(`(web|WEB|db|gw)[12]?(\.lab|\.b)?(\.example\.com){0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		c := conf.HostNames{
			Lowercase:    rapid.Bool().Draw(t, "lowercase"),
			StripDomains: rapid.SliceOfN(rapid.SampledFrom([]string{"example.com", "lab.example.com", "b", "com"}), 0, 3).Draw(t, "domains"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "aliases") {
			c.Aliases = append(c.Aliases, conf.HostAlias{Host: name.Draw(t, "host"), Names: rapid.SliceOfN(name, 0, 2).Draw(t, "names")})
		}
		n, err := NewNames(c)
		if err != nil {
			return
		}
		from := name.Draw(t, "name")
		host, _ := n.Host(from)
		if again, rule := n.Host(host); again != host || rule != RuleOwn {
			t.Fatalf("%s is kept as %s, and that as %s by %q", from, host, again, rule)
		}
	})
}
