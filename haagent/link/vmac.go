package link

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/vrrp"
)

// VirtualMAC is the hardware address of a virtual router (RFC 9568 section 7.3).
func VirtualMAC(family vrrp.Family, vrid uint8) net.HardwareAddr {
	mac := net.HardwareAddr{0, 0, 0x5e, 0, 1, vrid}
	if family == vrrp.IPv6 {
		mac[4] = 2
	}
	return mac
}

// EnsureVMAC makes the interface that has a virtual router's hardware address: a macvlan on parent, in private mode,
// that is down, so that it says nothing before this host is master. One that a predecessor left is taken over. An
// interface of that name that is anything else is an error. From then on neither answers for the other's IPv4
// addresses (arp_ignore=1 on both), nor asks in the name of one (arp_announce=2).
func (a *Addresses) EnsureVMAC(parent, name string, family vrrp.Family, vrid uint8) error {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	if err := a.conn.ensureVMAC(parent, name, VirtualMAC(family, vrid)); err != nil {
		return fmt.Errorf("cannot make interface %q with a virtual MAC address on %s: %w", name, parent, err)
	}
	return nil
}

func (r *rtnl) ensureVMAC(parent, name string, mac net.HardwareAddr) error {
	on, err := r.index(parent)
	if err != nil {
		return err
	}
	now, err := r.macvlan(name)
	switch {
	case errors.Is(err, unix.ENODEV):
		if err = r.makeMacvlan(on, name, mac); err == nil {
			now, err = r.macvlan(name)
		}
	case err == nil && (now.kind != "macvlan" || now.parent != on || now.mac.String() != mac.String()):
		err = fmt.Errorf("there is one of that name, of kind %q with address %s: remove it or set virtual_mac_name", now.kind, now.mac)
	}
	if err != nil {
		return err
	}
	// The host's own interface has a route to the same subnet, mostly, so the way back is another one than the way
	// here (rp_filter=2), and what other routers of ours send must be heard (accept_local=1).
	r.configure(0, on, setting{arpIgnore, 1}, setting{arpAnnounce, 2})
	r.configure(0, now.index, setting{arpIgnore, 1}, setting{arpAnnounce, 2}, setting{arpFilter, 0}, setting{rpFilter, 2},
		setting{acceptLocal, 1}, setting{promoteSecondaries, 1})
	r.link(0, unix.RTM_SETLINK, 0, now.index, 0, unix.IFF_UP)
	r.end()
	r.noLinkLocal(now.index)
	var refused error
	err = r.flush(func(_ int, err error) {
		if !errors.Is(err, unix.EAFNOSUPPORT) { // no IPv6 on this host
			refused = errors.Join(refused, err)
		}
	})
	return errors.Join(err, refused, noRouterAdvertisements(name))
}

// makeMacvlan makes the interface. Private mode: what other macvlans of this host send does not come here.
func (r *rtnl) makeMacvlan(parent uint32, name string, mac net.HardwareAddr) error {
	const macvlanMode, private = 1, 1 // IFLA_MACVLAN_MODE, MACVLAN_MODE_PRIVATE
	r.link(0, unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, 0, 0, 0)
	r.text(unix.IFLA_IFNAME, name)
	r.attr(unix.IFLA_ADDRESS, mac)
	r.attr32(unix.IFLA_LINK, parent)
	info := r.nest(unix.IFLA_LINKINFO)
	r.text(unix.IFLA_INFO_KIND, "macvlan")
	data := r.nest(unix.IFLA_INFO_DATA)
	r.attr32(macvlanMode, private)
	r.endNest(data)
	r.endNest(info)
	r.end()
	var refused error
	err := r.flush(func(_ int, err error) { refused = err })
	return errors.Join(err, refused)
}

// noLinkLocal adds a request that keeps an interface without an IPv6 address of its own: both routers would have the
// same one, by the same hardware address.
func (r *rtnl) noLinkLocal(index uint32) {
	const addrGenMode, none = 8, 1 // IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE
	r.link(0, unix.RTM_SETLINK, 0, index, 0, 0)
	spec := r.nest(unix.IFLA_AF_SPEC)
	inet6 := r.nest(unix.AF_INET6)
	r.attr(addrGenMode, []byte{none})
	r.endNest(inet6)
	r.endNest(spec)
	r.end()
}

// noRouterAdvertisements keeps addresses and routes that routers advertise from an interface. Netlink cannot.
func noRouterAdvertisements(name string) error {
	for _, file := range []string{"accept_ra", "autoconf"} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/"+file, []byte("0"), 0)
		switch {
		case errors.Is(err, fs.ErrNotExist): // no IPv6 on this host
		case errors.Is(err, unix.EROFS):
			return fmt.Errorf("%w: with a virtual MAC address the agent must be able to write below /proc/sys/net (systemd: ProtectKernelTunables=no)", err)
		case err != nil:
			return err
		}
	}
	return nil
}

// SetVMACUp makes the interface speak, on becoming master and before its addresses are held, or be silent.
func (a *Addresses) SetVMACUp(name string, up bool) error {
	flags := uint32(0)
	if up {
		flags = unix.IFF_UP
	}
	return a.vmac(name, "set", unix.RTM_SETLINK, flags, unix.IFF_UP)
}

// RemoveVMAC removes the interface with all its addresses. One that is not there, or is no macvlan, is left.
func (a *Addresses) RemoveVMAC(name string) error {
	a.conn.mu.Lock()
	m, err := a.conn.macvlan(name)
	a.conn.mu.Unlock()
	if errors.Is(err, unix.ENODEV) || err == nil && m.kind != "macvlan" {
		return nil
	}
	return a.vmac(name, "remove", unix.RTM_DELLINK, 0, 0)
}

func (a *Addresses) vmac(name, verb string, kind uint16, flags, change uint32) error {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	index, err := a.conn.index(name)
	if err != nil {
		return err
	}
	a.conn.link(0, kind, 0, index, flags, change)
	a.conn.end()
	var refused error
	err = a.conn.flush(func(_ int, err error) { refused = err })
	if err = errors.Join(err, refused); err != nil {
		return fmt.Errorf("cannot %s interface %q with a virtual MAC address: %w", verb, name, err)
	}
	return nil
}

// macvlan is what matters of an interface that should be one.
type macvlan struct {
	index, parent uint32
	kind          string
	mac           net.HardwareAddr
}

// macvlan looks an interface up. The caller holds mu.
func (r *rtnl) macvlan(name string) (m macvlan, err error) {
	if m.index, err = r.index(name); err != nil {
		return m, err
	}
	r.link(0, unix.RTM_GETLINK, 0, m.index, 0, 0)
	r.end()
	body, err := r.ask()
	if err != nil {
		return m, err
	}
	for kind, value := range attributes(body[min(unix.SizeofIfInfomsg, len(body)):]) {
		switch {
		case kind == unix.IFLA_ADDRESS:
			m.mac = append(net.HardwareAddr(nil), value...)
		case kind == unix.IFLA_LINK && len(value) == 4:
			m.parent = order.Uint32(value)
		case kind == unix.IFLA_LINKINFO:
			for kind, value := range attributes(value) {
				if kind == unix.IFLA_INFO_KIND && len(value) > 1 {
					m.kind = string(value[:len(value)-1])
				}
			}
		}
	}
	return m, nil
}
