package collector

import (
	"context"
	"fmt"
	"sync/atomic"

	"keepwatch/collector/listen"
	"keepwatch/internal/conf"
)

// gmondChannel is one channel on which gmond packets are heard, and whose packets count there.
type gmondChannel struct {
	receiver *listen.Receiver
	access   atomic.Pointer[access]
}

// access is what a reload may change of a channel.
type access struct {
	accept *listen.Sources
	spoof  *listen.Sources // nil: whoever is accepted
}

func parseAccess(c *conf.GmondReceive) (*access, error) {
	a := new(access)
	var err error
	if a.accept, err = listen.ParseSources(c.AcceptFrom); err != nil {
		return nil, fmt.Errorf("accept_from: %w", err)
	}
	if len(c.SpoofFrom) == 0 {
		return a, nil
	}
	if a.spoof, err = listen.ParseSources(c.SpoofFrom); err != nil {
		return nil, fmt.Errorf("spoof_from: %w", err)
	}
	return a, nil
}

func openGmond(ctx context.Context, c *conf.GmondReceive) (*gmondChannel, error) {
	a, err := parseAccess(c)
	if err != nil {
		return nil, err
	}
	ch := new(gmondChannel)
	ch.access.Store(a)
	if c.Group != "" {
		ch.receiver, err = listen.OpenGroup(ctx, c.Group, c.Interface)
	} else {
		ch.receiver, err = listen.OpenUnicast(ctx, c.Listen)
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
