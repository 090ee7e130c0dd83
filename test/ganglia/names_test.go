package ganglia

import (
	"fmt"
	"maps"
	"os/exec"
	"strings"
	"testing"

	"keepwatch/internal/netnstest"
)

// among prepares a program that takes the node's name for the host's and finds these names in /etc/hosts.
func (h *host) among(hosts, program string, args ...string) *exec.Cmd {
	return h.named("unshare", append([]string{"--mount", "sh", "-c", `mount --bind "$1" /etc/hosts && shift && exec "$@"`, "sh", h.file("hosts", hosts), program}, args...)...)
}

// names is what a gmond of either kind tells of its hosts: address by name, and which have a metric.
func (h *host) names(of *host, metric string) (addresses map[string]string, having []string, err error) {
	text, err := h.ask(of.ip+":8649", "")
	if err != nil {
		return nil, nil, err
	}
	d, err := parse(text)
	if err != nil {
		return nil, nil, err
	}
	addresses = make(map[string]string)
	for _, c := range d.Cluster {
		for _, host := range c.Host {
			addresses[host.Name] = host.IP
			for _, m := range host.Metric {
				if m.Name == metric {
					having = append(having, host.Name)
				}
			}
		}
	}
	return addresses, having, nil
}

// With names: lookup a collector of ours tells of hosts by the names by which the real gmond tells of them: those of
// their addresses. What a gmetric says of an address under another name belongs to the host there.
func TestHostsHaveGmondsNames(t *testing.T) {
	const hosts = "127.0.0.1 localhost\n10.78.0.1 web1.example.com web1\n10.78.0.2 web2.example.com web2\n"
	r := newRig(t)
	gmond, ours := r.host(1), r.host(2)
	conf := strings.ReplaceAll(gmondConf("lab"), "/usr/lib/ganglia", modules(t))
	gmond.runs = gmond.Start(gmond.among(hosts, "gmond", "-c", gmond.file("gmond.conf", conf), "-f"))
	conf = strings.Replace(ourConf("lab", ours.name), `listen: ":8649"`, `listen: ":8649", names: lookup`, 1)
	ours.runs = ours.Start(ours.among(hosts, program(t, "keepwatch-collector"), "--config", ours.file("keepwatch.yaml", conf), "--data", ours.dir+"/data"))
	want := map[string]string{"web1.example.com": gmond.ip, "web2.example.com": ours.ip}
	all := func(metric string) error {
		for _, h := range []*host{gmond, ours} {
			got, having, err := h.names(h, metric)
			if err != nil {
				return err
			}
			if !maps.Equal(got, want) {
				return fmt.Errorf("%s tells of %v, want %v", h.name, got, want)
			}
			if metric != "" && (len(having) != 1 || having[0] != "web1.example.com") {
				return fmt.Errorf("%s: %v have the metric %s, want web1.example.com alone", h.name, having, metric)
			}
		}
		return nil
	}
	netnstest.Await(t, "both hosts at both, under gmond's names", func() error { return all("") })
	ours.gmetric("-n", "spoken", "-v", "7", "-t", "uint16", "-S", gmond.ip+":somebody")
	netnstest.Await(t, "what was said of one of them", func() error { return all("spoken") })
}
