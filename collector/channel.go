package collector

import (
	"context"
	"fmt"
	"sync/atomic"

	"keepwatch/collector/listen"
	"keepwatch/collector/state"
	"keepwatch/internal/acl"
	"keepwatch/internal/conf"
)

const (
	gmondDatagram = 1600 // bytes; gmond and gmetric send 1472 at most (max_udp_msg_len)
	gmondBatch    = 256  // small packets come in great numbers
)

// gmondChannel is one channel on which gmond packets are heard, and whose packets count there.
type gmondChannel struct {
	receiver *listen.Receiver
	access   atomic.Pointer[access]
	batch    []state.Datagram // memory of takeGmond, which the receiver calls one at a time
}

// access is what a reload may change of a channel.
type access struct {
	accept *acl.List
	spoof  *acl.List // nil: whoever is accepted
}

func parseAccess(c *conf.GmondReceive) (*access, error) {
	a := new(access)
	var err error
	if a.accept, err = acl.Parse(c.AcceptFrom); err != nil {
		return nil, fmt.Errorf("accept_from: %w", err)
	}
	if len(c.SpoofFrom) == 0 {
		return a, nil
	}
	if a.spoof, err = acl.Parse(c.SpoofFrom); err != nil {
		return nil, fmt.Errorf("spoof_from: %w", err)
	}
	return a, nil
}

// openGmond opens a channel; of opt the configuration says the rest.
func openGmond(ctx context.Context, c *conf.GmondReceive, opt listen.Options) (*gmondChannel, error) {
	a, err := parseAccess(c)
	if err != nil {
		return nil, err
	}
	ch := new(gmondChannel)
	ch.access.Store(a)
	opt.Interface, opt.Buffer, opt.Datagram, opt.Batch = c.Interface, c.Buffer, gmondDatagram, gmondBatch
	if c.Group != "" {
		opt.Channel = "gmond " + c.Group
		ch.receiver, err = listen.OpenGroup(ctx, c.Group, opt)
	} else {
		opt.Channel = "gmond " + c.Listen
		ch.receiver, err = listen.OpenUnicast(ctx, c.Listen, opt)
	}
	return ch, err
}

func parseAccesses(list []conf.GmondReceive) ([]*access, error) {
	var out []*access
	for i := range list {
		a, err := parseAccess(&list[i])
		if err != nil {
			return nil, fmt.Errorf("collector.gmond.receive[%d].%w", i, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// withoutAccess is what a change of which needs other sockets.
func withoutAccess(list []conf.GmondReceive) []conf.GmondReceive {
	out := append([]conf.GmondReceive(nil), list...)
	for i := range out {
		out[i].AcceptFrom, out[i].SpoofFrom = nil, nil
	}
	return out
}
