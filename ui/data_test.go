package ui_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

type holder struct {
	Host  string
	Since *string
}

type vip struct {
	Cluster, VIP, Instance, Interface, State string
	VRID                                     int
	Holders                                  []holder
}

func (v vip) String() string {
	var hosts []string
	for _, h := range v.Holders {
		since := "?"
		if h.Since != nil {
			since = "known"
		}
		hosts = append(hosts, h.Host+":"+since)
	}
	return fmt.Sprintf("%s %s %d %s %s [%s]", v.VIP, v.Instance, v.VRID, v.Interface, v.State, strings.Join(hosts, " "))
}

type haAnswer struct {
	Instances []struct {
		Host, Instance, State string
		Reason                string `json:"last_reason"`
		Since                 *string
		Priority, Configured  *float64
		VIPs                  []string
		Agent                 bool `json:"agent_up"`
	}
	VIPs    []vip
	Proxies []struct {
		Host, Name, Version string
		Up                  bool
		Rate                *float64 `json:"request_rate"`
		Frontends           []struct{ Name, Status string }
		Backends            []struct {
			Name    string
			Up      bool
			Active  int `json:"active_servers"`
			Servers []struct {
				Name, Address, Status, Check string
				Since                        *string
			}
		}
	}
	Transitions []struct{ Kind string }
	Heard       []object
}

// router stores what the agent of a host says of one virtual router with one address.
func (s *server) router(host string, state, held float64, ago int) {
	s.t.Helper()
	const l = `{"instance": "vi1", "vrid": "51", "interface": "eth0", "family": "ipv4"}`
	s.sample("default", host, "keepwatch_ha_up", `{}`, 1, ago)
	s.sample("default", host, "keepwatch_vrrp_state", l, state, ago)
	s.sample("default", host, "keepwatch_vrrp_priority", l, 90, ago)
	s.sample("default", host, "keepwatch_vip_held", `{"instance": "vi1", "vip": "10.0.0.1"}`, held, ago)
}

func (s *server) hostUp(host string, up float64) {
	s.sample("default", host, "keepwatch_host_up", `{}`, up, 1)
}

func TestVIPs(t *testing.T) {
	const taken = `{"instance": "vi1", "vip": "10.0.0.1"}`
	tests := []struct {
		name string
		make func(s *server)
		want string
	}{
		{"one holds it", func(s *server) {
			s.router("lb1", 2, 1, 3)
			s.router("lb2", 1, 0, 4)
			s.event("default", "lb1", "vip_taken", taken, 600)
		}, "10.0.0.1 vi1 51 eth0 held [lb1:known]"},
		{"nobody holds it", func(s *server) {
			s.router("lb1", 1, 0, 3)
			s.router("lb2", 3, 0, 4)
		}, "10.0.0.1 vi1 51 eth0 nobody []"},
		{"two hold it", func(s *server) {
			s.router("lb1", 2, 1, 3)
			s.router("lb2", 2, 1, 4)
			s.event("default", "lb1", "vip_taken", taken, 600)
			s.event("default", "lb2", "vip_taken", taken, 30)
		}, "10.0.0.1 vi1 51 eth0 conflict [lb1:known lb2:known]"},
		{"two hold it since nobody knows when", func(s *server) {
			s.router("lb1", 2, 1, 3)
			s.router("lb2", 2, 1, 4)
		}, "10.0.0.1 vi1 51 eth0 conflict [lb1:? lb2:?]"},
		{"the word of a dead host is older than its successor's taking", func(s *server) {
			s.router("lb1", 2, 1, 20)
			s.router("lb2", 2, 1, 2)
			s.event("default", "lb1", "vip_taken", taken, 600)
			s.event("default", "lb2", "vip_taken", taken, 15)
		}, "10.0.0.1 vi1 51 eth0 held [lb2:known]"},
		{"an old word counts for nothing", func(s *server) {
			s.router("lb1", 2, 1, 120)
		}, "10.0.0.1 vi1 51 eth0 nobody []"},
		{"the host is known to be down", func(s *server) {
			s.router("lb1", 2, 1, 30)
			s.hostUp("lb1", 0)
		}, "10.0.0.1 vi1 51 eth0 nobody []"},
		{"the agent was found dead since", func(s *server) {
			s.router("lb1", 2, 1, 30)
			s.sample("default", "lb1", "keepwatch_ha_up", `{}`, 0, 5)
		}, "10.0.0.1 vi1 51 eth0 nobody []"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			s.partition()
			tt.make(s)
			c := s.as("viewer")
			var ha haAnswer
			c.want(200, "GET", "/api/v1/ha", nil, &ha)
			if len(ha.VIPs) != 1 || ha.VIPs[0].String() != tt.want {
				t.Errorf("got %v, want [%s]", ha.VIPs, tt.want)
			}
			var o struct{ VIPs []vip }
			c.want(200, "GET", "/api/v1/overview", nil, &o)
			if fmt.Sprint(o.VIPs) != fmt.Sprint(ha.VIPs) {
				t.Errorf("the overview says %v", o.VIPs)
			}
		})
	}
}

func TestInstances(t *testing.T) {
	s := start(t)
	s.partition()
	s.router("lb1", 2, 1, 3)
	s.router("lb2", 1, 0, 300)
	s.event("default", "lb1", "vrrp_transition", `{"instance": "vi1", "from": "backup", "to": "master", "reason": "master down"}`, 60)
	s.event("default", "lb1", "vrrp_transition", `{"instance": "vi1", "from": "init", "to": "backup", "reason": "start"}`, 70)
	s.sample("default", "lb1", "vrrp_heard_priority", `{"interface": "eth0", "vrid": "7", "source": "10.0.0.9", "version": "2", "family": "ipv4"}`, 100, 2)
	var ha haAnswer
	s.as("viewer").want(200, "GET", "/api/v1/ha", nil, &ha)
	if len(ha.Instances) != 2 {
		t.Fatalf("got %+v", ha.Instances)
	}
	one, two := ha.Instances[0], ha.Instances[1]
	if one.State != "master" || one.Reason != "master down" || one.Since == nil || *one.Priority != 90 || !one.Agent || fmt.Sprint(one.VIPs) != "[10.0.0.1]" {
		t.Errorf("lb1: %+v", one)
	}
	if two.State != "unknown" || two.Since != nil || two.Agent {
		t.Errorf("lb2, long silent: %+v", two)
	}
	if len(ha.Transitions) != 2 || len(ha.Heard) != 1 || ha.Heard[0]["vrid"] != 7.0 || ha.Heard[0]["priority"] != 100.0 {
		t.Errorf("transitions %v, heard %v", ha.Transitions, ha.Heard)
	}
}

// What moves a virtual router and what stands beside it: tracks, handover, group, BFD, and another host with its address.
func TestHADetails(t *testing.T) {
	s := start(t)
	s.partition()
	s.router("lb1", 2, 1, 3)
	const l = `{"instance": "vi1", "vrid": "51"}`
	put := func(name, labels string, v float64, ago int) { s.sample("default", "lb1", name, labels, v, ago) }
	put("keepwatch_vrrp_info", `{"instance": "vi1", "vrid": "51", "version": "2"}`, 1, 20)
	put("keepwatch_vrrp_info", `{"instance": "vi1", "vrid": "51", "version": "3", "group": "site", "source": "10.0.0.2"}`, 1, 3)
	put("keepwatch_vrrp_track_effect", `{"instance": "vi1", "vrid": "51", "track": "disk"}`, -60, 3)
	put("keepwatch_vrrp_track_effect", `{"instance": "vi1", "vrid": "51", "track": "proxy"}`, 0, 3)
	put("keepwatch_vrrp_track_fault", `{"instance": "vi1", "vrid": "51", "track": "disk"}`, 1, 3)
	put("keepwatch_vrrp_paused", l, 2, 3)
	put("keepwatch_vrrp_leaving", l, 1, 3)
	put("keepwatch_vrrp_group_state", `{"group": "site"}`, 3, 3)
	put("keepwatch_bfd_up", `{"session": "b", "peer": "10.0.0.3"}`, 1, 3)
	put("keepwatch_bfd_detection_seconds", `{"session": "b", "peer": "10.0.0.3"}`, 0.15, 3)
	put("keepwatch_bfd_up", `{"session": "old", "peer": "10.0.0.4"}`, 1, 300)
	put("keepwatch_vrrp_conflict", `{"instance": "vi1", "vip": "10.0.0.1"}`, 1, 3)
	s.event("default", "lb1", "vrrp_transition", `{"instance": "vi1", "to": "master"}`, 60)
	s.event("default", "lb1", "vrrp_transition", `{"instance": "vi2", "to": "master"}`, 50)
	s.event("default", "lb1", "server_down", `{}`, 40)
	var ha struct {
		Instances []struct {
			Version       int
			Group, Paused string
			Leaving       bool
			Moved         []struct {
				Track  string
				Effect float64
				Fault  bool
			}
		}
		Groups []struct{ Host, Group, State string }
		BFD    []struct {
			Session, Peer, State string
			Detection            *float64 `json:"detection_seconds"`
		}
		VIPs []struct {
			State string
			Seen  []string `json:"seen_by"`
		}
		Transitions []object
	}
	c := s.as("viewer")
	c.want(200, "GET", "/api/v1/ha", nil, &ha)
	if got := fmt.Sprintf("%+v", ha.Instances); got != "[{Version:3 Group:site Paused:drained Leaving:true Moved:[{Track:disk Effect:-60 Fault:true}]}]" {
		t.Errorf("got instances %s", got)
	}
	if got := fmt.Sprint(ha.Groups, ha.VIPs); got != "[{lb1 site fault}] [{conflict [lb1]}]" {
		t.Errorf("got groups and addresses %s", got)
	}
	if len(ha.BFD) != 2 || ha.BFD[0].State != "up" || *ha.BFD[0].Detection != 0.15 || ha.BFD[1].State != "unknown" || ha.BFD[1].Detection != nil {
		t.Errorf("got BFD %+v", ha.BFD)
	}
	if len(ha.Transitions) != 3 {
		t.Errorf("got %d transitions, want 3", len(ha.Transitions))
	}
	c.want(200, "GET", "/api/v1/ha?instance=vi2", nil, &ha)
	if len(ha.Transitions) != 1 || len(ha.Instances) != 1 {
		t.Errorf("got %v of vi2", ha.Transitions)
	}
}

func TestProxies(t *testing.T) {
	s := start(t)
	s.partition()
	put := func(name, labels string, v float64, ago int) {
		s.sample("default", "lb1", name, strings.Replace(labels, "{", `{"proxy_instance": "edge", `, 1), v, ago)
	}
	s.sample("default", "lb1", "haproxy_up", `{"proxy_instance": "edge"}`, 1, 2)
	put("haproxy_process_build_info", `{"version": "2.6.12"}`, 1, 2)
	for i, rate := range []float64{10, 2.5} {
		l := fmt.Sprintf(`{"proxy": "www%d"}`, i)
		put("haproxy_frontend_status", l, 1, 2)
		put("haproxy_frontend_http_requests_rate_current", l, rate, 2)
	}
	put("haproxy_backend_status", `{"proxy": "app"}`, 1, 2)
	put("haproxy_backend_active_servers", `{"proxy": "app"}`, 1, 2)
	for name, state := range map[string]float64{"a": 1, "b": 0, "m": 2, "n": 5} {
		l := fmt.Sprintf(`{"proxy": "app", "server": %q}`, name)
		put("haproxy_server_status", l, state, 2)
		put("haproxy_server_check_last_change_seconds", l, 40, 2)
	}
	put("haproxy_server_status", `{"proxy": "app", "server": "removed"}`, 1, 600)
	put("haproxy_server_info", `{"proxy": "app", "server": "a", "address": "10.1.0.1:80", "check": "L4TOUT"}`, 1, 20)
	put("haproxy_server_info", `{"proxy": "app", "server": "a", "address": "10.1.0.1:80", "check": "L7OK"}`, 1, 2)
	put("haproxy_server_info", `{"proxy": "app", "server": "m", "address": "10.1.0.3:80"}`, 1, 2)
	s.event("default", "lb1", "server_down", `{"proxy_instance": "edge", "proxy": "app", "server": "b", "address": "10.1.0.2:80", "check": "L4CON"}`, 42)
	s.sample("default", "lb2", "haproxy_up", `{}`, 0, 2)
	s.sample("default", "lb2", "haproxy_server_status", `{"proxy": "app", "server": "a"}`, 1, 90)
	var ha haAnswer
	s.as("viewer").want(200, "GET", "/api/v1/ha", nil, &ha)
	if len(ha.Proxies) != 2 {
		t.Fatalf("got %+v", ha.Proxies)
	}
	edge, dead := ha.Proxies[0], ha.Proxies[1]
	if edge.Name != "edge" || !edge.Up || edge.Version != "2.6.12" || *edge.Rate != 12.5 || fmt.Sprint(edge.Frontends) != "[{www0 open} {www1 open}]" {
		t.Errorf("edge: %+v", edge)
	}
	app := edge.Backends[0]
	var got []string
	slices.SortFunc(app.Servers, func(x, y struct {
		Name, Address, Status, Check string
		Since                        *string
	}) int {
		return cmp.Compare(x.Name, y.Name)
	})
	for _, x := range app.Servers {
		got = append(got, strings.TrimSpace(x.Name+" "+x.Status+" "+x.Address+" "+x.Check))
		if x.Since == nil {
			t.Errorf("%s: since when?", x.Name)
		}
	}
	if want := "a up 10.1.0.1:80 L7OK,b down 10.1.0.2:80 L4CON,m maint 10.1.0.3:80,n no check"; strings.Join(got, ",") != want || !app.Up || app.Active != 1 {
		t.Errorf("got %q, %+v; want %q", got, app, want)
	}
	if dead.Name != "haproxy" || dead.Up || dead.Backends[0].Servers[0].Status != "unknown" {
		t.Errorf("lb2, which does not answer: %+v", dead)
	}
}

type hostAnswer struct {
	Name     string
	Up       bool
	Problems struct{ Critical, Warning, Unknown int }
	CPU      *float64 `json:"cpu_busy"`
	Load     *float64 `json:"load1"`
	Disk     *float64 `json:"disk_used"`
	Sources  []string
}

// fill stores four hosts: one with everything, one told by gmond alone, one that is down, one that is long silent.
func (s *server) fill() {
	s.partition()
	s.hostUp("web1", 1)
	s.sample("default", "web1", "keepwatch_probe_up", `{"probe": "host"}`, 1, 3)
	s.sample("default", "web1", "node_cpu_usage_ratio", `{"mode": "busy"}`, 0.25, 3)
	s.sample("default", "web1", "node_cpu_usage_ratio", `{"mode": "idle"}`, 0.75, 3)
	s.sample("default", "web1", "node_load1", `{}`, 1.5, 3)
	s.sample("default", "web1", "node_load1", `{"source": "gmond"}`, 9, 3)
	s.sample("default", "web1", "node_filesystem_used_ratio", `{"mountpoint": "/", "device": "sda1"}`, 0.4, 3)
	s.sample("default", "web1", "node_filesystem_used_ratio", `{"mountpoint": "/var", "device": "sda2"}`, 0.9, 3)
	s.sample("default", "web1", "node_filesystem_size_bytes", `{"mountpoint": "/", "device": "sda1"}`, 1e9, 3)
	s.sample("default", "web1", "node_network_up", `{"device": "eth0"}`, 1, 3)
	s.sample("default", "web1", "node_network_speed_bytes", `{"device": "eth0"}`, 125e6, 3)
	s.sample("default", "web1", "node_uname_info", `{"sysname": "Linux", "release": "6.1.0", "machine": "x86_64"}`, 1, 3)
	s.sample("default", "web1", "node_boot_time_seconds", `{}`, 1.7e9, 3)
	s.sample("default", "web2", "node_load1", `{"source": "gmond"}`, 3, 20)
	s.sample("default", "web2", "node_cpu_usage_ratio", `{"mode": "not_idle", "source": "gmond"}`, 0.5, 20)
	s.sample("default", "web2", "node_cpu_usage_ratio", `{"mode": "iowait", "source": "gmond"}`, 0.75, 20)
	s.sample("default", "web1", "node_cpu_usage_ratio", `{"mode": "not_idle", "source": "gmond"}`, 0.5, 3)
	s.hostUp("web3", 0)
	s.sample("default", "web3", "node_load1", `{}`, 3, 30)
	s.sample("default", "web4", "node_load1", `{}`, 3, 7000)
	rule := s.rule("load")
	s.alert(rule, "web1", "critical")
	s.alert(rule, "web2", "warning")
	s.alert(rule, "web3", "ok")
}

func TestHosts(t *testing.T) {
	s := start(t)
	s.fill()
	c := s.as("viewer")
	var all struct{ Items []hostAnswer }
	c.want(200, "GET", "/api/v1/hosts", nil, &all)
	if len(all.Items) != 4 {
		t.Fatalf("got %d hosts", len(all.Items))
	}
	web1, web2, web3, web4 := all.Items[0], all.Items[1], all.Items[2], all.Items[3]
	if !web1.Up || *web1.CPU != 0.25 || *web1.Load != 1.5 || *web1.Disk != 0.9 || web1.Problems.Critical != 1 || fmt.Sprint(web1.Sources) != "[gmond keepwatch]" {
		t.Errorf("web1: %+v", web1)
	}
	if !web2.Up || *web2.Load != 3 || *web2.CPU != 0.5 || web2.Problems.Warning != 1 || fmt.Sprint(web2.Sources) != "[gmond]" {
		t.Errorf("web2: %+v", web2)
	}
	if web3.Up || web3.Problems.Critical != 0 {
		t.Errorf("web3, which is down: %+v", web3)
	}
	if web4.Up || web4.Load != nil {
		t.Errorf("web4, long silent: %+v", web4)
	}
}

func TestHost(t *testing.T) {
	s := start(t)
	s.fill()
	s.event("default", "web1", "host_joined", "{}", 100)
	c := s.as("viewer")
	var d struct {
		Host        hostAnswer
		Facts       map[string]string
		Metrics     []struct{ Name string }
		Alerts      []object
		Events      []object
		Filesystems []struct {
			Mountpoint, Device string
			Size               float64
			Used               float64 `json:"used_ratio"`
		}
		Interfaces []struct {
			Device string
			Up     bool
			Speed  *float64
		}
	}
	c.want(200, "GET", "/api/v1/hosts/default/web1", nil, &d)
	if !d.Host.Up || *d.Host.Disk != 0.9 || *d.Host.CPU != 0.25 || *d.Host.Load != 1.5 {
		t.Errorf("host %+v", d.Host)
	}
	if d.Facts["uname"] != "Linux 6.1.0 x86_64" || d.Facts["boot_time"] != "2023-11-14T22:13:20.000Z" {
		t.Errorf("facts %v", d.Facts)
	}
	if len(d.Metrics) != 10 || len(d.Alerts) != 1 || len(d.Events) != 1 {
		t.Errorf("%d metrics %v, %d alerts, %d events", len(d.Metrics), d.Metrics, len(d.Alerts), len(d.Events))
	}
	if got := fmt.Sprint(d.Filesystems); got != "[{/ sda1 1e+09 0.4} {/var sda2 0 0.9}]" {
		t.Errorf("filesystems %s", got)
	}
	if len(d.Interfaces) != 1 || !d.Interfaces[0].Up || *d.Interfaces[0].Speed != 125e6 {
		t.Errorf("interfaces %+v", d.Interfaces)
	}
	c.want(200, "GET", "/api/v1/hosts/default/web2", nil, &d)
	if *d.Host.CPU != 0.5 {
		t.Errorf("host of gmond: %+v", d.Host)
	}
	c.refused(404, "GET", "/api/v1/hosts/default/nobody", nil)
	s.sample("a/b", "x y/ü", "node_load1", `{}`, 1, 2)
	c.want(200, "GET", "/api/v1/hosts/a%2Fb/x%20y%2F%C3%BC", nil, nil)
}

func TestOverview(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	c.want(200, "GET", "/api/v1/overview", nil, nil) // nothing is there yet
	s.fill()
	s.event("default", "web1", "host_joined", "{}", 100)
	var o struct {
		Now      string
		Problems []struct{ Host, State, Unit string }
		Total    struct{ Critical, Warning, Unknown, Acknowledged int } `json:"problems_total"`
		Hosts    struct {
			Up, Down, Total int
			List            []struct{ Name string } `json:"down_list"`
		}
		Events []object `json:"recent_events"`
		Data   struct {
			Newest *string  `json:"newest_sample_at"`
			Lag    *float64 `json:"writer_lag_seconds"`
		}
	}
	c.want(200, "GET", "/api/v1/overview", nil, &o)
	if got := fmt.Sprint(o.Problems, o.Total); got != "[{web1 critical } {web2 warning }] {1 1 0 0}" {
		t.Errorf("problems %s", got)
	}
	if got := fmt.Sprint(o.Hosts); got != "{2 2 4 [{web3} {web4}]}" {
		t.Errorf("hosts %s", got)
	}
	if len(o.Events) != 1 || o.Data.Newest == nil || o.Data.Lag == nil || len(o.Now) != len("2026-11-21T05:41:00.123Z") {
		t.Errorf("got %+v", o)
	}
}

func TestListsAndFilters(t *testing.T) {
	s := start(t)
	s.fill()
	s.event("default", "web1", "host_joined", "{}", 100)
	s.event("other", "web1", "host_lost", "{}", 200)
	c := s.as("viewer")
	for path, want := range map[string]int{
		"/alerts": 2, "/alerts?state=all": 3, "/alerts?state=warning": 1, "/alerts?host=web1": 1, "/alerts?host=other/web1": 0,
		"/alerts?host=default/web1": 1, "/alerts?rule=1&limit=1": 1, "/alerts?rule=2": 0,
		"/events": 2, "/events?cluster=other": 1, "/events?kind=host_lost": 1, "/events?host=web9": 0, "/events?limit=1": 1,
		"/events?since=2020-01-01T00:00:00Z": 2, "/events?until=2020-01-01T00:00:00Z": 0, "/metrics": 10,
		"/thresholds": 1, "/contacts": 0, "/notifications": 0,
	} {
		var all struct{ Items []object }
		c.want(200, "GET", "/api/v1"+path, nil, &all)
		if len(all.Items) != want || all.Items == nil {
			t.Errorf("%s: got %d, want %d: %v", path, len(all.Items), want, all.Items)
		}
	}
	var about object
	c.want(200, "GET", "/api/v1/about", nil, &about)
	if about["version"] != "test" || about["schema_version"] != 1.0 {
		t.Errorf("about %v", about)
	}
	var detail struct{ Around []object }
	c.want(200, "GET", "/api/v1/alerts/1", nil, &detail)
	if len(detail.Around) != 1 {
		t.Errorf("around the alert: %v", detail.Around)
	}
}
