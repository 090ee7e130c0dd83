// Package track watches what an instance's priority depends on, as whether a process runs, a route is there or an
// address answers, and tells each change. It never weighs: haagent/vrrp does the arithmetic. It never runs in the
// path of a failover: haagent runs each track in a goroutine of its own.
package track

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"keepwatch/haagent/link"
	"keepwatch/haagent/script"
	"keepwatch/internal/conf"
)

// Finding is what a track finds.
type Finding struct {
	Up     bool
	Value  int    // the number in a file; else 0
	Detail string // what is there or missing, as "no process haproxy runs"
}

// same tells whether a finding is no news: the words alone may differ.
func (f Finding) same(other Finding) bool { return f.Up == other.Up && f.Value == other.Value }

// Options are what tracks need.
type Options struct {
	Scripts *script.Runner // for script only
}

// Run watches until ctx ends. changed is called with the first finding and with each one whose Up or Value differs,
// always from Run's own goroutine, and must return at once. An error other than ctx's says that nothing can be
// watched now: try again. BFD tracks are not watched here but by the session itself.
func Run(ctx context.Context, c conf.Track, o Options, changed func(Finding)) error {
	t := &teller{changed: changed}
	switch {
	case c.Process != "":
		return watchProcess(ctx, c, t)
	case len(c.Script) > 0:
		if o.Scripts == nil {
			return errors.New("cannot run a script without a runner")
		}
		return check(ctx, c, lookScript(c, o.Scripts), t)
	case c.Interface != "":
		return link.WatchLink(ctx, c.Interface, func(s link.Status) { t.tell(Finding{Up: s.Up, Detail: s.Detail}) })
	case c.Route != "":
		dest, err := destination(c.Route)
		if err != nil {
			return err
		}
		return link.WatchRoute(ctx, dest, func(s link.RouteStatus) { t.tell(Finding{Up: s.Up, Detail: s.Detail}) })
	case c.File != "":
		return watchFile(ctx, c.File, t)
	case len(c.Ping) > 0:
		return ping(ctx, c, t)
	case c.HTTP != "":
		return checkHTTP(ctx, c, t)
	case c.TCP != "":
		return check(ctx, c, lookTCP(c), t)
	}
	return fmt.Errorf("cannot watch track %q: it says nothing of what to watch", c.Name)
}

// Look tells at once what a process, an interface, a route or a file is like, so that nothing has to be assumed at
// the start. It is false for the other kinds, which take time to ask.
func Look(c conf.Track) (Finding, bool) {
	switch {
	case c.Process != "":
		return lookProcess(c), true
	case c.Interface != "":
		s := link.Look(c.Interface, nil)
		return Finding{Up: s.Up, Detail: s.Detail}, true
	case c.Route != "":
		dest, err := destination(c.Route)
		if err != nil {
			return Finding{Detail: err.Error()}, true
		}
		s, err := link.LookRoute(dest)
		if err != nil {
			return Finding{Detail: err.Error()}, true
		}
		return Finding{Up: s.Up, Detail: s.Detail}, true
	case c.File != "":
		return lookFile(c.File), true
	}
	return Finding{}, false
}

// destination reads a route: default is that of IPv4, as ip-route has it.
func destination(text string) (netip.Prefix, error) {
	if text == "default" {
		text = "0.0.0.0/0"
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%.60q: want a destination, as default or 10.0.0.0/8", text)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}

// teller passes on what is news.
type teller struct {
	changed func(Finding)
	told    bool
	last    Finding
}

func (t *teller) tell(f Finding) {
	if t.told && f.same(t.last) {
		return
	}
	t.told, t.last = true, f
	t.changed(f)
}
