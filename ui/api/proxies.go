package api

import (
	"context"
	"time"

	"keepwatch/metric"
	"keepwatch/schema/db"
)

// Proxy is one HAProxy on one host.
type Proxy struct {
	Cluster       string     `json:"cluster"`
	Host          string     `json:"host"`
	Name          string     `json:"name"`
	Up            bool       `json:"up"`
	Version       string     `json:"version"`
	UptimeSeconds *float64   `json:"uptime_seconds"`
	Sessions      *float64   `json:"sessions"`
	RequestRate   *float64   `json:"request_rate" doc:"HTTP requests a second, of all frontends"`
	Frontends     []Frontend `json:"frontends"`
	Backends      []Backend  `json:"backends"`
	Time          Time       `json:"time" doc:"of the newest answer"`
}

// Frontend is where clients come in.
type Frontend struct {
	Name        string   `json:"name"`
	Status      string   `json:"status" enum:"stop,open,full,paused,unknown"`
	Sessions    *float64 `json:"sessions"`
	RequestRate *float64 `json:"request_rate"`
}

// Backend is a set of servers.
type Backend struct {
	Name          string   `json:"name"`
	Up            bool     `json:"up"`
	ActiveServers int      `json:"active_servers"`
	Servers       []Server `json:"servers"`
}

// Server is one server of a backend.
type Server struct {
	Name            string   `json:"name"`
	Address         string   `json:"address" doc:"empty: HAProxy tells it from level operator on only"`
	Status          string   `json:"status" enum:"up,down,maint,drain,nolb,no check,unknown"`
	Since           *Time    `json:"since" nullable:"true"`
	Sessions        *float64 `json:"sessions"`
	Check           string   `json:"check" doc:"what the check found last, in HAProxy's word"`
	ResponseSeconds *float64 `json:"response_seconds" doc:"average of the last 1024 answers"`
}

// proxyMetrics are the series that proxies are told by, as probes/haproxy names them.
var proxyMetrics = []string{
	"haproxy_up", "haproxy_process_uptime_seconds", "haproxy_process_build_info", "haproxy_process_current_connections",
	"haproxy_frontend_status", "haproxy_frontend_current_sessions", "haproxy_frontend_http_requests_rate_current",
	"haproxy_backend_status", "haproxy_backend_active_servers",
	"haproxy_server_status", "haproxy_server_info", "haproxy_server_check_last_change_seconds", "haproxy_server_current_sessions", "haproxy_server_response_time_average_seconds",
}

var (
	frontendStatus = []string{"stop", "open", "full", "paused"}
	serverStatus   = []string{"down", "up", "maint", "drain", "nolb", "no check"}
)

func statusWord(words []string, v float64) string {
	if n := int(v); n >= 0 && n < len(words) {
		return words[n]
	}
	return "unknown"
}

type proxyKey struct {
	hostKey
	name string
}

type serverKey struct {
	proxyKey
	backend, server string
}

func (a *API) proxies(ctx context.Context) ([]Proxy, error) {
	rows, err := a.db.UILatest(ctx, proxyMetrics)
	if err != nil || len(rows) == 0 {
		return []Proxy{}, err
	}
	events, err := a.db.UIEventsOfKinds(ctx, db.UIEventsOfKindsParams{Kinds: []string{string(metric.EventServerUp), string(metric.EventServerDown)}, N: 500})
	if err != nil {
		return nil, err
	}
	b := proxyBuilder{stale: a.o.Stale, at: map[proxyKey]int{}, told: map[serverKey]Event{}, info: map[serverKey]time.Time{}}
	for _, e := range each(events, eventOf) {
		l := e.Labels
		k := serverKey{proxyKey{hostKey{e.Cluster, e.Host}, l["proxy_instance"]}, l["proxy"], l["server"]}
		if _, ok := b.told[k]; !ok { // the newest comes first
			b.told[k] = e
		}
	}
	for _, r := range rows {
		if r.Metric == "haproxy_up" {
			b.begin(haSeries{r, labelsOf(r.Labels)})
		}
	}
	for _, r := range rows {
		b.add(haSeries{r, labelsOf(r.Labels)})
	}
	return b.finish(), nil
}

// proxyBuilder puts proxies together from series.
type proxyBuilder struct {
	stale time.Duration
	all   []Proxy
	at    map[proxyKey]int
	told  map[serverKey]Event
	info  map[serverKey]time.Time // of what its address and check are from
}

func keyOfProxy(r *haSeries) proxyKey { return proxyKey{r.host(), r.labels["proxy_instance"]} }

func (b *proxyBuilder) begin(r haSeries) {
	k := keyOfProxy(&r)
	name := k.name
	if name == "" {
		name = "haproxy"
	}
	b.at[k] = len(b.all)
	b.all = append(b.all, Proxy{
		Cluster: r.Cluster, Host: r.Host, Name: name, Up: r.Value == 1 && r.Age <= b.stale.Seconds(), Time: at(r.Time),
		Frontends: []Frontend{}, Backends: []Backend{},
	})
}

// add takes one series. Of a proxy that answers, only what it still has counts; of another, what it had last.
func (b *proxyBuilder) add(r haSeries) {
	k := keyOfProxy(&r)
	i, ok := b.at[k]
	if !ok || b.all[i].Up && r.Age > b.stale.Seconds() {
		return
	}
	p := &b.all[i]
	name := r.labels["proxy"]
	switch r.Metric {
	case "haproxy_process_uptime_seconds":
		p.UptimeSeconds = &r.Value
	case "haproxy_process_build_info":
		p.Version = r.labels["version"]
	case "haproxy_process_current_connections":
		p.Sessions = &r.Value
	case "haproxy_frontend_status":
		p.frontend(name).Status = statusWord(frontendStatus, r.Value)
	case "haproxy_frontend_current_sessions":
		p.frontend(name).Sessions = &r.Value
	case "haproxy_frontend_http_requests_rate_current":
		p.frontend(name).RequestRate = &r.Value
	case "haproxy_backend_status":
		p.backend(name).Up = r.Value == 1 && p.Up
	case "haproxy_backend_active_servers":
		p.backend(name).ActiveServers = int(r.Value)
	default:
		b.addServer(p, serverKey{k, name, r.labels["server"]}, &r)
	}
}

func (b *proxyBuilder) addServer(p *Proxy, k serverKey, r *haSeries) {
	if k.server == "" {
		return
	}
	s := p.backend(k.backend).server(k.server)
	switch r.Metric {
	case "haproxy_server_status":
		s.Status = statusWord(serverStatus, r.Value)
		if e, ok := b.told[k]; ok && b.info[k].IsZero() {
			s.Address, s.Check = e.Labels["address"], e.Labels["check"]
		}
	case "haproxy_server_info":
		if r.Time.After(b.info[k]) {
			b.info[k], s.Address, s.Check = r.Time, r.labels["address"], r.labels["check"]
		}
	case "haproxy_server_check_last_change_seconds":
		s.Since = &Time{r.Time.Add(-time.Duration(r.Value * float64(time.Second)))}
	case "haproxy_server_current_sessions":
		s.Sessions = &r.Value
	case "haproxy_server_response_time_average_seconds":
		s.ResponseSeconds = &r.Value
	}
}

func (b *proxyBuilder) finish() []Proxy {
	for i := range b.all {
		p := &b.all[i]
		for j := range p.Frontends {
			f := &p.Frontends[j]
			if !p.Up {
				f.Status = "unknown"
			}
			if f.RequestRate != nil {
				sum := *f.RequestRate
				if p.RequestRate != nil {
					sum += *p.RequestRate
				}
				p.RequestRate = &sum
			}
		}
		for j := range p.Backends {
			for k := range p.Backends[j].Servers {
				if s := &p.Backends[j].Servers[k]; !p.Up {
					s.Status, s.Since = "unknown", nil
				}
			}
		}
	}
	return append([]Proxy{}, b.all...)
}

// frontend, backend and server find a part by name, or add it: lists are short, and series come sorted by name.

func (p *Proxy) frontend(name string) *Frontend {
	for i := range p.Frontends {
		if p.Frontends[i].Name == name {
			return &p.Frontends[i]
		}
	}
	p.Frontends = append(p.Frontends, Frontend{Name: name, Status: "unknown"})
	return &p.Frontends[len(p.Frontends)-1]
}

func (p *Proxy) backend(name string) *Backend {
	for i := range p.Backends {
		if p.Backends[i].Name == name {
			return &p.Backends[i]
		}
	}
	p.Backends = append(p.Backends, Backend{Name: name, Servers: []Server{}})
	return &p.Backends[len(p.Backends)-1]
}

func (b *Backend) server(name string) *Server {
	for i := range b.Servers {
		if b.Servers[i].Name == name {
			return &b.Servers[i]
		}
	}
	b.Servers = append(b.Servers, Server{Name: name, Status: "unknown"})
	return &b.Servers[len(b.Servers)-1]
}
