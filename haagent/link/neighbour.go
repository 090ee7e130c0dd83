package link

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// neighbourHeader is struct ndmsg.
func neighbourHeader(index int, addr netip.Addr, flags byte) []byte {
	family := byte(unix.AF_INET6)
	if addr.Is4() {
		family = unix.AF_INET
	}
	header := order.AppendUint32([]byte{family, 0, 0, 0}, uint32(index))
	return append(header, 0, 0, flags, 0) // state, flags, type
}

// resolve makes the kernel ask a neighbour for its hardware address, as if a packet for it waited.
func (r *rtnl) resolve(index int, addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin(0, unix.RTM_NEWNEIGH, unix.NLM_F_CREATE, neighbourHeader(index, addr, unix.NTF_USE)...)
	r.attr(unix.NDA_DST, addr.AsSlice())
	r.end()
	var refused error
	err := r.flush(func(_ int, err error) { refused = err })
	if err == nil {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("cannot make the kernel look for neighbour %s: %w", addr, err)
	}
	return nil
}

// hardwareAddr is what the kernel knows of a neighbour now. An entry that it has not confirmed of late counts too: it
// would send to it.
func (r *rtnl) hardwareAddr(index int, addr netip.Addr) (mac [6]byte, known bool) {
	const usable = unix.NUD_PERMANENT | unix.NUD_NOARP | unix.NUD_REACHABLE | unix.NUD_PROBE | unix.NUD_STALE | unix.NUD_DELAY
	addr = addr.Unmap().WithZone("")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin(0, unix.RTM_GETNEIGH, 0, neighbourHeader(index, addr, 0)...)
	r.attr(unix.NDA_DST, addr.AsSlice())
	r.end()
	body, err := r.ask()
	if err != nil || len(body) < unix.SizeofNdMsg || order.Uint16(body[8:])&usable == 0 {
		return mac, false
	}
	for kind, value := range attributes(body[unix.SizeofNdMsg:]) {
		if kind == unix.NDA_LLADDR && len(value) == len(mac) {
			return [6]byte(value), true
		}
	}
	return mac, false
}
