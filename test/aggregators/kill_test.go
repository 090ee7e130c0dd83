package aggregators

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/internal/netnstest"
	"keepwatch/metric"
	"keepwatch/schema/db"
	"keepwatch/schema/pgtest"
)

const (
	hosts    = 30
	metrics  = 20
	interval = 250 * time.Millisecond
	lasts    = 20 * time.Second
	group    = "239.2.11.72:8660"
	secret   = "5d"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build first", err)
	}
	return path
}

// machine is a host of the segment with a program that is killed and started again.
type machine struct {
	*netnstest.Node
	t    *testing.T
	args []string
	at   string // where it answers once it is ready
	runs *netnstest.Process
}

func (m *machine) start() {
	m.t.Helper()
	m.runs = m.Start(m.Command(m.args[0], m.args[1:]...))
	netnstest.Await(m.t, "an answer of "+m.at, func() (err error) {
		m.Do(func() {
			var c net.Conn
			if c, err = net.Dial("tcp", m.at); err == nil {
				err = c.Close()
			}
		})
		return err
	})
}

func (m *machine) kill() {
	m.t.Helper()
	m.runs.Signal(syscall.SIGKILL)
	_ = m.runs.Wait()
}

// Aggregators are killed -9 in random order while 30 hosts send up to 2,400 samples a second, and so is what is behind
// them once. Every sample is in Postgres, once.
func TestEverySampleOnceWhateverIsKilled(t *testing.T) {
	network := netnstest.New(t)
	dir := t.TempDir()
	key := filepath.Join(dir, "frame.key")
	write(t, key, strings.Repeat(secret, 32)+"\n")
	var aggregators []*machine
	var streams []string
	for i := 1; i <= 3; i++ {
		m := collector(t, network, dir, key, i)
		aggregators, streams = append(aggregators, m), append(streams, m.at)
	}
	database, url := pgtest.NewURL(t)
	centre := &machine{Node: network.Node("centre", "10.79.0.9/24"), t: t, at: "127.0.0.1:8080"}
	config := filepath.Join(dir, "centre.yaml")
	write(t, config, fmt.Sprintf(`cluster: web
host: centre
database: {url: %q}
collector: {native: {group: ""}, gmond: {receive: [], xml: {listen: ""}}, serve: {listen: ""}, keys: [{id: 1, file: %q}], probes: {host: {enabled: false}}}
extractor: {clusters: [{name: web, collectors: ["%s"]}], ganglia: {xml: "", interactive: ""}}
`, url, key, strings.Join(streams, `", "`)))
	centre.args = []string{program(t, "keepwatch"), "up", "--config", config, "--data", filepath.Join(dir, "centre")}
	centre.start()
	for _, m := range aggregators {
		m.start()
	}

	cluster := network.Node("hosts", "10.79.0.100/24")
	cluster.IP("route", "add", "239.0.0.0/8", "dev", "eth0")
	sender := newSender(t, cluster)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { sender.run(stop); close(stopped) }()
	kills := mayhem(aggregators, centre, func(since time.Time) {
		netnstest.Await(t, "samples that were sent after the centre was killed", func() error { return stored(t, database, since) })
	})
	close(stop)
	<-stopped
	t.Logf("%d samples sent, %d kills", len(sender.sent), kills)

	check := func() error { return compare(t, database, sender.sent) }
	netnstest.Await(t, "every sample in Postgres", check)
	time.Sleep(2 * time.Second) // for what should not come
	if err := check(); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func collector(t *testing.T, network *netnstest.Net, dir, key string, i int) *machine {
	name, ip := fmt.Sprintf("agg%d", i), fmt.Sprintf("10.79.0.%d", i)
	m := &machine{Node: network.Node(name, ip+"/24"), t: t, at: ip + ":8661"}
	m.IP("route", "add", "239.0.0.0/8", "dev", "eth0")
	config := filepath.Join(dir, name+".yaml")
	write(t, config, fmt.Sprintf(`cluster: web
host: %s
collector:
  interval: 1s
  keys: [{id: 1, file: %q}]
  native: {group: %q, interface: eth0}
  gmond: {receive: [], xml: {listen: ""}}
  serve: {listen: %q}
`, name, key, group, m.at))
	m.args = []string{program(t, "keepwatch-collector"), "--config", config, "--data", filepath.Join(dir, name)}
	return m
}

// mayhem kills the aggregators in random order, each two seconds or so, and the centre once. No two aggregators are
// dead at a time, and none dies while the centre has to catch up, so there is one that has heard what the dead ones had
// not told.
func mayhem(aggregators []*machine, centre *machine, caughtUp func(since time.Time)) (kills int) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for began, centreLives := time.Now(), true; time.Since(began) < lasts; kills++ {
		<-tick.C
		m := aggregators[rand.IntN(len(aggregators))]
		m.kill()
		if centreLives && time.Since(began) > lasts/2 {
			centreLives = false
			killed := time.Now()
			centre.kill()
			m.start()
			centre.start()
			caughtUp(killed)
			tick.Reset(time.Second)
			kills++
			continue
		}
		<-tick.C
		m.start()
	}
	return kills
}

// sample is what was sent. Its value is its own number.
type sample struct {
	host, metric string
	value        float64
}

// sender plays the hosts.
type sender struct {
	t       *testing.T
	conn    *net.UDPConn
	sealers []*frame.Sealer
	series  [][]*metric.Series
	sent    map[sample]int64 // when, ms since the epoch
}

func newSender(t *testing.T, node *netnstest.Node) *sender {
	t.Helper()
	s := &sender{t: t, sent: make(map[sample]int64)}
	to, err := net.ResolveUDPAddr("udp4", group)
	if err != nil {
		t.Fatal(err)
	}
	node.Do(func() { s.conn, err = net.DialUDP("udp4", nil, to) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.conn.Close() })
	k, err := frame.ParseKey(1, strings.Repeat(secret, 32))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := frame.NewKeyring(k)
	if err != nil {
		t.Fatal(err)
	}
	for i := range hosts {
		name := fmt.Sprintf("host%d", i)
		sealer, err := frame.NewSealer(frame.SealerOptions{
			Keys: ring, Boot: frame.Boot{Start: time.Now().UnixMilli(), Random: uint64(i)}, Cluster: "web", Host: name, Payload: 1400,
		})
		if err != nil {
			t.Fatal(err)
		}
		var series []*metric.Series
		for j := range metrics {
			series = append(series, metric.MustSeries("web", name, fmt.Sprintf("test_%d", j), nil, "", metric.Gauge))
		}
		s.sealers, s.series = append(s.sealers, sealer), append(s.series, series)
	}
	return s
}

// run sends a round of every host again and again, one host after the other.
func (s *sender) run(stop chan struct{}) {
	tick := time.NewTicker(interval / hosts)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-tick.C:
			s.host(n % hosts)
		}
	}
}

func (s *sender) host(i int) {
	now, b := time.Now(), &batch.Batch{}
	for _, series := range s.series[i] {
		v := float64(len(s.sent))
		b.Samples = append(b.Samples, metric.Sample{Series: series, Time: now.UnixMilli(), Value: v})
		s.sent[sample{series.Host, series.Name, v}] = now.UnixMilli()
	}
	s.sealers[i].Seal(b, frame.Stamp{Now: now, Interval: time.Second}, func(datagram []byte) {
		if _, err := s.conn.Write(datagram); err != nil {
			s.t.Errorf("cannot send: %v", err)
		}
	})
}

// stored says whether a sample is in Postgres that was taken after that time.
func stored(t *testing.T, database *db.DB, since time.Time) error {
	found := false
	err := each(t, database, since.UnixMilli(), func(sample, int64) { found = true })
	if err == nil && !found {
		return fmt.Errorf("none since %v", since)
	}
	return err
}

// each gives the samples of the hosts in Postgres since a time, ms.
func each(t *testing.T, database *db.DB, since int64, f func(s sample, at int64)) error {
	var names []string
	for j := range metrics {
		names = append(names, fmt.Sprintf("test_%d", j))
	}
	rows, err := database.SelectSeries(t.Context(), db.SelectSeriesParams{
		Metrics: names, Clusters: []string{}, Hosts: []string{}, Labels: []byte("{}"), AtMost: 10_000,
	})
	if err != nil {
		return err
	}
	var ids []int32
	of := make(map[int32]db.SelectSeriesRow)
	for _, r := range rows {
		ids, of[r.ID] = append(ids, r.ID), r
	}
	return database.EachSample(t.Context(), ids, since, time.Now().Add(time.Hour).UnixMilli(), func(id int32, at int64, v float64) error {
		f(sample{of[id].Host, of[id].Metric, v}, at)
		return nil
	})
}

// compare says what of the samples that were sent is not in Postgres, or there that was not sent, or twice, or at another
// time: all clocks are one, and a second is no difference.
func compare(t *testing.T, database *db.DB, sent map[sample]int64) error {
	got := make(map[sample]int)
	var wrong []string
	err := each(t, database, 0, func(k sample, at int64) {
		if got[k]++; got[k] > 1 {
			wrong = append(wrong, fmt.Sprintf("%v is there %d times, now at %d", k, got[k], at))
		}
		switch then, ok := sent[k]; {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("%v was not sent", k))
		case at-then > 1000 || then-at > 1000:
			wrong = append(wrong, fmt.Sprintf("%v was sent at %d and is stored at %d", k, then, at))
		}
	})
	if err != nil {
		return err
	}
	for k := range sent {
		if got[k] == 0 {
			wrong = append(wrong, fmt.Sprintf("%v is missing", k))
		}
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return fmt.Errorf("of %d samples %d are wrong: %s", len(sent), len(wrong), strings.Join(wrong[:min(len(wrong), 5)], "; "))
	}
	return nil
}
