package ui_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

type object = map[string]any

func goodThreshold(change ...any) object {
	o := object{
		"name": "load", "metric": "node_load1", "hosts": "web/*,lb1", "labels": object{"device": "sd?"}, "transform": "value",
		"warning": "10", "critical": "20", "for_seconds": 60, "clear_seconds": 30, "no_data": true, "description": "Look at top.\nThen act.",
		"enabled": true, "contacts": []int{},
	}
	for i := 0; i < len(change); i += 2 {
		o[change[i].(string)] = change[i+1]
	}
	return o
}

func goodContact(change ...any) object {
	o := object{"name": "Ann", "email": "ann@example.org", "phone": "+86 138-0013-8000", "language": "zh", "sms_from": "critical", "enabled": true}
	for i := 0; i < len(change); i += 2 {
		o[change[i].(string)] = change[i+1]
	}
	return o
}

func TestThresholds(t *testing.T) {
	s := start(t)
	c := s.as("operator")
	var contact, made, changed object
	c.want(201, "POST", "/api/v1/contacts", goodContact(), &contact)
	c.want(201, "POST", "/api/v1/thresholds", goodThreshold("contacts", []any{contact["id"]}), &made)
	if made["version"] != 1.0 || made["updated_by"] != "operator1" || fmt.Sprint(made["contacts"]) != fmt.Sprint([]any{contact["id"]}) {
		t.Errorf("made %v", made)
	}
	path := fmt.Sprintf("/api/v1/thresholds/%v", made["id"])
	c.want(200, "PUT", path, goodThreshold("warning", "11:", "version", 1), &changed)
	if changed["version"] != 2.0 || changed["warning"] != "11:" || fmt.Sprint(changed["contacts"]) != "[]" {
		t.Errorf("changed to %v", changed)
	}
	if _, detail := c.refused(409, "PUT", path, goodThreshold("version", 1)); !strings.Contains(detail, "operator1") {
		t.Errorf("the conflict names nobody: %s", detail)
	}
	if at, _ := c.refused(422, "POST", "/api/v1/thresholds", goodThreshold()); at != "body.name" {
		t.Errorf("a second one of the name: at %q", at)
	}
	s.alert(int(made["id"].(float64)), "web1", "critical")
	var all struct{ Items []object }
	c.want(200, "GET", "/api/v1/thresholds", nil, &all)
	if len(all.Items) != 1 || all.Items[0]["alerting"] != 1.0 {
		t.Errorf("listed %v", all.Items)
	}
	c.want(204, "DELETE", path, nil, nil)
	c.refused(404, "DELETE", path, nil)
	c.refused(404, "GET", path, nil)
	c.refused(404, "PUT", path, goodThreshold("version", 1))
	for _, action := range []string{"threshold.create", "threshold.update", "threshold.delete", "contact.create"} {
		if n := s.count("SELECT count(*) FROM audit WHERE action = $1 AND actor = 'operator1'", action); n != 1 {
			t.Errorf("%s: %d rows of audit, want 1", action, n)
		}
	}
}

func TestThresholdFaultsStandAtTheirFields(t *testing.T) {
	s := start(t)
	c := s.as("operator")
	long := strings.Repeat("x", 5000)
	tests := []struct {
		field string
		value any
		at    string
	}{
		{"name", "", "body.name"}, {"name", "  ", "body.name"}, {"name", "a\x00b", "body.name"}, {"name", "a\nb", "body.name"}, {"name", long, "body.name"},
		{"metric", "", "body.metric"}, {"metric", "9x", "body.metric"}, {"metric", "a b", "body.metric"}, {"metric", "up\x00", "body.metric"},
		{"hosts", "a,,b", "body.hosts"}, {"hosts", "a/", "body.hosts"}, {"hosts", "a\x00", "body.hosts"}, {"hosts", long, "body.hosts"},
		{"labels", object{"cluster": "x"}, "body.labels.cluster"}, {"labels", object{"device": "a\x00"}, "body.labels.device"}, {"labels", nil, "body.labels"},
		{"transform", "integral", "body.transform"}, {"warning", "20:10", "body.warning"}, {"critical", "80%", "body.critical"},
		{"for_seconds", -1, "body.for_seconds"}, {"clear_seconds", 1e9, "body.clear_seconds"}, {"for_seconds", 1.5, "body.for_seconds"},
		{"description", "a\x00", "body.description"}, {"contacts", []int{99}, "body.contacts"}, {"contacts", []int{1, 1}, "body.contacts"},
		{"contacts", nil, "body.contacts"}, {"extra", 1, "body.extra"}, {"enabled", "yes", "body.enabled"},
	}
	for _, tt := range tests {
		at, detail := c.refused(422, "POST", "/api/v1/thresholds", goodThreshold(tt.field, tt.value))
		if !strings.HasPrefix(at, tt.at) {
			t.Errorf("%s = %.20q: at %q, want %q: %s", tt.field, tt.value, at, tt.at, detail)
		}
	}
	if at, _ := c.refused(422, "POST", "/api/v1/thresholds", goodThreshold("warning", "", "critical", "")); at != "body.warning" {
		t.Errorf("no range: at %q", at)
	}
	if n := s.count("SELECT count(*) FROM rules"); n != 0 {
		t.Errorf("%d thresholds were made", n)
	}
}

func TestPreview(t *testing.T) {
	s := start(t)
	c := s.as("viewer")
	in := object{"metric": "node_cpu_usage_ratio", "hosts": "web/*", "labels": object{"mode": "busy"}, "transform": "value", "warning": "80", "critical": "", "for_seconds": 120}
	var got struct {
		Expr     string
		Series   int
		Firing   int `json:"firing_now"`
		Fired    int `json:"fired_24h"`
		Levels   struct{ Warning, Critical *struct{ Low, High *float64 } }
		Anything any
	}
	c.want(200, "POST", "/api/v1/thresholds/preview", in, &got)
	if want := `node_cpu_usage_ratio{cluster="web",mode="busy"}`; got.Expr != want {
		t.Errorf("expr %s, want %s", got.Expr, want)
	}
	if got.Series != 2 || got.Firing != 1 || got.Fired != 2 {
		t.Errorf("got %d series, %d firing, %d in the day; want 2, 1, 2", got.Series, got.Firing, got.Fired)
	}
	if w := got.Levels.Warning; w == nil || *w.Low != 0 || *w.High != 80 || got.Levels.Critical != nil {
		t.Errorf("levels %+v", got.Levels)
	}
	in["for_seconds"] = 0
	if c.want(200, "POST", "/api/v1/thresholds/preview", in, &got); got.Fired != 4 { // three of a, and b once above all
		t.Errorf("without a delay: %d in the day, want 4", got.Fired)
	}
	in["metric"] = "broken"
	if _, detail := c.refused(422, "POST", "/api/v1/thresholds/preview", in); !strings.Contains(detail, "too many samples") {
		t.Errorf("the reason is not told: %s", detail)
	}
}

func TestContacts(t *testing.T) {
	s := start(t)
	c := s.as("operator")
	var made, changed, sent object
	c.want(201, "POST", "/api/v1/contacts", goodContact(), &made)
	if made["phone"] != "+8613800138000" {
		t.Errorf("made %v", made)
	}
	path := fmt.Sprintf("/api/v1/contacts/%v", made["id"])
	c.want(200, "PUT", path, goodContact("name", "Anna", "phone", ""), &changed)
	if changed["name"] != "Anna" || changed["phone"] != "" {
		t.Errorf("changed to %v", changed)
	}
	for field, value := range map[string]any{"name": "\x00", "email": "Ann <ann@example.org>", "phone": "13800138000", "language": "fr", "sms_from": "ok"} {
		if at, _ := c.refused(422, "POST", "/api/v1/contacts", goodContact("name", "x", field, value)); at != "body."+field {
			t.Errorf("%s = %q: at %q", field, value, at)
		}
	}
	for _, email := range []string{"a@b\r\nBcc: x@y", "a b@c", "a@b,c@d", "a", "a@", "\"a b\"@c"} {
		if at, _ := c.refused(422, "POST", "/api/v1/contacts", goodContact("name", "x", "email", email)); at != "body.email" {
			t.Errorf("%q: at %q", email, at)
		}
	}
	if at, _ := c.refused(422, "POST", "/api/v1/contacts", goodContact("name", "Anna")); at != "body.name" {
		t.Errorf("a second one of the name: at %q", at)
	}
	c.want(202, "POST", path+"/test", object{"channel": "mail"}, &sent)
	if sent["status"] != "queued" || sent["kind"] != "test" || sent["recipient"] != "ann@example.org" || !strings.Contains(fmt.Sprint(sent["text"]), "operator1") {
		t.Errorf("sent %v", sent)
	}
	c.want(200, "GET", fmt.Sprintf("/api/v1/notifications/%v", sent["id"]), nil, nil)
	var all struct{ Items []object }
	if c.want(200, "GET", "/api/v1/notifications?status=queued", nil, &all); len(all.Items) != 1 {
		t.Errorf("listed %v", all.Items)
	}
	if _, detail := c.refused(422, "POST", path+"/test", object{"channel": "sms"}); !strings.Contains(detail, "alerter.sms.url") {
		t.Errorf("the reason is not told: %s", detail)
	}
	c.want(204, "DELETE", path, nil, nil)
	c.refused(404, "POST", path+"/test", object{"channel": "mail"})
	c.want(200, "GET", "/api/v1/notifications", nil, nil)
}

func TestAcknowledge(t *testing.T) {
	s := start(t)
	c := s.as("operator")
	id := s.alert(s.rule("load"), "web1", "critical")
	path := fmt.Sprintf("/api/v1/alerts/%d", id)
	var a object
	c.want(200, "POST", path+"/acknowledge", object{"comment": "on my way"}, &a)
	if a["acknowledged_by"] != "operator1" || a["ack_comment"] != "on my way" {
		t.Errorf("got %v", a)
	}
	c.want(200, "DELETE", path+"/acknowledge", nil, &a)
	if a["acknowledged_by"] != nil || a["ack_comment"] != "" {
		t.Errorf("got %v", a)
	}
	var d struct {
		Events []struct{ From, To, Actor, Text string }
	}
	c.want(200, "GET", path, nil, &d)
	if got := fmt.Sprint(d.Events); got != "[{critical unacknowledged operator1 } {critical acknowledged operator1 on my way}]" {
		t.Errorf("history %s", got)
	}
	s.exec("UPDATE alerts SET state = 'ok'")
	c.refused(409, "POST", path+"/acknowledge", object{})
	c.refused(422, "POST", path+"/acknowledge", object{"comment": strings.Repeat("x", 1001)})
	if n := s.count("SELECT count(*) FROM audit WHERE action IN ('alert.acknowledge', 'alert.unacknowledge')"); n != 2 {
		t.Errorf("%d rows of audit, want 2", n)
	}
}

func TestUsers(t *testing.T) {
	s := start(t)
	c := s.as("admin")
	admin := s.count("SELECT id FROM users")
	var made object
	c.want(201, "POST", "/api/v1/users", object{"name": "bob", "full_name": "Bob", "role": "viewer", "password": password}, &made)
	for _, name := range []string{"bob", "", "a b", "system", "Local", "-x", strings.Repeat("x", 65), "x\x00"} {
		if at, _ := c.refused(422, "POST", "/api/v1/users", object{"name": name, "full_name": "", "role": "viewer", "password": password}); at != "body.name" {
			t.Errorf("%q: at %q", name, at)
		}
	}
	bob := s.client()
	bob.want(200, "POST", "/api/v1/session", credentials{"bob", password}, nil)
	own, his := fmt.Sprintf("/api/v1/users/%d", admin), fmt.Sprintf("/api/v1/users/%v", made["id"])
	c.refused(409, "PUT", own, object{"full_name": "", "role": "operator", "disabled": false})
	c.refused(409, "PUT", own, object{"full_name": "", "role": "admin", "disabled": true})
	c.refused(409, "DELETE", own, nil)
	c.want(200, "PUT", his, object{"full_name": "Bob", "role": "operator", "disabled": false}, nil)
	bob.want(200, "GET", "/api/v1/session", nil, &made)
	if made["role"] != "operator" {
		t.Errorf("the new role is not in force: %v", made)
	}
	c.want(200, "PUT", his, object{"full_name": "Bob", "role": "admin", "disabled": false, "password": "another password"}, nil)
	bob.refused(401, "GET", "/api/v1/session", nil)
	c.want(200, "PUT", own, object{"full_name": "", "role": "admin", "disabled": false}, nil)
	c.want(204, "DELETE", his, nil, nil)
	c.refused(409, "DELETE", own, nil)
	var audit struct {
		Items []struct{ Action, Object string }
	}
	c.want(200, "GET", "/api/v1/audit?limit=3", nil, &audit)
	if got := fmt.Sprint(audit.Items); got != "[{user.delete bob} {user.update admin1} {user.update bob}]" {
		t.Errorf("audit %s", got)
	}
}

// The local control socket acts as an administrator without a password.
func TestLocalHandler(t *testing.T) {
	s := start(t)
	local := &localCaller{t: t, handler: s.ui.LocalHandler()}
	if r := local.do("POST", "/api/v1/contacts", goodContact()); r.Code != 201 {
		t.Errorf("got %d: %s", r.Code, r.Body)
	}
	if n := s.count("SELECT count(*) FROM audit WHERE actor = 'local' AND action = 'contact.create'"); n != 1 {
		t.Errorf("%d rows of audit, want 1", n)
	}
	if r := local.do("GET", "/prometheus/api/v1/query?query=up", nil); r.Code != 200 {
		t.Errorf("query: got %d: %s", r.Code, r.Body)
	}
	var me map[string]string
	if r := local.do("GET", "/api/v1/session", nil); json.Unmarshal(r.Body.Bytes(), &me) != nil || me["name"] != "local" || me["role"] != "admin" {
		t.Errorf("got %s", r.Body)
	}
	if r := local.do("PUT", "/api/v1/me/password", object{"current": "x", "new": "0123456789"}); r.Code != 403 {
		t.Errorf("password: got %d: %s", r.Code, r.Body)
	}
}
