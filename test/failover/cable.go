package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// cable is one end of a wire, which can be cut within microseconds: starting a program for it would take as long as
// some of what is measured.
type cable struct {
	fd   int // a socket in the end's namespace
	name string
}

// openCable prepares to cut an interface of a namespace.
func openCable(namespace, name string) (*cable, error) {
	c := &cable{name: name}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		done <- func() error {
			ns, err := os.Open("/run/netns/" + namespace)
			if err != nil {
				return err
			}
			defer ns.Close()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			return err
		}()
	}()
	if err := <-done; err != nil {
		return nil, fmt.Errorf("cannot enter namespace %s: %w", namespace, err)
	}
	return c, nil
}

func (c *cable) close() { _ = unix.Close(c.fd) }

// set takes the end up or down.
func (c *cable) set(up bool) error {
	r, err := unix.NewIfreq(c.name)
	if err == nil {
		err = unix.IoctlIfreq(c.fd, unix.SIOCGIFFLAGS, r)
	}
	if err == nil {
		flags := r.Uint16() &^ unix.IFF_UP
		if up {
			flags |= unix.IFF_UP
		}
		if flags == r.Uint16() {
			return nil
		}
		r.SetUint16(flags)
		err = unix.IoctlIfreq(c.fd, unix.SIOCSIFFLAGS, r)
	}
	if err != nil {
		return fmt.Errorf("cannot set interface %s: %w", c.name, err)
	}
	return nil
}
