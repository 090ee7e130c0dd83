package haagent

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"keepwatch/haagent/link"
	"keepwatch/haagent/status"
	"keepwatch/haagent/track"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

func linkInput(s link.Status, family vrrp.Family) vrrp.LinkChanged {
	in := vrrp.LinkChanged{Up: s.Up, Source: s.Source4, Detail: s.Detail}
	if family == vrrp.IPv6 {
		in.Source = s.Source6
	}
	return in
}

func virtual(all []conf.Instance) (addrs []netip.Addr) {
	for _, c := range all {
		if c.Priority == vrrp.PriorityOwner {
			continue
		}
		for _, p := range c.Addresses {
			addrs = append(addrs, p.Addr())
		}
	}
	return addrs
}

// watchLinks follows the interfaces of the instances; it starts anew when they are other ones.
func (a *Agent) watchLinks(c conf.HAAgent) {
	var names []string
	for _, n := range c.Instances {
		if !slices.Contains(names, n.Interface) {
			names = append(names, n.Interface)
		}
	}
	slices.Sort(names)
	if a.stopWatch != nil {
		if slices.Equal(names, a.watching) {
			return
		}
		a.stopWatch()
	}
	ctx, stop := context.WithCancel(a.ctx)
	a.stopWatch, a.watching = stop, names
	not := virtual(c.Instances)
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
	told := a.on(func(r *running) bool { return r.ifname == ifname })
	a.mu.Unlock()
	for _, p := range ports {
		p.follow(s)
	}
	for _, r := range told {
		r.tell(r.ctx, linkInput(s, r.port.key.family))
	}
}

// on lists instances. The caller holds mu.
func (a *Agent) on(which func(*running) bool) (out []*running) {
	for _, r := range a.instances {
		if which(r) {
			out = append(out, r)
		}
	}
	return out
}

// applyTracks starts and stops the watching of processes. The caller holds mu.
func (a *Agent) applyTracks(c conf.HAAgent) {
	for name, t := range a.tracks {
		if name != trackProxy && !slices.ContainsFunc(c.Tracks, func(n conf.Track) bool { return n.Name == name && n.Process == t.process }) {
			t.stop()
			delete(a.tracks, name)
		}
	}
	for _, n := range c.Tracks {
		if a.tracks[n.Name] != nil {
			continue
		}
		ctx, stop := context.WithCancel(a.ctx)
		t := &tracked{Track: status.Track{Name: n.Name, Since: time.Now()}, process: n.Process, stop: stop}
		var err error
		if t.Up, err = track.Running(n.Process); err != nil {
			t.Detail = err.Error()
		} else if !t.Up {
			t.Detail = "no process " + n.Process + " runs"
		}
		a.tracks[n.Name] = t
		a.keep(ctx, func(err error) { a.trackChanged(n.Name, false, err.Error()) }, func(ctx context.Context) error {
			return track.Process(ctx, n.Process, func(up bool, reason string) { a.trackChanged(n.Name, up, reason) })
		})
	}
}

// tracksOf are an instance's tracks as they are now. The caller holds mu.
func (a *Agent) tracksOf(c conf.Instance) (tracks []vrrp.Track) {
	for _, u := range c.Track {
		t := vrrp.Track{Name: u.Name, Weight: u.Weight}
		if known := a.tracks[u.Name]; known != nil {
			t.Up, t.Detail = known.Up, known.Detail
		}
		tracks = append(tracks, t)
	}
	return tracks
}

func (a *Agent) trackChanged(name string, up bool, detail string) {
	now := time.Now()
	a.mu.Lock()
	t := a.tracks[name]
	if t == nil || t.Up == up {
		a.mu.Unlock()
		return
	}
	t.Up, t.Since, t.Detail = up, now, detail
	told := a.on(func(r *running) bool {
		return slices.ContainsFunc(r.config.Track, func(u conf.TrackUse) bool { return u.Name == name })
	})
	a.mu.Unlock()
	for _, r := range told {
		r.tell(r.ctx, vrrp.TrackChanged{Name: name, Up: up, Detail: detail})
	}
	word := "up"
	if !up {
		word = "down: " + detail
	}
	a.journal.add(now, metric.EventTrackChanged, fmt.Sprintf("track %s is %s", name, word), map[string]string{"track": name, "up": strconv.FormatBool(up)})
}
