package session

import (
	"fmt"
	"testing"
	"time"

	"keepwatch/haagent/bfd"
	"keepwatch/internal/conf"
	"keepwatch/internal/netnstest"
)

// BenchmarkCPU is what sessions at 10 ms cost: the processor time of one of two processes that have three sessions
// with each other, by its own account, which holds the kernel's work for it. An iteration is a packet sent by each
// session: -benchtime=3000x takes half a minute.
func BenchmarkCPU(b *testing.B) {
	n := netnstest.New(b)
	var ours, theirs []string
	for i := range 3 {
		ours, theirs = append(ours, fmt.Sprintf("10.7.%d.1", i)), append(theirs, fmt.Sprintf("10.7.%d.2", i))
	}
	prefixes := func(addrs []string) (all []string) {
		for _, a := range addrs {
			all = append(all, a+"/24")
		}
		return all
	}
	sessions := func(peers []string) (all []conf.BFDSession) {
		for i, p := range peers {
			all = append(all, peer(fmt.Sprint("s", i), p, 10*time.Millisecond))
		}
		return all
	}
	s := startSpeaker(b, n.Node("us", prefixes(ours)...), sessions(theirs)...)
	startSpeaker(b, n.Node("them", prefixes(theirs)...), sessions(ours)...)
	for i := range ours {
		s.await(fmt.Sprint("s", i), 2)
	}
	first := s.status("the first status", anything)
	begin := time.Now()
	b.ResetTimer()
	for gone := uint64(0); gone < uint64(b.N); {
		<-time.After(time.Second / 2)
		gone = s.status("a status", anything).Sessions[0].Sent - first.Sessions[0].Sent
	}
	b.StopTimer()
	last, took := s.status("the last status", anything), time.Since(begin)
	used, sent, lost := last.CPU-first.CPU, uint64(0), uint64(0)
	for i := range last.Sessions {
		sent += last.Sessions[i].Sent - first.Sessions[i].Sent
		lost += last.Sessions[i].Transitions - first.Sessions[i].Transitions
	}
	b.ReportMetric(100*used.Seconds()/took.Seconds()/float64(len(ours)), "%cpu/session")
	b.ReportMetric(float64(used.Microseconds())/float64(sent), "µs/sent+heard")
	b.ReportMetric(float64(lost), "transitions") // of 30 ms sessions, on a machine that does other things too
	b.ReportMetric(0, "ns/op")
}

// BenchmarkStep is what the decisions cost without sockets: a packet sent and a packet heard.
func BenchmarkStep(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	s := bfd.New(bfd.Config{Interval: 10 * time.Millisecond, Multiplier: 3}, 1, 1, now)
	s, _ = bfd.Step(s, bfd.Start{}, now)
	heard := func(phase bfd.Phase, final bool) *bfd.Heard {
		p := bfd.Packet{Phase: phase, Final: final, Multiplier: 3, My: 2, Your: 1, DesiredMinTx: 10 * time.Millisecond, RequiredMinRx: 10 * time.Millisecond}
		return &bfd.Heard{TTL: bfd.TTL, Payload: p.Append(nil)}
	}
	s, _ = bfd.Step(s, bfd.Received{Heard: heard(bfd.Init, false)}, now)
	up := heard(bfd.Up, true)
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(10 * time.Millisecond)
		s, _ = bfd.Step(s, bfd.Received{Heard: up}, now)
		s, _ = bfd.Step(s, bfd.Tick{}, now)
	}
	if s.Phase != bfd.Up {
		b.Fatalf("the session is %s", s.Phase)
	}
}
