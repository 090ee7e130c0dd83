package gmond

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"keepwatch/internal/ganglia"
)

var (
	decodeErrors = []error{ErrMalformed, ErrUnknown}
	tableErrors  = []error{ErrHost, ErrMetric, ErrValue, ErrTooManyHosts, ErrTooManyMetrics, ErrTooManyBytes}
)

// typed wants an error to be one of those that callers count.
func typed(t *testing.T, err error, want []error) {
	t.Helper()
	if err != nil && !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
		t.Fatalf("untyped error %v", err)
	}
}

func smallTable(t testing.TB) *Table {
	t.Helper()
	tab, err := NewTable(TableOptions{Cluster: "lab", MaxHosts: 4, MaxMetrics: 4, MaxBytes: 64 << 10, MaxAsks: 2})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func FuzzDecode(f *testing.F) {
	names, data := payloads(f)
	for _, n := range names {
		f.Add(data[n])
	}
	f.Fuzz(func(t *testing.T, d []byte) {
		var p, again Packet
		if err := Decode(d, &p); err != nil {
			typed(t, err, decodeErrors)
			return
		}
		// What was understood can be sent, unless it is too long, and says the same.
		b, err := encode(nil, &p)
		if err != nil {
			typed(t, err, []error{ErrEncode})
		} else if err := Decode(b, &again); err != nil {
			t.Fatal(err)
		} else if p.Number == p.Number && !reflect.DeepEqual(fields(&p), fields(&again)) {
			t.Fatalf("got %+v, want %+v", again, p)
		}
		AppendPrinted(nil, &p)
		tab := smallTable(t)
		for i, q := range []*Packet{&p, meta(string(p.Host), string(p.Name), "string", Both), &p} {
			q.Spoof = p.Spoof
			_, err := tab.Add(q, src, int64(i)*inferAfter*second)
			typed(t, err, tableErrors)
			checkBytes(t, tab)
		}
	})
}

func legacySeeds() [][]byte {
	return [][]byte{
		xdr(15, float32(0.25)), xdr(1, 4), xdr(26, 1795228803), xdr(33, 12.5), xdr(8, "Linux"), xdr(0, "int32", "jobs", "17", "jobs", 1, 60, 300),
		xdr(4096, "ghost", "10.0.0.9", "int32", "jobs", "17", "", 77, 60, 0), xdr(4097, "ghost", "10.0.0.9"),
	}
}

func FuzzDecodeLegacy(f *testing.F) {
	for _, d := range legacySeeds() {
		f.Add(d)
	}
	f.Fuzz(func(t *testing.T, d []byte) {
		var p Packet
		if err := DecodeLegacy(d, &p); err != nil {
			typed(t, err, decodeErrors)
			return
		}
		if !IsLegacy(d) {
			t.Fatalf("%x is decoded and not told as legacy", d)
		}
		AppendPrinted(nil, &p)
		tab := smallTable(t)
		for range 2 {
			_, err := tab.Add(&p, src, second)
			typed(t, err, tableErrors)
			checkBytes(t, tab)
		}
	})
}

// FuzzTable plays sequences of packets.
func FuzzTable(f *testing.F) {
	for _, in := range sequences(f) {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) { play(t, in) })
}

// sequences of packets: each is a length of two bytes, a byte of seconds since the one before, a byte that chooses its
// source and whether the table is swept, and the datagram.
func sequences(f *testing.F) (out [][]byte) {
	names, data := payloads(f)
	frame := func(b []byte, wait, how byte, d []byte) []byte {
		return append(append(binary.BigEndian.AppendUint16(b, uint16(len(d))), wait, how), d...)
	}
	var all, late, legacy []byte
	for i, n := range names {
		all = frame(all, 1, byte(i), data[n])
		late = frame(late, 70, byte(i), data[names[len(names)-1-i]])
		if i%9 == 8 {
			out = append(out, all, late)
			all, late = nil, nil
		}
	}
	for i, d := range legacySeeds() {
		legacy = frame(legacy, 30, byte(i), d)
	}
	return append(out, legacy, coloned(f, frame))
}

// coloned is one metric under both its names, without spoofing and with.
func coloned(f *testing.F, frame func(b []byte, wait, how byte, d []byte) []byte) (out []byte) {
	for _, name := range []string{"sense:one", "sense_one"} {
		for _, spoof := range []bool{false, true} {
			p := Packet{ID: Metadata, Host: []byte("192.0.2.7:web1"), Name: []byte(name), Spoof: spoof, Type: []byte("float")}
			meta, err := AppendMetadata(nil, &p)
			if err != nil {
				f.Fatal(err)
			}
			p.ID, p.Format, p.Number = ValueFloat, []byte("%f"), 1
			value, err := AppendValue(nil, &p)
			if err != nil {
				f.Fatal(err)
			}
			out = frame(frame(out, 1, 0, meta), 1, 0, value)
		}
	}
	return out
}

// sequence is packets with what is to happen at each.
type sequence struct {
	packets []Packet
	at      []int64 // ms
	how     []byte
}

func readSequence(t *testing.T, in []byte) (s sequence) {
	now := int64(0)
	for len(in) >= 4 {
		n, wait, how := min(int(binary.BigEndian.Uint16(in)), len(in)-4), in[2], in[3]
		d, decode := in[4:4+n], Decode
		in = in[4+n:]
		now += int64(wait) * second
		if IsLegacy(d) {
			decode = DecodeLegacy
		}
		var p Packet
		if err := decode(d, &p); err != nil {
			typed(t, err, decodeErrors)
			continue
		}
		s.packets, s.at, s.how = append(s.packets, p), append(s.at, now), append(s.how, how)
	}
	return s
}

// play takes a sequence in packet by packet. A second table looks ahead at some, which changes nothing.
func play(t *testing.T, in []byte) {
	const together = 5
	tab, twin := smallTable(t), smallTable(t)
	s := readSequence(t, in)
	looked := slices.Clone(s.packets)
	var h ganglia.Host
	for i := range s.packets {
		now, how := s.at[i], s.how[i]
		from := netip.AddrFrom4([4]byte{192, 0, 2, how & 3})
		res, err := tab.Add(&s.packets[i], from, now)
		typed(t, err, tableErrors)
		if err == nil && (res.Outcome == 0 || res.Outcome == Joined && res.Sample.Series == nil) {
			t.Fatalf("no error and no outcome: %+v", res)
		}
		if res.Descr != nil {
			if _, err := res.Descr.Info("lab", res.Host, now); err != nil {
				t.Fatal(err)
			}
		}
		if i%together == 0 {
			twin.Ahead(looked[i:min(i+together, len(looked))])
		}
		other, otherErr := twin.Add(&looked[i], from, now)
		if got, want := outcomeOf(other, otherErr), outcomeOf(res, err); got != want {
			t.Fatalf("packet %d: %s when it was looked at ahead, else %s", i, got, want)
		}
		if how&0xc0 == 0xc0 {
			tab.Sweep(now, 300*second)
			twin.Sweep(now, 300*second)
		}
		checkBytes(t, tab)
		for _, name := range tab.Names(nil) {
			if !tab.Fill(name, now, &h) {
				t.Fatalf("%q is named and not told", name)
			}
			checkTold(t, &h)
		}
	}
}

// outcomeOf is all that became of a packet, as text.
func outcomeOf(r Result, err error) string {
	series := ""
	if r.Sample.Series != nil {
		series = r.Sample.Series.String()
	}
	return fmt.Sprintf("%v %q %q %q %d %s %v %v %v %v %q %v", r.Outcome, r.Host, r.Name, r.Address, r.Started, series,
		r.Sample.Value, r.Ask, r.Retyped, r.Descr != nil, r.Conflict, err)
}
