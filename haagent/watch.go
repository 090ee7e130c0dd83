package haagent

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepwatch/haagent/bfd"
	"keepwatch/haagent/bfd/session"
	"keepwatch/haagent/link"
	"keepwatch/haagent/script"
	"keepwatch/haagent/status"
	"keepwatch/haagent/track"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

// watchLinks follows the interfaces of the instances; it starts anew when they or the virtual addresses are other
// ones. The caller holds mu.
func (a *Agent) watchLinks(c conf.HAAgent) {
	var names []string
	for _, n := range c.Instances {
		if !slices.Contains(names, n.Interface) {
			names = append(names, n.Interface)
		}
	}
	slices.Sort(names)
	not := virtual(c.Instances)
	if a.stopWatch != nil {
		if slices.Equal(names, a.watching) && slices.Equal(not, virtual(a.config.Instances)) {
			return
		}
		a.stopWatch()
	}
	ctx, stop := context.WithCancel(a.ctx)
	a.stopWatch, a.watching = stop, names
	a.keep(ctx, func(err error) { a.opt.Log.Error("interfaces are not watched for a second", "err", err) },
		func(ctx context.Context) error { return link.Watch(ctx, names, not, a.linkChanged) })
}

func (a *Agent) linkChanged(ifname string, s link.Status) {
	a.mu.Lock()
	var ports []*port
	for key, p := range a.ports {
		if key.ifname == ifname {
			ports = append(ports, p)
		}
	}
	told := a.on(func(i *instance) bool { return i.port.key.ifname == ifname })
	a.mu.Unlock()
	for _, p := range ports {
		p.follow(s)
	}
	for _, r := range told {
		r.tellMade(r.member, func() vrrp.Input {
			r.member.remakeVMAC()
			return linkInput(r.member, s)
		})
	}
}

// asking is the question on an interface whether another host has an address that is held there.
type asking struct {
	every time.Duration
	stop  context.CancelFunc
}

// askDuplicates asks once for all instances of an interface, as often as the most eager wants. The caller holds mu.
func (a *Agent) askDuplicates() {
	every := make(map[string]time.Duration)
	for _, l := range a.on(func(*instance) bool { return true }) {
		l.member.mu.Lock()
		d := l.member.shown.Duplicates
		l.member.mu.Unlock()
		if place := l.member.placed; d > 0 && (every[place] == 0 || d < every[place]) {
			every[place] = d
		}
	}
	for place, now := range a.asking {
		if every[place] != now.every {
			now.stop()
			delete(a.asking, place)
		}
	}
	for place, d := range every {
		if _, ok := a.asking[place]; ok {
			continue
		}
		ctx, stop := context.WithCancel(a.ctx)
		a.asking[place] = asking{d, stop}
		on := func(i *instance) bool { return i.placed == place }
		a.keep(ctx, func(err error) {
			a.opt.Log.Error("cannot ask whether another host has the addresses", "interface", place, "err", err)
		}, func(ctx context.Context) error {
			return link.WatchDuplicates(ctx, place, d, func() []netip.Addr { return a.held(on) }, func(addr netip.Addr, mac net.HardwareAddr) { a.duplicate(on, addr, mac) })
		})
	}
}

func (a *Agent) held(on func(*instance) bool) (all []netip.Addr) {
	a.mu.Lock()
	told := a.on(on)
	a.mu.Unlock()
	for _, l := range told {
		all = append(all, l.member.holding()...)
	}
	return all
}

func (a *Agent) duplicate(on func(*instance) bool, addr netip.Addr, mac net.HardwareAddr) {
	a.mu.Lock()
	told := a.on(on)
	a.mu.Unlock()
	for _, l := range told {
		if slices.Contains(l.member.holding(), addr) {
			l.member.duplicate(addr, mac)
		}
	}
}

// addressRemoved has instances look whether it was one of theirs that somebody took off: it comes back at once. An
// invalid address may be any.
func (a *Agent) addressRemoved(addr netip.Addr) {
	a.mu.Lock()
	told := a.on(func(i *instance) bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		return !addr.IsValid() && len(i.held) > 0 || slices.ContainsFunc(i.held, func(p conf.Address) bool { return p.Addr() == addr })
	})
	a.mu.Unlock()
	for _, r := range told {
		r.tellMade(r.member, func() vrrp.Input {
			r.member.restore(time.Now())
			return nil
		})
	}
}

// on lists instances with their units. The caller holds mu.
func (a *Agent) on(which func(*instance) bool) (out []listener) {
	for _, u := range a.units {
		for _, m := range u.members {
			if which(m) {
				out = append(out, listener{u, m})
			}
		}
	}
	return out
}

// applyTracks starts and stops the watching of what is tracked.
func (a *Agent) applyTracks(c conf.HAAgent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, t := range a.tracks {
		if name != trackProxy && name != trackDrain && !slices.ContainsFunc(c.Tracks, func(n conf.Track) bool { return n.Name == name && reflect.DeepEqual(n, t.config) }) {
			t.stop()
			delete(a.tracks, name)
		}
	}
	for _, n := range c.Tracks {
		if a.tracks[n.Name] == nil {
			a.tracks[n.Name] = a.startTrack(n)
		}
	}
}

// startTrack begins with what a look tells at once; what needs a check to be known begins as init_fail says.
func (a *Agent) startTrack(c conf.Track) *tracked {
	ctx, stop := context.WithCancel(a.ctx)
	kind, target := kindOf(c)
	t := &tracked{config: c, stop: stop, Track: status.Track{Name: c.Name, Kind: kind, Target: target, Since: time.Now()}}
	if c.BFD != "" {
		t.Up, t.Detail = a.sessionIsUp(c.BFD)
		return t
	}
	found, known := track.Look(c)
	if !known {
		found = track.Finding{Up: !c.InitFail, Detail: "not looked at yet"}
	}
	t.Up, t.Value, t.Detail = found.Up, found.Value, found.Detail
	a.keep(ctx, func(err error) { a.trackChanged(c.Name, track.Finding{Detail: err.Error()}) }, func(ctx context.Context) error {
		return track.Run(ctx, c, track.Options{Scripts: a.scripts}, func(f track.Finding) { a.trackChanged(c.Name, f) })
	})
	return t
}

// kindOf is a track's kind with what it looks at, for people.
func kindOf(c conf.Track) (kind, target string) {
	for _, k := range []struct{ kind, target string }{
		{"process", c.Process}, {"script", strings.Join(c.Script, " ")}, {"interface", c.Interface}, {"route", c.Route}, {"file", c.File},
		{"ping", strings.Join(c.Ping, " ")}, {"http", c.HTTP}, {"tcp", c.TCP}, {"bfd", c.BFD},
	} {
		if k.target != "" {
			return k.kind, k.target
		}
	}
	return "", ""
}

// tracksOf are an instance's tracks and its quorum as they are now.
func (a *Agent) tracksOf(m *instance) (tracks []vrrp.Track, quorum *vrrp.Track) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m.mu.Lock()
	uses, wants := m.uses, m.shown.Quorum
	m.mu.Unlock()
	fill := func(name string) vrrp.Track {
		t := vrrp.Track{Name: name}
		if known := a.tracks[name]; known != nil {
			t.Up, t.Value, t.Detail, t.ByValue = known.Up, known.Value, known.Detail, known.config.File != ""
		}
		return t
	}
	for _, u := range uses {
		t := fill(u.Name)
		t.Weight, t.Reverse = u.Weight, u.Reverse
		tracks = append(tracks, t)
	}
	if wants != "" {
		q := fill(wants)
		quorum = &q
	}
	return append(tracks, fill(trackDrain)), quorum
}

func (a *Agent) trackChanged(name string, f track.Finding) {
	now := time.Now()
	a.mu.Lock()
	t := a.tracks[name]
	if t != nil && t.Up == f.Up && t.Value == f.Value {
		t.Detail = f.Detail
	}
	if t == nil || t.Up == f.Up && t.Value == f.Value {
		a.mu.Unlock()
		return
	}
	t.Up, t.Value, t.Since, t.Detail = f.Up, f.Value, now, f.Detail
	told := a.on(func(i *instance) bool { return i.dependsOn(name) })
	a.mu.Unlock()
	for _, r := range told {
		r.tell(r.member, vrrp.TrackChanged{Name: name, Up: f.Up, Value: f.Value, Detail: f.Detail})
	}
	word := "up"
	if t.config.File != "" && f.Up {
		word = fmt.Sprintf("at %d", f.Value)
	} else if !f.Up {
		word = "down: " + f.Detail
	}
	a.journal.add(now, metric.EventTrackChanged, fmt.Sprintf("track %s is %s", name, word), map[string]string{"track": name, "up": strconv.FormatBool(f.Up)})
}

func (i *instance) dependsOn(track string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return track == trackDrain || i.shown.Quorum == track || slices.ContainsFunc(i.uses, func(u conf.TrackUse) bool { return u.Name == track })
}

// bfdChanged is called by BFD: a silent peer is a master's death for the instances that say so, and every change one
// of the tracks that look at it.
func (a *Agent) bfdChanged(e session.Event) {
	word := "up"
	if !e.Up {
		word = "down: " + e.Detail
	}
	a.journal.add(e.At, "bfd_changed", fmt.Sprintf("BFD session %s is %s", e.Name, word), map[string]string{"session": e.Name, "up": strconv.FormatBool(e.Up)})
	a.mu.Lock()
	var tracks []string
	for name, t := range a.tracks {
		if t.config.BFD == e.Name {
			tracks = append(tracks, name)
		}
	}
	var told []listener
	if !e.Up && !e.Admin && e.Diag == bfd.DiagSilent {
		told = a.on(func(i *instance) bool { return slices.Contains(i.shown.BFD, e.Name) })
	}
	var session conf.BFDSession
	for _, s := range a.config.BFD {
		if s.Name == e.Name {
			session = s
		}
	}
	a.mu.Unlock()
	for _, r := range told {
		r.tell(r.member, vrrp.PeerLost{Peer: session.Peer.WithZone(""), Skew: e.Detection / time.Duration(max(session.Multiplier, 1)), Detail: "BFD session " + e.Name + " is down (" + e.Detail + ")"})
	}
	for _, name := range tracks {
		a.trackChanged(name, track.Finding{Up: e.Up, Detail: e.Detail})
	}
}

func (a *Agent) sessionIsUp(name string) (up bool, detail string) {
	for _, s := range a.bfd.Status() {
		if s.Name == name {
			return s.Up, s.Reason
		}
	}
	return false, "no packet yet"
}

// fence runs the program that must confirm a master's death, beside the unit, which goes on hearing meanwhile.
func (a *Agent) fence(u *unit, m *instance, f vrrp.Fence) {
	c := m.config.Fence
	a.group.Go(func() error {
		r, err := a.scripts.Run(u.ctx, script.Command{Argv: append(slices.Clone(c.Command), f.Master.String()), Timeout: c.Timeout, Env: []string{"KEEPWATCH_INSTANCE=" + m.name}})
		out, _, _ := strings.Cut(strings.TrimSpace(r.Output), "\n")
		answer := vrrp.Fenced{Dead: err == nil && !r.TimedOut && r.ExitCode == 0, Detail: cmp.Or(out, "exit status "+strconv.Itoa(r.ExitCode))}
		switch {
		case err != nil:
			answer.Detail = err.Error()
		case r.TimedOut:
			answer.Detail = fmt.Sprintf("no answer within %s", c.Timeout)
		}
		a.journal.add(time.Now(), "vrrp_fenced", fmt.Sprintf("%s: fencing %s: dead %t: %s", m.name, f.Master, answer.Dead, answer.Detail), m.labels())
		u.tell(m, answer)
		return nil
	})
}
