package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"keepwatch/internal/netnstest"
)

// keepalived is Debian's keepalived on a node, with a /tmp of its own for what it writes there.
type keepalived struct {
	*netnstest.Process
	t    testing.TB
	node *netnstest.Node
	dir  string
}

// kaVIPs are the addresses of the router web in keepalived's words.
const kaVIPs = " virtual_ipaddress {\n  " + vip1 + "/24\n  " + vip2 + "/24\n }\n"

// kaWeb is the vrrp_instance web; settings are its lines besides.
func kaWeb(settings string) string {
	return "vrrp_instance web {\n state BACKUP\n interface eth0\n virtual_router_id 51\n" + settings + "\n" + kaVIPs + "}\n"
}

// startKeepalived starts one with these blocks after its global_defs: vrrp_instance, vrrp_script and so on.
func startKeepalived(t testing.TB, node *netnstest.Node, version int, blocks ...string) *keepalived {
	t.Helper()
	k := newKeepalived(t, node)
	k.configure(version, blocks...)
	k.start()
	return k
}

// newKeepalived prepares one that has no configuration yet and has not started.
func newKeepalived(t testing.TB, node *netnstest.Node) *keepalived {
	t.Helper()
	if _, err := exec.LookPath("keepalived"); err != nil {
		t.Fatal("this test runs against the real thing: install Debian's package keepalived")
	}
	return &keepalived{t: t, node: node, dir: shortDir(t)}
}

// configure writes the file that the next start reads.
func (k *keepalived) configure(version int, blocks ...string) {
	k.t.Helper()
	text := fmt.Sprintf("global_defs {\n vrrp_version %d\n script_user root\n}\n", version) + strings.Join(blocks, "")
	if err := os.WriteFile(filepath.Join(k.dir, "keepalived.conf"), []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keepalived) start() {
	k.t.Helper()
	for _, left := range []string{"pid", "vrrp.pid"} { // by one that was killed: it would believe to run already
		_ = os.Remove(filepath.Join(k.dir, left))
	}
	k.Process = k.node.Start(k.node.Command("unshare", "--mount", "sh", "-c",
		`mount --bind "$0" /tmp && exec keepalived -n -l -D -P -f /tmp/keepalived.conf --pid=/tmp/pid --vrrp_pid=/tmp/vrrp.pid`, k.dir))
	k.t.Cleanup(k.killTree)
	await(k.t, "keepalived to start", func() error {
		if out := k.Output(); !strings.Contains(out, "Startup complete") {
			return errors.New(out)
		}
		return nil
	})
}

// stop ends it with SIGTERM: it says farewell.
func (k *keepalived) stop() {
	k.t.Helper()
	k.Signal(syscall.SIGTERM)
	if err := k.Wait(); err != nil {
		k.t.Errorf("keepalived ended with %v after SIGTERM", err)
	}
}

// killTree kills parent and child at one instant, so that nobody says farewell.
func (k *keepalived) killTree() { killTree(k.Process) }

// kaState is keepalived's number of a state.
type kaState int

// The states as its JSON has them.
const (
	kaInit kaState = iota
	kaBackup
	kaMaster
	kaFault
)

// kaInstance is what keepalived says of one of its routers.
type kaInstance struct {
	Data struct {
		Name     string  `json:"iname"`
		State    kaState `json:"state"`
		Priority int     `json:"effective_priority"`
	} `json:"data"`
	Stats map[string]float64 `json:"stats"`
}

// dump has keepalived write its state as JSON and reads it.
func (k *keepalived) dump() (all []kaInstance) {
	k.t.Helper()
	const sigJSON = syscall.Signal(36) // SIGRTMIN+2
	path := filepath.Join(k.dir, "keepalived.json")
	_ = os.Remove(path)
	k.Signal(sigJSON)
	await(k.t, "keepalived's JSON", func() error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, &all)
	})
	return all
}

// instance is what it says of the router of that name.
func (k *keepalived) instance(name string) kaInstance {
	k.t.Helper()
	all := k.dump()
	n := slices.IndexFunc(all, func(i kaInstance) bool { return i.Data.Name == name })
	if n < 0 {
		k.t.Fatalf("keepalived has no instance %s: %+v", name, all)
	}
	return all[n]
}

// until waits until the router named web is as wanted.
func (k *keepalived) until(what string, wanted func(kaInstance) error) (found kaInstance) {
	k.t.Helper()
	await(k.t, "keepalived "+what, func() error {
		found = k.instance("web")
		return wanted(found)
	})
	return found
}

// await waits until the router named web is in a state.
func (k *keepalived) await(state kaState) kaInstance {
	k.t.Helper()
	return k.until(fmt.Sprintf("to be in state %d", state), func(i kaInstance) error {
		if i.Data.State != state {
			return fmt.Errorf("it is in state %d", i.Data.State)
		}
		return nil
	})
}

// hears waits until the router named web, in a state, has heard so many more advertisements.
func (k *keepalived) hears(state kaState, more float64) kaInstance {
	k.t.Helper()
	before := k.instance("web").Stats["advert_rcvd"]
	return k.until(fmt.Sprintf("to hear %g more advertisements in state %d", more, state), func(i kaInstance) error {
		if i.Data.State != state || i.Stats["advert_rcvd"] < before+more {
			return fmt.Errorf("it is in state %d and heard %g after %g", i.Data.State, i.Stats["advert_rcvd"], before)
		}
		return nil
	})
}

// clean fails the test when keepalived found anything wrong with what it heard.
func (k *keepalived) clean() {
	k.t.Helper()
	for _, i := range k.dump() {
		for _, name := range []string{"packet_len_err", "advert_interval_err", "ip_ttl_err", "invalid_type_rcvd", "addr_list_err", "invalid_authtype", "authtype_mismatch", "auth_failure"} {
			if n, there := i.Stats[name]; n != 0 || !there {
				k.t.Errorf("keepalived counts %g of %s for %s (known: %t)", n, name, i.Data.Name, there)
			}
		}
	}
	for line := range strings.Lines(k.Output()) {
		low := strings.ToLower(line)
		for _, word := range []string{"invalid", "bogus", "mismatch", "wrong"} {
			if strings.Contains(low, word) {
				k.t.Errorf("keepalived complains: %s", line)
			}
		}
	}
}
