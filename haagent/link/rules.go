package link

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"keepwatch/internal/conf"
)

// AddRules adds routing rules. One that is there already is no error. All are tried.
func (a *Addresses) AddRules(rules []conf.Rule) error {
	return a.rules(rules, "add", func(i int, r conf.Rule) {
		if r.Priority == 0 { // the kernel chooses one for each that it gets: ours that is there would be doubled
			a.conn.rule(i, unix.RTM_DELRULE, 0, r)
		}
		a.conn.rule(i, unix.RTM_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, r)
	})
}

// DelRules deletes rules that AddRules added. One that is not there, or not ours, is no error.
func (a *Addresses) DelRules(rules []conf.Rule) error {
	return a.rules(rules, "delete", func(i int, r conf.Rule) { a.conn.rule(i, unix.RTM_DELRULE, 0, r) })
}

func (a *Addresses) rules(rules []conf.Rule, verb string, request func(i int, r conf.Rule)) error {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	for i, r := range rules {
		request(i, r)
	}
	var errs []error
	err := a.conn.flush(func(i int, err error) {
		if !gone(err) && !errors.Is(err, unix.EEXIST) {
			errs = append(errs, fmt.Errorf("cannot %s rule %q: %w", verb, rules[i], err))
		}
	})
	return errors.Join(append(errs, err)...)
}

// rule adds a request about a rule: the header fib_rule_hdr and its attributes.
func (r *rtnl) rule(tag int, kind, how uint16, c conf.Rule) {
	family := byte(unix.AF_INET)
	if c.IPv6 {
		family = unix.AF_INET6
	}
	to, from := byte(0), byte(0)
	if c.To.IsValid() {
		to = byte(c.To.Bits())
	}
	if c.From.IsValid() {
		from = byte(c.From.Bits())
	}
	r.begin(tag, kind, how, family, to, from, 0, 0, 0, 0, unix.FR_ACT_TO_TBL)
	r.out = order.AppendUint32(r.out, 0)
	if to > 0 {
		r.attr(unix.FRA_DST, c.To.Masked().Addr().AsSlice())
	}
	if from > 0 {
		r.attr(unix.FRA_SRC, c.From.Masked().Addr().AsSlice())
	}
	if c.InDev != "" {
		r.text(unix.FRA_IIFNAME, c.InDev)
	}
	if c.OutDev != "" {
		r.text(unix.FRA_OIFNAME, c.OutDev)
	}
	if c.Mark != 0 {
		r.attr32(unix.FRA_FWMARK, c.Mark)
	}
	r.attr32(unix.FRA_TABLE, tableOf(c.Table))
	if c.Priority != 0 {
		r.attr32(unix.FRA_PRIORITY, uint32(c.Priority))
	}
	mark := [1]byte{protocol}
	r.attr(unix.FRA_PROTOCOL, mark[:])
	r.end()
}

// EnsureStatic puts addresses, routes and rules there that stay whoever is master. What is there already is left as
// it is. The addresses are no leases: one that the host itself needs must not go with the agent.
func (a *Addresses) EnsureStatic(s conf.Static) error {
	return errors.Join(
		a.each("", s.Addresses, true, func(i int, p conf.Address, index uint32) {
			a.put(i, p, index, unix.NLM_F_EXCL, terms{forever, forever, 0})
		}),
		a.AddRoutes("", s.Routes),
		a.AddRules(s.Rules),
	)
}

// DropStatic takes off what EnsureStatic put there, and leaves what was there before.
func (a *Addresses) DropStatic(s conf.Static) error {
	errs := []error{a.DelRules(s.Rules), a.DelRoutes("", s.Routes)}
	ours, err := a.ours()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	var drop []conf.Address
	for _, p := range s.Addresses {
		if ours[place{p.Device, p.Prefix}] {
			drop = append(drop, p)
		}
	}
	return errors.Join(append(errs, a.Release("", drop))...)
}
