// Package collector runs this host's probes, shares what they see with every other collector of the cluster as sealed
// datagrams, takes gmond packets in, and holds and serves the cluster's state of the last minutes. It owns the
// schedule, the keys and the life of the sockets; it never stores samples on disk, judges a value, or talks to
// a database or the bus. cmd/keepwatch makes and runs it; extractors fetch from it over TCP.
package collector

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/collector/listen"
	"keepwatch/collector/state"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/metric"

	"golang.org/x/sync/errgroup"
)

// Options are what a collector is made of.
type Options struct {
	Config  conf.Collector
	Cluster string
	Host    string
	DataDir string // holds frame.key when Config.Keys is empty, senders.json and haagent.sock
	HAAgent bool   // an HA agent is configured on this host: the vrrp probe asks it by the socket in DataDir
	Log     *slog.Logger
}

// Collector is one collector. Make it with New, then Run it once, or Close it.
type Collector struct {
	opt     Options
	log     *slog.Logger
	boot    frame.Boot
	started time.Time
	state   *state.State
	server  *state.Server
	sockets sockets
	local   listen.Own // this host's addresses
	warned  throttle

	gmondSending *gmondSending // open from New on

	sendMu sync.Mutex
	sealer *frame.Sealer
	resend resend
	split  split
	sent   sent

	keys   atomic.Pointer[frame.Keyring]
	missed missed

	mu      sync.Mutex
	conf    conf.Collector
	set     *probeSet
	changed chan struct{} // closed when set is replaced
}

// New checks the configuration, loads or makes the keys and opens the sockets.
func New(opt Options) (*Collector, error) {
	if err := metric.CheckHost("cluster", opt.Cluster); err != nil {
		return nil, err
	}
	if err := metric.CheckHost("host", opt.Host); err != nil {
		return nil, err
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	c := &Collector{opt: opt, log: opt.Log, conf: opt.Config, started: time.Now(), changed: make(chan struct{})}
	keys, err := LoadKeys(opt.Config.Keys, opt.DataDir)
	if err != nil {
		return nil, err
	}
	if err := c.identify(keys); err != nil {
		return nil, err
	}
	if c.set, err = c.buildProbes(opt.Config); err != nil {
		return nil, err
	}
	if err := c.open(context.Background()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// identify draws the boot ids of this run and makes what seals with them: the collector's own frames, and those that
// the state makes of gmond packets. Two Sealers must not share a boot.
func (c *Collector) identify(keys *frame.Keyring) error {
	var random [16]byte
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("cannot draw a boot id: %w", err)
	}
	start := c.started.UnixMilli()
	c.boot = frame.Boot{Start: start, Random: binary.BigEndian.Uint64(random[:8])}
	cfg := c.conf
	var err error
	c.sealer, err = frame.NewSealer(frame.SealerOptions{Keys: keys, Boot: c.boot, Cluster: c.opt.Cluster, Host: c.opt.Host, Payload: cfg.Native.Payload})
	if err != nil {
		return fmt.Errorf("collector.native: %w", err)
	}
	maxBytes := cfg.MaxBytes
	if cfg.Serve.Listen == "" || cfg.Deaf {
		maxBytes = 0 // nobody can ask for it
	}
	c.state, err = state.New(state.Options{
		Cluster: c.opt.Cluster, Host: c.opt.Host, Keys: keys,
		Boot:     frame.Boot{Start: start, Random: binary.BigEndian.Uint64(random[8:])},
		MaxHosts: cfg.MaxHosts, MaxSeries: cfg.MaxSeries, MaxBytes: maxBytes, HostDmax: cfg.HostDmax,
		GmondTmax: cfg.Gmond.HostTmax, MaxAsks: gmondAsks, Legacy: cfg.Gmond.Legacy, Stall: stall, Log: c.log,
	})
	if err != nil {
		return fmt.Errorf("collector: %w", err)
	}
	c.server = state.NewServer(c.state, keys, c.log)
	c.keys.Store(keys)
	c.prepareRepair(keys)
	c.loadSenders()
	return nil
}

func (c *Collector) open(ctx context.Context) (err error) {
	if !c.conf.Deaf {
		if err := c.openEars(ctx); err != nil {
			return err
		}
	}
	if c.sockets.sender, err = openSender(ctx, &c.conf.Native); err != nil {
		return fmt.Errorf("collector.native: %w", err)
	}
	c.gmondSending, err = c.openGmondSending(ctx)
	return err
}

// Close gives the sockets back. Run does it too.
func (c *Collector) Close() error {
	var errs []error
	closed := func(err error) {
		if err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, r := range c.sockets.native {
		closed(r.Close())
	}
	for _, ch := range c.sockets.gmond {
		if ch != nil { // the collector could not open them all
			closed(ch.receiver.Close())
		}
	}
	if c.sockets.serve != nil {
		closed(c.sockets.serve.Close())
	}
	if c.sockets.sender != nil {
		closed(c.sockets.sender.Close())
	}
	if c.gmondSending != nil {
		closed(c.gmondSending.close())
	}
	return errors.Join(errs...)
}

// Run collects, shares and serves until ctx ends; then it ends everything it started and returns nil. The sockets that
// frames are sent from end last, so that the goodbye of the probes leaves this host.
func (c *Collector) Run(ctx context.Context) error {
	sending, said := context.WithCancel(context.WithoutCancel(ctx))
	defer said()
	g, ctx := errgroup.WithContext(ctx)
	c.hear(ctx, sending, g)
	g.Go(func() error { return c.repair(ctx) })
	g.Go(func() error { return c.saveSenders(ctx) })
	if c.sockets.serve != nil {
		g.Go(func() error { return c.server.Run(ctx, c.sockets.serve) })
	}
	if c.sockets.xml != nil {
		g.Go(func() error { return c.sockets.xml.Run(ctx) })
	}
	g.Go(func() error { return c.tick(ctx) })
	g.Go(func() error {
		defer said()
		return c.runProbes(ctx)
	})
	g.Go(func() error { return c.assure(ctx) })
	g.Go(func() error { return c.sockets.sender.Run(ctx) })
	g.Go(func() error { return c.gmondSending.run(ctx, c.state) })
	err := g.Wait()
	c.writeSendersFile() // now that nothing more is heard
	return errors.Join(err, c.Close())
}

// hear starts what takes datagrams, until ctx ends; the sockets that frames are sent from live as long as sending.
func (c *Collector) hear(ctx, sending context.Context, g *errgroup.Group) {
	for via, r := range c.nativeSockets() {
		until := ctx
		if via >= len(c.sockets.native) {
			until = sending
		}
		g.Go(func() error {
			return r.Run(until, func(packets []listen.Packet) { c.takeNative(via, packets) })
		})
	}
	for _, ch := range c.sockets.gmond {
		g.Go(func() error {
			return ch.receiver.Run(ctx, func(packets []listen.Packet) { c.takeGmond(ch, packets) })
		})
	}
}

// stall is more than there is between two ticks of a second, and less than a host may be silent before it is lost.
const stall = 3 * time.Second

func (c *Collector) tick(ctx context.Context) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-second.C:
			c.state.Tick(now)
		}
	}
}

// Reload puts another configuration in force: probes, interval, keys, host_dmax, who may send gmond packets and read
// their XML, and which metrics this host sends in them when and as whom. On an error, which names what is wrong, the
// old one stays in force whole. Sockets and bounds are set at start only: a change of deaf, mute, native, serve, the
// rest of gmond or max_… is such an error.
func (c *Collector) Reload(cfg conf.Collector) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.fixed(cfg); err != nil {
		return err
	}
	keys, err := LoadKeys(cfg.Keys, c.opt.DataDir)
	if err != nil {
		return err
	}
	accesses, err := parseAccesses(cfg.Gmond.Receive)
	if err != nil {
		return err
	}
	readers, err := parseReaders(cfg.Gmond.XML.AcceptFrom)
	if err != nil {
		return err
	}
	sending, err := c.gmondSending.prepare(cfg.Gmond)
	if err != nil {
		return err
	}
	set, err := c.buildProbes(cfg)
	if err != nil {
		return err
	}
	if err := c.setKeys(keys); err != nil {
		return err
	}
	for i, ch := range c.sockets.gmond {
		ch.access.Store(accesses[i])
	}
	if c.sockets.xml != nil {
		c.sockets.xml.access.Store(readers)
	}
	c.gmondSending.use(sending)
	c.state.SetHostDmax(cfg.HostDmax)
	c.conf, c.set = cfg, set
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

func (c *Collector) setKeys(keys *frame.Keyring) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	if err := c.sealer.SetKeys(keys); err != nil {
		return err
	}
	c.server.SetKeys(keys)
	c.sent.requests.SetKeys(keys)
	c.keys.Store(keys)
	return c.state.SetKeys(keys)
}

func (c *Collector) fixed(cfg conf.Collector) error {
	old := c.conf
	old.Gmond, cfg.Gmond = atStart(old.Gmond), atStart(cfg.Gmond)
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"deaf", old.Deaf, cfg.Deaf}, {"mute", old.Mute, cfg.Mute},
		{"native", old.Native, cfg.Native}, {"gmond", old.Gmond, cfg.Gmond}, {"serve", old.Serve, cfg.Serve},
		{"max_hosts", old.MaxHosts, cfg.MaxHosts}, {"max_series", old.MaxSeries, cfg.MaxSeries}, {"max_bytes", old.MaxBytes, cfg.MaxBytes},
	} {
		if !reflect.DeepEqual(f.a, f.b) {
			return fmt.Errorf("cannot reload: collector.%s has changed, which takes effect at start only; restart the collector", f.name)
		}
	}
	if cfg.HostDmax <= 0 {
		return fmt.Errorf("cannot reload: collector.host_dmax %v must be positive", cfg.HostDmax)
	}
	return nil
}

// Publish shares a batch as if a probe of this host had just made it: `keepwatch send` uses it.
func (c *Collector) Publish(b *batch.Batch) {
	c.publish(b, c.pulse(), false)
}

func (c *Collector) pulse() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.set.pulse
}
