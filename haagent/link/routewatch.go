package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// settle is when a look is repeated after the news of a link: the kernel tells of it before it has taken the routes
// off, and of those it says nothing.
const settle = 50 * time.Millisecond

// RouteStatus is whether the main routing table has a destination.
type RouteStatus struct {
	Up     bool   // a route with exactly this destination has a next hop that is alive
	Detail string // "the route to default is gone"
}

// WatchRoute calls changed with the status of a route, first as it is and then on each change, until ctx ends.
func WatchRoute(ctx context.Context, dest netip.Prefix, changed func(RouteStatus)) error {
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV4_ROUTE)
	if dest.Addr().Is6() {
		groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV6_ROUTE
	}
	var last RouteStatus
	return follow(ctx, groups, func(b []byte) (news, again bool) { return routeNews(b, dest) }, func() error {
		s, err := LookRoute(dest)
		if err == nil && s != last {
			last = s
			changed(s)
		}
		return err
	})
}

// WatchLink calls changed with the status of one interface, first as it is and then whenever Up or Detail are others,
// until ctx ends. Unlike Watch it does not look at addresses, whose renewal would wake it many times a minute.
func WatchLink(ctx context.Context, ifname string, changed func(Status)) error {
	var last Status
	return follow(ctx, unix.RTMGRP_LINK, func([]byte) (news, again bool) { return true, false }, func() error {
		s := Look(ifname, nil)
		if s.Up != last.Up || s.Detail != last.Detail {
			last = s
			changed(s)
		}
		return nil
	})
}

// follow calls look at once, after each message that is news, and after resync. Messages serve as a bell only.
func follow(ctx context.Context, groups uint32, isNews func([]byte) (news, again bool), look func() error) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("cannot open netlink: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("cannot subscribe to netlink: %w", err)
	}
	file := os.NewFile(uintptr(fd), "netlink")
	stop := context.AfterFunc(ctx, func() { _ = file.Close() })
	defer func() {
		stop()
		_ = file.Close()
	}()
	buf := make([]byte, 32<<10)
	pause := resync
	for {
		if err := look(); err != nil {
			return err
		}
		if pause, err = hear(file, buf, pause, isNews); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("cannot hear of the network: %w", err)
		}
	}
}

// hear waits for news, for pause at most, and returns how long to wait the next time.
func hear(file *os.File, buf []byte, pause time.Duration, isNews func([]byte) (news, again bool)) (time.Duration, error) {
	if err := file.SetReadDeadline(time.Now().Add(pause)); err != nil {
		return 0, err
	}
	for {
		n, err := file.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ENOBUFS):
			return resync, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		}
		if news, again := isNews(buf[:n]); again {
			return settle, nil
		} else if news {
			return resync, nil
		}
	}
}

// routeNews tells whether a message may concern a route, and whether it takes effect only after it is sent. A host
// with a full Internet table hears thousands of others a second, so they are told apart without a look.
func routeNews(b []byte, dest netip.Prefix) (news, again bool) {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return true, false
	}
	for i := range messages {
		switch m := &messages[i]; m.Header.Type {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_DELADDR:
			return true, true
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			news = news || isRoute(m, dest)
		}
	}
	return news, false
}

// isRoute compares a message's destination: struct rtmsg of linux/rtnetlink.h, then attributes. A message that is too
// short is looked up.
func isRoute(m *syscall.NetlinkMessage, dest netip.Prefix) bool {
	if len(m.Data) < unix.SizeofRtMsg {
		return true
	}
	if int(m.Data[1]) != dest.Bits() {
		return false
	}
	for kind, value := range attributes(m.Data[unix.SizeofRtMsg:]) {
		if kind == unix.RTA_DST {
			ip, ok := netip.AddrFromSlice(value)
			return !ok || ip == dest.Addr()
		}
	}
	return dest.Bits() == 0
}

// LookRoute tells the status of a route now. A destination that is unreachable, prohibited or a black hole is not
// there, neither is one whose every next hop is dead or has no carrier.
func LookRoute(dest netip.Prefix) (RouteStatus, error) {
	family, name := netlink.FAMILY_V4, dest.String()
	if dest.Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	if dest.Bits() == 0 && family == netlink.FAMILY_V4 {
		name = "default"
	}
	s := RouteStatus{Detail: "the main routing table has no route to " + name}
	for attempt := 0; ; attempt++ {
		err := netlink.RouteListFilteredIter(family, new(netlink.Route), 0, func(r netlink.Route) bool {
			if !sameDest(r.Dst, dest) {
				return true
			}
			if s.Up = usable(&r); !s.Up {
				s.Detail = "the route to " + name + " leads nowhere: it is refused, or its link is down"
				return true
			}
			s.Detail = "the main routing table has a route to " + name
			return false
		})
		if err == nil || s.Up || errors.Is(err, netlink.ErrDumpInterrupted) && attempt == 3 {
			return s, nil
		}
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return s, fmt.Errorf("cannot list the routes: %w", err)
		}
	}
}

func sameDest(have *net.IPNet, want netip.Prefix) bool {
	if have == nil {
		return want.Bits() == 0
	}
	ip, ok := netip.AddrFromSlice(have.IP)
	bits, _ := have.Mask.Size()
	return ok && bits == want.Bits() && ip.Unmap() == want.Addr().Unmap()
}

func usable(r *netlink.Route) bool {
	const dead = unix.RTNH_F_DEAD | unix.RTNH_F_LINKDOWN
	switch {
	case r.Type != unix.RTN_UNICAST && r.Type != unix.RTN_LOCAL:
		return false
	case len(r.MultiPath) == 0:
		return r.Flags&dead == 0
	}
	for _, hop := range r.MultiPath {
		if hop.Flags&dead == 0 {
			return true
		}
	}
	return false
}
