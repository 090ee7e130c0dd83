package listen

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// oobSize holds one control message of a timespec, with room for alignment.
const oobSize = 64

// timestamp reads SO_TIMESTAMPNS out of a message's control data: a cmsghdr, then seconds and nanoseconds, all of
// machine words. Anything else, and a time that is not near fallback, gives fallback.
func timestamp(oob []byte, fallback time.Time) time.Time {
	const header, size = unix.SizeofCmsghdr, unix.SizeofCmsghdr + 16
	if len(oob) < size || header != 16 {
		return fallback
	}
	level, typ := binary.NativeEndian.Uint32(oob[8:]), binary.NativeEndian.Uint32(oob[12:])
	if level != unix.SOL_SOCKET || typ != unix.SO_TIMESTAMPNS {
		return fallback
	}
	t := time.Unix(int64(binary.NativeEndian.Uint64(oob[header:])), int64(binary.NativeEndian.Uint64(oob[header+8:])))
	if d := fallback.Sub(t); d < 0 || d > time.Minute {
		return fallback
	}
	return t
}
