package haagent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"keepwatch/haagent/status"
	"keepwatch/haagent/vrrp"
)

// maxWait bounds how long GET /events holds a request that has nothing to answer.
const maxWait = 30 * time.Second

// lock makes sure that no other agent runs on the same data folder: two would fight for the same addresses. The
// kernel frees the lock when this process ends, however it ends.
func lock(dataDir string) (*os.File, error) {
	path := filepath.Join(dataDir, "haagent.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot make the agent's lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another HA agent runs on %s: stop it first, or name another folder with --data", dataDir)
	}
	return f, nil
}

// serve answers on the agent's socket until ctx ends.
func (a *Agent) serve(ctx context.Context) error {
	path := filepath.Join(a.opt.DataDir, status.Socket)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot replace the agent's socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("cannot make the agent's socket: %w", err)
	}
	// The group may ask, as the collector under a user of its own does; to tell takes the agent's own user or root.
	if err := os.Chmod(path, 0o660); err != nil {
		return errors.Join(fmt.Errorf("cannot protect the agent's socket: %w", err), ln.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, a.Status()) })
	mux.HandleFunc("GET /events", a.answerEvents)
	mux.HandleFunc("POST /switchover", ownersOnly(a.answerSwitchover))
	mux.HandleFunc("POST /drain", ownersOnly(a.answerDrain))
	s := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: maxWait + 10*time.Second, MaxHeaderBytes: 8 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, ConnContext: withPeer,
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot serve the agent's socket: %w", err)
	}
	return nil
}

// peerKey is where withPeer keeps the user at the other end of a connection.
type peerKey struct{}

func withPeer(ctx context.Context, c net.Conn) context.Context {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	if waitErr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); waitErr != nil || err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, cred.Uid)
}

// ownersOnly lets the agent's own user and root in.
func ownersOnly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		uid, known := r.Context().Value(peerKey{}).(uint32)
		if !known || uid != 0 && int(uid) != os.Geteuid() {
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(status.Refusal{Error: "only root and the user who runs the agent may tell it what to do"}) // the reader is gone
			return
		}
		next(w, r)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the reader is gone
}

func (a *Agent) answerEvents(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, err := strconv.ParseUint(q.Get("after"), 10, 64)
	if err != nil && q.Get("after") != "" {
		http.Error(w, "after: want the number of the last event that you have", http.StatusBadRequest)
		return
	}
	seconds, err := strconv.ParseUint(q.Get("wait"), 10, 16)
	if err != nil && q.Get("wait") != "" {
		http.Error(w, "wait: want seconds", http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(time.Duration(seconds)*time.Second, maxWait))
	defer cancel()
	answer(w, a.journal.await(ctx, q.Get("boot"), after))
}

// refuse says why something cannot be done.
func refuse(w http.ResponseWriter, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	_ = json.NewEncoder(w).Encode(status.Refusal{Error: why}) // the reader is gone
}

// Status is what the agent is like now.
func (a *Agent) Status() status.Status {
	now, drained := time.Now(), a.drained.Load()
	a.mu.Lock()
	units := a.units
	a.mu.Unlock()
	s := status.Status{
		Host: a.opt.Host, Boot: a.boot, Started: a.started, Now: now, Parent: a.testament.HasParent(), Drained: drained,
		Instances: []status.Instance{}, Tracks: []status.Track{}, BFD: a.sessions(),
	}
	for _, u := range units {
		g := status.Group{Name: u.name, Reason: u.reason.get()}
		for n, m := range u.members {
			i := m.status(u.state(n), now, drained)
			s.Instances = append(s.Instances, i)
			g.Members = append(g.Members, m.name)
			if g.State == "" || rank[i.State] < rank[g.State] {
				g.State = i.State
			}
		}
		if u.name != "" {
			s.Groups = append(s.Groups, g)
		}
	}
	sort.Slice(s.Instances, func(i, j int) bool { return s.Instances[i].Name < s.Instances[j].Name })
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, t := range a.tracks {
		if name != trackDrain {
			s.Tracks = append(s.Tracks, t.Track)
		}
	}
	sort.Slice(s.Tracks, func(i, j int) bool { return s.Tracks[i].Name < s.Tracks[j].Name })
	if a.proxy != nil {
		p := a.proxy.State()
		s.Proxy = &status.Proxy{Engine: "haproxy", Up: p.Up, PID: p.PID, Since: p.Since, Restarts: p.Restarts, Reason: p.Reason, Socket: ProxySocket(a.opt.DataDir)}
	}
	return s
}

// rank orders the states of a group's members: the least of them is the group's.
var rank = map[string]int{vrrp.Fault.String(): 0, vrrp.Init.String(): 1, vrrp.Backup.String(): 2, vrrp.Master.String(): 3}

func (a *Agent) sessions() (all []status.BFDSession) {
	for _, b := range a.bfd.Status() {
		all = append(all, status.BFDSession{
			Name: b.Name, Peer: b.Peer.String(), State: b.State, Up: b.Up, Since: b.Since, DetectionMS: milliseconds(b.DetectionTime),
			Sent: b.Sent, Received: b.Received, Dropped: b.Dropped, RemoteDiag: b.RemoteDiag,
		})
	}
	return all
}
