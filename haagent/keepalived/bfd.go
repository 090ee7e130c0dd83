package keepalived

import (
	"time"

	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// bfdSession is a session with the weight that an instance has when it does not say one.
type bfdSession struct {
	item[conf.BFDSession]
	name    string
	weight  int
	reverse bool
	minRX   time.Duration
	minTX   time.Duration
}

func (t *translator) bfdInstance(s *statement) {
	if !t.needs(s) || t.tooMany(s, len(t.bfd)) {
		return
	}
	var taken []string
	for _, b := range t.bfd {
		taken = append(taken, b.value.Name)
		if b.name == s.arg() {
			t.notes.Add(s.at, report.Mistake, "bfd_instance %.80q stands twice: the first one counts", s.arg())
			return
		}
	}
	b := &bfdSession{name: s.arg(), minRX: 10 * time.Millisecond, minTX: 10 * time.Millisecond}
	b.at = s.at
	b.value = conf.NewItem[conf.BFDSession]()
	b.value.Name = t.name(s, s.arg(), taken)
	b.value.Multiplier = 5
	for _, k := range s.block {
		t.bfdKey(b, k)
	}
	b.value.Interval = max(b.minRX, b.minTX)
	if b.minRX != b.minTX {
		t.notes.Add(s.at, report.Changed, "bfd_instance %.80q: min_rx and min_tx are one here: %s", s.arg(), b.value.Interval)
	}
	if !b.value.Peer.IsValid() {
		t.notes.Add(s.at, report.Mistake, "bfd_instance %.80q has no neighbor_ip: it is left out", s.arg())
		return
	}
	t.bfd = append(t.bfd, b)
}

func (t *translator) bfdKey(b *bfdSession, k *statement) {
	switch k.keyword() {
	case "neighbor_ip", "neighbour_ip":
		b.value.Peer, _ = t.address(k, k.arg())
	case "source_ip":
		b.value.Source, _ = t.address(k, k.arg())
	case "min_rx":
		t.milliseconds(k, &b.minRX)
	case "min_tx":
		t.milliseconds(k, &b.minTX)
	case "idle_tx":
		t.notes.Add(k.at, report.Missing, "idle_tx: a session that is down sends one packet a second, as RFC 5880 says")
	case "multiplier":
		if n, ok := t.number(k, 1, 255); ok {
			b.value.Multiplier = n
		}
	case "passive":
		b.value.Passive = true
	case "weight":
		b.weight, b.reverse = t.weight(k, k.args())
	case "ttl", "hoplimit":
		if k.arg() != "255" {
			t.notes.Add(k.at, report.Changed, "%s %.20q: packets are sent with 255, as RFC 5881 says", k.keyword(), k.arg())
		}
	case "max_hops":
		t.notes.Add(k.at, report.Missing, "max_hops: only packets that no router forwarded are taken, as RFC 5881 says: have the peer send 255")
	case "vrrp":
	case "checker":
		t.notes.Add(k.at, report.Missing, "checker: IPVS is not managed yet")
	default:
		t.unknown(k, []string{"neighbor_ip", "source_ip", "min_rx", "min_tx", "idle_tx", "multiplier", "passive", "weight", "ttl", "hoplimit", "max_hops", "vrrp", "checker"})
	}
}

// milliseconds reads a number of milliseconds with a fraction.
func (t *translator) milliseconds(k *statement, to *time.Duration) {
	if d, ok := t.duration(k, 0, 10*1000*time.Second); ok {
		d = (d / 1000).Round(time.Microsecond)
		if c := min(max(d, 5*time.Millisecond), 10*time.Second); c != d {
			t.notes.Add(k.at, report.Changed, "%s %s is taken as %s", k.keyword(), d, c)
			d = c
		}
		*to = d
	}
}
