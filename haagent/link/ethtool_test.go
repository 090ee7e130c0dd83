package link

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtool sets one value of an interface (struct ifreq with struct ethtool_value, linux/ethtool.h).
func ethtool(fd int, ifname string, command, value uint32) error {
	data := [2]uint32{command, value}
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], ifname)
	request.data = unsafe.Pointer(&data)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}
