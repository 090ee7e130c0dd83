package link

import (
	"net/netip"
	"testing"

	"keepwatch/internal/netnstest"
)

func announcer(t testing.TB) (a *Announcer) {
	within(t, netnstest.New(t).Node("a", "10.7.0.1/24"), func() (err error) { a, err = NewAnnouncer("eth0"); return err })
	t.Cleanup(func() { must(t, a.Close()) })
	return a
}

func TestAnnounceAllocatesNothing(t *testing.T) {
	a := announcer(t)
	for _, text := range []string{"10.7.0.100", "fd07::100"} {
		addr := netip.MustParseAddr(text)
		if n := testing.AllocsPerRun(100, func() { must(t, a.Announce(addr)) }); n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}

func benchmarkAnnounce(b *testing.B, text string) {
	a, addr := announcer(b), netip.MustParseAddr(text)
	b.ReportAllocs()
	for b.Loop() {
		must(b, a.Announce(addr))
	}
}

func BenchmarkAnnounce4(b *testing.B) { benchmarkAnnounce(b, "10.7.0.100") }
func BenchmarkAnnounce6(b *testing.B) { benchmarkAnnounce(b, "fd07::100") }
