package ganglia

import (
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
)

// Version is the version of gmond and gmetad whose XML this is.
const Version = "3.7.2"

const httpHead = "HTTP/1.0 200 OK\r\nServer: keepwatch\r\nAccess-Control-Allow-Origin: *\r\nContent-Type: application/"

// WriteAnswer writes what gmetad would answer to a request about a grid, as of now, epoch seconds. It writes in
// pieces of about 64 KiB and returns the first error of w. A cluster's Summary, where it has one, is taken as it is.
func WriteAnswer(w io.Writer, g *Grid, req Request, now int64) error {
	a := answer{w: w, form: gmetadForm, now: now, exact: req.HTTP}
	if req.Status {
		return a.status(g)
	}
	if req.HTTP {
		a.b = append(a.b, httpHead+"xml\r\nConnection: close\r\n\r\n"...)
	}
	a.b = AppendHead(a.b, Version, "gmetad")
	a.root(g, req)
	a.b = AppendTail(a.b)
	a.flush(0)
	return a.err
}

// answer is one answer as it is written.
type answer struct {
	w     io.Writer
	form  form
	now   int64
	exact bool // names fit or leave nothing
	b     []byte
	err   error
}

const piece = 64 << 10

// flush writes what has been made, once that is more than limit bytes.
func (a *answer) flush(limit int) {
	if len(a.b) <= limit {
		return
	}
	if a.err == nil {
		_, a.err = a.w.Write(a.b)
	}
	a.b = a.b[:0]
}

func (a *answer) openGrid(g *Grid) {
	a.b = appendAttr(a.b, `<GRID NAME="`, g.Name, inName, maxNameText)
	a.b = appendAttr(a.b, ` AUTHORITY="`, g.Authority, a.form.text, maxURLText)
	a.b = append(appendInt(a.b, ` LOCALTIME="`, g.LocalTime), ">\n"...)
}

func (a *answer) root(g *Grid, req Request) {
	a.openGrid(g)
	if len(req.Path) == 0 || !a.named(g, req) && !a.exact {
		a.all(g, req.Summary)
	}
	a.b = append(a.b, "</GRID>\n"...)
}

// named tells the grids and clusters that the path names; false: none.
func (a *answer) named(g *Grid, req Request) (found bool) {
	for i := range g.Grids {
		if a.fits(req.Path[0], g.Grids[i].Name) {
			found = true
			a.grid(&g.Grids[i], req.Path)
		}
	}
	for i := range g.Clusters {
		if a.fits(req.Path[0], g.Clusters[i].Name) {
			found = true
			a.cluster(&g.Clusters[i], req.Path[1:], req.Summary)
		}
	}
	return found
}

func (a *answer) all(g *Grid, summary bool) {
	if summary {
		a.b = a.form.summary(a.b, gridSummary(g, a.now))
	}
	for i := range g.Grids {
		a.grid(&g.Grids[i], nil)
	}
	for i := range g.Clusters {
		a.cluster(&g.Clusters[i], nil, summary)
	}
}

// grid is one below ours. gmetad knows only its summary and tells that; what else is known of it is had by the path
// that goes through it.
func (a *answer) grid(g *Grid, path []string) {
	a.openGrid(g)
	found, through := false, len(path) > 1 && path[0] != "*"
	if through {
		for i := range g.Clusters {
			if a.fits(path[1], g.Clusters[i].Name) {
				found = true
				a.cluster(&g.Clusters[i], path[2:], false)
			}
		}
		for i := range g.Grids {
			if a.fits(path[1], g.Grids[i].Name) {
				found = true
				a.grid(&g.Grids[i], path[1:])
			}
		}
	}
	if !found && (!through || !a.exact) {
		a.b = a.form.summary(a.b, gridSummary(g, a.now))
	}
	a.b = append(a.b, "</GRID>\n"...)
	a.flush(piece)
}

// gridSummary is what was told of a grid, else the sum of what is below it.
func gridSummary(g *Grid, now int64) *Summary {
	if g.Summary != nil {
		return g.Summary
	}
	var all []*Summary
	for i := range g.Clusters {
		all = append(all, clusterSummary(&g.Clusters[i], now))
	}
	for i := range g.Grids {
		all = append(all, gridSummary(&g.Grids[i], now))
	}
	return Merge(all...)
}

func clusterSummary(c *Cluster, now int64) *Summary {
	if c.Summary != nil {
		return c.Summary
	}
	return Summarize(c, now)
}

func (a *answer) cluster(c *Cluster, path []string, summary bool) {
	a.b = a.form.cluster(a.b, c)
	age := ageOf(c, a.now)
	switch {
	case len(path) > 0 && a.hosts(c, path, summary, age):
	case len(path) > 0 && a.exact:
	case summary || len(c.Hosts) == 0 && c.Summary != nil:
		a.b = a.form.summary(a.b, clusterSummary(c, a.now))
	default:
		for i := range c.Hosts {
			a.host(&c.Hosts[i], nil, false, age)
		}
	}
	a.b = AppendClusterEnd(a.b)
	a.flush(piece)
}

// hosts tells those that the path names; false: none.
func (a *answer) hosts(c *Cluster, path []string, summary bool, age uint32) (found bool) {
	for i := range c.Hosts {
		if a.fits(path[0], c.Hosts[i].Name) {
			found = true
			a.host(&c.Hosts[i], path[1:], summary, age)
		}
	}
	return found
}

func (a *answer) host(h *Host, path []string, summary bool, age uint32) {
	a.b = a.form.host(a.b, h, age)
	found := false
	for i := range h.Metrics {
		if m := &h.Metrics[i]; len(path) > 0 && a.fits(path[0], m.Name) && !expired(m, age) {
			found = true
			a.b = a.form.metric(a.b, m, age)
		}
	}
	if !summary && !found && (len(path) == 0 || !a.exact) {
		for i := range h.Metrics {
			if m := &h.Metrics[i]; !expired(m, age) {
				a.b = a.form.metric(a.b, m, age)
			}
		}
	}
	a.b = append(a.b, "</HOST>\n"...)
	a.flush(piece)
}

// fits tells whether an element of a path names this one. Names are compared as they are written.
func (a *answer) fits(asked, name string) bool {
	if asked == name || a.exact && asked == "*" {
		return true
	}
	return !plain(name) && asked == string(appendText(nil, name, inName, maxNameText))
}

// status is the answer to /status: JSON with an HTTP head, however it was asked.
func (a *answer) status(g *Grid) error {
	s := gridSummary(g, a.now)
	body, err := json.Marshal(struct {
		Grid     string `json:"gridname"`
		Version  string `json:"version"`
		Time     string `json:"time"`
		Clusters int    `json:"clusters"`
		Grids    int    `json:"grids"`
		Up       int    `json:"hosts_up"`
		Down     int    `json:"hosts_down"`
		Metrics  int    `json:"metrics"`
	}{strings.ToValidUTF8(g.Name, "?"), Version, time.Unix(a.now, 0).UTC().Format(time.RFC3339), len(g.Clusters), len(g.Grids), s.Up, s.Down, len(s.Metrics)})
	if err != nil {
		return err
	}
	a.b = append(a.b, httpHead+"json\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\nConnection: close\r\n\r\n"...)
	a.b = append(a.b, body...)
	a.flush(0)
	return a.err
}
