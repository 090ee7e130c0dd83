package haagent

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/haagent/track"
	"keepwatch/haagent/vrrp"
	"keepwatch/internal/conf"
	"keepwatch/metric"
)

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
