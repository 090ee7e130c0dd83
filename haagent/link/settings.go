package link

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// The numbers of an interface's IPv4 settings in IFLA_INET_CONF: those of net.ipv4.conf.IF in the order of the
// kernel's enum (linux/ip.h, IPV4_DEVCONF_*). Netlink sets them where /proc/sys is read-only, as under systemd's
// ProtectKernelTunables.
const (
	rpFilter           = 8
	arpFilter          = 13
	arpAnnounce        = 18
	arpIgnore          = 19
	promoteSecondaries = 20
	acceptLocal        = 23
)

// setting is one of them with its value.
type setting struct{ number, value uint32 }

// Prepare sets up interfaces that will hold addresses. An address whose primary ends must stay
// (promote_secondaries=1). And who asks for a neighbour must not ask in the name of a virtual address
// (arp_announce=2): a master that lingers would draw those who just learnt of its successor back to itself.
// What was set before is not restored.
func (a *Addresses) Prepare(ifnames ...string) error {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	var errs []error
	for i, name := range ifnames {
		index, err := a.conn.index(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		a.conn.configure(i, index, setting{promoteSecondaries, 1}, setting{arpAnnounce, 2})
	}
	err := a.conn.flush(func(i int, err error) {
		errs = append(errs, fmt.Errorf("cannot set promote_secondaries and arp_announce of %s: %w", ifnames[i], err))
	})
	return errors.Join(append(errs, err)...)
}

// configure adds a request that sets IPv4 settings of an interface. The caller holds mu.
func (r *rtnl) configure(tag int, index uint32, settings ...setting) {
	r.link(tag, unix.RTM_SETLINK, 0, index, 0, 0)
	spec := r.nest(unix.IFLA_AF_SPEC)
	inet := r.nest(unix.AF_INET)
	values := r.nest(unix.IFLA_INET_CONF)
	for _, s := range settings {
		r.attr32(uint16(s.number), s.value)
	}
	r.endNest(values)
	r.endNest(inet)
	r.endNest(spec)
	r.end()
}

// link begins a request about an interface: the header ifinfomsg.
func (r *rtnl) link(tag int, kind, how uint16, index, flags, change uint32) {
	r.begin(tag, kind, how, make([]byte, unix.SizeofIfInfomsg)...)
	header := r.out[len(r.out)-unix.SizeofIfInfomsg:]
	order.PutUint32(header[4:], index)
	order.PutUint32(header[8:], flags)
	order.PutUint32(header[12:], change)
}
