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
	"keepwatch/haagent/notify"
	"keepwatch/haagent/testament"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// instance carries out what comes of one virtual router's steps, which its unit takes.
type instance struct {
	*shared
	name  string
	vrid  uint8
	port  *port
	addrs *link.Addresses
	stop  context.CancelFunc // of what it has besides its unit
	vmac  *vmac              // nil: the addresses are held on the interface itself

	placed string // the interface that the addresses are held on

	config  conf.Instance  // of the unit alone, as all up to mu
	native  []conf.Address // the owner's own, there before
	message []byte
	spacer  *spacer

	restored   int       // times that another program took addresses off
	restoredAt time.Time // of the last that was told

	announced atomic.Uint64
	refused   [64]atomic.Uint64 // packets that could not be advertisements, by vrrp.Drop
	phase     atomic.Int32      // vrrp.Phase

	mu        sync.Mutex // of what others may ask for
	shown     conf.Instance
	group     string
	uses      []conf.TrackUse
	held      []conf.Address
	late      lateness
	conflicts map[conflictKey]conflict
	lastError string
	failedAt  time.Time
}

// shared is what all instances of an agent use.
type shared struct {
	journal   *journal
	notifier  *notify.Notifier
	testament *testament.Writer
	firewall  *link.Firewall // nil: the kernel has none
	global    atomic.Pointer[conf.Notify]
}

// wanted are the addresses that a master holds.
func wanted(c *conf.Instance) []conf.Address { return slices.Concat(c.Addresses, c.Excluded) }

// place is the interface on which the addresses are held.
func (i *instance) place() string {
	if i.vmac != nil {
		return i.vmac.name
	}
	return i.config.Interface
}

func (i *instance) do(s *vrrp.State, a vrrp.Action, now time.Time) {
	switch a := a.(type) {
	case vrrp.SendAdvert:
		i.send(s, a.Priority)
	case vrrp.TakeAddresses:
		i.take(s, now)
	case vrrp.TrimAddresses:
		i.letGo(without(i.held, wanted(&i.config)), now)
		i.leaveWill(s)
	case vrrp.ReleaseAddresses:
		i.releaseAll(s, now)
	case vrrp.Announce:
		i.announce(a.Count)
	case vrrp.Succeed:
		i.succeed(s, a)
	case vrrp.Transition:
		i.transition(a, now)
	case vrrp.Notice:
		i.notice(a, now)
	}
}

// send advertises to the group or to each peer.
func (i *instance) send(s *vrrp.State, priority uint8) {
	conn, _, err := i.port.sockets()
	if i.vmac != nil && err == nil {
		conn, err = i.vmac.conn, i.vmac.raise(i.addrs)
	}
	advert := s.Config.Advert(priority)
	for _, dst := range s.Config.Destinations() {
		if err != nil {
			break
		}
		i.message = advert.Append(i.message[:0], s.Source, dst, s.Config.Checksum)
		err = conn.Send(s.Source, dst, i.message)
	}
	if err != nil {
		i.failed("cannot advertise", err)
	}
}

// take puts the addresses there, then what needs them: routes and rules.
func (i *instance) take(s *vrrp.State, now time.Time) {
	i.renew(now)
	if i.firewall != nil && !i.config.Accept && i.config.Priority != vrrp.PriorityOwner {
		i.check("cannot close the addresses", i.firewall.SetNoAccept(hostsOf(wanted(&i.config)), true))
	}
	i.check("cannot add the routes", i.addrs.AddRoutes(i.place(), i.config.Routes))
	i.check("cannot add the routing rules", i.addrs.AddRules(i.config.Rules))
	i.leaveWill(s)
}

func (i *instance) check(what string, err error) {
	if err != nil {
		i.failed(what, err)
	}
}

// renew takes the addresses or renews their leases, and tells those that are new.
func (i *instance) renew(now time.Time) {
	want := without(wanted(&i.config), i.native)
	if err := i.addrs.Hold(i.place(), want); err != nil {
		i.failed("cannot hold the addresses", err)
		return
	}
	want = wanted(&i.config)
	taken := without(want, i.held)
	i.mu.Lock()
	i.held = append(slices.Clip(i.held), taken...)
	i.mu.Unlock()
	i.tellAddresses(now, metric.EventVIPTaken, "taken", taken)
}

// restore puts back the addresses that somebody else took off.
func (i *instance) restore(now time.Time) {
	present, err := i.addrs.Present(i.place(), i.held)
	if err != nil {
		i.failed("cannot tell which addresses are there", err)
		return
	}
	gone := without(without(i.held, present), i.native)
	if len(gone) == 0 {
		return
	}
	i.check("cannot put the addresses back", i.addrs.Hold(i.place(), gone))
	i.announce(1)
	i.restored++
	if i.restored == 1 || now.Sub(i.restoredAt) > time.Minute {
		i.restoredAt = now
		for _, p := range gone {
			i.journal.add(now, "vip_restored", fmt.Sprintf("%s: another program took %s off %s, it is back (%d times since the start)", i.name, p.Addr(), i.place(), i.restored), i.labels("vip", p.Addr().String()))
		}
	}
}

func (i *instance) releaseAll(s *vrrp.State, now time.Time) {
	if relay := i.port.forwards(); relay != nil {
		relay.End()
	}
	i.check("cannot remove the routing rules", i.addrs.DelRules(i.config.Rules))
	i.check("cannot remove the routes", i.addrs.DelRoutes(i.place(), i.config.Routes))
	i.letGo(slices.Concat(i.held, without(wanted(&i.config), i.held)), now)
	if i.firewall != nil && !i.config.Accept {
		i.check("cannot open the addresses", i.firewall.SetNoAccept(hostsOf(wanted(&i.config)), false))
	}
	if i.vmac != nil {
		i.check("cannot put the interface of the virtual MAC address down", i.vmac.lower(i.addrs))
	}
	i.leaveWill(s)
}

func (i *instance) letGo(addrs []conf.Address, now time.Time) {
	if len(addrs) == 0 {
		return
	}
	if err := i.addrs.Release(i.place(), without(addrs, i.native)); err != nil {
		i.failed("cannot release the addresses, their leases end by themselves", err)
	}
	released := without(i.held, without(i.held, addrs))
	i.mu.Lock()
	i.held = without(i.held, addrs)
	i.mu.Unlock()
	i.tellAddresses(now, metric.EventVIPReleased, "released", released)
}

// leaveWill tells the parent what to do when this process dies now.
func (i *instance) leaveWill(s *vrrp.State) {
	will := testament.Will{Instance: i.name, Interface: i.place()}
	if len(i.held) > 0 {
		advert := s.Config.Advert(0)
		for _, dst := range s.Config.Destinations() {
			will.Farewell = append(will.Farewell, testament.Datagram{
				Source: s.Source, Dest: dst, TTL: vrrp.TTL, Times: 2, Payload: advert.Append(nil, s.Source, dst, s.Config.Checksum),
			})
		}
		for _, a := range without(i.held, i.native) {
			will.Addresses = append(will.Addresses, testament.Held{Interface: a.Device, Prefix: a.Prefix})
		}
	}
	i.check("cannot leave a testament", i.testament.Set(will))
}

func without(all, some []conf.Address) []conf.Address {
	return slices.DeleteFunc(slices.Clone(all), func(p conf.Address) bool { return slices.Contains(some, p) })
}

func hostsOf(addrs []conf.Address) (all []netip.Addr) {
	for _, a := range addrs {
		all = append(all, a.Addr())
	}
	return all
}

// Phase is the instance's phase now, for who does not drive it.
func (i *instance) Phase() vrrp.Phase { return vrrp.Phase(i.phase.Load()) }

func (i *instance) transition(a vrrp.Transition, now time.Time) {
	i.phase.Store(int32(a.To))
	i.journal.add(now, metric.EventVRRPTransition,
		fmt.Sprintf("%s (VRID %d on %s): %s to %s: %s", i.name, i.vrid, i.config.Interface, a.From, a.To, a.Reason),
		i.labels("from", a.From.String(), "to", a.To.String(), "priority", strconv.Itoa(int(a.Priority)), "reason", a.Reason))
	state := notifyState(a.To)
	i.notifier.Tell(i.config.Notify, notify.KindInstance, i.name, state, int(a.Priority))
	i.notifier.Tell(*i.global.Load(), notify.KindInstance, i.name, state, int(a.Priority))
}

// notifyState is keepalived's word for a phase.
func notifyState(p vrrp.Phase) string {
	return [...]string{vrrp.Init: notify.StateStop, vrrp.Backup: notify.StateBackup, vrrp.Master: notify.StateMaster, vrrp.Fault: notify.StateFault}[p]
}

func (i *instance) notice(a vrrp.Notice, now time.Time) {
	if a.Kind == vrrp.NoticeRival {
		for _, addr := range i.config.Addresses {
			i.conflict(addr.Addr(), "", sourceVRRP, a.Peer.String(), now)
		}
	}
	i.journal.add(now, metric.EventKind("vrrp_"+string(a.Kind)), fmt.Sprintf("%s (VRID %d on %s): %s", i.name, i.vrid, i.config.Interface, a.Text), i.labels())
}

func (i *instance) labels(more ...string) map[string]string {
	l := map[string]string{"instance": i.name, "vrid": strconv.Itoa(int(i.vrid)), "interface": i.config.Interface}
	for n := 0; n+1 < len(more); n += 2 {
		l[more[n]] = more[n+1]
	}
	return l
}

func (i *instance) tellAddresses(now time.Time, kind metric.EventKind, verb string, addrs []conf.Address) {
	for _, p := range addrs {
		i.journal.add(now, kind, fmt.Sprintf("%s: %s %s on %s", i.name, p.Addr(), verb, i.place()), i.labels("vip", p.Addr().String()))
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
