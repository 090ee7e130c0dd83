package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Status is what an instance must know of its interface.
type Status struct {
	Up      bool       // administratively up and with a carrier
	Source4 netip.Addr // where advertisements leave from; invalid when there is none
	Source6 netip.Addr // a link-local one
	Index   int        // changes when the interface is made anew
	Detail  string     // "interface eth0 lost its carrier"
}

// resync is how often everything is looked at again, in case the kernel had to drop news.
const resync = 10 * time.Second

// Watch calls changed with the status of each interface, first as it is and then on each change, until ctx ends.
// Addresses in not are never taken for a source: they are the virtual ones.
func Watch(ctx context.Context, ifnames []string, not []netip.Addr, changed func(ifname string, s Status)) error {
	last := make(map[string]Status)
	for {
		err := watchOnce(ctx, func() {
			for _, name := range ifnames {
				if s := Look(name, not); last[name] != s {
					last[name] = s
					changed(name, s)
				}
			}
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("cannot watch interfaces: %w", err)
		}
	}
}

// watchOnce calls lookAgain now, on each piece of news and every resync, until ctx or the subscription ends.
func watchOnce(ctx context.Context, lookAgain func()) error {
	done := make(chan struct{})
	defer close(done)
	failed := make(chan error, 8)
	onError := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	links, addrs := make(chan netlink.LinkUpdate, 64), make(chan netlink.AddrUpdate, 256)
	if err := netlink.LinkSubscribeWithOptions(links, done, netlink.LinkSubscribeOptions{ErrorCallback: onError}); err != nil {
		return privilege(err)
	}
	if err := netlink.AddrSubscribeWithOptions(addrs, done, netlink.AddrSubscribeOptions{ErrorCallback: onError, ReceiveBufferSize: 1 << 20}); err != nil {
		return privilege(err)
	}
	tick := time.NewTicker(resync)
	defer tick.Stop()
	for {
		lookAgain()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-failed:
			return err
		case _, ok := <-links:
			if !ok {
				return unix.ENOBUFS
			}
		case _, ok := <-addrs:
			if !ok {
				return unix.ENOBUFS
			}
		case <-tick.C:
		}
	}
}

// Look tells the status of an interface now. Addresses in not are never taken for a source.
func Look(name string, not []netip.Addr) Status {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return Status{Detail: "there is no interface " + name}
	}
	s := Status{Index: ifi.Index}
	switch {
	case ifi.Flags&net.FlagUp == 0:
		s.Detail = "interface " + name + " is down"
	case ifi.Flags&net.FlagRunning == 0:
		s.Detail = "interface " + name + " lost its carrier"
	default:
		s.Up, s.Detail = true, "interface "+name+" is up"
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return s
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if ip = ip.Unmap(); !ok || slices.Contains(not, ip) {
			continue
		}
		switch {
		case ip.Is4() && !s.Source4.IsValid():
			s.Source4 = ip
		case ip.Is6() && ip.IsLinkLocalUnicast() && !s.Source6.IsValid():
			s.Source6 = ip
		}
	}
	return s
}
