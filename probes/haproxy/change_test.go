package haproxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keepwatch/metric"
)

func TestServerStatus(t *testing.T) {
	for in, want := range map[string]int{
		"UP": 1, "UP 1/3": 1, "DOWN": 0, "DOWN 1/2": 0, "DOWN (agent)": 0, "MAINT": 2, "MAINT (via be/s)": 2,
		"MAINT (resolution)": 2, "DRAIN": 3, "DRAIN (agent)": 3, "NOLB": 4, "NOLB 1/3": 4, "no check": 5,
		"": -1, "UPSIDE": -1, "OPEN": -1, "up": -1,
	} {
		if got := parseServerStatus([]byte(in)); got != want {
			t.Errorf("server %q: %d, want %d", in, got, want)
		}
	}
	for in, want := range map[string]int{"UP": 1, "DOWN": 0, "MAINT": -1, "": -1} {
		if got := parseBackendStatus([]byte(in)); got != want {
			t.Errorf("backend %q: %d, want %d", in, got, want)
		}
	}
	for in, want := range map[string]int{"OPEN": 1, "STOP": 0, "FULL": 2, "PAUSED": 3, "?": -1} {
		if got := parseFrontendStatus([]byte(in)); got != want {
			t.Errorf("frontend %q: %d, want %d", in, got, want)
		}
	}
}

// reply is the answer of an HAProxy with one server.
func reply(status, check, last string, downs, ago int) []byte {
	return fmt.Appendf(nil, "Name: HAProxy\n\n# pxname,svname,status,type,addr,check_status,last_chk,chkdown,lastchg,\nbe,s1,%s,2,10.0.0.7:80,%s,%s,%d,%d,\n\n",
		status, check, last, downs, ago)
}

// TestChanges is a life of one server, a look every 15 s.
func TestChanges(t *testing.T) {
	p := newTest(t, "edge", "x")
	now := start()
	step := func(status, check, last string, downs, ago int, want ...string) {
		t.Helper()
		now = now.Add(15 * time.Second)
		var got []string
		for _, e := range read(t, p, reply(status, check, last, downs, ago), now).Events {
			got = append(got, fmt.Sprintf("%s -%d %s", e.Kind, (now.UnixMilli()-e.Time)/1000, e.Text))
			if err := e.Check(); err != nil {
				t.Error(err)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("at %s:\ngot  %q\nwant %q", status, got, want)
		}
	}
	step("UP", "L7OK", "", 0, 100)
	step("UP 1/3", "L4CON", "Connection refused", 0, 115)
	step("DOWN", "L4CON", "Connection refused", 1, 4, "server_down -4 server be/s1 (10.0.0.7:80) went DOWN: L4CON: Connection refused")
	step("DOWN 1/2", "* L4CON", "Connection refused", 1, 19)
	step("UP", "L7OK", "", 1, 2, "server_up -2 server be/s1 (10.0.0.7:80) went UP: L7OK")
	step("MAINT", "", "", 1, 3, "server_down -3 server be/s1 (10.0.0.7:80) went MAINT")
	step("DOWN", "L4TOUT", "", 1, 3)
	step("DRAIN", "L7OK", "", 1, 200, "server_up -15 server be/s1 (10.0.0.7:80) went UP: L7OK")
	step("UP", "L7OK", "", 1, 1)
	// down and up again between two looks
	step("UP", "L7OK", "", 2, 6,
		"server_down -15 server be/s1 (10.0.0.7:80) went DOWN: it came back before this look at it",
		"server_up -6 server be/s1 (10.0.0.7:80) went UP: L7OK")
	step("DOWN", "L7STS", `"HTTP status ""503"", not 200"`, 3, 0, `server_down -0 server be/s1 (10.0.0.7:80) went DOWN: L7STS: HTTP status "503", not 200`)
	// a reload: the server counts as up until its first check is done
	step("UP", "INI", "", 0, 1)
	step("DOWN", "L4CON", "Connection refused", 1, 8)
	step("nonsense", "", "", 0, 0)
	step("UP", "L7OK", "", 1, 5, "server_up -5 server be/s1 (10.0.0.7:80) went UP: L7OK")
	// a restart: the count begins again
	step("UP", "L7OK", "", 0, 5)
}

func TestEventLabels(t *testing.T) {
	p := newTest(t, "edge", "x")
	read(t, p, reply("UP", "L7OK", "", 0, 5), start())
	down := read(t, p, reply("DOWN 1/2", "* L4CON", "a\tb\xff", 1, 0), start().Add(time.Second)).Events
	up := read(t, p, reply("UP", "L7OK", "", 1, 0), start().Add(2*time.Second)).Events
	if len(down) != 1 || len(up) != 1 {
		t.Fatalf("events %v, %v", down, up)
	}
	e := down[0]
	for name, want := range map[string]string{"proxy_instance": "edge", "proxy": "be", "server": "s1",
		"address": "10.0.0.7:80", "status": "DOWN 1/2", "check": "L4CON"} {
		if got := e.Label(name); got != want {
			t.Errorf("label %s = %q, want %q", name, got, want)
		}
	}
	if e.ID == up[0].ID || e.Kind != metric.EventServerDown || e.Host != "lb-1" || !strings.HasSuffix(e.Text, "L4CON: a b") {
		t.Errorf("event %+v", e)
	}
	if other := newEvents(owner{}); other.boot == p.events.boot {
		t.Error("two probes have one boot id")
	}
}
