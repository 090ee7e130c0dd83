package link

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"keepwatch/internal/conf"
)

// place is an address on an interface.
type place struct {
	ifname string
	prefix netip.Prefix
}

// Sweep removes what a predecessor that was killed left: every address that bears this package's mark unless keep
// wants it, every such route and rule. It tells what it removed. A kernel before 5.18 has no marks on addresses;
// there they run out by themselves.
func (a *Addresses) Sweep(keep func(ifname string, p netip.Prefix) bool) (removed []string, err error) {
	var errs []error
	for _, list := range []struct {
		get, del uint16
		name     string
	}{{unix.RTM_GETRULE, unix.RTM_DELRULE, "rule"}, {unix.RTM_GETROUTE, unix.RTM_DELROUTE, "route"}} {
		for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
			gone, err := a.sweepMarked(list.get, list.del, family, list.name)
			removed, errs = append(removed, gone...), append(errs, err)
		}
	}
	ours, err := a.ours()
	errs = append(errs, err)
	for p := range ours {
		if keep(p.ifname, p.prefix) {
			continue
		}
		if err := a.Release(p.ifname, []conf.Address{{Prefix: p.prefix}}); err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, "address "+p.prefix.String()+" dev "+p.ifname)
	}
	slices.Sort(removed)
	return removed, errors.Join(errs...)
}

// ours are the addresses that bear this package's mark.
func (a *Addresses) ours() (map[place]bool, error) {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	ours := make(map[place]bool)
	err := a.conn.addresses(func(h held) {
		if h.protocol != protocol {
			return
		}
		if name, err := a.conn.name(h.index); err == nil { // else it went with its interface
			ours[place{name, h.Prefix}] = true
		}
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the addresses that the agent left: %w", err)
	}
	return ours, nil
}

// sweepMarked deletes our routes or rules by what the kernel itself says of them.
func (a *Addresses) sweepMarked(get, del uint16, family byte, name string) (removed []string, err error) {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	var texts []string
	var bodies [][]byte
	err = a.conn.marked(get, family, func(m marked) {
		texts = append(texts, fmt.Sprintf("%s to %s table %d", name, m.dest, m.table))
		bodies = append(bodies, slices.Clone(m.body))
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the %ss that the agent left: %w", name, err)
	}
	for i, body := range bodies {
		a.conn.begin(i, del, 0, body...)
		a.conn.end()
	}
	var errs []error
	failed := make(map[int]bool)
	err = a.conn.flush(func(i int, err error) {
		if failed[i] = true; !gone(err) {
			errs = append(errs, fmt.Errorf("cannot delete the %s: %w", texts[i], err))
		}
	})
	for i, text := range texts {
		if !failed[i] {
			removed = append(removed, text)
		}
	}
	return removed, errors.Join(append(errs, err)...)
}
