package testament

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// A record is one packet of the socket. Its first byte says what it is; the rest of a will is
//
//	instance, interface            each a length byte and its bytes
//	farewells                      a count byte, then of each: interface, TTL, times, the length of an address (4 or
//	                               16), source, destination, the length of the payload in two bytes, payload
//	addresses                      up to the end, of each: interface, length of the address, address, prefix length
//
// Both ends are one program, so that nothing needs a version.
const (
	recordWill  = 1
	recordBeat  = 2 // no rest
	recordState = 3 // the state's number
)

const (
	maxRecord    = 64 << 10
	maxInterface = 15 // IFNAMSIZ without its end
	maxFarewells = 255
	maxTimes     = 5
	maxPayload   = 8 + 255*16 + 8 // a VRRP message with all the addresses that it can list, and a password
)

// ErrGarbage is what a record wraps that no agent writes.
var ErrGarbage = errors.New("not a record of the HA agent")

// appendWill adds a will's record to b. Addresses past the greatest record's size are left out: their leases end by
// themselves. A will that decodeWill would refuse is an error.
func appendWill(b []byte, w *Will) ([]byte, error) {
	if err := w.check(); err != nil {
		return nil, fmt.Errorf("cannot write a will: %w", err)
	}
	if len(w.Farewell) > maxFarewells {
		return nil, fmt.Errorf("cannot write the will of %q: %d farewells are more than %d", w.Instance, len(w.Farewell), maxFarewells)
	}
	start := len(b)
	b = append(b, recordWill)
	b = appendText(b, w.Instance)
	b = appendText(b, w.Interface)
	b = append(b, byte(len(w.Farewell)))
	for i := range w.Farewell {
		d := &w.Farewell[i]
		if err := d.check(w.Interface); err != nil {
			return nil, fmt.Errorf("cannot write a farewell of %q: %w", w.Instance, err)
		}
		b = append(appendText(b, d.Interface), d.TTL, d.Times, byte(d.Source.BitLen()/8))
		b = appendAddr(appendAddr(b, d.Source), d.Dest)
		b = binary.BigEndian.AppendUint16(b, uint16(len(d.Payload)))
		b = append(b, d.Payload...)
	}
	if len(b)-start > maxRecord {
		return nil, fmt.Errorf("cannot write the will of %q: its farewells take %d bytes of at most %d", w.Instance, len(b)-start, maxRecord)
	}
	for _, h := range w.Addresses {
		if err := h.check(w.Interface); err != nil {
			return nil, fmt.Errorf("cannot write an address of %q: %w", w.Instance, err)
		}
		if len(b)-start+1+maxInterface+1+16+1 > maxRecord {
			break
		}
		b = append(appendText(b, h.Interface), byte(h.Prefix.Addr().BitLen()/8))
		b = append(appendAddr(b, h.Prefix.Addr()), byte(h.Prefix.Bits()))
	}
	return b, nil
}

func appendText(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

func appendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		four := a.As4()
		return append(b, four[:]...)
	}
	sixteen := a.As16()
	return append(b, sixteen[:]...)
}

func (w *Will) check() error {
	if len(w.Instance) == 0 || len(w.Instance) > 255 || w.Interface != "" && !validInterface(w.Interface, "") {
		return fmt.Errorf("%w: instance %.40q on %.20q", ErrGarbage, w.Instance, w.Interface)
	}
	return nil
}

func (d *Datagram) check(otherwise string) error {
	switch {
	case !validInterface(d.Interface, otherwise):
		return fmt.Errorf("%w: interface %.20q", ErrGarbage, d.Interface)
	case !plain(d.Source) || !plain(d.Dest) || d.Source.Is4() != d.Dest.Is4():
		return fmt.Errorf("%w: from %s to %s", ErrGarbage, d.Source, d.Dest)
	case d.Times < 1 || d.Times > maxTimes:
		return fmt.Errorf("%w: sent %d times", ErrGarbage, d.Times)
	case len(d.Payload) == 0 || len(d.Payload) > maxPayload:
		return fmt.Errorf("%w: a message of %d bytes", ErrGarbage, len(d.Payload))
	}
	return nil
}

func (h *Held) check(otherwise string) error {
	if !validInterface(h.Interface, otherwise) || !h.Prefix.IsValid() || !plain(h.Prefix.Addr()) {
		return fmt.Errorf("%w: address %s on %.20q", ErrGarbage, h.Prefix, h.Interface)
	}
	return nil
}

// plain addresses come back from the wire as they went: no zone, and no IPv4 address dressed as IPv6.
func plain(a netip.Addr) bool { return a.IsValid() && a.Zone() == "" && !a.Is4In6() }

// validInterface tells whether the kernel could have an interface of that name, or of the other where it is empty.
func validInterface(name, otherwise string) bool {
	if name == "" {
		name = otherwise
	}
	if name == "" || len(name) > maxInterface || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == '/' || c == ':' || c == 0x7f {
			return false
		}
	}
	return true
}

// scanner takes a record apart. After the first thing that is not there, bad stays set.
type scanner struct {
	b   []byte
	bad bool
}

func (s *scanner) err() error {
	if s.bad {
		return fmt.Errorf("%w: it ends too soon", ErrGarbage)
	}
	return nil
}

func (s *scanner) bytes(n int) []byte {
	if n > len(s.b) {
		s.bad, s.b = true, nil
		return nil
	}
	out := s.b[:n]
	s.b = s.b[n:]
	return out
}

func (s *scanner) byte() byte {
	if b := s.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (s *scanner) uint16() int {
	if b := s.bytes(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (s *scanner) text() string { return string(s.bytes(int(s.byte()))) }

func (s *scanner) addr(size byte) netip.Addr {
	if size != 4 && size != 16 {
		s.bad = true
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(s.bytes(int(size))) // what is missing is marked
	return a
}

// decodeWill reads what follows the first byte. Nothing of the result points into b.
func decodeWill(b []byte) (Will, error) {
	s := &scanner{b: b}
	w := Will{Instance: s.text(), Interface: s.text()}
	if err := w.check(); err != nil || s.bad {
		return Will{}, errors.Join(err, s.err())
	}
	for range s.byte() {
		d := Datagram{Interface: s.text(), TTL: s.byte(), Times: s.byte()}
		size := s.byte()
		d.Source, d.Dest = s.addr(size), s.addr(size)
		d.Payload = bytes.Clone(s.bytes(s.uint16()))
		if s.bad {
			break
		}
		if err := d.check(w.Interface); err != nil {
			return Will{}, err
		}
		w.Farewell = append(w.Farewell, d)
	}
	for !s.bad && len(s.b) > 0 {
		h := Held{Interface: s.text()}
		a := s.addr(s.byte())
		h.Prefix = netip.PrefixFrom(a, int(s.byte()))
		if s.bad {
			break
		}
		if err := h.check(w.Interface); err != nil {
			return Will{}, err
		}
		w.Addresses = append(w.Addresses, h)
	}
	return w, s.err()
}
