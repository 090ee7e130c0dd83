package state

import (
	"testing"

	"pgregory.net/rapid"
)

// The set against a map, with hashes that collide in its slots.
func TestSeriesSetIsASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set seriesSet
		seen := make(map[uint64]bool) // since the last sweep
		kept := make(map[uint64]bool)
		hash := func() uint64 {
			return rapid.Uint64Range(0, 200).Draw(t, "hash") << rapid.SampledFrom([]int{0, 40}).Draw(t, "shift")
		}
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			switch rapid.IntRange(0, 20).Draw(t, "what") {
			case 0:
				set.sweep()
				kept, seen = seen, make(map[uint64]bool)
			case 1, 2, 3, 4, 5, 6:
				h := hash()
				want := 1
				if kept[h] || seen[h] {
					want = 0
				}
				if got := set.add(h); got != want {
					t.Fatalf("add %d: got %d, want %d", h, got, want)
				}
				kept[h], seen[h] = true, true
			default:
				h := hash()
				if got := set.seen(h); got != kept[h] {
					t.Fatalf("seen %d: got %v, want %v", h, got, kept[h])
				}
				if kept[h] {
					seen[h] = true
				}
			}
			if set.len() != len(kept) {
				t.Fatalf("%d series, want %d", set.len(), len(kept))
			}
		}
		for h := range kept {
			if !set.has(h) {
				t.Fatalf("%d is lost", h)
			}
		}
	})
}
