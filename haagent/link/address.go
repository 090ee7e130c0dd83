package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses puts addresses on an interface and takes them off. Each is a lease: the kernel removes it when its
// lifetime has passed and nobody renewed it, so that an agent that was killed leaves none behind for longer.
type Addresses struct {
	handle   *netlink.Handle
	lifetime time.Duration
}

// NewAddresses opens the netlink socket. lifetime is in whole seconds, 2 at least: the kernel counts so.
func NewAddresses(lifetime time.Duration) (*Addresses, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, privilege(fmt.Errorf("cannot open netlink: %w", err))
	}
	if err := h.SetSocketTimeout(5 * time.Second); err != nil {
		h.Close()
		return nil, fmt.Errorf("cannot bound netlink's time: %w", err)
	}
	return &Addresses{handle: h, lifetime: lifetime}, nil
}

// Close closes the netlink socket. Addresses that are held run out.
func (a *Addresses) Close() { a.handle.Close() }

// Hold takes addresses or renews them. All are tried; the error joins those that failed.
func (a *Addresses) Hold(ifname string, addrs []netip.Prefix) error {
	l, err := a.handle.LinkByName(ifname)
	if err != nil {
		return fmt.Errorf("cannot find interface %q: %w", ifname, err)
	}
	var errs []error
	for _, p := range addrs {
		if err := a.handle.AddrReplace(l, a.leased(p)); err != nil {
			errs = append(errs, privilege(fmt.Errorf("cannot put %s on %s: %w", p, ifname, err)))
		}
	}
	return errors.Join(errs...)
}

func (a *Addresses) leased(p netip.Prefix) *netlink.Addr {
	seconds := int(a.lifetime / time.Second)
	if p.Addr().Is4() {
		return &netlink.Addr{IPNet: ipNet(p), ValidLft: seconds, PreferedLft: seconds}
	}
	return &netlink.Addr{
		IPNet: ipNet(p), ValidLft: seconds,
		// A preferred lifetime of 0 keeps the virtual address from being chosen as the source of this host's own
		// connections, which would break when it moves.
		PreferedLft: 0,
		// Duplicate address detection would keep it from being used for a second, and for good where the dead
		// master still answers for it. A prefix route of an address with a lifetime would have that lifetime, and
		// replace the one that the host's own address in the same prefix has.
		Flags: unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE,
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Release takes addresses off. One that is not there is no error.
func (a *Addresses) Release(ifname string, addrs []netip.Prefix) error {
	l, err := a.handle.LinkByName(ifname)
	if err != nil {
		var missing netlink.LinkNotFoundError
		if errors.As(err, &missing) {
			return nil // the interface took its addresses along
		}
		return fmt.Errorf("cannot find interface %q: %w", ifname, err)
	}
	var errs []error
	for _, p := range addrs {
		err := a.handle.AddrDel(l, &netlink.Addr{IPNet: ipNet(p)})
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, privilege(fmt.Errorf("cannot take %s off %s: %w", p, ifname, err)))
		}
	}
	return errors.Join(errs...)
}

// Present reports which of the addresses are on the interface now.
func (a *Addresses) Present(ifname string, addrs []netip.Prefix) ([]netip.Prefix, error) {
	l, err := a.handle.LinkByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("cannot find interface %q: %w", ifname, err)
	}
	have, err := a.handle.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("cannot list the addresses of %q: %w", ifname, err)
	}
	var out []netip.Prefix
	for _, p := range addrs {
		for _, h := range have {
			if ip, ok := netip.AddrFromSlice(h.IP); ok && ip.Unmap() == p.Addr() {
				out = append(out, p)
				break
			}
		}
	}
	return out, nil
}
