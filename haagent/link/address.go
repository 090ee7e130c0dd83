package link

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/conf"
)

// protocol marks the addresses, routes and rules that this package makes, so that those of a killed predecessor are
// told from everybody else's. It is VRRP's number, which rtnetlink gives to nobody.
const protocol = 112

// ifaProtocol is IFA_PROTO. Kernels before 5.18 do not know it and ignore it.
const ifaProtocol = 11

// forever is the lifetime of what stays until it is taken off.
const forever = ^uint32(0)

// Addresses puts addresses on interfaces and takes them off, and so with routes and rules. An address is a lease: the
// kernel removes it when its lifetime has passed and nobody renewed it, so that an agent that was killed leaves none
// behind for longer. Calls wait for each other; who must never wait has Addresses of its own.
type Addresses struct {
	conn     *rtnl
	lifetime uint32 // seconds
}

// NewAddresses opens the netlink socket. lifetime is in whole seconds, 2 at least: the kernel counts so.
func NewAddresses(lifetime time.Duration) (*Addresses, error) {
	conn, err := openRTNL()
	if err != nil {
		return nil, err
	}
	return &Addresses{conn: conn, lifetime: uint32(lifetime / time.Second)}, nil
}

// Close closes the netlink socket. Addresses that are held run out.
func (a *Addresses) Close() { _ = a.conn.close() }

// Hold takes addresses or renews their leases: those without a device of their own on ifname. It costs three system
// calls, and one more for each change of device in the list. All are tried; the error joins those that failed.
func (a *Addresses) Hold(ifname string, addrs []conf.Address) error {
	return a.each(ifname, addrs, true, func(i int, p conf.Address, index uint32) {
		a.put(i, p, index, unix.NLM_F_REPLACE, lease(p, a.lifetime))
	})
}

// Release takes addresses off. One that is not there is no error.
func (a *Addresses) Release(ifname string, addrs []conf.Address) error {
	return a.each(ifname, addrs, false, a.take)
}

// each sends one request for each address and joins what went wrong. Of what is to be gone and is, nothing did.
func (a *Addresses) each(ifname string, addrs []conf.Address, stay bool, request func(int, conf.Address, uint32)) error {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	var errs []error
	var device string
	var index uint32
	var missing error
	for i, p := range addrs {
		if d := deviceOf(ifname, p); i == 0 || d != device {
			device = d
			if index, missing = a.conn.index(d); missing != nil && (stay || !gone(missing)) {
				errs = append(errs, missing)
			}
		}
		if missing == nil {
			request(i, p, index)
		}
	}
	err := a.conn.flush(func(i int, err error) {
		verb := "put %s on %s"
		switch {
		case !stay && gone(err), stay && errors.Is(err, unix.EEXIST):
			return
		case !stay:
			verb = "take %s off %s"
		}
		errs = append(errs, fmt.Errorf("cannot "+verb+": %w", addrs[i].Prefix, deviceOf(ifname, addrs[i]), err))
	})
	return errors.Join(append(errs, err)...)
}

// gone tells an error that says that an address, a route, a rule or the interface of one is not there.
func gone(err error) bool {
	return errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT)
}

func deviceOf(ifname string, p conf.Address) string {
	if p.Device != "" {
		return p.Device
	}
	return ifname
}

// terms are an address's lifetimes in seconds and its flags.
type terms struct{ valid, preferred, flags uint32 }

func lease(p conf.Address, seconds uint32) terms {
	if p.Addr().Is4() {
		return terms{seconds, seconds, 0}
	}
	// A preferred lifetime of 0 keeps the virtual address from being chosen as the source of this host's own
	// connections, which would break when it moves. Duplicate address detection would keep it from being used for a
	// second, and for good where the dead master still answers for it. A prefix route of an address with a lifetime
	// would have that lifetime, and replace the one that the host's own address in the same prefix has.
	return terms{seconds, 0, unix.IFA_F_NODAD | unix.IFA_F_NOPREFIXROUTE}
}

func (a *Addresses) put(tag int, p conf.Address, index uint32, how uint16, t terms) {
	a.message(tag, unix.RTM_NEWADDR, unix.NLM_F_CREATE|how, p, index)
	var cache [16]byte // preferred, valid, made, changed
	order.PutUint32(cache[0:], t.preferred)
	order.PutUint32(cache[4:], t.valid)
	a.conn.attr(unix.IFA_CACHEINFO, cache[:])
	a.conn.attr32(unix.IFA_FLAGS, t.flags)
	mark := [1]byte{protocol}
	a.conn.attr(ifaProtocol, mark[:])
	if p.Label != "" {
		a.conn.text(unix.IFA_LABEL, p.Label)
	}
	a.conn.end()
}

func (a *Addresses) take(tag int, p conf.Address, index uint32) {
	a.message(tag, unix.RTM_DELADDR, 0, p, index)
	a.conn.end()
}

// message begins a request with the header ifaddrmsg and the address.
func (a *Addresses) message(tag int, kind, flags uint16, p conf.Address, index uint32) {
	family := byte(unix.AF_INET6)
	ip := p.Addr().As16()
	value := ip[:]
	if p.Addr().Is4() {
		family, value = unix.AF_INET, ip[12:]
	}
	a.conn.begin(tag, kind, flags, family, byte(p.Bits()), 0, conf.ScopeNumber(p.Scope))
	a.conn.out = order.AppendUint32(a.conn.out, index)
	a.conn.attr(unix.IFA_LOCAL, value)
	a.conn.attr(unix.IFA_ADDRESS, value)
}

// Present reports which of the addresses are on their interface now.
func (a *Addresses) Present(ifname string, addrs []conf.Address) ([]conf.Address, error) {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	wanted := make([]uint32, len(addrs))
	var err error
	for i, p := range addrs {
		if wanted[i], err = a.conn.index(deviceOf(ifname, p)); err != nil {
			return nil, err
		}
	}
	there := make([]bool, len(addrs))
	err = a.conn.addresses(func(h held) {
		for i, p := range addrs {
			there[i] = there[i] || h.index == wanted[i] && h.Addr() == p.Addr()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the addresses of %q: %w", ifname, err)
	}
	var out []conf.Address
	for i, p := range addrs {
		if there[i] {
			out = append(out, p)
		}
	}
	return out, nil
}

// held is an address as the kernel lists it.
type held struct {
	netip.Prefix
	index    uint32
	protocol byte
}

// addresses lists those of all interfaces. The caller holds mu.
func (r *rtnl) addresses(each func(held)) error {
	r.begin(0, unix.RTM_GETADDR, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfAddrmsg)...)
	r.end()
	return r.dump(func(body []byte) {
		if len(body) < unix.SizeofIfAddrmsg {
			return
		}
		h := held{index: order.Uint32(body[4:])}
		var local, addr netip.Addr
		for kind, value := range attributes(body[unix.SizeofIfAddrmsg:]) {
			switch kind {
			case unix.IFA_LOCAL: // where a peer's address is the other one
				local, _ = netip.AddrFromSlice(value)
			case unix.IFA_ADDRESS:
				addr, _ = netip.AddrFromSlice(value)
			case ifaProtocol:
				if len(value) == 1 {
					h.protocol = value[0]
				}
			}
		}
		if local.IsValid() {
			addr = local
		}
		h.Prefix = netip.PrefixFrom(addr, int(body[1]))
		if h.IsValid() {
			each(h)
		}
	})
}

// index is the number of an interface. Asking for it is one short system call, so none is ever remembered: an
// interface that was made anew or renamed has its present one.
func (r *rtnl) index(name string) (uint32, error) {
	request, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(r.fd, unix.SIOCGIFINDEX, request)
	}
	if err != nil {
		return 0, fmt.Errorf("cannot find interface %q: %w", name, err)
	}
	return request.Uint32(), nil
}

// name is the name of an interface now.
func (r *rtnl) name(index uint32) (string, error) {
	request, err := unix.NewIfreq("lo") // any name: the kernel overwrites it
	if err == nil {
		request.SetUint32(index)
		err = unix.IoctlIfreq(r.fd, unix.SIOCGIFNAME, request)
	}
	if err != nil {
		return "", fmt.Errorf("cannot find interface %d: %w", index, err)
	}
	return request.Name(), nil
}
