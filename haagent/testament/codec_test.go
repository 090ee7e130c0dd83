package testament

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func sample() Will {
	return Will{
		Instance: "web", Interface: "eth0",
		Farewell: []Datagram{
			{Source: netip.MustParseAddr("10.67.0.1"), Dest: netip.MustParseAddr("224.0.0.18"), TTL: 255, Times: 2, Payload: []byte{0x31, 0x33, 0, 2}},
			{Interface: "vrrp6.51", Source: netip.MustParseAddr("fe80::1"), Dest: netip.MustParseAddr("ff02::12"), TTL: 255, Times: 1, Payload: []byte{0x31}},
		},
		Addresses: []Held{
			{Prefix: netip.MustParsePrefix("10.67.0.100/24")},
			{Interface: "eth1", Prefix: netip.MustParsePrefix("fd67::100/128")},
		},
	}
}

func many(n int) (all []Held) {
	for i := range n {
		all = append(all, Held{Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 14: byte(i >> 8), 15: byte(i)}), 64)})
	}
	return all
}

func TestWillGoesAndComes(t *testing.T) {
	for _, w := range []Will{sample(), {Instance: "web"}, {Instance: strings.Repeat("i", 255), Interface: "eth0", Addresses: many(255)}} {
		b, err := appendWill(nil, &w)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeWill(b[1:])
		if err != nil || !reflect.DeepEqual(got, w) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, w)
		}
		for i := range b {
			b[i] = 0xff // what was decoded is its own
		}
		if !reflect.DeepEqual(got, w) {
			t.Error("the will points into the record")
		}
	}
}

func TestWillThatIsTooLong(t *testing.T) {
	w := Will{Instance: "web", Interface: "eth0", Addresses: many(10000)}
	b, err := appendWill(nil, &w)
	if err != nil || len(b) > maxRecord || len(b) < maxRecord-100 {
		t.Fatalf("got %d bytes, %v", len(b), err)
	}
	got, err := decodeWill(b[1:])
	if err != nil || !reflect.DeepEqual(got.Addresses, w.Addresses[:len(got.Addresses)]) {
		t.Errorf("got %d addresses, %v", len(got.Addresses), err)
	}
	big := sample().Farewell[0]
	big.Payload = make([]byte, maxPayload)
	for _, n := range []int{17, 256} {
		w = Will{Instance: "web", Interface: "eth0"}
		for range n {
			w.Farewell = append(w.Farewell, big)
		}
		if _, err := appendWill(nil, &w); err == nil {
			t.Errorf("%d farewells are written", n)
		}
	}
}

func TestWillsThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(w *Will){
		"no instance":      func(w *Will) { w.Instance = "" },
		"long instance":    func(w *Will) { w.Instance = strings.Repeat("i", 256) },
		"long interface":   func(w *Will) { w.Interface = strings.Repeat("i", 16) },
		"no interface":     func(w *Will) { w.Interface = "" },
		"a path":           func(w *Will) { w.Interface = "../etc" },
		"a held path":      func(w *Will) { w.Addresses[0].Interface = "a/b" },
		"a farewell's":     func(w *Will) { w.Farewell[0].Interface = "a b" },
		"no address":       func(w *Will) { w.Addresses[0].Prefix = netip.Prefix{} },
		"dressed address":  func(w *Will) { w.Addresses[0].Prefix = netip.MustParsePrefix("::ffff:10.0.0.1/120") },
		"zone":             func(w *Will) { w.Farewell[1].Source = netip.MustParseAddr("fe80::1%eth0") },
		"two families":     func(w *Will) { w.Farewell[1].Dest = netip.MustParseAddr("224.0.0.18") },
		"no times":         func(w *Will) { w.Farewell[0].Times = 0 },
		"many times":       func(w *Will) { w.Farewell[0].Times = maxTimes + 1 },
		"no payload":       func(w *Will) { w.Farewell[0].Payload = nil },
		"too much payload": func(w *Will) { w.Farewell[0].Payload = make([]byte, maxPayload+1) },
	} {
		w := sample()
		change(&w)
		if _, err := appendWill(nil, &w); !errors.Is(err, ErrGarbage) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestEveryCutIsGarbageOrShorter(t *testing.T) {
	w := sample()
	b, err := appendWill(nil, &w)
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for n := 1; n < len(b); n++ {
		got, err := decodeWill(b[1:n])
		switch {
		case err == nil && len(got.Addresses) < len(w.Addresses) && reflect.DeepEqual(got.Farewell, w.Farewell):
			whole++
		case err == nil:
			t.Errorf("cut at %d: got %+v", n, got)
		case !errors.Is(err, ErrGarbage):
			t.Errorf("cut at %d: got %v", n, err)
		}
	}
	if whole != len(w.Addresses) {
		t.Errorf("%d cuts between addresses are wills, want %d", whole, len(w.Addresses))
	}
}

func TestWillProperty(t *testing.T) {
	name := rapid.StringMatching(`[a-z][a-z0-9.]{0,14}`)
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		if rapid.Bool().Draw(t, "four") {
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes")))
		}
		b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		b[0] = 0xfd
		return netip.AddrFrom16(b)
	})
	rapid.Check(t, func(t *rapid.T) {
		w := Will{Instance: name.Draw(t, "instance"), Interface: name.Draw(t, "interface")}
		for range rapid.IntRange(0, 4).Draw(t, "farewells") {
			src := addr.Draw(t, "source")
			w.Farewell = append(w.Farewell, Datagram{Interface: name.Draw(t, "interface"), Source: src, Dest: src, TTL: rapid.Byte().Draw(t, "ttl"),
				Times: rapid.ByteRange(1, maxTimes).Draw(t, "times"), Payload: rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "payload")})
		}
		for range rapid.IntRange(0, 10).Draw(t, "addresses") {
			a := addr.Draw(t, "address")
			w.Addresses = append(w.Addresses, Held{Prefix: netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))})
		}
		b, err := appendWill(nil, &w)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeWill(b[1:]); err != nil || !reflect.DeepEqual(got, w) {
			t.Fatalf("got %+v, %v\nwant %+v", got, err, w)
		}
	})
}

// FuzzTake: whatever comes, a Reader keeps only what a Writer could have written.
func FuzzTake(f *testing.F) {
	w := sample()
	b, err := appendWill(nil, &w)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, seed := range []string{"", "\x01", "\x02", "\x02x", "\x03\x01", "\x03\x05", "\x01\x01w\x00\x01", "\x01\x01w\x04eth0\x00\x00\x04\x0a\x00\x00\x01\x21"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Reader{wills: make(map[string]Will)}
		news, err := r.take(bytes.Clone(b))
		if err != nil {
			if !errors.Is(err, ErrGarbage) || len(r.wills) > 0 {
				t.Fatalf("got %v and %d wills", err, len(r.wills))
			}
			return
		}
		if news.Will == nil {
			return
		}
		again, err := appendWill(nil, news.Will)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%v\n%x is written as\n%x", err, b, again)
		}
	})
}

func TestReaderIsBounded(t *testing.T) {
	r := &Reader{wills: make(map[string]Will)}
	for i := range maxWills + 1 {
		w := sample()
		w.Instance = fmt.Sprint(i)
		b, err := appendWill(nil, &w)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.take(b); (err != nil) != (i == maxWills) {
			t.Fatalf("instance %d: %v", i, err)
		}
	}
}
