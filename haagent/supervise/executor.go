package supervise

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/link"
	"keepwatch/haagent/link/farewell"
	"keepwatch/haagent/testament"
	"keepwatch/internal/conf"
)

// executor carries out testaments. Its sockets are open from the start: a death costs only what is sent.
type executor struct {
	socket *farewell.Socket // nil: not permitted
	addrs  *link.Addresses
}

// deeds are what was done.
type deeds struct {
	farewells, addresses int
	took                 time.Duration // from the end of the agent's socket
	failed               string        // what could not be done
}

func newExecutor() (*executor, error) {
	addrs, err := link.NewAddresses(time.Minute) // the lifetime is for those that are taken
	if err != nil {
		return nil, err
	}
	socket, err := farewell.Open()
	// An agent that runs nothing but a proxy needs no privileges; one that has routers says itself that it lacks them.
	if err != nil && !errors.Is(err, unix.EPERM) {
		addrs.Close()
		return nil, err
	}
	return &executor{socket, addrs}, nil
}

func (e *executor) close() {
	if e.socket != nil {
		_ = e.socket.Close()
	}
	e.addrs.Close()
}

// execute says farewell for all instances, then takes all addresses off. In this order a peer takes over while the
// addresses are still there, and nothing between the two waits.
func (e *executor) execute(wills map[string]testament.Will) (d deeds) {
	if e.socket == nil {
		return deeds{}
	}
	began := time.Now()
	var errs []error
	for _, w := range wills {
		for _, f := range w.Farewell {
			packet := farewell.Make(or(f.Interface, w.Interface), f.Source, f.Dest, f.TTL, f.Payload)
			for range f.Times {
				if err := e.socket.Send(packet); err != nil {
					errs = append(errs, err)
					continue
				}
				d.farewells++
			}
		}
	}
	for _, w := range wills {
		if err := e.addrs.Release(w.Interface, held(w)); err != nil {
			errs = append(errs, err)
		}
		d.addresses += len(w.Addresses)
	}
	d.took = time.Since(began)
	if err := errors.Join(errs...); err != nil {
		d.failed = err.Error()
	}
	return d
}

func held(w testament.Will) (all []conf.Address) {
	for _, h := range w.Addresses {
		all = append(all, conf.Address{Prefix: h.Prefix, Device: or(h.Interface, w.Interface)})
	}
	return all
}

func or(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return name
}
