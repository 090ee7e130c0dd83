package link

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// WatchRemoved calls removed for every address that leaves any interface of this host, whoever took it off, until ctx
// ends. Where the kernel had to drop news, it is called with an invalid address: any may have gone.
func WatchRemoved(ctx context.Context, removed func(netip.Addr)) error {
	file, err := subscribe(unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = file.Close() })
	defer func() {
		stop()
		_ = file.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := file.Read(buf)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, unix.ENOBUFS):
			removed(netip.Addr{})
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("cannot watch addresses: %w", err)
		default:
			eachRemoved(buf[:n], removed)
		}
	}
}

// subscribe opens a netlink socket that hears of some of what happens to the network.
func subscribe(groups uint32) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, privilege(fmt.Errorf("cannot open netlink: %w", err))
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, privilege(fmt.Errorf("cannot subscribe to the news of the network: %w", err))
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

func eachRemoved(b []byte, removed func(netip.Addr)) {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		removed(netip.Addr{})
		return
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_DELADDR {
			continue
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			continue
		}
		for _, a := range attrs {
			// IFA_ADDRESS is the other end of a point-to-point link where there is one, IFA_LOCAL this host's.
			if ip, ok := netip.AddrFromSlice(a.Value); ok && (a.Attr.Type == unix.IFA_LOCAL || a.Attr.Type == unix.IFA_ADDRESS && ip.Is6()) {
				removed(ip)
			}
		}
	}
}
