package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
)

const haConfig = `cluster: lab
host: %[1]s
collector:
  interval: 2s
  keys: [{id: 1, file: %[2]s/frame.key}]
  native: {interface: eth0}
  gmond: {receive: []}
  serve: {listen: "0.0.0.0:8660"}
  probes:
    haproxy: [{socket: %[2]s/%[1]s/haproxy.sock}]
    vrrp: {agent: %[2]s/%[1]s/haagent.sock, listen: [eth0]}
haagent:
  instances:
    - name: web
      interface: eth0
      vrid: 51
      priority: %[3]d
      interval: 100ms
      addresses: [%[4]s/24]
      track: [{name: proxy}]
  proxy:
    frontends:
      - {name: web, bind: ["%[4]s:80"], backend: nginx}
    backends:
      - name: nginx
        check: {path: /, interval: 1s}
        servers:
          - {name: web1, address: "10.99.0.21:80"}
          - {name: web2, address: "10.99.0.22:80"}
`

const webConfig = `cluster: lab
host: %[1]s
collector:
  interval: 5s
  keys: [{id: 1, file: %[2]s/frame.key}]
  native: {interface: eth0}
  gmond: {receive: []}
  serve: {listen: "0.0.0.0:8660"}
`

const monConfig = `cluster: lab
host: mon
collector:
  interval: 5s
  keys: [{id: 1, file: %[1]s/frame.key}]
  native: {interface: eth0}
  gmond: {receive: [{group: "239.2.11.71:8649", interface: eth0, accept_from: [10.99.0.0/24]}]}
extractor:
  clusters:
    - name: lab
      collectors: ["10.99.0.11:8660", "10.99.0.12:8660", "10.99.0.21:8660", "10.99.0.22:8660", "127.0.0.1:8660"]
alerter:
  smtp: {address: "127.0.0.1:2525", from: keepwatch@lab.example, tls: none}
  sms:
    url: "http://127.0.0.1:2580/send"
    method: POST
    headers: {Content-Type: application/json}
    body: '{"id":"{{.ID | json}}","to":"{{.To | json}}","text":"{{.Text | json}}"}'
ui:
  url: http://127.0.0.1:%[2]d
`

const nginxConfig = `daemon off;
worker_processes 1;
pid %[2]s/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %[2]s/tmp; proxy_temp_path %[2]s/tmp; fastcgi_temp_path %[2]s/tmp; uwsgi_temp_path %[2]s/tmp; scgi_temp_path %[2]s/tmp;
	server { listen 80; location / { return 200 "%[1]s\n"; } }
}
`

// writeFiles makes the key, and each host's folder and configuration.
func (l *lab) writeFiles() error {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	files := map[string]string{
		"frame.key":       hex.EncodeToString(key) + "\n",
		"lb1.yaml":        fmt.Sprintf(haConfig, "lb1", l.dir, 200, vip),
		"lb2.yaml":        fmt.Sprintf(haConfig, "lb2", l.dir, 100, vip),
		"web1.yaml":       fmt.Sprintf(webConfig, "web1", l.dir),
		"web2.yaml":       fmt.Sprintf(webConfig, "web2", l.dir),
		"mon.yaml":        fmt.Sprintf(monConfig, l.dir, l.port),
		"web1/nginx.conf": fmt.Sprintf(nginxConfig, "web1", filepath.Join(l.dir, "web1")),
		"web2/nginx.conf": fmt.Sprintf(nginxConfig, "web2", filepath.Join(l.dir, "web2")),
	}
	for _, h := range hosts {
		if err := os.MkdirAll(filepath.Join(l.dir, h.name, "tmp"), 0o755); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (l *lab) keepwatch(role, host string) error {
	_, err := l.launch(host+"-"+role, host, l.binary, role, "--config", filepath.Join(l.dir, host+".yaml"), "--data", filepath.Join(l.dir, host))
	return err
}

// startAgent, startCollector and startWeb bring one part of a host up, or up again.
func (l *lab) startAgent(host string) error     { return l.keepwatch("haagent", host) }
func (l *lab) startCollector(host string) error { return l.keepwatch("collector", host) }
func (l *lab) startWeb(host string) error {
	_, err := l.launch(host+"-nginx", host, "nginx", "-p", filepath.Join(l.dir, host), "-c", filepath.Join(l.dir, host, "nginx.conf"))
	return err
}
