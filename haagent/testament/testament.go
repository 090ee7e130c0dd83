// Package testament is what the HA agent leaves to the process that watches over it: the addresses that it holds and
// the farewells that tell its peers of its death, kept up to date over a socket, and the sign that it lives. It never
// sends a farewell and takes no address off: haagent/supervise does, when the agent has died. The agent writes with
// Writer, its parent reads with Reader.
package testament

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Will is what to do for one virtual router when the agent dies. One without addresses and farewells takes back what
// the instance left before.
type Will struct {
	Instance  string // the name that tells wills apart, 1 to 255 bytes
	Interface string // of all that name no other
	Farewell  []Datagram
	Addresses []Held
}

// Empty reports whether there is nothing to do.
func (w *Will) Empty() bool { return len(w.Farewell) == 0 && len(w.Addresses) == 0 }

// Held is an address that the agent put on an interface.
type Held struct {
	Interface string // empty: the will's
	Prefix    netip.Prefix
}

// Datagram is a VRRP message as it follows the IP header, its checksum computed (RFC 9568 section 5.2).
type Datagram struct {
	Interface    string // empty: the will's
	Source, Dest netip.Addr
	TTL          uint8 // or hop limit
	Times        uint8 // how often it is sent, 1 to 5
	Payload      []byte
}

// State is what the agent says of itself.
type State uint8

// The states, in the order of a life.
const (
	Starting  State = iota // as long as nothing else was said
	Running                // the configuration is in force
	Reloading              // a new one is being read; Running follows, whichever is in force then
	Stopping               // it leaves; its wills shrink
	Gone                   // the goodbye: what it held is let go, its end is meant
)

// Pair makes the two ends of the socket. The first is the parent's, for NewReader. The second is the agent's: it is
// passed on as a file of the new process, whose number FDVariable tells.
func Pair() (parent, child *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	// Room for some records of the greatest size, where the system's default is less. The system's limit may be
	// lower still: then records wait in Writer.
	_ = unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, 8*maxRecord)
	return os.NewFile(uintptr(fds[0]), "testament"), os.NewFile(uintptr(fds[1]), "testament of the agent"), nil
}
