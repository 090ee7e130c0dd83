package haagent

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"keepwatch/haagent/status"
	"keepwatch/haagent/track"
	"keepwatch/haagent/vrrp"
)

// trackDrain is the track that every instance has: an operator's word that this host holds nothing. Its name is one
// that no track of the configuration can have.
const trackDrain = "(drain)"

// drainedFile, while it is there, keeps the host drained over restarts: maintenance has them.
const drainedFile = "haagent.drained"

func (a *Agent) loadDrained() {
	_, err := os.Stat(filepath.Join(a.opt.DataDir, drainedFile))
	a.setDrained(err == nil)
}

func (a *Agent) setDrained(on bool) {
	f := track.Finding{Up: !on}
	if on {
		f.Detail = "drained by an operator"
	}
	a.drained.Store(on)
	a.mu.Lock()
	if a.tracks[trackDrain] == nil {
		a.tracks[trackDrain] = &tracked{Track: status.Track{Name: trackDrain, Up: !on, Since: time.Now(), Detail: f.Detail}, stop: func() {}}
	}
	a.mu.Unlock()
	a.trackChanged(trackDrain, f)
}

// answerDrain makes all instances leave, or lets them take part again.
func (a *Agent) answerDrain(w http.ResponseWriter, r *http.Request) {
	path := filepath.Join(a.opt.DataDir, drainedFile)
	var text string
	var err error
	switch r.URL.Query().Get("on") {
	case "true":
		err = os.WriteFile(path, []byte("This host holds no virtual addresses until 'keepwatch ha drain --off'.\n"), 0o600)
		text = "drained: this host gives its addresses away and takes none, also after a restart, until 'keepwatch ha drain --off'"
	case "false":
		if err = os.Remove(path); os.IsNotExist(err) {
			err = nil
		}
		text = "no longer drained: this host takes part again"
	default:
		http.Error(w, "on: want true or false", http.StatusBadRequest)
		return
	}
	if err != nil {
		refuse(w, fmt.Sprintf("cannot keep it over a restart: %v", err))
		return
	}
	a.setDrained(r.URL.Query().Get("on") == "true")
	answer(w, status.Answer{Text: text})
}

// answerSwitchover makes a master, or all, hand over to the strongest of the others.
func (a *Agent) answerSwitchover(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("instance")
	a.mu.Lock()
	told := a.on(func(i *instance) bool { return name == "" || i.name == name })
	a.mu.Unlock()
	if len(told) == 0 {
		refuse(w, fmt.Sprintf("there is no instance %q here", name))
		return
	}
	var masters []string
	for _, l := range told {
		if l.member.Phase() == vrrp.Master {
			masters = append(masters, l.member.name)
			l.tell(l.member, vrrp.StepAside{Why: "an operator asked for a switchover"})
		}
	}
	if len(masters) == 0 {
		refuse(w, "this host is master of nothing that could be switched over: ask the one that is")
		return
	}
	answer(w, status.Answer{Text: "hands over " + strings.Join(masters, ", ") + "; the strongest of the others takes it, and keeps it while it lives"})
}
