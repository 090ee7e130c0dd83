package auth

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	th, now := newThrottle(), time.Unix(1000, 0)
	for range maxByBoth {
		if err := th.take("ann", "10.0.0.1", now); err != nil {
			t.Fatal(err)
		}
	}
	var many *TooManyError
	if err := th.take("ann", "10.0.0.1", now.Add(20*time.Second)); !errors.As(err, &many) || many.RetryAfter != 40*time.Second {
		t.Errorf("got %v, want 40 s to wait", err)
	}
	for _, other := range [][2]string{{"bob", "10.0.0.1"}, {"ann", "10.0.0.2"}} {
		if err := th.take(other[0], other[1], now); err != nil {
			t.Errorf("%v: %v", other, err)
		}
	}
	if err := th.take("ann", "10.0.0.1", now.Add(window)); err != nil {
		t.Errorf("after the window: %v", err)
	}
}

func TestThrottleForgetsOnSuccess(t *testing.T) {
	th, now := newThrottle(), time.Unix(1000, 0)
	for range 3 * maxByOrigin { // one who signs in well is never in the way
		if err := th.take("ann", "10.0.0.1", now); err != nil {
			t.Fatal(err)
		}
		th.succeeded("ann", "10.0.0.1")
	}
}

func TestThrottleByOrigin(t *testing.T) {
	th, now := newThrottle(), time.Unix(1000, 0)
	var err error
	n := 0
	for ; err == nil; n++ { // one password for many names, from many addresses of one network
		err = th.take(fmt.Sprint("user", n), fmt.Sprintf("2001:db8::%x", n), now)
	}
	if n != maxByOrigin+1 {
		t.Errorf("%d tries went through, want %d", n-1, maxByOrigin)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	th, now := newThrottle(), time.Unix(1000, 0)
	for n := range maxTracked + 1000 {
		_ = th.take("u", fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), now)
		now = now.Add(time.Microsecond)
	}
	if got := len(th.seen); got > maxTracked+1 {
		t.Errorf("%d keys, want at most %d", got, maxTracked+1)
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=1,t=2,p=1$$")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePHC(s)
		if err == nil && (p.memory > 256*1024 || p.time > 20 || len(p.key) < 16 || len(p.salt) < 8) {
			t.Errorf("%q: %+v is out of bounds", s, p)
		}
	})
}
