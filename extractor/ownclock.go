package extractor

// ourTime sees our own clock set back. What was noted by it before says that it was later than it can be, and would
// stay the newest for as long as the clock was ahead: dead hosts up, new samples old, what is missing told already.
func (t *taker) ourTime(now int64, l *load) {
	back := now < t.wall-inTime
	t.wall = now
	if !back {
		return
	}
	t.page.notAfter(now)
	for s, last := range t.gmond {
		if last.time > now {
			t.gmond[s] = gmondLast{now - gmondSlack, last.source}
		}
	}
	for _, at := range []*int64{&t.heardTo, &t.unbroken, &t.swept, &t.wrapped, &t.elsewhere, &t.floor, &l.received} {
		*at = min(*at, now)
	}
}

// notAfter brings to now what of the page is later.
func (p *page) notAfter(now int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Received = min(p.Received, now)
	for _, h := range p.Hosts {
		for _, x := range []*promise{&h.Native, &h.Gmond, &h.Own} {
			x.Heard = min(x.Heard, now)
		}
		h.nameTold = min(h.nameTold, now)
	}
	for _, c := range p.Clocks {
		c.Heard = min(c.Heard, now)
	}
}
