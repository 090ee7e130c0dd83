package haagent

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
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

// instance drives one virtual router: it alone calls Step on its state, and carries out what comes of it. It also
// renews the leases of its addresses itself: an instance that stands still loses them.
type instance struct {
	name     string
	ifname   string
	vrid     uint8
	port     *port
	addrs    *link.Addresses
	lifetime time.Duration
	journal  *journal

	in      chan vrrp.Input
	packets chan *vrrp.Packet
	flooded atomic.Uint64 // packets dropped because too many waited
	message []byte

	state vrrp.State // of run alone

	mu        sync.Mutex // of what others may ask for
	seen      vrrp.State
	held      []netip.Prefix
	lastError string
	failedAt  time.Time
}

// vrrpConfig turns the file's words into the protocol's. tracks are as they are at the moment.
func vrrpConfig(c conf.Instance, tracks []vrrp.Track) vrrp.Config {
	checksum := vrrp.WithPseudoHeader
	if c.Checksum == "rfc9568" {
		checksum = vrrp.MessageOnly
	}
	return vrrp.Config{
		Interface: c.Interface, Family: vrrp.FamilyOf(c.Addresses[0].Addr()), VRID: uint8(c.VRID), Priority: uint8(c.Priority),
		Interval: c.Interval, NoPreempt: c.NoPreempt, PreemptDelay: c.PreemptDelay, Addresses: prefixes(c.Addresses), Checksum: checksum, Tracks: tracks,
	}
}

func prefixes(addrs []conf.Address) (all []netip.Prefix) {
	for _, a := range addrs {
		all = append(all, a.Prefix)
	}
	return all
}

// plain are addresses without a device, a scope or a label of their own.
func plain(prefixes []netip.Prefix) (all []conf.Address) {
	for _, p := range prefixes {
		all = append(all, conf.Address{Prefix: p})
	}
	return all
}

// run drives the virtual router until ctx ends, then leaves with a word to the others.
func (i *instance) run(ctx context.Context) {
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
			i.hearFirst()
			i.step(vrrp.Tick{})
		case p := <-i.packets:
			i.step(vrrp.Received{Packet: p})
		case in := <-i.in:
			i.step(in)
		case <-renew.C:
			if i.state.Phase == vrrp.Master {
				i.hold(i.state.Config.Addresses, time.Now())
			}
		}
	}
}

// hearFirst judges the packets that came before a timer: after this process was stopped for a while both wait, and
// the timer must not say that nobody was heard.
func (i *instance) hearFirst() {
	i.port.drain()
	for range inputs {
		select {
		case p := <-i.packets:
			i.step(vrrp.Received{Packet: p})
		default:
			return
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
		i.hold(a.Addresses, now)
	case vrrp.ReleaseAddresses:
		i.release(a.Addresses, now)
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

// hold takes the addresses or renews their leases, and tells those that are new.
func (i *instance) hold(addrs []netip.Prefix, now time.Time) {
	if err := i.addrs.Hold(i.ifname, plain(addrs)); err != nil {
		i.failed("cannot hold the addresses", err)
		return
	}
	i.mu.Lock()
	taken := without(addrs, i.held)
	i.held = append(i.held, taken...)
	i.mu.Unlock()
	i.tellAddresses(now, metric.EventVIPTaken, "taken", taken)
}

func (i *instance) release(addrs []netip.Prefix, now time.Time) {
	if err := i.addrs.Release(i.ifname, plain(addrs)); err != nil {
		i.failed("cannot release the addresses, their leases end by themselves", err)
	}
	i.mu.Lock()
	released := without(addrs, without(addrs, i.held))
	i.held = without(i.held, addrs)
	i.mu.Unlock()
	i.tellAddresses(now, metric.EventVIPReleased, "released", released)
}

func without(all, some []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(all), func(p netip.Prefix) bool { return slices.Contains(some, p) })
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

// failed remembers an error for the status and tells it as an event unless it goes on; the failover goes on without it.
func (i *instance) failed(what string, err error) {
	text := what + ": " + err.Error()
	i.mu.Lock()
	now := time.Now()
	known := i.lastError == text && now.Sub(i.failedAt) < time.Minute
	i.lastError, i.failedAt = text, now
	i.mu.Unlock()
	if !known {
		i.journal.add(now, "vrrp_error", i.name+": "+text, i.labels())
	}
}

// publish puts the state where status finds it, so that who asks never waits for the instance.
func (i *instance) publish() {
	i.mu.Lock()
	i.seen = i.state
	i.mu.Unlock()
}

// status is the newest published.
func (i *instance) status() status.Instance {
	i.mu.Lock()
	s, held, lastError, failedAt := i.seen, i.held, i.lastError, i.failedAt
	i.mu.Unlock()
	c := &s.Counters
	out := status.Instance{
		Name: i.name, Interface: i.ifname, Family: s.Config.Family.String(), VRID: int(i.vrid),
		State: s.Phase.String(), StateNumber: int(s.Phase), Since: s.Since, Reason: s.Reason,
		Priority: int(s.Priority), PriorityConfigured: int(s.Config.Priority), IntervalMS: s.Config.Interval.Milliseconds(),
		Addresses: hosts(s.Config.Addresses), Held: hosts(held),
		Sent: c.Sent, Received: c.Received, Discarded: c.Discarded, AddressMismatch: c.AddressMismatch,
		ChecksumPseudoHeader: c.PseudoHeader, ChecksumMessageOnly: c.MessageOnly,
		Dropped: dropped(&s, i.flooded.Load()), Transitions: c.Transitions, Stalls: c.Stalls, LastError: lastError,
	}
	if lastError != "" {
		out.LastErrorAt = &failedAt
	}
	if s.Source.IsValid() {
		out.Source = s.Source.String()
	}
	if m := s.Master; m.Address.IsValid() {
		out.Master = &status.Peer{Address: m.Address.String(), Priority: int(m.Priority), Heard: m.Heard}
	}
	return out
}

func hosts(addrs []netip.Prefix) []string {
	texts := make([]string, 0, len(addrs))
	for _, p := range addrs {
		texts = append(texts, p.Addr().String())
	}
	return texts
}
