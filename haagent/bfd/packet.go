package bfd

import (
	"encoding/binary"
	"time"
)

// Numbers of RFC 5880 and 5881.
const (
	Port    = 3784 // UDP port that control packets are sent to (RFC 5881 section 4)
	MinPort = 49152
	MaxPort = 65535 // the source port is one of these, the same for the life of a session (RFC 5881 section 4)
	TTL     = 255   // TTL or hop limit of every packet sent and accepted (RFC 5881 section 5)
	Len     = 24    // bytes of a packet without authentication

	version = 1
	authLen = 2 // least length of the authentication section
)

// Phase is the state of a session at one of its ends: the field Sta. The numbers are those of the wire.
type Phase uint8

// The phases, RFC 5880 section 6.2.
const (
	AdminDown Phase = 0 // held down by the operator; also a session that has not started
	Down      Phase = 1
	Init      Phase = 2 // the peer is heard, but does not know yet that it is
	Up        Phase = 3
)

// String gives admin_down, down, init or up.
func (p Phase) String() string {
	return [...]string{"admin_down", "down", "init", "up"}[p&3]
}

// Diag says why a session last went down: RFC 5880 section 4.1. It has five bits.
type Diag uint8

// The diagnostics that this node sends.
const (
	DiagNone      Diag = 0
	DiagSilent    Diag = 1 // control detection time expired: the peer was not heard
	DiagPeerDown  Diag = 3 // neighbor signaled session down: the peer is heard and says that it is down
	DiagAdminDown Diag = 7 // administratively down
)

var diagNames = [...]string{
	"no diagnostic", "control detection time expired", "echo function failed", "neighbor signaled session down",
	"forwarding plane reset", "path down", "concatenated path down", "administratively down",
	"reverse concatenated path down",
}

// String gives the RFC's name, in small letters.
func (d Diag) String() string {
	if int(d) < len(diagNames) {
		return diagNames[d]
	}
	return "unknown diagnostic"
}

// Packet is the mandatory section of a control packet: RFC 5880 section 4.1. Times have whole microseconds.
type Packet struct {
	Diag               Diag
	Phase              Phase
	Poll, Final        bool
	ControlIndependent bool
	Auth               bool // an authentication section follows; never sent
	Demand             bool
	Multiplier         uint8
	My, Your           uint32 // discriminators
	DesiredMinTx       time.Duration
	RequiredMinRx      time.Duration
	RequiredMinEchoRx  time.Duration
}

// The bits of the second byte below Sta.
const (
	bitPoll = 1 << (5 - iota)
	bitFinal
	bitControlIndependent
	bitAuth
	bitDemand
	bitMultipoint
)

// Append appends the packet's bytes to b, without authentication.
func (p *Packet) Append(b []byte) []byte {
	flags := byte(p.Phase) << 6
	for _, f := range [...]struct {
		set bool
		bit byte
	}{{p.Poll, bitPoll}, {p.Final, bitFinal}, {p.ControlIndependent, bitControlIndependent}, {p.Demand, bitDemand}} {
		if f.set {
			flags |= f.bit
		}
	}
	b = append(b, version<<5|byte(p.Diag)&0x1f, flags, p.Multiplier, Len)
	b = binary.BigEndian.AppendUint32(b, p.My)
	b = binary.BigEndian.AppendUint32(b, p.Your)
	for _, d := range [...]time.Duration{p.DesiredMinTx, p.RequiredMinRx, p.RequiredMinEchoRx} {
		b = binary.BigEndian.AppendUint32(b, uint32(d/time.Microsecond))
	}
	return b
}

// Heard is a packet that the socket heard, whatever it is.
type Heard struct {
	TTL     int    // hop limit of IPv6
	Payload []byte // of UDP
}

// Drop is why a packet was refused. Its String is a metric label.
type Drop uint8

// The reasons, in the order in which they are looked for: RFC 5881 section 5, then RFC 5880 section 6.8.6.
const (
	Accepted       Drop = iota
	DropTTL             // TTL or hop limit is not 255: it came through a router
	DropShort           // shorter than the mandatory section: nothing of it can be believed
	DropVersion         // not version 1
	DropLength          // the length field is less than its least: 24, or 26 with authentication
	DropTruncated       // the length field exceeds the payload
	DropMultiplier      // detection multiplier 0
	DropMultipoint      // multipoint bit set
	DropMine            // my discriminator 0
	DropYours           // your discriminator is of no session
	DropUnbound         // your discriminator 0 in a state that needs one
	DropPeer            // your discriminator 0 and the source is nobody's peer
	DropAuth            // authenticated, which no session here is
	DropAdminDown       // the session is held down or has not started

	numDrops = iota
)

var dropNames = [numDrops]string{
	"accepted", "ttl", "short", "version", "length", "truncated", "multiplier", "multipoint", "my_discriminator",
	"your_discriminator", "no_discriminator", "peer", "authentication", "not_running",
}

// String gives the reason as a metric label, "ttl".
func (d Drop) String() string {
	if int(d) < len(dropNames) {
		return dropNames[d]
	}
	return "unknown"
}

// Drops lists every reason for which a packet is refused.
func Drops() []Drop {
	all := make([]Drop, 0, numDrops-1)
	for d := Accepted + 1; d < numDrops; d++ {
		all = append(all, d)
	}
	return all
}

// Discriminator is the Your Discriminator of a payload, which names the session it is for. 0: the source address
// does, or the payload is too short to name one.
func Discriminator(payload []byte) uint32 {
	if len(payload) < Len {
		return 0
	}
	return binary.BigEndian.Uint32(payload[8:])
}

// Decode reads a packet. It checks all that can be known without a session; the first that fails is the result,
// otherwise Accepted. Bytes past the length field are padding.
func Decode(h *Heard) (p Packet, drop Drop) {
	b := h.Payload
	switch {
	case h.TTL != TTL:
		return p, DropTTL
	case len(b) < Len:
		return p, DropShort
	case b[0]>>5 != version:
		return p, DropVersion
	}
	flags, length := b[1], int(b[3])
	p = Packet{
		Diag: Diag(b[0] & 0x1f), Phase: Phase(flags >> 6), Poll: flags&bitPoll != 0, Final: flags&bitFinal != 0,
		ControlIndependent: flags&bitControlIndependent != 0, Auth: flags&bitAuth != 0, Demand: flags&bitDemand != 0, Multiplier: b[2],
		My: binary.BigEndian.Uint32(b[4:]), Your: binary.BigEndian.Uint32(b[8:]),
		DesiredMinTx: micros(b[12:]), RequiredMinRx: micros(b[16:]), RequiredMinEchoRx: micros(b[20:]),
	}
	switch {
	case length < Len, p.Auth && length < Len+authLen:
		return p, DropLength
	case length > len(b):
		return p, DropTruncated
	case p.Multiplier == 0:
		return p, DropMultiplier
	case flags&bitMultipoint != 0:
		return p, DropMultipoint
	case p.My == 0:
		return p, DropMine
	case p.Your == 0 && p.Phase != Down && p.Phase != AdminDown:
		return p, DropUnbound
	}
	return p, Accepted
}

func micros(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Microsecond
}
