package db_test

import (
	"testing"
	"time"

	"keepwatch/schema/pgtest"
)

// What failover leaves behind for people and for Grafana: every transition with its reason, and each virtual router now.
func TestFailoverViews(t *testing.T) {
	d := pgtest.New(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := d.Pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	at := time.Now().Add(-time.Minute).UTC().Truncate(time.Millisecond)
	const reason = "heard no advertisement from 10.0.0.2 for 3.61 s; its last priority was 75 after its track haproxy failed"
	exec(`INSERT INTO events (cluster, host, id, time, kind, text, labels) VALUES
		('web', 'lb1', 'b-1', $1, 'vrrp_transition', 'web: backup to master: ' || $2,
			jsonb_build_object('instance', 'web', 'interface', 'eth0', 'vrid', '51', 'from', 'backup', 'to', 'master', 'priority', '200', 'reason', $2::text)),
		('web', 'lb1', 'b-2', $1, 'vip_taken', 'x', '{"instance": "web"}')`, at, reason)
	var got struct {
		time                                                                time.Time
		cluster, host, instance, ifname, from, to, reason, text, id, family string
		vrid, priority, configured, version                                 int
		group, state                                                        string
	}
	err := d.Pool.QueryRow(t.Context(), `SELECT time, cluster, host, instance, interface, vrid, from_state, to_state, priority, reason, text, id FROM ha_transitions`).
		Scan(&got.time, &got.cluster, &got.host, &got.instance, &got.ifname, &got.vrid, &got.from, &got.to, &got.priority, &got.reason, &got.text, &got.id)
	if err != nil {
		t.Fatal(err)
	}
	if !got.time.Equal(at) || got.cluster != "web" || got.host != "lb1" || got.instance != "web" || got.ifname != "eth0" || got.vrid != 51 ||
		got.from != "backup" || got.to != "master" || got.priority != 200 || got.reason != reason || got.text != "web: backup to master: "+reason || got.id != "b-1" {
		t.Errorf("got transition %+v", got)
	}
	exec(`CREATE TABLE sample_rows_test PARTITION OF sample_rows FOR VALUES FROM (now() - interval '3 days') TO (now() + interval '3 days')`)
	sample := func(metric, labels string, value float64, ago int) {
		t.Helper()
		exec(`WITH s AS (INSERT INTO series (cluster, host, metric, labels, kind) VALUES ('web', 'lb1', $1, $2::jsonb, 'state') RETURNING id)
			INSERT INTO sample_rows SELECT id, now() - make_interval(secs => $4), $3 FROM s`, metric, labels, value, ago)
	}
	sample("keepwatch_vrrp_state", `{"instance": "web", "vrid": "51", "interface": "eth0", "family": "ipv4"}`, 2, 5)
	sample("keepwatch_vrrp_priority", `{"instance": "web", "vrid": "51"}`, 140, 5)
	sample("keepwatch_vrrp_priority_configured", `{"instance": "web", "vrid": "51"}`, 200, 5)
	sample("keepwatch_vrrp_info", `{"instance": "web", "vrid": "51", "version": "2"}`, 1, 50)
	sample("keepwatch_vrrp_info", `{"instance": "web", "vrid": "51", "version": "3", "group": "site"}`, 1, 5)
	sample("keepwatch_vrrp_state", `{"instance": "old", "vrid": "7", "interface": "eth0", "family": "ipv6"}`, 3, 9)
	const now = `SELECT cluster, host, instance, interface, vrid, family, coalesce(version, 0), coalesce(sync_group, ''), state, coalesce(priority, 0), coalesce(priority_configured, 0)
		FROM ha_instances WHERE instance = $1`
	for _, want := range []struct {
		instance, ifname, family, group, state string
		vrid, version, priority, configured    int
	}{
		{"web", "eth0", "ipv4", "site", "master", 51, 3, 140, 200},
		{"old", "eth0", "ipv6", "", "fault", 7, 0, 0, 0},
	} {
		err := d.Pool.QueryRow(t.Context(), now, want.instance).Scan(&got.cluster, &got.host, &got.instance, &got.ifname, &got.vrid, &got.family,
			&got.version, &got.group, &got.state, &got.priority, &got.configured)
		if err != nil {
			t.Fatal(err)
		}
		if got.ifname != want.ifname || got.family != want.family || got.group != want.group || got.state != want.state || got.vrid != want.vrid ||
			got.version != want.version || got.priority != want.priority || got.configured != want.configured {
			t.Errorf("got instance %+v, want %+v", got, want)
		}
	}
}
