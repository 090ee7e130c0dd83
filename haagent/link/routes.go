package link

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"keepwatch/internal/conf"
)

// AddRoutes adds routes. One that is there already is no error. A route without an interface of its own that could
// not be found without one (onlink, or by a link-local gateway) is on ifname. Where the host has an IPv4 route to the
// same destination with the same metric, ours comes before it, and the host's is in force again once ours is deleted;
// for IPv6, where the two would share the load, that is an error. All are tried; the error joins those that failed.
func (a *Addresses) AddRoutes(ifname string, routes []conf.Route) error {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	var exist []conf.Route
	errs := a.routes(ifname, routes, unix.RTM_NEWROUTE, func(r conf.Route, err error) error {
		if !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("cannot add route %q: %w", r, err)
		}
		if r.Dest.Addr().Is6() {
			exist = append(exist, r)
		}
		return nil
	})
	for _, r := range exist {
		if ours, err := a.conn.hasRoute(r); err != nil || !ours {
			errs = append(errs, errors.Join(fmt.Errorf("cannot add route %q: the host has one to %s with this metric: choose another metric", r, r.Dest), err))
		}
	}
	return errors.Join(errs...)
}

// DelRoutes deletes routes that AddRoutes added. One that is not there, or not ours, is no error.
func (a *Addresses) DelRoutes(ifname string, routes []conf.Route) error {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	return errors.Join(a.routes(ifname, routes, unix.RTM_DELROUTE, func(r conf.Route, err error) error {
		if gone(err) {
			return nil
		}
		return fmt.Errorf("cannot delete route %q: %w", r, err)
	})...)
}

// routes sends one request for each and asks judge about those that failed.
func (a *Addresses) routes(ifname string, routes []conf.Route, kind uint16, judge func(conf.Route, error) error) (errs []error) {
	keep := func(r conf.Route, err error) {
		if err := judge(r, err); err != nil {
			errs = append(errs, err)
		}
	}
	for i, r := range routes {
		device := r.Device
		if device == "" && (r.OnLink || r.Via.IsLinkLocalUnicast()) {
			device = ifname
		}
		var index uint32
		if device != "" {
			var err error
			if index, err = a.conn.index(device); err != nil {
				keep(r, err)
				continue
			}
		}
		a.conn.route(i, kind, r, index)
	}
	if err := a.conn.flush(func(i int, err error) { keep(routes[i], err) }); err != nil {
		errs = append(errs, err)
	}
	return errs
}

// routeTypes are the words of ip-route with the kernel's numbers.
var routeTypes = map[string]byte{
	"": unix.RTN_UNICAST, "blackhole": unix.RTN_BLACKHOLE, "unreachable": unix.RTN_UNREACHABLE, "prohibit": unix.RTN_PROHIBIT,
}

// route adds a request about a route: the header rtmsg and its attributes.
func (r *rtnl) route(tag int, kind uint16, c conf.Route, index uint32) {
	family, flags, how := byte(unix.AF_INET6), uint32(0), uint16(0)
	if c.Dest.Addr().Is4() {
		family = unix.AF_INET
	}
	if kind == unix.RTM_NEWROUTE {
		how = unix.NLM_F_CREATE
		if family == unix.AF_INET6 {
			how |= unix.NLM_F_EXCL
		}
	}
	if c.OnLink {
		flags = unix.RTNH_F_ONLINK
	}
	scope := conf.ScopeNumber(c.Scope)
	if c.Scope == "" && c.Type == "" && !c.Via.IsValid() { // as ip-route does
		scope = unix.RT_SCOPE_LINK
	}
	// The table's number goes into an attribute, since the header has room for a byte only.
	r.begin(tag, kind, how, family, byte(c.Dest.Bits()), 0, 0, 0, protocol, scope, routeTypes[c.Type])
	r.out = order.AppendUint32(r.out, flags)
	if c.Dest.Bits() > 0 {
		r.attr(unix.RTA_DST, c.Dest.Addr().AsSlice())
	}
	if c.Via.IsValid() {
		r.attr(unix.RTA_GATEWAY, c.Via.AsSlice())
	}
	if index != 0 {
		r.attr32(unix.RTA_OIF, index)
	}
	if c.Source.IsValid() {
		r.attr(unix.RTA_PREFSRC, c.Source.AsSlice())
	}
	r.attr32(unix.RTA_TABLE, tableOf(c.Table))
	if c.Metric != 0 {
		r.attr32(unix.RTA_PRIORITY, uint32(c.Metric))
	}
	if c.MTU != 0 {
		metrics := r.nest(unix.RTA_METRICS)
		r.attr32(unix.RTAX_MTU, uint32(c.MTU))
		r.endNest(metrics)
	}
	r.end()
}

func tableOf(table int) uint32 {
	if table == 0 {
		return unix.RT_TABLE_MAIN
	}
	return uint32(table)
}

// hasRoute tells whether a route of ours goes where c does. The caller holds mu.
func (r *rtnl) hasRoute(c conf.Route) (found bool, err error) {
	metric := uint32(c.Metric)
	if metric == 0 {
		metric = 1024 // the kernel's choice for IPv6
	}
	err = r.marked(unix.RTM_GETROUTE, unix.AF_INET6, func(m marked) {
		found = found || m.table == tableOf(c.Table) && m.metric == metric && m.dest == c.Dest && m.via == c.Via
	})
	return found, err
}

// marked is a route or a rule that bears this package's protocol number.
type marked struct {
	body   []byte // valid during the call
	dest   netip.Prefix
	via    netip.Addr
	table  uint32
	metric uint32
}

// marked lists the routes or the rules of a family that are ours. Their headers have the same form.
func (r *rtnl) marked(kind uint16, family byte, each func(marked)) error {
	const ruleProtocol = 21 // FRA_PROTOCOL; a rule has no place for it in its header
	r.begin(0, kind, unix.NLM_F_DUMP, append([]byte{family}, make([]byte, unix.SizeofRtMsg-1)...)...)
	r.end()
	return r.dump(func(body []byte) {
		if len(body) < unix.SizeofRtMsg {
			return
		}
		m := marked{body: body}
		ours := kind == unix.RTM_GETROUTE && body[5] == protocol
		var dest netip.Addr
		if dest = netip.IPv4Unspecified(); family == unix.AF_INET6 {
			dest = netip.IPv6Unspecified()
		}
		for attr, value := range attributes(body[unix.SizeofRtMsg:]) {
			switch {
			case kind == unix.RTM_GETRULE && attr == ruleProtocol && len(value) == 1:
				ours = value[0] == protocol
			case attr == unix.RTA_TABLE && len(value) == 4: // FRA_TABLE has the same number
				m.table = order.Uint32(value)
			case attr == unix.RTA_PRIORITY && len(value) == 4 && kind == unix.RTM_GETROUTE:
				m.metric = order.Uint32(value)
			case attr == unix.RTA_DST:
				dest, _ = netip.AddrFromSlice(value)
			case attr == unix.RTA_GATEWAY && kind == unix.RTM_GETROUTE:
				m.via, _ = netip.AddrFromSlice(value)
			}
		}
		if m.dest = netip.PrefixFrom(dest, int(body[1])); ours && m.dest.IsValid() {
			each(m)
		}
	})
}
