package haagent

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"keepwatch/haagent/link"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
)

// vmac is the interface that has an instance's virtual MAC address, with what sends from it. It is up while the
// instance is master: the address of the virtual router must come from one host only.
type vmac struct {
	name      string
	conn      *link.Conn
	announcer *link.Announcer
	up        bool
	reader    sync.WaitGroup
}

// vmacName is that interface's name.
func vmacName(c *conf.Instance) string {
	if c.VirtualMACName != "" {
		return c.VirtualMACName
	}
	family := 4
	if c.Addresses[0].Addr().Is6() {
		family = 6
	}
	return fmt.Sprintf("vrrp%d.%d", family, c.VRID)
}

// openVMAC makes the interface, or adopts it.
func openVMAC(addrs *link.Addresses, c *conf.Instance, family vrrp.Family, group netip.Addr, heard func(*vrrp.Packet)) (*vmac, error) {
	v := &vmac{name: vmacName(c)}
	if err := addrs.EnsureVMAC(c.Interface, v.name, family, uint8(c.VRID)); err != nil {
		return nil, err
	}
	var err error
	if v.conn, err = link.OpenVirtual(v.name, family, group, uint8(c.VRID)); err != nil {
		return nil, err
	}
	if v.announcer, err = link.NewAnnouncer(v.name); err != nil {
		return nil, errors.Join(err, v.conn.Close())
	}
	v.reader.Go(func() { v.read(heard) })
	return v, nil
}

// read hears other masters of the same virtual MAC address, until the interface is closed or gone.
func (v *vmac) read(heard func(*vrrp.Packet)) {
	var packet vrrp.Packet
	for v.conn.Read(&packet) == nil {
		heard(&packet)
	}
}

// raise puts the interface up before the first advertisement.
func (v *vmac) raise(addrs *link.Addresses) error {
	if v.up {
		return nil
	}
	if err := addrs.SetVMACUp(v.name, true); err != nil {
		return err
	}
	v.up = true
	return nil
}

func (v *vmac) lower(addrs *link.Addresses) error {
	if !v.up {
		return nil
	}
	v.up = false
	return addrs.SetVMACUp(v.name, false)
}

func (v *vmac) close(addrs *link.Addresses) error {
	err := v.shut()
	return errors.Join(err, addrs.RemoveVMAC(v.name))
}

func (v *vmac) shut() error {
	err := errors.Join(v.conn.Close(), v.announcer.Close())
	v.reader.Wait()
	return err
}

// remakeVMAC makes the interface anew when it went with the one that it was made on.
func (i *instance) remakeVMAC() {
	if i.vmac == nil {
		return
	}
	if _, err := net.InterfaceByName(i.vmac.name); err == nil {
		return
	}
	v, err := openVMAC(i.addrs, &i.config, i.family(), i.port.key.group, i.port.deliver)
	if err != nil {
		i.failed("cannot make the interface of the virtual MAC address anew", err)
		return
	}
	_ = i.vmac.shut() // of an interface that is gone
	i.vmac = v
}
