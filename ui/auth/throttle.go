package auth

import (
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// Failures of signing in that are let through in a window.
const (
	window      = time.Minute
	maxByBoth   = 5      // of one name from one address
	maxByOrigin = 100    // from one address, whatever the name
	maxTracked  = 20_000 // keys remembered
)

// TooManyError refuses a sign-in without looking at the password.
type TooManyError struct {
	RetryAfter time.Duration
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many failed sign-ins: try again in %d seconds", int(e.RetryAfter.Seconds())+1)
}

// throttle counts failures in fixed windows. Tries are counted before the password is checked, so that many at once
// cannot slip through, and taken back when they succeed.
type throttle struct {
	mu   sync.Mutex
	seen map[string]*failures
}

type failures struct {
	n     int
	since time.Time
}

func newThrottle() *throttle { return &throttle{seen: make(map[string]*failures)} }

// take counts a try, or says how long to wait.
func (t *throttle) take(name, address string, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	both, origin := t.get(keyOf(name, address), now), t.get(network(address), now)
	switch {
	case both.n >= maxByBoth:
		return &TooManyError{RetryAfter: both.since.Add(window).Sub(now)}
	case origin.n >= maxByOrigin:
		return &TooManyError{RetryAfter: origin.since.Add(window).Sub(now)}
	}
	both.n++
	origin.n++
	return nil
}

// succeeded forgets the failures of a name from an address and takes back the try.
func (t *throttle) succeeded(name, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.seen, keyOf(name, address))
	if f := t.seen[network(address)]; f != nil && f.n > 0 {
		f.n--
	}
}

func (t *throttle) get(key string, now time.Time) *failures {
	f := t.seen[key]
	if f == nil {
		t.makeRoom(now)
		f = &failures{since: now}
		t.seen[key] = f
	}
	if now.Sub(f.since) >= window {
		*f = failures{since: now}
	}
	return f
}

// makeRoom keeps the map within its bound: windows that are over go, and where that is not enough, an eighth of all,
// taken by chance. To make it forget them, an attacker needs as many addresses.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.seen) < maxTracked {
		return
	}
	for key, f := range t.seen {
		if now.Sub(f.since) >= window {
			delete(t.seen, key)
		}
	}
	for key := range t.seen {
		if len(t.seen) <= maxTracked*7/8 {
			break
		}
		delete(t.seen, key)
	}
}

func keyOf(name, address string) string {
	if len(name) > 64 {
		name = name[:64]
	}
	return name + "\x00" + network(address)
}

// network is the address, or the /64 of an IPv6 one, all of which one host may have.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64) // 64 fits an IPv6 address
		return p.String()
	}
	return a.String()
}
