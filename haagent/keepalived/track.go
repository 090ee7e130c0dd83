package keepalived

import (
	"path"
	"slices"
	"strings"
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// track is a track of ours made of what keepalived knows under kind and name.
type track struct {
	item[conf.Track]
	kind, name string // track_script, track_process, track_file, track_interface or track_bfd, and keepalived's name
	weight     int    // when an instance does not say one
	reverse    bool
	used       bool
}

const maxWeight = 253

// newTrack names a track. A name is unique among all kinds here, within its kind in keepalived.
func (t *translator) newTrack(s *statement, kind, name, wanted string) *track {
	if t.tooMany(s, len(t.tracks)) {
		return nil
	}
	for _, k := range t.tracks {
		if k.kind == kind && k.name == name {
			t.notes.Add(s.at, report.Mistake, "%s %.80q stands twice: the first one counts", s.keyword(), name)
			return nil
		}
	}
	taken := []string{"proxy"}
	for _, k := range t.tracks {
		taken = append(taken, k.value.Name)
	}
	one := track{kind: kind, name: name}
	one.at = s.at
	one.comment("", s.at.String())
	one.value = conf.NewItem[conf.Track]()
	one.value.Name = t.name(s, wanted, taken)
	return &one
}

func (t *translator) script(s *statement) {
	if !t.needs(s) {
		return
	}
	one := t.newTrack(s, "track_script", s.arg(), s.arg())
	if one == nil {
		return
	}
	for _, k := range s.block {
		t.scriptKey(one, k)
	}
	if one.value.Script == nil {
		t.notes.Add(s.at, report.Mistake, "vrrp_script %.80q has no script: it is left out", s.arg())
		return
	}
	if name := process(one.value.Script); name != "" {
		t.notes.Add(s.at, report.Remark, "vrrp_script %.80q: `process: %s` instead of script sees the end of a process at once and starts none", s.arg(), name)
	}
	if one.value.Timeout > one.value.Interval {
		t.notes.Add(s.at, report.Remark, "vrrp_script %.80q: timeout is longer than interval: the next run waits for it", s.arg())
	}
	t.tracks = append(t.tracks, *one)
}

func (t *translator) scriptKey(one *track, k *statement) {
	const longest = int(time.Hour / time.Second)
	v := &one.value
	switch k.keyword() {
	case "script":
		v.Script, _ = t.command(k)
	case "interval":
		if n, ok := t.number(k, 1, longest); ok {
			v.Interval = time.Duration(n) * time.Second
		}
	case "timeout":
		if n, ok := t.number(k, 1, longest); ok {
			v.Timeout = time.Duration(n) * time.Second
		}
	case "weight":
		one.weight, one.reverse = t.weight(k, k.args())
	case "rise":
		if n, ok := t.number(k, 1, 1000); ok {
			v.Rise = n
		}
	case "fall":
		if n, ok := t.number(k, 1, 1000); ok {
			v.Fall = n
		}
	case "user":
		if t.needs(k) {
			v.User = k.arg()
			t.noGroup(k, k.words[2:])
		}
	case "init_fail":
		v.InitFail = true
	default:
		t.unknown(k, []string{"script", "interval", "timeout", "weight", "rise", "fall", "user", "init_fail"})
	}
}

// noGroup notes a group that a script should run as.
func (t *translator) noGroup(s *statement, rest []string) {
	if len(rest) > 0 {
		t.notes.Add(s.at, report.Missing, "%s: group %.40q: it runs as the groups of its user", s.keyword(), rest[0])
	}
}

// process is the name of the process that a script of the usual kind looks for, "" when it is another script.
func process(argv []string) string {
	var words []string
	for _, a := range argv[1:] {
		if !strings.HasPrefix(a, "-") {
			words = append(words, a)
		}
	}
	last := argv[len(argv)-1]
	switch path.Base(argv[0]) {
	case "killall":
		if len(argv) < 3 || argv[1] != "-0" {
			return ""
		}
	case "pidof", "pgrep":
		if slices.Contains(argv, "-f") {
			return ""
		}
	default:
		return ""
	}
	if len(words) != 1 || words[0] != last || strings.ContainsAny(last, "^$*[]/\\ `") {
		return ""
	}
	return last
}

// weight reads WEIGHT [reverse|noreverse]. A weight past the bounds moves the priority to its own bound all the same.
func (t *translator) weight(s *statement, words []string) (weight int, reverse bool) {
	if len(words) == 0 {
		t.notes.Add(s.at, report.Mistake, "%s: weight wants a number: it is taken as 0, keepalived refuses the whole file", s.keyword())
		return 0, false
	}
	n, ok := t.numberOf(s, words[0], -1<<31, 1<<31-1)
	if c := min(max(n, -maxWeight), maxWeight); ok && c != n {
		t.notes.Add(s.at, report.Changed, "%s: weight %d is taken as %d", s.keyword(), n, c)
		n = c
	}
	for _, w := range words[1:] {
		switch w {
		case "reverse":
			reverse = true
		case "noreverse", "no_reverse":
			reverse = false
		default:
			t.notes.Add(s.at, report.Mistake, "%s: unknown option %.40q: it is ignored", s.keyword(), w)
		}
	}
	return n, reverse
}

// process translates vrrp_track_process.
func (t *translator) process(s *statement) {
	if !t.needs(s) {
		return
	}
	one := t.newTrack(s, "track_process", s.arg(), s.arg())
	if one == nil {
		return
	}
	for _, k := range s.block {
		t.processKey(one, k)
	}
	if one.value.Process == "" {
		t.notes.Add(s.at, report.Mistake, "vrrp_track_process %.80q has no process: it is left out", s.arg())
		return
	}
	t.tracks = append(t.tracks, *one)
}

func (t *translator) processKey(one *track, k *statement) {
	switch k.keyword() {
	case "process":
		if !t.needs(k) {
			return
		}
		name := path.Base(strings.Fields(k.arg() + " x")[0])
		one.value.Process = name
		if name != k.arg() || len(k.words) > 2 {
			t.notes.Add(k.at, report.Changed, "process: %.120q: only the name of the executable is compared, %s", strings.Join(k.args(), " "), name)
		}
	case "weight":
		one.weight, one.reverse = t.weight(k, k.args())
	case "quorum":
		if n, ok := t.number(k, 1, 1000); ok {
			one.value.AtLeast = n
		}
	case "delay", "terminate_delay":
		if d, ok := t.duration(k, 0, time.Hour); ok {
			one.value.Delay = d
		}
		if k.keyword() == "delay" {
			t.notes.Add(k.at, report.Changed, "delay: it holds for the end of a process; one that starts counts at once")
		}
	case "fork_delay":
		t.notes.Add(k.at, report.Missing, "fork_delay: a process that starts counts at once")
	case "quorum_max":
		t.notes.Add(k.at, report.Missing, "quorum_max: more processes than wanted are no fault")
	case "param_match", "full_command":
		t.notes.Add(k.at, report.Missing, "%s: only the name of the executable is compared", k.keyword())
	default:
		t.unknown(k, []string{"process", "weight", "quorum", "quorum_max", "delay", "terminate_delay", "fork_delay", "param_match", "full_command"})
	}
}

// trackFile translates a track_file. Its weight multiplies the number in the file, 1 by default.
func (t *translator) trackFile(s *statement) {
	if !t.needs(s) {
		return
	}
	one := t.newTrack(s, "track_file", s.arg(), s.arg())
	if one == nil {
		return
	}
	one.weight = 1
	for _, k := range s.block {
		switch k.keyword() {
		case "file":
			if t.needs(k) {
				one.value.File = unescape(k.arg())
			}
		case "weight":
			one.weight, one.reverse = t.weight(k, k.args())
		case "init_file":
			t.notes.Add(k.at, report.Missing, "init_file: the file is never written: make it before the start, one that is missing counts as 0")
		default:
			t.unknown(k, []string{"file", "weight", "init_file"})
		}
	}
	if one.value.File == "" {
		t.notes.Add(s.at, report.Mistake, "%s %.80q has no file: it is left out", s.keyword(), s.arg())
		return
	}
	t.tracks = append(t.tracks, *one)
}
