package collector

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"keepwatch/collector/listen"
	"keepwatch/internal/conf"
)

// sockets are open from New on, so that a taken port is told before anything runs.
type sockets struct {
	native []*listen.Receiver
	gmond  []*gmondChannel // as collector.gmond.receive lists them
	serve  net.Listener
	xml    *xmlServer // opens its port when it runs; nil: none
	sender *listen.Sender
}

// openEars opens what a deaf collector does not have.
func (c *Collector) openEars(ctx context.Context) (err error) {
	if err := c.openReceivers(ctx); err != nil {
		return err
	}
	s, cfg := &c.sockets, c.conf
	if cfg.Serve.Listen != "" {
		if s.serve, err = listen.TCP(ctx, cfg.Serve.Listen); err != nil {
			return fmt.Errorf("collector.serve.listen: %w", err)
		}
	}
	if cfg.Gmond.XML.Listen != "" {
		s.xml, err = newXMLServer(cfg.Gmond, c.opt.Cluster, c.state, c.log)
	}
	return err
}

// openReceivers opens what hears frames and gmond packets. Addresses come before groups: each is had alone, and then
// shares its port for as long as this collector opens its own groups, which may be of that port. The other way round
// a group would keep an address of the same port from being had.
func (c *Collector) openReceivers(ctx context.Context) error {
	c.sockets.gmond = make([]*gmondChannel, len(c.conf.Gmond.Receive))
	if err := c.openAddresses(ctx); err != nil {
		return err
	}
	addresses := slices.Clone(c.sockets.native)
	for _, ch := range c.sockets.gmond {
		if ch != nil {
			addresses = append(addresses, ch.receiver)
		}
	}
	if err := sharePorts(addresses, true); err != nil {
		return err
	}
	if err := c.openGroups(ctx); err != nil {
		return err
	}
	return sharePorts(addresses, false)
}

func (c *Collector) openAddresses(ctx context.Context) error {
	if address := c.conf.Native.Listen; address != "" {
		r, err := listen.OpenUnicast(ctx, address, listen.Options{Channel: "native " + address, Alone6: c.alone6(address)})
		if err != nil {
			return fmt.Errorf("collector.native.listen: %w", err)
		}
		c.sockets.native = append(c.sockets.native, r)
	}
	return c.openGmondChannels(ctx, func(r *conf.GmondReceive) bool { return r.Group == "" })
}

func (c *Collector) openGroups(ctx context.Context) error {
	if group := c.conf.Native.Group; group != "" {
		r, err := listen.OpenGroup(ctx, group, listen.Options{Channel: "native " + group, Interface: c.conf.Native.Interface, Log: c.log})
		if err != nil {
			return fmt.Errorf("collector.native.group: %w", err)
		}
		c.sockets.native = append(c.sockets.native, r)
	}
	return c.openGmondChannels(ctx, func(r *conf.GmondReceive) bool { return r.Group != "" })
}

// openGmondChannels opens those of collector.gmond.receive that are meant.
func (c *Collector) openGmondChannels(ctx context.Context, meant func(*conf.GmondReceive) bool) error {
	for i := range c.conf.Gmond.Receive {
		r := &c.conf.Gmond.Receive[i]
		if !meant(r) {
			continue
		}
		ch, err := openGmond(ctx, r, listen.Options{Alone6: c.alone6(r.Listen), Log: c.log})
		if err != nil {
			return fmt.Errorf("collector.gmond.receive[%d]: %w", i, err)
		}
		c.sockets.gmond[i] = ch
		if got := ch.receiver.Buffer(); got < r.Buffer {
			c.log.Warn("the kernel grants less receive buffer than configured, so bursts of gmond packets may be lost; raise net.core.rmem_max or grant CAP_NET_ADMIN",
				"channel", i, "asked", r.Buffer, "granted", got)
		}
	}
	return nil
}

// alone6 reports whether an address is all of IPv6 and another channel has its port on IPv4: else it takes both.
func (c *Collector) alone6(address string) bool {
	six, err := netip.ParseAddrPort(address)
	if err != nil || six.Addr() != netip.IPv6Unspecified() {
		return false
	}
	others := []string{c.conf.Native.Listen}
	for i := range c.conf.Gmond.Receive {
		others = append(others, c.conf.Gmond.Receive[i].Listen)
	}
	return slices.ContainsFunc(others, func(other string) bool {
		four, err := netip.ParseAddrPort(other)
		return err == nil && four.Addr().Is4() && four.Port() == six.Port()
	})
}

func sharePorts(receivers []*listen.Receiver, on bool) error {
	for _, r := range receivers {
		if err := r.Share(on); err != nil {
			return fmt.Errorf("collector: %w", err)
		}
	}
	return nil
}
