package gmondimport

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"keepwatch/internal/gmondconf"
	"keepwatch/internal/report"
)

// builtin are the modules whose metrics the collector sends itself.
var builtin = []string{
	"core_metrics", "cpu_module", "disk_module", "load_module", "mem_module", "net_module", "proc_module", "sys_module",
}

// maxNamed is how many metrics a note names.
const maxNamed = 40

// modules lists what is loaded into gmond beyond its own, with the metrics of the same file that it seems to serve.
func (t *translator) modules() {
	owned := make(map[string]bool)
	for _, m := range t.in.Modules {
		if slices.Contains(builtin, m.Name) || !m.Enabled {
			continue
		}
		owned[m.At.File] = true
		metrics := ""
		if names := t.foreign[m.At.File]; len(names) > 0 {
			metrics = "; not served then: " + named(names)
		}
		t.note(m.At, report.Missing, "module %.60q (%s%s) is not loaded%s. Send its metrics by keepwatch send, or leave a gmond with it", m.Name, language(m), parameters(m), metrics)
	}
	for _, file := range slices.Sorted(maps.Keys(t.foreign)) {
		if names := t.foreign[file]; !owned[file] {
			t.note(names[0].at, report.Missing, "no metric here has a name as %s: left out of the groups", named(names))
		}
	}
}

func named(names []foreign) string {
	var all []string
	for _, f := range names {
		if name := fmt.Sprintf("%.60q", f.name); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	if more := len(all) - maxNamed; more > 0 {
		all = append(all[:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(all, ", ")
}

func language(m *gmondconf.Module) string {
	if m.Language == "" {
		return "C"
	}
	return fmt.Sprintf("%.20q", m.Language)
}

var (
	secretName = regexp.MustCompile(`(?i)pass|secret|token|key|cred|community|auth`)
	userInfo   = regexp.MustCompile(`://[^/@\s]*@`)
)

// parameters are those of a module; what may be a secret is not shown.
func parameters(m *gmondconf.Module) string {
	var b strings.Builder
	if m.Params != "" {
		fmt.Fprintf(&b, ", params %s", shown("params", m.Params))
	}
	for i, p := range m.Param {
		if i == maxNamed {
			fmt.Fprintf(&b, ", and %d more", len(m.Param)-i)
			break
		}
		fmt.Fprintf(&b, ", %.60q = %s", p.Name, shown(p.Name, p.Value))
	}
	return b.String()
}

func shown(name, value string) string {
	if secretName.MatchString(name) || secretName.MatchString(value) {
		return "(not shown)"
	}
	return fmt.Sprintf("%.100q", userInfo.ReplaceAllString(value, "://(not shown)@"))
}

func (t *translator) sflow() {
	if s := t.in.SFlow; s != nil {
		t.note(s.At, report.Missing, "sflow: sFlow is not read. Send it to a gmond that stays, or to an sFlow collector")
	}
}

// place is where a key stands, or its section when the key is left out.
func place(section report.Place, set gmondconf.Keys, key string) report.Place {
	if at, ok := set[key]; ok {
		return at
	}
	return section
}
