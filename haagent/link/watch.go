package link

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"
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

// resync is how often everything is looked at again whatever the kernel said, because it may have had to drop news.
const resync = 10 * time.Second

// Watch calls changed with the status of each interface, first as it is and then on each change, until ctx ends.
// Addresses in not are never taken for a source: they are the virtual ones, and the renewal of one is no news.
//
// The kernel's messages serve as a bell only: what rings it is looked up. So a message that was lost, which the
// kernel reports, costs nothing but another look.
func Watch(ctx context.Context, ifnames []string, not []netip.Addr, changed func(ifname string, s Status)) error {
	bell, err := openBell()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = bell.file.Close() })
	defer func() {
		stop()
		_ = bell.file.Close()
	}()
	last := make(map[string]Status)
	for {
		for _, name := range ifnames {
			if s := Look(name, not); last[name] != s {
				last[name] = s
				changed(name, s)
			}
		}
		if err := bell.wait(not); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("cannot watch interfaces: %w", err)
		}
	}
}

// bell is a netlink socket that hears of links and addresses.
type bell struct {
	file *os.File
	buf  []byte
}

func openBell() (*bell, error) {
	file, err := subscribe(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err != nil {
		return nil, err
	}
	return &bell{file: file, buf: make([]byte, 64<<10)}, nil
}

// wait returns when there is news, when the kernel had to drop some, or after resync.
func (b *bell) wait(not []netip.Addr) error {
	if err := b.file.SetReadDeadline(time.Now().Add(resync)); err != nil {
		return err
	}
	for {
		n, err := b.file.Read(b.buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ENOBUFS):
			return nil
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		case isNews(b.buf[:n], not):
			return nil
		}
	}
}

// isNews tells whether a message is anything but the renewal of a virtual address. What cannot be read is news.
func isNews(b []byte, not []netip.Addr) bool {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return true
	}
	for _, m := range messages {
		if m.Header.Type != unix.RTM_NEWADDR {
			return true
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return true
		}
		for _, a := range attrs {
			ip, ok := netip.AddrFromSlice(a.Value)
			if a.Attr.Type == unix.IFA_ADDRESS && !(ok && slices.Contains(not, ip)) {
				return true
			}
		}
	}
	return false
}

// Look tells the status of an interface now. Addresses in not are never taken for a source, neither is one that the
// kernel is still probing for a duplicate: it cannot send yet.
func Look(name string, not []netip.Addr) Status {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return Status{Detail: "there is no interface " + name}
	}
	attrs := l.Attrs()
	s := Status{Index: attrs.Index}
	switch {
	case attrs.RawFlags&unix.IFF_UP == 0:
		s.Detail = "interface " + name + " is down"
	case attrs.RawFlags&unix.IFF_RUNNING == 0:
		s.Detail = "interface " + name + " lost its carrier"
	default:
		s.Up, s.Detail = true, "interface "+name+" is up"
	}
	addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		s.Up, s.Detail = false, fmt.Sprintf("cannot list the addresses of %s: %v", name, err)
		return s
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		ip = ip.Unmap()
		if !ok || slices.Contains(not, ip) || a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 {
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
