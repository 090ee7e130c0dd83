package extractor

import (
	"encoding/json"
	"testing"
)

// heardFrame was sent at that time and came late; frames come in their order.
type heardFrame struct{ at, late, ahead int64 } // ms; the sender's clock is ahead by that much

func TestOffsets(t *testing.T) {
	const s = 1000
	run := func(from, every, n, late, ahead int64) (out []heardFrame) {
		for i := range n {
			out = append(out, heardFrame{from + i*every, late, ahead})
		}
		return out
	}
	join := func(parts ...[]heardFrame) (out []heardFrame) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	// What was lost for so long comes at once when the network is whole.
	repaired := func(from, every, n int64) (out []heardFrame) {
		for i := range n {
			out = append(out, heardFrame{from + i*every, (n - i) * every, 0})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		frames []heardFrame
		want   []int64 // offsets that were in force, s
	}{
		{"in time", run(0, 15*s, 9, 20, 0), []int64{0}},
		{"one run of eight frames is repaired", join(run(0, 15*s, 1, 20, 0), run(15*s, 1, 8, 2060, 0), run(30*s, 15*s, 3, 20, 0)), []int64{0}},
		{"three such runs, each late by another time", join(run(0, 15*s, 1, 20, 0), run(15*s, 1, 8, 2100, 0), run(30*s, 1, 8, 4000, 0), run(45*s, 1, 8, 9000, 0)), []int64{0}},
		{"ten seconds without network", join(run(0, s, 5, 20, 0), repaired(5*s, s, 10), run(15*s, s, 20, 20, 0)), []int64{0}},
		{"five minutes without network", join(run(0, 15*s, 5, 20, 0), repaired(75*s, 15*s, 20), run(375*s, 15*s, 5, 20, 0)), []int64{0}},
		{"set forward by an hour", join(run(0, 15*s, 3, 20, 0), run(45*s, 15*s, 3, 20, 3600*s)), []int64{0, -3600}},
		{"set back by an hour", join(run(0, 15*s, 3, 20, 0), run(45*s, 15*s, 3, 20, -3600*s)), []int64{0, 3600}},
		{"set back by less than an interval", join(run(0, 15*s, 3, 20, 0), run(45*s, 15*s, 3, 20, -9*s)), []int64{0, 9}},
		{"slow by a second an hour", join(run(0, 1800*s, 1, 20, 0), run(1800*s, 1800*s, 1, 20, -s), run(3600*s, 1800*s, 5, 20, -2600)), []int64{0, 3}},
	} {
		var o offsets
		for i, f := range c.frames {
			o.observe(uint64(i+1), f.at+f.ahead, f.at+f.late)
		}
		var got []int64
		for _, x := range o.Steps {
			got = append(got, x.Offset/1000)
		}
		if a, b := mustJSON(t, got), mustJSON(t, c.want); a != b {
			t.Errorf("%s: offsets %s, want %s", c.name, a, b)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Whenever a frame is pulled again it is corrected as it was, also when the clock was set more than once since.
func TestOffsetOfEachFrame(t *testing.T) {
	var o offsets
	by := make(map[uint64]int64)
	for seq := uint64(1); seq <= 60; seq++ {
		at := int64(seq) * 10_000
		o.observe(seq, at+int64(seq/10)*7000, at)
		by[seq] = o.of(seq)
		for had, was := range by {
			if o.of(had) != was {
				t.Fatalf("after frame %d, frame %d is corrected by %d, it was by %d", seq, had, o.of(had), was)
			}
		}
	}
	if o.now() != -42_000 || len(o.Steps) != 7 {
		t.Errorf("offset %d in %d steps, want -42000 in 7", o.now(), len(o.Steps))
	}
	for seq := uint64(61); seq <= 1000; seq++ {
		at := int64(seq) * 10_000
		o.observe(seq, at+int64(seq)*3000, at)
	}
	if len(o.Steps) > maxSteps {
		t.Errorf("%d steps are remembered, want at most %d", len(o.Steps), maxSteps)
	}
}
