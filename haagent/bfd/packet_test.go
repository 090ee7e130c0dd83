package bfd

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPacket(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      Packet
	}{
		{"down", "20400318" + "00000001" + "00000000" + "000f4240" + "0000c350" + "00000000",
			Packet{Phase: Down, Multiplier: 3, My: 1, DesiredMinTx: time.Second, RequiredMinRx: 50 * time.Millisecond}},
		{"up, polling", "20e00518" + "deadbeef" + "cafebabe" + "00002710" + "00004e20" + "00000000",
			Packet{Phase: Up, Poll: true, Multiplier: 5, My: 0xdeadbeef, Your: 0xcafebabe, DesiredMinTx: 10 * time.Millisecond, RequiredMinRx: 20 * time.Millisecond}},
		{"silent", "21500318" + "00000001" + "00000002" + "00000001" + "ffffffff" + "00000003",
			Packet{Diag: DiagSilent, Phase: Down, Final: true, Multiplier: 3, My: 1, Your: 2, DesiredMinTx: time.Microsecond, RequiredMinRx: 4294967295 * time.Microsecond, RequiredMinEchoRx: 3 * time.Microsecond}},
		{"every bit that may be sent", "3ffaff18" + "00000001" + "00000002" + "00000000" + "00000000" + "00000000",
			Packet{Diag: 31, Phase: Up, Poll: true, Final: true, ControlIndependent: true, Demand: true, Multiplier: 255, My: 1, Your: 2}},
	} {
		got, drop := Decode(&Heard{TTL: 255, Payload: unhex(t, c.hex)})
		if drop != Accepted || got != c.want {
			t.Errorf("%s: %+v, %s; want %+v", c.name, got, drop, c.want)
		}
		if b := hex.EncodeToString(c.want.Append(nil)); b != c.hex {
			t.Errorf("%s: wrote %s, want %s", c.name, b, c.hex)
		}
	}
}

// The receive rules that need no session, each broken alone and with every later one, so that the order shows.
func TestDecodeRules(t *testing.T) {
	good := "20c00318" + "00000001" + "00000002" + "000f4240" + "0000c350" + "00000000"
	for _, c := range []struct {
		rule string
		ttl  int
		hex  string
		want Drop
	}{
		{"all is well", 255, good, Accepted},
		{"bytes past the length are padding", 255, good + "ffff", Accepted},
		{"authentication is the session's to judge", 255, "20c4031a" + good[8:] + "0102", Accepted},
		{"your discriminator may be 0 in down", 255, "20400318" + "00000001" + "00000000" + good[24:], Accepted},
		{"your discriminator may be 0 in admin down", 255, "20000318" + "00000001" + "00000000" + good[24:], Accepted},
		{"RFC 5881 5: TTL 255", 254, "", DropTTL},
		{"RFC 5881 5: no TTL known", 0, good, DropTTL},
		{"nothing", 255, "", DropShort},
		{"a byte missing", 255, "00" + good[2:46], DropShort},
		{"6.8.6: version 0", 255, "00010017" + "00000000" + good[16:], DropVersion},
		{"6.8.6: version 2", 255, "40010017" + "00000000" + good[16:], DropVersion},
		{"6.8.6: length under 24", 255, "20010017" + "00000000" + good[16:], DropLength},
		{"6.8.6: length under 26 with authentication", 255, "20050019" + "00000000" + good[16:] + "0102", DropLength},
		{"6.8.6: length over the payload", 255, "20010019" + "00000000" + good[16:], DropTruncated},
		{"6.8.6: multiplier 0", 255, "20010018" + "00000000" + good[16:], DropMultiplier},
		{"6.8.6: multipoint", 255, "20c10318" + "00000000" + good[16:], DropMultipoint},
		{"6.8.6: my discriminator 0", 255, "20c00318" + "00000000" + "00000000" + good[24:], DropMine},
		{"6.8.6: your discriminator 0 in init", 255, "20800318" + "00000001" + "00000000" + good[24:], DropUnbound},
		{"6.8.6: your discriminator 0 in init, authenticated", 255, "2084031a" + "00000001" + "00000000" + good[24:] + "0102", DropUnbound},
		{"6.8.6: your discriminator 0 in up", 255, "20c00318" + "00000001" + "00000000" + good[24:], DropUnbound},
	} {
		if _, got := Decode(&Heard{TTL: c.ttl, Payload: unhex(t, c.hex)}); got != c.want {
			t.Errorf("%s: %s, want %s", c.rule, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	drops := Drops()
	if len(drops) != int(numDrops)-1 || slices.Contains(drops, Accepted) {
		t.Errorf("the reasons are %v", drops)
	}
	seen := map[string]bool{}
	for _, d := range drops {
		if name := d.String(); name == "" || name == "unknown" || seen[name] {
			t.Errorf("reason %d is called %q", d, name)
		} else {
			seen[name] = true
		}
	}
	if got := []string{Drop(200).String(), Diag(31).String(), DiagPeerDown.String(), AdminDown.String(), Up.String()}; !slices.Equal(got, []string{
		"unknown", "unknown diagnostic", "neighbor signaled session down", "admin_down", "up"}) {
		t.Errorf("names are %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"20400318000000010000000000" + "0f42400000c35000000000", "20c4031a000000010000000200000000000000000000000001020304", "", "20"} {
		f.Add(255, unhex(f, s))
	}
	f.Add(64, unhex(f, "20c00318000000010000000200000000000000000000000000000000"))
	f.Fuzz(func(t *testing.T, ttl int, b []byte) {
		p, drop := Decode(&Heard{TTL: ttl, Payload: b})
		if your := Discriminator(b); drop == Accepted && your != p.Your {
			t.Errorf("the packet is for %d, its session is looked for by %d", p.Your, your)
		}
		if drop == Accepted && !p.Auth {
			again, drop := Decode(&Heard{TTL: TTL, Payload: p.Append(nil)})
			if drop != Accepted || again != p {
				t.Errorf("%+v came back as %+v, %s", p, again, drop)
			}
		}
		s := started(Config{Interval: 50 * ms, Multiplier: 3})
		now := epoch
		for range 3 {
			now = now.Add(ms)
			s, _ = Step(s, Received{&Heard{TTL: ttl, Payload: b}}, now)
		}
		if drop != Accepted && s.Counters.Received != 0 {
			t.Errorf("a packet refused for %s was received", drop)
		}
		if at, ok := s.Deadline(); ok && at.Before(epoch) {
			t.Errorf("the deadline %s is in the past", at)
		}
	})
}
