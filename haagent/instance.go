package haagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"keepwatch/haagent/link"
	"keepwatch/haagent/status"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// inputs is how many inputs may wait for an instance: packets past it are dropped and counted, since the next
// advertisement says the same again.
const inputs = 256

// burst is how many announcements go out at once; one may be lost.
const burst = 5

// instance drives one virtual router: it alone calls Step on its state, and carries out what comes of it.
type instance struct {
	name     string
	ifname   string
	vrid     uint8
	port     *port
	addrs    *link.Addresses
	lifetime time.Duration
	journal  *journal
	log      *slog.Logger

	in      chan vrrp.Input
	packets chan *vrrp.Packet
	flooded atomic.Uint64 // packets dropped because too many waited
	message []byte

	state vrrp.State // of run alone

	mu   sync.Mutex
	seen status.Instance
}

// vrrpConfig turns the file's words into the protocol's. tracks are as they are at the moment.
func vrrpConfig(c conf.Instance, tracks []vrrp.Track) vrrp.Config {
	checksum := vrrp.WithPseudoHeader
	if c.Checksum == "rfc9568" {
		checksum = vrrp.MessageOnly
	}
	return vrrp.Config{
		Interface: c.Interface, Family: vrrp.FamilyOf(c.Addresses[0].Addr()), VRID: uint8(c.VRID), Priority: uint8(c.Priority),
		Interval: c.Interval, NoPreempt: c.NoPreempt, PreemptDelay: c.PreemptDelay, Addresses: c.Addresses, Checksum: checksum, Tracks: tracks,
	}
}

// run drives the virtual router until ctx ends, then leaves with a word to the others.
func (i *instance) run(ctx context.Context) {
	i.port.listen(i)
	defer i.port.unlisten(i)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	renew := time.NewTicker(i.lifetime / 2)
	defer renew.Stop()
	i.step(vrrp.Start{})
	for {
		if at, ok := i.state.Deadline(); ok {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			i.step(vrrp.Shutdown{})
			return
		case <-timer.C:
			i.step(vrrp.Tick{})
		case p := <-i.packets:
			i.step(vrrp.Received{Packet: p})
		case in := <-i.in:
			i.step(in)
		case <-renew.C:
			if i.state.Phase == vrrp.Master {
				i.hold(i.state.Config.Addresses)
			}
		}
	}
}

// hear takes a packet from the socket's reader without ever making it wait.
func (i *instance) hear(p *vrrp.Packet) {
	select {
	case i.packets <- clone(p):
	default:
		i.flooded.Add(1)
	}
}

// tell hands over an input that must not be lost. It waits only while the instance is alive.
func (i *instance) tell(ctx context.Context, in vrrp.Input) {
	select {
	case i.in <- in:
	case <-ctx.Done():
	}
}

func (i *instance) step(in vrrp.Input) {
	now := time.Now()
	next, actions := vrrp.Step(i.state, in, now)
	i.state = next
	for _, a := range actions {
		i.do(a, now)
	}
	i.publish()
}

func (i *instance) do(a vrrp.Action, now time.Time) {
	switch a := a.(type) {
	case vrrp.SendAdvert:
		i.send(a.Priority)
	case vrrp.TakeAddresses:
		if i.hold(a.Addresses) {
			i.tellAddresses(now, metric.EventVIPTaken, "taken", a.Addresses)
		}
	case vrrp.ReleaseAddresses:
		if err := i.addrs.Release(i.ifname, a.Addresses); err != nil {
			i.failed("cannot release", err)
		}
		i.mark(nil)
		i.tellAddresses(now, metric.EventVIPReleased, "released", a.Addresses)
	case vrrp.Announce:
		i.announce()
	case vrrp.Transition:
		i.journal.add(now, metric.EventVRRPTransition,
			fmt.Sprintf("%s (VRID %d on %s): %s to %s: %s", i.name, i.vrid, i.ifname, a.From, a.To, a.Reason),
			i.labels("from", a.From.String(), "to", a.To.String(), "priority", strconv.Itoa(int(a.Priority)), "reason", a.Reason))
	case vrrp.Notice:
		i.journal.add(now, metric.EventKind("vrrp_"+string(a.Kind)), fmt.Sprintf("%s (VRID %d on %s): %s", i.name, i.vrid, i.ifname, a.Text), i.labels())
	}
}

func (i *instance) labels(more ...string) map[string]string {
	l := map[string]string{"instance": i.name, "vrid": strconv.Itoa(int(i.vrid)), "interface": i.ifname}
	for n := 0; n+1 < len(more); n += 2 {
		l[more[n]] = more[n+1]
	}
	return l
}

func (i *instance) tellAddresses(now time.Time, kind metric.EventKind, verb string, addrs []netip.Prefix) {
	for _, p := range addrs {
		i.journal.add(now, kind, fmt.Sprintf("%s: %s %s on %s", i.name, p.Addr(), verb, i.ifname), i.labels("vip", p.Addr().String()))
	}
}

func (i *instance) send(priority uint8) {
	conn, _, err := i.port.sockets()
	if err == nil {
		advert := i.state.Config.Advert(priority)
		i.message = advert.Append(i.message[:0], i.state.Source, i.state.Config.Family.Group(), i.state.Config.Checksum)
		err = conn.Send(i.state.Source, i.message)
	}
	if err != nil {
		i.failed("cannot advertise", err)
	}
}

// hold takes the addresses or renews their leases.
func (i *instance) hold(addrs []netip.Prefix) bool {
	if err := i.addrs.Hold(i.ifname, addrs); err != nil {
		i.failed("cannot hold the addresses", err)
		return false
	}
	i.mark(addrs)
	return true
}

func (i *instance) announce() {
	_, announcer, err := i.port.sockets()
	for range burst {
		for _, p := range i.state.Config.Addresses {
			if err == nil {
				err = announcer.Announce(p.Addr())
			}
		}
	}
	if err != nil {
		i.failed("cannot announce the addresses", err)
	}
}

// failed remembers an error for the status and tells a new one as an event; the failover goes on without it.
func (i *instance) failed(what string, err error) {
	text := what + ": " + err.Error()
	i.mu.Lock()
	known := i.seen.LastError == text
	i.seen.LastError = text
	i.mu.Unlock()
	if !known {
		i.journal.add(time.Now(), "vrrp_error", i.name+": "+text, i.labels())
	}
}

func (i *instance) mark(held []netip.Prefix) {
	texts := make([]string, 0, len(held))
	for _, p := range held {
		texts = append(texts, p.Addr().String())
	}
	i.mu.Lock()
	i.seen.Held = texts
	i.mu.Unlock()
}

// publish renews what status tells, so that who asks never waits for the instance.
func (i *instance) publish() {
	s := &i.state
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seen.Name, i.seen.Interface, i.seen.VRID, i.seen.Family = i.name, i.ifname, int(i.vrid), s.Config.Family.String()
	i.seen.State, i.seen.StateNumber, i.seen.Since, i.seen.Reason = s.Phase.String(), int(s.Phase), s.Since, s.Reason
	i.seen.Priority, i.seen.PriorityConfigured, i.seen.IntervalMS = int(s.Priority), int(s.Config.Priority), s.Config.Interval.Milliseconds()
	i.seen.Addresses = i.seen.Addresses[:0:0]
	for _, p := range s.Config.Addresses {
		i.seen.Addresses = append(i.seen.Addresses, p.Addr().String())
	}
	i.seen.Source = ""
	if s.Source.IsValid() {
		i.seen.Source = s.Source.String()
	}
	i.seen.Master = nil
	if s.Master.Address.IsValid() {
		i.seen.Master = &status.Peer{Address: s.Master.Address.String(), Priority: int(s.Master.Priority), Heard: s.Master.Heard}
	}
	i.seen.Sent, i.seen.Received, i.seen.Transitions = s.Counters.Sent, s.Counters.Received, s.Counters.Transitions
	i.seen.Dropped = dropped(s, i.flooded.Load())
}

// status is the newest published.
func (i *instance) status() status.Instance {
	i.mu.Lock()
	defer i.mu.Unlock()
	s := i.seen
	if s.Held == nil {
		s.Held = []string{}
	}
	return s
}

// ErrConfig is what a configuration that cannot be run wraps.
var ErrConfig = errors.New("haagent cannot run this configuration")
