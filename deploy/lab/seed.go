package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"
)

// local is a client of the monitoring node's control socket, which asks for no password.
func (l *lab) local() *http.Client {
	socket := filepath.Join(l.dir, "mon", "keepwatch.sock")
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
}

// ask does one API call and decodes the answer into out.
func (l *lab) ask(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://local/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := l.local().Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, res.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}

type threshold struct {
	Name         string            `json:"name"`
	Metric       string            `json:"metric"`
	Hosts        string            `json:"hosts"`
	Labels       map[string]string `json:"labels"`
	Transform    string            `json:"transform"`
	Warning      string            `json:"warning"`
	Critical     string            `json:"critical"`
	ForSeconds   int               `json:"for_seconds"`
	ClearSeconds int               `json:"clear_seconds"`
	NoData       bool              `json:"no_data"`
	Description  string            `json:"description"`
	Enabled      bool              `json:"enabled"`
	Contacts     []int             `json:"contacts"`
}

// seed makes the person on call and the thresholds that the stories need.
func (l *lab) seed(ctx context.Context) error {
	var contact struct{ ID int }
	err := l.ask(ctx, http.MethodPost, "/contacts", map[string]any{
		"name": "On call", "email": "oncall@lab.example", "phone": "+8613800000000", "language": "en", "sms_from": "critical", "enabled": true,
	}, &contact)
	if err != nil {
		return fmt.Errorf("cannot make the contact: %w", err)
	}
	for _, t := range []threshold{
		// Two seconds later the message can say who took over.
		{Name: "HA agent is down", Metric: "keepwatch_ha_up", Critical: "1:", ForSeconds: 2, Description: "The agent that holds or guards the virtual address does not answer. The other node has the address; start the agent again."},
		{Name: "Backend server is down", Metric: "haproxy_server_status", Critical: "1:", NoData: false, ForSeconds: 2, Description: "HAProxy's check of this server fails."},
		{Name: "Clients without an answer", Metric: "lab_client_success_ratio", Warning: "0.99:", Critical: "0.5:", ForSeconds: 5, NoData: true, Description: "Requests through the virtual address fail."},
	} {
		t.Hosts, t.Transform, t.Enabled, t.Contacts, t.Labels = "*", "value", true, []int{contact.ID}, map[string]string{}
		if err := l.ask(ctx, http.MethodPost, "/thresholds", t, nil); err != nil {
			return fmt.Errorf("cannot make threshold %q: %w", t.Name, err)
		}
	}
	return l.tellOf(ctx, "Host is down", contact.ID)
}

// tellOf has a threshold that is there from the start tell a contact.
func (l *lab) tellOf(ctx context.Context, name string, contact int) error {
	type versioned struct {
		threshold
		Version int `json:"version"`
	}
	var all struct {
		Items []struct {
			versioned
			ID int `json:"id"`
		}
	}
	if err := l.ask(ctx, http.MethodGet, "/thresholds", nil, &all); err != nil {
		return fmt.Errorf("cannot list the thresholds: %w", err)
	}
	for _, t := range all.Items {
		if t.Name != name {
			continue
		}
		t.Contacts = []int{contact}
		if err := l.ask(ctx, http.MethodPut, fmt.Sprintf("/thresholds/%d", t.ID), t.versioned, nil); err != nil {
			return fmt.Errorf("cannot change threshold %q: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("there is no threshold %q", name)
}
