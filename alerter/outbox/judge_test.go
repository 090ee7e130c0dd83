package outbox

import (
	"testing"
	"time"

	"keepwatch/alerter/delivery"
	"keepwatch/alerter/message"
)

func TestJudge(t *testing.T) {
	later := delivery.Later("away")
	tests := []struct {
		name   string
		kind   message.Kind
		try    int
		age    time.Duration
		r      delivery.Result
		status string
		reason string
	}{
		{"sent", message.Problem, 1, 0, delivery.OK(), "sent", ""},
		{"sent at last", message.Problem, 200, 30 * time.Hour, delivery.OK(), "sent", ""},
		{"refused", message.Problem, 1, 0, delivery.Never("no such user"), "failed", "no such user"},
		{"later", message.Recovery, 1, time.Second, later, "queued", "away"},
		{"later, almost a day old", message.Problem, 150, 23 * time.Hour, later, "queued", "away"},
		{"a day old", message.Repeat, 150, 24 * time.Hour, later, "failed", "given up after 150 tries in 24 h: away"},
		{"a test is tried once", message.Test, 1, 0, later, "failed", "away"},
	}
	for _, tt := range tests {
		got := judge(7, tt.kind, tt.try, tt.age, tt.r)
		if got.status != tt.status || got.reason != tt.reason || (got.delay > 0) != (tt.status == "queued") {
			t.Errorf("%s: got %+v, want %s, %q", tt.name, got, tt.status, tt.reason)
		}
	}
}

func TestBackOff(t *testing.T) {
	for try, want := range []time.Duration{0, 5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 320 * time.Second, 600 * time.Second, 600 * time.Second} {
		if try == 0 {
			continue
		}
		spread := make(map[time.Duration]bool)
		for id := range int64(50) {
			got := backOff(id, try)
			if got < want*8/10 || got > want*12/10 || got != backOff(id, try) {
				t.Fatalf("try %d of %d: got %v, want about %v, the same each time", try, id, got, want)
			}
			spread[got] = true
		}
		if len(spread) < 25 {
			t.Errorf("try %d: 50 notifications have only %d different delays", try, len(spread))
		}
	}
	if got := backOff(1, 1_000_000); got > maxDelay*12/10 || got <= 0 {
		t.Errorf("try 1000000: got %v", got)
	}
}
