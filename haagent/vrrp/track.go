package vrrp

import "fmt"

// Track is one health that moves the priority, with what is known of it.
type Track struct {
	Name    string
	Weight  int  // added while up when positive, subtracted while down when negative; 0: Fault while down
	Reverse bool // up counts as down and down as up
	ByValue bool // of a file: the weight multiplies its number
	Up      bool
	Value   int
	Detail  string // why it is as it is, for people
}

// faultBelow is the sum of a file's number and weight below which the router is in fault, as in keepalived.
const faultBelow = -253

// Effect is what the track does now: what it adds to the priority, and whether it forces Fault.
func (t *Track) Effect() (add int, fault bool) {
	up := t.Up != t.Reverse
	if t.ByValue && t.Up {
		if t.Weight == 0 {
			return 0, (t.Value != 0) != t.Reverse
		}
		add = t.Value * t.Weight
		if t.Reverse {
			add = -add
		}
		return add, add < faultBelow
	}
	switch {
	case t.Weight == 0:
		return 0, !up
	case up == (t.Weight > 0):
		return t.Weight, false
	}
	return 0, false
}

// effective is the priority after the tracks: the sum is clamped to 1..254, the owner's never moves.
func (c *Config) effective() uint8 {
	if c.Priority == PriorityOwner {
		return PriorityOwner
	}
	sum := int(c.Priority)
	for i := range c.Tracks {
		add, _ := c.Tracks[i].Effect()
		sum += add
	}
	return uint8(min(max(sum, 1), 254))
}

// text tells a track's health in a few words.
func (t *Track) text() string {
	word := "down"
	if t.Up {
		word = "up"
	}
	if t.ByValue && t.Up {
		word = fmt.Sprintf("at %d", t.Value)
	}
	if t.Detail == "" {
		return fmt.Sprintf("track %s is %s", t.Name, word)
	}
	return fmt.Sprintf("track %s is %s (%s)", t.Name, word, t.Detail)
}
