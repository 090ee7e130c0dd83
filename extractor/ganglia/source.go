package ganglia

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	tree "keepwatch/internal/ganglia"
	"keepwatch/metric"
)

const (
	dialTimeout = 5 * time.Second
	readGap     = 10 * time.Second // without a byte; gmetad's own (data_thread.c)
	readTime    = 2 * time.Minute  // of a whole document

	tellAgain = time.Hour // what goes on being wrong is told again
)

var (
	pollsGood     = metrics.GetOrCreateCounter(`keepwatch_ganglia_polls_total{result="ok"}`)
	pollsDegraded = metrics.GetOrCreateCounter(`keepwatch_ganglia_polls_total{result="degraded"}`)
	pollsFailed   = metrics.GetOrCreateCounter(`keepwatch_ganglia_polls_total{result="failed"}`)
	faultsTotal   = metrics.GetOrCreateCounter(`keepwatch_ganglia_faults_total`)
	conflicts     = metrics.GetOrCreateCounter(`keepwatch_ganglia_name_conflicts_total`)
)

// source is one data_source. Its run alone touches what is not under mu or atomic.
type source struct {
	p     *Poller
	index int
	conf  conf.GangliaSource
	log   *slog.Logger

	good    int // address that answered last; -1: none
	lost    bool
	told    map[string]time.Time // what was told, and when last
	unasked map[string]bool      // clusters that the source cannot ask
	events  int
	started int64
	carried *carried

	view   atomic.Pointer[view]
	mu     sync.Mutex
	status SourceStatus
}

func newSource(p *Poller, index int, c conf.GangliaSource) *source {
	return &source{
		p: p, index: index, conf: c, log: p.log.With("source", c.Name), good: -1, told: make(map[string]time.Time), unasked: make(map[string]bool),
		started: time.Now().UnixMilli(), carried: newCarried(p.opt.HostDmax), status: SourceStatus{Name: c.Name},
	}
}

// run polls at the interval, each time up to 5 % sooner or later, so that many pollers do not come at once.
func (s *source) run(ctx context.Context) error {
	for {
		began := time.Now()
		if err := s.poll(ctx); err != nil {
			return err
		}
		wait := time.Duration(float64(s.conf.Interval) * (0.95 + 0.1*rand.Float64()))
		t := time.NewTimer(max(wait-time.Since(began), 0))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// poll is one round. The error is that of the Sink.
func (s *source) poll(ctx context.Context) error {
	a, err := s.fetchAny(ctx)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		pollsFailed.Inc()
		return s.failed(ctx, time.Now(), err)
	}
	return s.took(ctx, a)
}

// answer is a document that an address gave. began is when its first byte came: its times are of then, however long
// the rest takes.
type answer struct {
	addr  string
	doc   *tree.Document
	rep   *tree.Report
	began time.Time
}

// fetchAny asks the address that answered last, and when it does not any more, all from the first.
func (s *source) fetchAny(ctx context.Context) (*answer, error) {
	order := make([]int, 0, len(s.conf.Addresses))
	if s.good >= 0 {
		order = append(order, s.good)
	}
	for i := range s.conf.Addresses {
		if i != s.good {
			order = append(order, i)
		}
	}
	var failures []string
	for _, i := range order {
		addr := s.conf.Addresses[i]
		a, err := s.fetch(ctx, addr)
		if err == nil {
			if s.good >= 0 && i != s.good {
				s.log.Warn("polling another address", "address", addr, "before", s.conf.Addresses[s.good], "err", strings.Join(failures, "; "))
			}
			s.good = i
			return a, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		s.log.Debug("cannot poll", "address", addr, "err", err)
		failures = append(failures, fmt.Sprintf("%s: %v", addr, err))
	}
	return nil, fmt.Errorf("%.500s", strings.Join(failures, "; "))
}

func (s *source) fetch(ctx context.Context, addr string) (*answer, error) {
	c, err := s.p.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	g := &gapped{Conn: c, end: time.Now().Add(readTime)}
	doc, rep, err := tree.ReadDocument(g, tree.Limits{})
	switch {
	case err != nil:
		return nil, err
	case doc.Cluster == nil && doc.Grid == nil:
		return nil, fmt.Errorf("%w: it tells of no cluster and no grid", tree.ErrForeign)
	}
	return &answer{addr, doc, rep, g.began}, nil
}

// gapped lets a connection be silent for readGap at most.
type gapped struct {
	net.Conn
	end   time.Time
	began time.Time // when the first byte came
}

func (g *gapped) Read(b []byte) (n int, err error) {
	at := time.Now().Add(readGap)
	if at.After(g.end) {
		at = g.end
	}
	if err = g.Conn.SetReadDeadline(at); err != nil {
		return 0, err
	}
	if n, err = g.Conn.Read(b); n > 0 && g.began.IsZero() {
		g.began = time.Now()
	}
	return n, err
}

// failed goes on showing what was known, older by now, and tells once that the source is lost.
func (s *source) failed(ctx context.Context, now time.Time, err error) error {
	if v := s.view.Load(); v != nil {
		v = v.aged(now.Unix())
		s.view.Store(v)
		s.set(func(st *SourceStatus) { st.Hosts, st.HostsUp, st.Metrics = v.count() })
	}
	s.set(func(st *SourceStatus) { st.Error = err.Error() })
	if s.tell("lost", now) {
		s.log.Error("the source is lost: none of its addresses answers. Its hosts are shown as they were and go down", "err", err)
	}
	if s.lost {
		return nil
	}
	s.lost = true
	return s.event(ctx, now, s.firstCluster(), metric.EventSourceLost, fmt.Sprintf("ganglia source %.100q is lost: %.400v", s.conf.Name, err))
}

// took makes a document the newest of the source.
func (s *source) took(ctx context.Context, a *answer) error {
	now, addr, rep, degraded := a.began, a.addr, a.rep, ""
	if rep.Faults > 0 {
		pollsDegraded.Inc()
		faultsTotal.Add(rep.Faults)
		degraded = fmt.Sprintf("%d places left out; first %v", rep.Faults, rep.First[0])
		if s.tell("degraded", now) {
			s.log.Warn("the source's XML is broken in places, which are left out", "address", addr, "places", rep.Faults, "first", rep.First[0].String())
		}
	} else {
		pollsGood.Inc()
		delete(s.told, "degraded")
	}
	v := newView(a.doc, now.Unix())
	conflict := s.drop(v, now)
	if !s.carried.join(v) && s.tell("carried", now) {
		s.log.Warn("of the hosts and metrics that the source tells of no more not all can be remembered", "hosts", maxCarriedHosts, "metrics", maxCarriedMetrics)
	}
	v.sum(now.Unix())
	s.view.Store(v)
	s.set(func(st *SourceStatus) {
		st.Address, st.Polled, st.Error, st.Degraded, st.Conflict, st.Clusters = addr, now.UTC(), "", degraded, conflict, v.names()
		st.Hosts, st.HostsUp, st.Metrics = v.count()
	})
	if s.lost {
		s.lost = false
		delete(s.told, "lost")
		s.log.Info("the source is back", "address", addr)
		if err := s.event(ctx, now, s.firstCluster(), metric.EventSourceFound, fmt.Sprintf("ganglia source %.100q answers again at %.100s", s.conf.Name, addr)); err != nil {
			return err
		}
	}
	if !s.conf.Store {
		return nil
	}
	return s.store(ctx, a, v)
}

// drop takes out of v the clusters whose names belong to another source, and says which one it was.
func (s *source) drop(v *view, now time.Time) (conflict string) {
	taken := s.p.claims.update(s.index, v.names())
	for name, owner := range taken {
		conflicts.Inc()
		v.remove(name)
		other := s.p.sources[owner].conf.Name
		conflict = fmt.Sprintf("cluster %q is told by source %q too, which comes first", name, other)
		if s.tell("conflict "+name, now) {
			s.log.Error("two sources tell of one cluster: it is taken from the first. Give each cluster a name of its own in its gmond.conf, or drop one source",
				"cluster", name, "taken_from", other)
		}
	}
	return conflict
}

// store hands what is new to the Sink.
func (s *source) store(ctx context.Context, a *answer, v *view) error {
	for _, c := range v.all() {
		name := tree.Text(c.Name, metric.MaxHost)
		if slices.Contains(s.p.opt.Clusters, name) {
			if s.tell("native "+name, a.began) {
				s.log.Error("the source tells of a cluster that is pulled from collectors already; its samples are not stored. Set store: false for it, or take the cluster out of extractor.clusters", "cluster", name)
			}
			continue
		}
		conv := s.p.converter(name)
		if err := conv.take(c, a.addr, a.began, s.sink(ctx, name), s.log); err != nil {
			return err
		}
		behind, lost := conv.unasked()
		if err := s.asks(ctx, name, behind, lost, a.began); err != nil {
			return err
		}
	}
	for _, c := range s.p.ended(a.began) {
		delete(s.unasked, c.cluster)
		if err := c.end(a.began, s.sink(ctx, c.cluster)); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) sink(ctx context.Context, cluster string) func(*batch.Batch) error {
	return func(b *batch.Batch) error { return s.p.opt.Sink(ctx, cluster, b) }
}

// asks tells when the gmetad that is polled cannot ask the gmonds of a cluster any more, and when it can again.
func (s *source) asks(ctx context.Context, cluster string, behind int64, lost bool, now time.Time) error {
	switch {
	case lost == s.unasked[cluster]:
		return nil
	case lost:
		if len(s.unasked) >= maxTold {
			return nil
		}
		s.unasked[cluster] = true
		s.log.Error("the source tells of a cluster that it cannot ask any more; nothing is said of its hosts", "cluster", cluster, "seconds", behind)
		return s.event(ctx, now, cluster, metric.EventSourceLost,
			fmt.Sprintf("ganglia source %.100q has not been able to ask cluster %.100q for %d s: nothing is said of its hosts", s.conf.Name, cluster, behind))
	default:
		delete(s.unasked, cluster)
		s.log.Info("the source can ask the cluster again", "cluster", cluster)
		return s.event(ctx, now, cluster, metric.EventSourceFound, fmt.Sprintf("ganglia source %.100q can ask cluster %.100q again", s.conf.Name, cluster))
	}
}

// firstCluster is under which an event of the whole source stands.
func (s *source) firstCluster() string {
	if names := s.clusters(); len(names) > 0 {
		return tree.Text(names[0], metric.MaxHost)
	}
	return tree.Text(s.conf.Name, metric.MaxHost)
}

// event hands an event of the source to the Sink.
func (s *source) event(ctx context.Context, now time.Time, cluster string, kind metric.EventKind, text string) error {
	host, _, err := net.SplitHostPort(s.conf.Addresses[max(s.good, 0)])
	if err != nil {
		host = cluster
	}
	s.events++
	e := metric.Event{
		ID: fmt.Sprintf("ganglia-%d-%d-%d", s.started, s.index, s.events), Cluster: cluster, Host: host, Time: now.UnixMilli(), Kind: kind, Text: text,
		Labels: []metric.Label{{Name: "source", Value: tree.Text(s.conf.Name, metric.MaxLabelValue)}},
	}
	if err := e.Check(); err != nil {
		s.log.Warn("an event of the source cannot be told", "err", err)
		return nil
	}
	return s.p.opt.Sink(ctx, cluster, &batch.Batch{Events: []metric.Event{e}})
}

// clusters are those of the last document.
func (s *source) clusters() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.Clusters
}

func (s *source) set(change func(*SourceStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

// maxTold bounds what a source remembers to have told.
const maxTold = 1000

// tell reports whether something is to be told now: at first, and each hour while it goes on.
func (s *source) tell(what string, now time.Time) bool {
	last, known := s.told[what]
	if known && now.Sub(last) < tellAgain {
		return false
	}
	if len(s.told) > maxTold {
		clear(s.told)
	}
	s.told[what] = now
	return true
}
