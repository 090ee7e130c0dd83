package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/internal/netnstest"
)

const vip = "10.9.0.100"

// side is one of the two nodes that may hold the address.
type side struct {
	*netnstest.Node
	letter  byte
	address netip.Addr
	dir     string
	link    *cable // its eth0
	port    *cable // the switch's side of it
	program string // the service's executable, of a name that no other service has
	service *process
	agent   *process
}

func (s *side) path(name string) string { return filepath.Join(s.dir, name) }

// rig is one segment: the nodes a and b, the stronger and the weaker, and the client c.
type rig struct {
	*host
	ctx  context.Context
	a, b *side
	c    *netnstest.Node
	seen *capture
}

// rigs numbers them, so that the names of their services differ.
var rigs atomic.Int64

// newRig makes the namespaces, and the capture in the client's.
func newRig(ctx context.Context) (*rig, error) {
	h, err := newHost()
	if err != nil {
		return nil, err
	}
	r := &rig{host: h, ctx: ctx}
	err = try(func() error { return r.build() })
	if err != nil {
		h.close()
		return nil, err
	}
	return r, nil
}

func (r *rig) build() (err error) {
	n, number := netnstest.New(r.host), rigs.Add(1)
	for i, s := range []**side{&r.a, &r.b} {
		letter := "ab"[i]
		*s = &side{letter: letter, address: netip.AddrFrom4([4]byte{10, 9, 0, byte(i + 1)}), dir: filepath.Join(r.dir, string(letter))}
		(*s).Node = n.Node(string(letter), (*s).address.String()+"/24")
		if err := errors.Join(os.Mkdir((*s).dir, 0o755), os.Chmod((*s).dir, 0o755)); err != nil {
			return err
		}
		(*s).program = (*s).path(fmt.Sprintf("kw%dr%d%c", os.Getpid()%100000, number, letter))
		if err := copySelf((*s).program); err != nil {
			return err
		}
		r.Cleanup(func() { _ = (*s).stop() })
		if err := r.cables(*s, i); err != nil {
			return err
		}
	}
	r.c = n.Node("c", "10.9.0.9/24")
	r.c.Do(func() { r.seen, err = newCapture() })
	if err != nil {
		return err
	}
	r.Cleanup(r.seen.close)
	return nil
}

// cables opens both ends of a node's wire. The namespace of the switch has the nodes' name with another end.
func (r *rig) cables(s *side, number int) (err error) {
	if s.link, err = openCable(s.Namespace, "eth0"); err != nil {
		return err
	}
	r.Cleanup(s.link.close)
	if s.port, err = openCable(strings.TrimSuffix(s.Namespace, string(s.letter))+"switch", fmt.Sprintf("p%d", number)); err != nil {
		return err
	}
	r.Cleanup(s.port.close)
	return nil
}

// copySelf puts this executable elsewhere: a process is tracked by the name of its executable.
func copySelf(to string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

// stop ends what runs on a node.
func (s *side) stop() error {
	var errs []error
	for _, p := range []*process{s.agent, s.service} {
		if p != nil {
			errs = append(errs, p.kill())
		}
	}
	s.agent, s.service = nil, nil
	return errors.Join(errs...)
}

// serve starts the node's service unless it runs, and waits until the client is answered by it.
func (r *rig) serve(s *side) error {
	if s.service != nil && s.service.alive() {
		return nil
	}
	cmd := s.Command(s.program)
	cmd.Env = append(os.Environ(), roleVariable+"="+string(s.letter), "GOMAXPROCS=1")
	p, err := launch(cmd, s.path("service.log"))
	if err != nil {
		return err
	}
	s.service = p
	if err := os.WriteFile(s.path("service.pid"), []byte(strconv.Itoa(p.pid())+"\n"), 0o644); err != nil {
		return err
	}
	return r.await("the service of "+s.Namespace, func() (err error) {
		r.c.Do(func() {
			var conn net.Conn
			if conn, err = net.DialTimeout("tcp", netip.AddrPortFrom(s.address, port).String(), time.Second); err == nil {
				err = conn.Close()
			}
		})
		return err
	})
}

// clear makes the nodes as they were before any agent ran. Services that run go on.
func (r *rig) clear() error {
	var errs []error
	for _, s := range []*side{r.a, r.b} {
		if s.agent != nil {
			errs = append(errs, s.agent.kill())
			s.agent = nil
		}
		errs = append(errs, s.link.set(true), s.port.set(true))
		// No address may be there: then there is nothing to delete, which is no error.
		_ = exec.Command("ip", "-n", s.Namespace, "addr", "del", vip+"/24", "dev", "eth0").Run()
		_ = exec.Command("ip", "-n", s.Namespace, "addr", "del", vip+"/32", "dev", "eth0").Run()
		for _, name := range []string{"fail", "ran"} {
			errs = append(errs, ignoreMissing(os.Remove(s.path(name))))
		}
	}
	r.c.IP("neigh", "flush", "to", vip, "dev", "eth0")
	r.seen.forget()
	return errors.Join(errs...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// limit is how long a condition may take; all of them take seconds at most.
const limit = 40 * time.Second

// await looks at a condition until it holds.
func (r *rig) await(what string, condition func() error) error {
	end := time.Now().Add(limit)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		if errors.Is(err, errEnded) {
			return fmt.Errorf("cannot await %s: %w", what, err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s for %s: %w", limit, what, err)
		}
		select {
		case <-r.ctx.Done():
			return r.ctx.Err()
		case <-look.C:
		}
	}
}

// connect starts a client that asks the virtual address every millisecond.
func (r *rig) connect() *client {
	c := newClient(netip.MustParseAddr(vip).As4())
	go func() {
		if err := try(func() error { r.c.Do(c.run); return nil }); err != nil {
			c.err = err
			close(c.ended)
		}
	}()
	return c
}

// sleepUntil sleeps more exactly than the runtime's timers do.
func sleepUntil(t time.Time) {
	for {
		d := time.Until(t)
		if d <= 0 {
			return
		}
		ts := unix.NsecToTimespec(int64(d))
		if err := unix.Nanosleep(&ts, nil); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// all is what the agent's tree and, when wanted, the service consist of, leaves first.
func (s *side) all(service bool) []int {
	pids := tree(s.agent.pid())
	if service {
		pids = append(pids, s.service.pid())
	}
	return pids
}

// terminate asks the agent to stop, as an operator does.
func (s *side) terminate() { s.agent.signal(syscall.SIGTERM) }
