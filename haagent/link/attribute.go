package link

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// refusal is what an NLMSG_ERROR says, with the kernel's own words where it has some; nil is success.
func refusal(body []byte) error {
	if len(body) < 4+unix.NLMSG_HDRLEN {
		return errors.New("the kernel's answer is too short")
	}
	code := int32(order.Uint32(body))
	if code == 0 || code == math.MinInt32 {
		return nil
	}
	err := error(unix.Errno(-code))
	for kind, value := range attributes(body[4+unix.NLMSG_HDRLEN:]) {
		if kind == unix.NLMSGERR_ATTR_MSG && len(value) > 1 {
			err = fmt.Errorf("%w (%s)", err, value[:len(value)-1])
		}
	}
	return privilege(err)
}

// attributes walks through netlink attributes. What does not fit ends it.
func attributes(b []byte) func(yield func(kind uint16, value []byte) bool) {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			length := int(order.Uint16(b))
			if length < 4 || length > len(b) {
				return
			}
			if !yield(order.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[4:length]) {
				return
			}
			b = b[min((length+3)&^3, len(b)):]
		}
	}
}
