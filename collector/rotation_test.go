package collector

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"

	"github.com/VictoriaMetrics/metrics"
)

// Three hosts go from one key to another, each step by reload and one host after the other, while all of them speak:
// not one sample is lost, no frame is refused, and who asks for the stream with the keys of the step gets it.
func TestKeysRotateWithoutAGap(t *testing.T) {
	nds := hosts(t, 3)
	dir := t.TempDir()
	var both []conf.Key
	for id := 1; id <= 2; id++ {
		file := filepath.Join(dir, fmt.Sprint(id))
		if err := os.WriteFile(file, []byte(strings.Repeat(fmt.Sprint(id), 64)), 0o600); err != nil {
			t.Fatal(err)
		}
		both = append(both, conf.Key{ID: id, File: file})
	}
	steps := [][]conf.Key{{both[0]}, both, {both[1], both[0]}, {both[1]}}
	var cs []*Collector
	cfg := quiet(t)
	for i, nd := range nds {
		cfg.Keys = steps[0]
		c, _ := start(t, nd, fmt.Sprintf("web%d", i+1), cfg)
		cs = append(cs, c)
	}
	refused := func() (n uint64) {
		for _, reason := range []string{"unknown_key", "seal", "replay"} {
			n += metrics.GetOrCreateCounter(fmt.Sprintf(`keepwatch_collector_frames_dropped_total{reason=%q}`, reason)).Get()
		}
		return n
	}
	before, lost := refused(), framesLost.Get()
	reader := streamWith(t, nds[2], cs[2], both)
	said := 0
	speak := func() {
		for i, c := range cs {
			publishAll(c, fmt.Sprintf("web%d", i+1), said, said+5)
		}
		said += 5
	}
	speak()
	for _, step := range steps[1:] {
		for i, c := range cs {
			cfg.Keys = step
			if err := c.Reload(cfg); err != nil {
				t.Fatalf("web%d: %v", i+1, err)
			}
			speak()
		}
		for i, c := range cs {
			if _, err := streamWith(t, nds[i], c, step).Next(); err != nil {
				t.Errorf("web%d: stream with %d keys, the first being %d: %v", i+1, len(step), step[0].ID, err)
			}
		}
	}
	got := make(map[string]bool)
	var dec batch.Decoder
	for len(got) < 3*3*said {
		rec, err := reader.Next()
		if err != nil || rec.Err != nil {
			t.Fatalf("%v, %v; %d of %d samples came", err, rec.Err, len(got), 3*3*said)
		}
		if rec.Heartbeat {
			continue
		}
		var b batch.Batch
		if err := dec.Decode(rec.Frame.Payload, &b); err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Samples {
			if s.Series.Name == seriesOfTest {
				got[fmt.Sprintf("%s %d", s.Series.Key(), s.Time)] = true
			}
		}
	}
	if n := refused() - before; n != 0 {
		t.Errorf("%d frames were refused", n)
	}
	if n := framesLost.Get() - lost; n != 0 {
		t.Errorf("%d frames are lost", n)
	}
}

// streamWith connects to a collector's stream with other keys than the collector may have.
func streamWith(t *testing.T, nd *netnstest.Node, c *Collector, keys []conf.Key) *frame.StreamReader {
	t.Helper()
	ring, err := LoadKeys(keys, "")
	if err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	inNamespace(t, nd, func() (err error) {
		conn, err = net.Dial("tcp", c.Listeners().Serve.String())
		return err
	})
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var nonce frame.Nonce
	if _, err := rand.Read(nonce[:]); err != nil {
		t.Fatal(err)
	}
	hello, err := frame.NewHello(ring, nonce, 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(hello.Bytes[:]); err != nil {
		t.Fatal(err)
	}
	return frame.NewStreamReader(conn, hello)
}

// A host that begins to listen knows every series of the others after one of their runs: each frame names its series.
func TestLateListenerKnowsEverySeries(t *testing.T) {
	nds := hosts(t, 2)
	from, to := quiet(t), quiet(t)
	to.Keys = from.Keys
	a, _ := start(t, nds[0], "web1", from)
	publishAll(a, "web1", 0, 20) // before anybody listens
	b, _ := start(t, nds[1], "web2", to)
	reader := stream(t, nds[1], b, 0)
	publishAll(a, "web1", 20, 21)
	stored(t, reader, "web1", 3)
	b.missed.mu.Lock()
	defer b.missed.mu.Unlock()
	if n := b.missed.tracker.Missing(); n != 0 {
		t.Errorf("the listener asks for %d frames from before it listened", n)
	}
}
