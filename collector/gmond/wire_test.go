package gmond

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What gmond and gmetric sent is what we would send.
func TestEncodeGivesTheCapturedBytes(t *testing.T) {
	names, data := payloads(t)
	var p Packet
	for _, n := range names {
		if err := Decode(data[n], &p); err != nil {
			t.Fatal(err)
		}
		got, err := encode([]byte("before"), &p)
		if err != nil {
			t.Errorf("%s: %v", n, err)
			continue
		}
		if want := append([]byte("before"), data[n]...); !bytes.Equal(got, want) {
			t.Errorf("%s:\ngot  %x\nwant %x", n, got, want)
		}
	}
}

func encode(dst []byte, p *Packet) ([]byte, error) {
	switch p.ID {
	case Metadata:
		return AppendMetadata(dst, p)
	case Request:
		return AppendRequest(dst, p.Host, p.Name, p.Spoof)
	}
	return AppendValue(dst, p)
}

// packets are those that can be sent, in the form in which Decode gives them.
func packets() *rapid.Generator[Packet] {
	word := rapid.Map(rapid.SliceOfN(rapid.ByteRange(1, 255), 0, 40), func(b []byte) []byte { return append([]byte{}, b...) })
	return rapid.Custom(func(t *rapid.T) Packet {
		p := Packet{ID: ID(rapid.Uint32Range(128, 136).Draw(t, "id")), Host: word.Draw(t, "host"), Name: word.Draw(t, "name"), Spoof: rapid.Bool().Draw(t, "spoof")}
		switch p.ID {
		case Metadata:
			p.Type, p.Units = word.Draw(t, "type"), word.Draw(t, "units")
			p.Slope, p.TMax, p.DMax = Slope(rapid.Uint32Range(0, 5).Draw(t, "slope")), rapid.Uint32().Draw(t, "tmax"), rapid.Uint32().Draw(t, "dmax")
			for range rapid.IntRange(0, 8).Draw(t, "extras") {
				p.Extra = append(p.Extra, Extra{word.Draw(t, "extra name"), word.Draw(t, "extra value")})
			}
			return p
		case Request:
			return p
		}
		p.Format = word.Draw(t, "format")
		switch p.ID {
		case ValueUshort:
			p.Number = float64(rapid.Uint16().Draw(t, "number"))
		case ValueShort:
			p.Number = float64(rapid.Int16().Draw(t, "number"))
		case ValueInt:
			p.Number = float64(rapid.Int32().Draw(t, "number"))
		case ValueUint:
			p.Number = float64(rapid.Uint32().Draw(t, "number"))
		case ValueFloat:
			p.Number = float64(rapid.Float32().Draw(t, "number"))
		case ValueDouble:
			p.Number = rapid.Float64().Draw(t, "number")
		case ValueString:
			p.Text = word.Draw(t, "text")
		}
		return p
	})
}

func TestDecodeUndoesEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := packets().Draw(t, "packet")
		d, err := encode(nil, &want)
		if err != nil {
			t.Fatal(err)
		}
		var got Packet
		if err := Decode(d, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestEncodeRefuses(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 1500)
	value := func(id ID, v float64) Packet { return Packet{ID: id, Host: []byte("h"), Name: []byte("m"), Number: v} }
	for name, p := range map[string]Packet{
		"NUL in a name":           {ID: Metadata, Name: []byte("a\x00b")},
		"NUL in an extra":         {ID: Metadata, Extra: []Extra{{Name: []byte("TITLE"), Data: []byte("\x00")}}},
		"long units":              {ID: Metadata, Units: long},
		"long request":            {ID: Request, Name: long},
		"long string":             {ID: ValueString, Text: long},
		"legacy heartbeat":        {ID: Heartbeat},
		"fraction of a uint":      value(ValueUint, 1.5),
		"uint below 0":            value(ValueUint, -1),
		"ushort above its bound":  value(ValueUshort, 1<<16),
		"short below its bound":   value(ValueShort, -1<<15-1),
		"int above its bound":     value(ValueInt, 1<<31),
		"not a number as integer": value(ValueInt, math.NaN()),
	} {
		got, err := encode([]byte("kept"), &p)
		if !errors.Is(err, ErrEncode) || string(got) != "kept" {
			t.Errorf("%s: got %q, %v; want ErrEncode and what was there", name, got, err)
		}
	}
	fits := Packet{ID: ValueString, Text: bytes.Repeat([]byte("x"), MaxValue-24)} // id, host, name, spoof, format, length
	if got, err := AppendValue(nil, &fits); err != nil || len(got) != MaxValue {
		t.Errorf("the longest value: %d bytes, %v", len(got), err)
	}
	fits = Packet{ID: Metadata, Units: bytes.Repeat([]byte("x"), MaxMetadata-44)}
	if got, err := AppendMetadata(nil, &fits); err != nil || len(got) != MaxMetadata {
		t.Errorf("the longest metadata: %d bytes, %v", len(got), err)
	}
}

// xdr writes words and strings as gmond does.
func xdr(parts ...any) (b []byte) {
	for _, v := range parts {
		switch v := v.(type) {
		case int:
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		case float32:
			b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
		case float64:
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
		case string:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
			b = append(b, make([]byte, -len(v)&3)...)
		}
	}
	return b
}

func TestDecodeLegacy(t *testing.T) {
	for _, c := range []struct {
		in   []byte
		want Packet
	}{
		{xdr(15, float32(0.25)), Packet{ID: ValueFloat, Name: []byte("load_one"), Type: []byte("float"), Slope: Both, TMax: 70, Format: []byte("%.2f"), Number: 0.25}},
		{xdr(1, 4), Packet{ID: ValueUshort, Name: []byte("cpu_num"), Type: []byte("uint16"), Units: []byte("CPUs"), TMax: 1200, Format: []byte("%hu"), Number: 4}},
		{xdr(26, 1795228803), Packet{ID: ValueUint, Name: []byte("heartbeat"), Type: []byte("uint32"), Slope: Unspecified, TMax: 20, Format: []byte("%u"), Number: 1795228803}},
		{xdr(33, 12.5), Packet{ID: ValueDouble, Name: []byte("disk_total"), Type: []byte("double"), Units: []byte("GB"), Slope: Both, TMax: 1200, Format: []byte("%.3f"), Number: 12.5}},
		{xdr(8, "Linux"), Packet{ID: ValueString, Name: []byte("os_name"), Type: []byte("string"), TMax: 1200, Format: []byte("%s"), Text: []byte("Linux")}},
		{xdr(0, "int32", "jobs", "17", "jobs", 1, 60, 300), Packet{ID: ValueString, Name: []byte("jobs"), Type: []byte("int32"), Units: []byte("jobs"), Slope: Positive, TMax: 60, DMax: 300, Format: []byte("%s"), Text: []byte("17")}},
		{xdr(4096, "ghost", "10.0.0.9", "int32", "jobs", "17", "", 77, 60, 0), Packet{ID: ValueString, Host: []byte("ghost"), Address: []byte("10.0.0.9"), Spoof: true, Name: []byte("jobs"), Type: []byte("int32"), Slope: Unspecified, TMax: 60, Format: []byte("%s"), Text: []byte("17")}},
		{xdr(4097, "ghost", "10.0.0.9"), Packet{ID: Heartbeat, Host: []byte("ghost"), Address: []byte("10.0.0.9"), Spoof: true}},
	} {
		var p Packet
		if err := DecodeLegacy(c.in, &p); err != nil || !IsLegacy(c.in) {
			t.Errorf("%x: %v, legacy %v", c.in, err, IsLegacy(c.in))
			continue
		}
		c.want.Legacy = true
		if got, want := fields(&p), fields(&c.want); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		for cut := range c.in {
			if err := DecodeLegacy(c.in[:cut:cut], &p); !errors.Is(err, ErrMalformed) {
				t.Errorf("%x cut at %d: got %v, want ErrMalformed", c.in, cut, err)
			}
		}
	}
	for _, id := range []int{51, 128, 4095, 4098} {
		if err := DecodeLegacy(xdr(id, 1, 1, 1, 1), new(Packet)); !errors.Is(err, ErrUnknown) || IsLegacy(xdr(id)) {
			t.Errorf("id %d: got %v, legacy %v; want ErrUnknown", id, err, IsLegacy(xdr(id)))
		}
	}
	if IsLegacy([]byte{0, 0}) {
		t.Error("two bytes are taken for a packet")
	}
}

// fields of a packet, with nil and empty alike.
func fields(p *Packet) string {
	var b strings.Builder
	v := reflect.ValueOf(*p)
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			if s, ok := v.Field(i).Interface().([]byte); ok {
				b.WriteString(v.Type().Field(i).Name + "=" + string(s) + " ")
				continue
			}
			b.WriteString(v.Type().Field(i).Name + "=" + fmt.Sprint(v.Field(i)) + " ")
		}
	}
	return b.String()
}

// Every builtin has a name of its own, a type and a format that prints its value.
func TestBuiltins(t *testing.T) {
	seen := make(map[string]bool)
	for id := ID(1); id <= legacyLast; id++ {
		b := builtins[id]
		if b.name == "" || seen[b.name] || b.tmax == 0 {
			t.Errorf("%d: %+v", id, b)
		}
		seen[b.name] = true
		v, _ := parseFormat([]byte(b.fmt))
		want := map[ID]verb{ValueUshort: ushort, ValueUint: unsigned, ValueString: plain, ValueFloat: fixed, ValueDouble: fixed}[b.id]
		if v != want || v == byID {
			t.Errorf("%d %s: format %q is %d, want %d", id, b.name, b.fmt, v, want)
		}
	}
}

func TestAppendPrinted(t *testing.T) {
	for _, c := range []struct {
		id     ID
		format string
		number float64
		text   string
		want   string
	}{
		{ValueFloat, "%.2f", 3.14159, "", "3.14"},
		{ValueFloat, "%f", float64(float32(3.14159)), "", "3.141590"},
		{ValueFloat, "%.0f", 2.5, "", "2"},
		{ValueFloat, "%.f", 3.5, "", "4"},
		{ValueFloat, "%.1f", math.NaN(), "", "nan"},
		{ValueDouble, "%.1f", math.Inf(1), "", "inf"},
		{ValueDouble, "%.1f", math.Inf(-1), "", "-inf"},
		{ValueDouble, "%.99f", 0.5, "", "0.500000000000000"},
		{ValueDouble, "%.999f", 0.5, "", "0.500000"},
		{ValueDouble, "%g", 0.5, "", "0.500000"},
		{ValueDouble, "%d", 0.5, "", "0.500000"},
		{ValueDouble, "%s", 0.5, "", "0.500000"},
		{ValueDouble, "%n", 0.5, "", "0.500000"},
		{ValueDouble, "%.1", 0.5, "", "0.500000"},
		{ValueDouble, "%.-1f", 0.5, "", "0.500000"},
		{ValueUint, "%u", math.MaxUint32, "", "4294967295"},
		{ValueUint, "%d", math.MaxUint32, "", "-1"},
		{ValueUint, "%hu", 70000, "", "4464"},
		{ValueUint, "%s", 7, "", "7"},
		{ValueUint, "%d %d", 7, "", "7"},
		{ValueUint, "%%", 7, "", "7"},
		{ValueUint, "%f", 7, "", "7"},
		{ValueInt, "%d", -7, "", "-7"},
		{ValueInt, "%u", -7, "", "4294967289"},
		{ValueInt, "%x", -7, "", "-7"},
		{ValueShort, "%hd", -32768, "", "-32768"},
		{ValueUshort, "%hd", 65535, "", "-1"},
		{ValueUint, "", 7, "", ""},
		{ValueUint, "up", 7, "", "up"},
		{ValueString, "%s", 0, "a<b", "a<b"},
		{ValueString, "", 0, "a", "a"},
		{ValueString, "up", 0, "a", "a"},
	} {
		p := Packet{ID: c.id, Format: []byte(c.format), Number: c.number, Text: []byte(c.text)}
		if got := string(AppendPrinted([]byte("x"), &p)); got != "x"+c.want {
			t.Errorf("id %d %q %v: got %q, want %q", c.id, c.format, c.number, got[1:], c.want)
		}
	}
}

func printedAndRead(v float64, decimals int) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'f', decimals, 64), 64)
	return r
}

// Rounding without printing gives what printing gives.
func TestRoundFastIsRound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		decimals := rapid.IntRange(0, maxDecimals).Draw(t, "decimals")
		id, v := ValueFloat, float64(rapid.Float32().Draw(t, "float"))
		if rapid.Bool().Draw(t, "is double") {
			id, v = ValueDouble, rapid.OneOf(rapid.Float64(), rapid.Float64Range(-2000, 2000), rapid.Map(rapid.IntRange(-1e6, 1e6), func(n int) float64 { return float64(n) / 2000 })).Draw(t, "double")
		}
		got, ok := roundFast(v, id, powersOf10[decimals])
		if !ok {
			return
		}
		if want := printedAndRead(v, decimals); got != want || math.Signbit(got) != math.Signbit(want) {
			t.Fatalf("%v to %d decimals: got %v, want %v", v, decimals, got, want)
		}
	})
}
