package collector

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	"keepwatch/internal/acl"
	"keepwatch/internal/conf"
	"keepwatch/internal/ganglia"
	"keepwatch/internal/tcpserve"
)

const (
	xmlPiece        = 64 << 10 // of the document, in memory at once
	xmlClients      = 32
	xmlPerAddress   = 8
	xmlHiddenMemory = 1000 // hosts told as hidden
)

var xmlHidden = metrics.GetOrCreateCounter(`keepwatch_collector_gmond_xml_hidden_hosts_total`)

// gmondSource is what gmond's XML is made of: *state.State.
type gmondSource interface {
	GmondHosts(dst []string) []string
	FillGmond(name string, now int64, h *ganglia.Host) bool // now: ms since the epoch
	GmondSpeaker(name string) (address string, from netip.Addr, held bool)
}

// xmlServer serves gmond's XML port. It asks for one host at a time and holds no lock while it writes.
type xmlServer struct {
	cluster ganglia.Cluster
	tags    string
	gzip    bool
	source  gmondSource
	peers   *peers // by whose names hosts are shown; nil: by those in their packets
	server  *tcpserve.Server
	access  atomic.Pointer[acl.List]
	log     *slog.Logger

	mu     sync.Mutex
	hidden map[string]string // host told as hidden, and behind which
}

// newXMLServer makes the server of cfg.XML, which must have a listen address, for a cluster of this name.
func newXMLServer(cfg conf.Gmond, cluster string, source gmondSource, log *slog.Logger) (*xmlServer, error) {
	x := &xmlServer{
		cluster: ganglia.Cluster{Name: cluster, Owner: orUnspecified(cfg.Owner), LatLong: orUnspecified(cfg.LatLong), URL: orUnspecified(cfg.URL)},
		tags:    cfg.Tags, gzip: cfg.XML.Gzip, source: source, log: log, hidden: make(map[string]string),
	}
	readers, err := parseReaders(cfg.XML.AcceptFrom)
	if err != nil {
		return nil, err
	}
	x.access.Store(readers)
	if cfg.XML.Names == conf.NamesLookup {
		x.peers = newPeers(net.DefaultResolver.LookupAddr, log)
	}
	x.server = tcpserve.New(tcpserve.Options{
		Name: "gmond_xml", Listen: cfg.XML.Listen, Access: x.access.Load, Clients: xmlClients, PerAddress: xmlPerAddress, Log: log,
	})
	return x, nil
}

// orUnspecified is gmond's word for what a cluster does not say of itself.
func orUnspecified(s string) string {
	if s == "" {
		return "unspecified"
	}
	return s
}

// parseReaders reads who may read the XML.
func parseReaders(acceptFrom []string) (*acl.List, error) {
	l, err := acl.Parse(acceptFrom)
	if err != nil {
		return nil, fmt.Errorf("collector.gmond.xml.accept_from: %w", err)
	}
	return l, nil
}

// Run serves until ctx ends and returns nil.
func (x *xmlServer) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return x.server.Run(ctx, func(_ context.Context, c net.Conn) error { return x.answer(c) })
	})
	if x.peers != nil {
		g.Go(func() error { return x.peers.run(ctx, x.speakers) })
	}
	return g.Wait()
}

// answer writes the whole document. Like gmond it does so at once, whatever the client says.
func (x *xmlServer) answer(c io.Writer) error {
	if !x.gzip {
		return x.write(c)
	}
	z, err := gzip.NewWriterLevel(c, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := x.write(z); err != nil {
		return err
	}
	return z.Close()
}

// write writes the document in pieces, so that it takes the memory of one however many hosts there are.
func (x *xmlServer) write(w io.Writer) error {
	now := time.Now()
	names := x.source.GmondHosts(nil)
	slices.Sort(names) // the same order each time packs better
	shown := x.shown(names, now)
	cluster := x.cluster
	cluster.LocalTime = now.Unix()
	b := ganglia.AppendCluster(ganglia.AppendHead(make([]byte, 0, 2*xmlPiece), ganglia.Version, "gmond"), &cluster)
	var m merged
	for _, s := range shown {
		if !m.fill(x.source, s, now.UnixMilli()) {
			continue
		}
		m.host.Tags = x.tags
		b = ganglia.AppendHost(b, &m.host)
		if len(b) >= xmlPiece {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(ganglia.AppendTail(ganglia.AppendClusterEnd(b)))
	return err
}

// shownHost is a HOST of the document, which may be several of ours.
type shownHost struct {
	name string
	of   []string
}

// shown says which hosts the document tells of.
func (x *xmlServer) shown(names []string, now time.Time) (out []shownHost) {
	if x.peers != nil {
		return x.looked(names, now)
	}
	for i, one := range x.oneOfEach(names, now.UnixMilli()) {
		if one {
			out = append(out, shownHost{names[i], names[i : i+1]})
		}
	}
	return out
}

// oneOfEach picks one host of each address, the one heard last: gmetad files hosts by address in places, so two of one
// would take turns. The others are told and counted.
func (x *xmlServer) oneOfEach(names []string, now int64) []bool {
	type holder struct {
		at int
		tn uint32
	}
	shown := make([]bool, len(names))
	byIP := make(map[string]holder, len(names))
	var h ganglia.Host
	for i, name := range names {
		if !x.source.FillGmond(name, now, &h) {
			continue
		}
		shown[i] = true
		if h.IP == "" {
			continue
		}
		last, twice := byIP[h.IP]
		switch {
		case !twice:
			byIP[h.IP] = holder{i, h.TN}
		case h.TN < last.tn:
			shown[last.at] = false
			byIP[h.IP] = holder{i, h.TN}
			x.hide(names[last.at], name, h.IP)
		default:
			shown[i] = false
			x.hide(name, names[last.at], h.IP)
		}
	}
	return shown
}

func (x *xmlServer) hide(name, behind, ip string) {
	xmlHidden.Inc()
	x.mu.Lock()
	told := x.hidden[name] == behind || len(x.hidden) >= xmlHiddenMemory
	if !told {
		x.hidden[name] = behind
	}
	x.mu.Unlock()
	if !told {
		x.log.Warn("two hosts have one address; gmond's XML shows the one heard last. Give each host an address of its own, or stop one from speaking for the other",
			"address", ip, "hidden", name, "shown", behind)
	}
}
