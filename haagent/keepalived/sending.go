package keepalived

import (
	"math"
	"slices"
	"time"

	"keepwatch/internal/report"
)

// authentication remembers the password; whether it counts is known at the end.
func (t *translator) authentication(v *instance, s *statement) {
	for _, k := range s.block {
		switch k.keyword() {
		case "auth_type":
			v.authType = k
		case "auth_pass":
			v.password = k.arg()
			if len(v.password) > 8 {
				v.password = v.password[:8]
				t.notes.Add(k.at, report.Mistake, "auth_pass is longer than 8 bytes: the first 8 count, as for keepalived")
			}
			if len(k.words) > 2 {
				t.notes.Add(k.at, report.Mistake, "auth_pass: a blank ends it: put it into quotes")
			}
		default:
			t.unknown(k, []string{"auth_type", "auth_pass"})
		}
	}
}

func (t *translator) peers(v *instance, s *statement) {
	v.peersAt = s.at
	for _, k := range s.block {
		a, ok := t.address(k, k.keyword())
		if len(v.value.Peers) == 100 {
			t.notes.Add(k.at, report.Mistake, "unicast_peer: more than 100: the rest is left out")
			break
		}
		if !ok {
			continue
		}
		if slices.Contains(v.value.Peers, a) {
			t.notes.Add(k.at, report.Mistake, "unicast_peer %s stands twice: the first one counts", a)
			continue
		}
		v.value.Peers = append(v.value.Peers, a)
		for args := k.args(); len(args) > 0; {
			if len(args) < 2 || args[0] != "min_ttl" && args[0] != "max_ttl" {
				t.notes.Add(k.at, report.Mistake, "unicast_peer %s: %.40q is unknown: it is ignored. One peer stands on each line", a, args[0])
				args = args[1:]
				continue
			}
			if n, ok := t.numberOf(k, args[1], 0, 255); ok && args[0] == "min_ttl" {
				v.minTTL[a] = n
			} else if ok && n < 255 {
				t.notes.Add(k.at, report.Missing, "unicast_peer %s: max_ttl: a peer that is too near is taken too", a)
			}
			args = args[2:]
		}
	}
}

func (t *translator) virtualMAC(v *instance, k *statement) {
	v.value.VirtualMAC = true
	for _, a := range k.args() {
		switch {
		case len(a) <= 15 && !isMAC(a):
			v.value.VirtualMACName = a
		default:
			t.notes.Add(k.at, report.Missing, "use_vmac %.40q: the MAC address is the one of RFC 9568, 7.3", a)
		}
	}
}

func isMAC(s string) bool {
	colons := 0
	for _, c := range s {
		if c == ':' {
			colons++
		}
	}
	return colons >= 4
}

// intervalOf is the advertisement interval as keepalived rounds it for the version.
func (t *translator) intervalOf(k *statement, version int) time.Duration {
	d, ok := t.duration(k, step, longest2)
	if !ok {
		return time.Second
	}
	to := d.Round(step)
	if version == 2 {
		to = max(time.Duration(math.Round(d.Seconds()))*time.Second, time.Second)
	} else {
		to = min(max(to, step), longest3)
	}
	if to != d {
		t.notes.Add(k.at, report.Mistake, "advert_int %s: version %d has %s: keepalived rounds it to %s, and so it is written", k.arg(), version,
			map[int]string{2: "whole seconds", 3: "steps of 10ms up to 40.95s"}[version], to)
	}
	return to
}
