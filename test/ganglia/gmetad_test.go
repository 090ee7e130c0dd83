package ganglia

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keepwatch/internal/netnstest"
)

var polls = flag.Int("polls", 6, "how often gmetad polls ours in TestGmetadWritesRRDs, every 5 s")

// gmetad starts the real gmetad, which polls addresses every 5 s.
func (h *host) gmetad(grid, source string, addresses ...string) (rrds string) {
	h.rig.t.Helper()
	rrds = filepath.Join(h.dir, "rrds")
	must(h.rig.t, os.MkdirAll(rrds, 0o755))
	must(h.rig.t, os.Chown(rrds, 65534, 65534)) // nobody, who gmetad becomes
	conf := fmt.Sprintf("data_source %q 5 %s\ngridname %q\nsetuid_username nobody\nrrd_rootdir %q\nall_trusted on\nRRAs \"RRA:AVERAGE:0.5:1:720\"\n", source, strings.Join(addresses, " "), grid, rrds)
	h.runs = h.Start(h.named("gmetad", "-c", h.file("gmetad.conf", conf), "-d", "1"))
	return rrds
}

// gmetad polls a collector of ours, which heard a gmond and gmetric, and finds nothing to complain about. Its RRDs hold
// what was sent.
func TestGmetadWritesRRDs(t *testing.T) {
	r := newRig(t)
	gmond, ours, gmetad := r.host(1), r.host(2), r.host(3)
	gmond.gmond("lab")
	ours.ours("lab")
	eachSeesAll(t, []*host{gmond, ours}) // so that both hear what gmetric says once
	gmond.gmetric("-n", "depth", "-v", "42", "-t", "uint32", "-u", "jobs")
	gmond.gmetric("-n", "level", "-v", "2.5", "-t", "double", "-u", "m")
	ours.gmetric("-n", "spoken", "-v", "7", "-t", "uint16", "-S", "10.78.0.99:ghost")
	netnstest.Await(t, "ours has heard all", func() error {
		s, err := ours.sees(ours)
		if err != nil {
			return err
		}
		return s.complete([]*host{gmond}, append(quick, "depth", "level")...)
	})
	rrds := gmetad.gmetad("g", "lab", ours.ip+":8649")
	for file, want := range map[string]float64{"node1/depth": 42, "node1/level": 2.5, "ghost/spoken": 7, "__SummaryInfo__/depth": 42} {
		path := filepath.Join(rrds, "lab", file+".rrd")
		polls := *polls
		if strings.HasPrefix(file, "ghost") {
			polls = min(polls, 6) // it spoke once, and is down for gmetad after 80 s
		}
		for n := 1; n <= polls; n++ {
			netnstest.Await(t, fmt.Sprintf("value %d of %s", n, file), func() error { return holds(path, want, n) })
		}
	}
	if log := gmetad.runs.Output(); strings.Contains(strings.ToLower(log), "error") {
		t.Errorf("gmetad complains:\n%s", log)
	}
}

// holds checks the last values of an RRD: as many as were asked for, each as wanted.
func holds(path string, want float64, n int) error {
	if _, err := os.Stat(path); err != nil {
		return err
	}
	out, err := exec.Command("rrdtool", "fetch", path, "AVERAGE", "-s", "-10min").CombinedOutput()
	if err != nil {
		return fmt.Errorf("rrdtool: %v: %s", err, out)
	}
	var got []float64
	for line := range strings.Lines(string(out)) {
		_, values, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.Fields(values)[0], 64)
		if err == nil && !math.IsNaN(v) {
			got = append(got, v)
		}
	}
	for _, v := range got {
		if math.Abs(v-want) > 1e-9 {
			return fmt.Errorf("%s holds %v, want %v", filepath.Base(path), v, want)
		}
	}
	if len(got) < n-1 { // the first step of an RRD has no rate
		return fmt.Errorf("%d of %d values", len(got), n)
	}
	return nil
}

// up starts everything of ours, polling gmonds or gmetads in gmetad's place.
func (h *host) up(grid, source string, addresses ...string) {
	h.rig.t.Helper()
	conf := fmt.Sprintf(`host: %s
collector: {native: {group: ""}, gmond: {receive: [], xml: {listen: ""}}}
extractor:
  ganglia:
    grid: %s
    authority: http://%s/ganglia/
    xml: ":8651"
    interactive: ":8652"
    accept_from: [local, 10.78.0.0/24]
    sources: [{name: %s, interval: 5s, addresses: [%s]}]
`, h.name, grid, h.name, source, `"`+strings.Join(addresses, `", "`)+`"`)
	h.runs = h.Start(h.Command(program(h.rig.t, "keepwatch"), "up", "--config", h.file("keepwatch.yaml", conf), "--data", filepath.Join(h.dir, "data")))
}

// web asks a gmetad of either kind with ganglia-web's own code.
func (h *host) web(address, context, cluster, host string) (map[string]any, error) {
	script, err := filepath.Abs("testdata/ganglia-web.php")
	must(h.rig.t, err)
	const root = "/usr/share/ganglia-webfrontend"
	if _, err := os.Stat(root); err != nil {
		h.rig.t.Fatalf("%v: install Debian's package ganglia-webfrontend (make deps)", err)
	}
	cmd := h.Command("php", script, root, address, "8652", context, cluster, host)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("php: %v: %s%s", err, out, stderr.Bytes())
	}
	var answer map[string]any
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("%v: %.200s", err, out)
	}
	if answer["ok"] != true {
		return nil, fmt.Errorf("ganglia-web has read nothing: %v", answer["error"])
	}
	return answer, nil
}

// moving are the keys that differ between two moments, and the metrics whose values do.
var moving = []string{"LOCALTIME", "REPORTED", "TN", "last_reported", "last_reported_uptime_in_sec", "last_reported_timestamp", "load_one", "mem_free", "cpu_idle"}

// still takes out of an answer what differs between two moments, and keeps that it was there.
func still(v any, path string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any)
		for k, x := range v {
			switch {
			case slices.Contains(moving[:6], k):
				out[k] = "…"
			case slices.Contains(moving[6:], k) && !strings.HasPrefix(path, "/index"):
				if m, ok := x.(map[string]any); ok { // its value alone
					m = maps.Clone(m)
					for _, value := range []string{"VAL", "SUM"} {
						if _, ok := m[value]; ok {
							m[value] = "…"
						}
					}
					x = m
				}
				out[k] = still(x, path+"/"+k)
			default:
				out[k] = still(x, path+"/"+k)
			}
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i := range out {
			out[i] = still(out[i], path)
		}
		slices.SortFunc(out, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		return out
	}
	return v
}

// ganglia-web asks gmetad and ours, which poll the same gmond, in each of its contexts, and reads the same.
func TestGangliaWebAsksOurs(t *testing.T) {
	r := newRig(t)
	first, second, theirs, ours := r.host(1), r.host(2), r.host(3), r.host(4)
	first.gmond("lab one")
	second.gmond("lab one")
	eachSeesAll(t, []*host{first, second})
	first.gmetric("-n", "depth", "-v", "42", "-t", "uint32", "-u", "jobs", "-g", "queue,web", "-D", "how deep", "-T", "Depth")
	second.gmetric("-n", "depth", "-v", "1", "-t", "uint32", "-u", "jobs", "-g", "queue,web", "-D", "how deep", "-T", "Depth")
	netnstest.Await(t, "gmond has all", func() error {
		s, err := first.sees(first)
		if err != nil {
			return err
		}
		return s.complete([]*host{first, second}, append(quick, "depth")...)
	})
	theirs.gmetad("g", "lab one", first.ip+":8649")
	ours.up("g", "lab one", first.ip+":8649")
	for _, c := range []struct{ context, cluster, host string }{
		{"meta", "", ""}, {"control", "", ""}, {"tree", "", ""}, {"index_array", "", ""}, {"views", "", ""},
		{"cluster", "lab one", ""}, {"physical", "lab one", ""}, {"cluster-summary", "lab one", ""}, {"host", "lab one", "10.78.0.2"}, {"node", "lab one", "10.78.0.1"},
		{"cluster", "nothing", ""},
	} {
		netnstest.Await(t, fmt.Sprintf("same answer to %v", c), func() error {
			want, err := ours.web(theirs.ip, c.context, c.cluster, c.host)
			if err != nil {
				return fmt.Errorf("gmetad: %w", err)
			}
			got, err := ours.web(ours.ip, c.context, c.cluster, c.host)
			if err != nil {
				return fmt.Errorf("ours: %w", err)
			}
			return same(still(got, ""), still(want, ""), "")
		})
	}
	nested(t, theirs, ours, first)
}

// same says where two answers differ first.
func same(got, want any, path string) error {
	g, ok1 := got.(map[string]any)
	w, ok2 := want.(map[string]any)
	if !ok1 || !ok2 {
		if !reflect.DeepEqual(got, want) && !authority(path) {
			return fmt.Errorf("%s: ours %v, gmetad %v", path, got, want)
		}
		return nil
	}
	for _, k := range slices.Sorted(maps.Keys(w)) {
		if _, ok := g[k]; !ok {
			return fmt.Errorf("%s/%s is missing in ours", path, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(g)) {
		if _, ok := w[k]; !ok {
			return fmt.Errorf("%s/%s: gmetad has none", path, k)
		}
		if err := same(g[k], w[k], path+"/"+k); err != nil {
			return err
		}
	}
	return nil
}

// authority: each has its own.
func authority(path string) bool { return strings.HasSuffix(path, "/AUTHORITY") }

// nested has a gmetad above ours and ours above a gmetad: each tells of the lower grid by name, authority and summary.
func nested(t *testing.T, theirs, ours, below *host) {
	t.Helper()
	above := below.rig.host(5)
	above.gmetad("upper", "lower", ours.ip+":8651")
	expect := func(of *host, name string) {
		netnstest.Await(t, "the grid "+name+" in "+of.name, func() error {
			text, err := above.ask(of.ip+":8651", "")
			if err != nil {
				return err
			}
			d, err := parse(text)
			if err != nil {
				return fmt.Errorf("not well-formed: %w", err)
			}
			if len(d.Grid) != 1 || len(d.Grid[0].Grid) != 1 {
				return fmt.Errorf("got %+v", d.Grid)
			}
			g := d.Grid[0].Grid[0]
			if g.Name != name || g.Authority == "" || len(g.Hosts) != 1 || g.Hosts[0].Up != 2 || len(g.Cluster) != 0 {
				return fmt.Errorf("got %+v", g)
			}
			for _, m := range g.Metrics {
				if m.Name == "depth" && m.Sum == 43 && m.Num == 2 {
					return nil
				}
			}
			return fmt.Errorf("the sum of depth is missing or wrong: %+v", g.Metrics)
		})
	}
	expect(above, "g")
	again := below.rig.host(6)
	again.up("ours above", "lower", theirs.ip+":8651")
	expect(again, "g")
	if log := above.runs.Output(); strings.Contains(strings.ToLower(log), "error") {
		t.Errorf("gmetad above ours complains:\n%s", log)
	}
}

// The extractor goes from one gmond to the next when it dies, as gmetad does, and what it polled is stored.
func TestPolledSamplesAreStored(t *testing.T) {
	r := newRig(t)
	first, second, ours := r.host(1), r.host(2), r.host(3)
	first.gmond("lab")
	second.gmond("lab")
	eachSeesAll(t, []*host{first, second})
	first.gmetric("-n", "depth", "-v", "42", "-t", "uint32", "-u", "jobs")
	ours.up("g", "lab", first.ip+":8649", second.ip+":8649")
	ours.stored(`gmond_depth{cluster="lab"}`, "42")
	first.stop()
	second.gmetric("-n", "depth", "-v", "43", "-t", "uint32", "-u", "jobs")
	ours.stored(`gmond_depth{cluster="lab",host="10.78.0.2"}`, "43")
	ours.stored(`node_load1{cluster="lab",host="10.78.0.2"} >= bool 0`, "1")
}

// stored waits until a query gives one value.
func (h *host) stored(query, want string) {
	h.rig.t.Helper()
	netnstest.Await(h.rig.t, query, func() error {
		out, err := h.Command(program(h.rig.t, "keepwatch"), "query", "--data", filepath.Join(h.dir, "data"), "--json", query).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%v: %s", err, out)
		}
		var answer struct {
			Data struct {
				Result []struct{ Value [2]any }
			}
		}
		if err := json.Unmarshal(out, &answer); err != nil {
			return fmt.Errorf("%v: %.300s", err, out)
		}
		if len(answer.Data.Result) != 1 || answer.Data.Result[0].Value[1] != want {
			return fmt.Errorf("got %.300s, want one of %s", out, want)
		}
		return nil
	})
}
