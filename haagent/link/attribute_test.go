package link

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// answer is the body of an NLMSG_ERROR with the kernel's words.
func answer(errno int32, words string) []byte {
	r := &rtnl{}
	r.out = order.AppendUint32(r.out, uint32(-errno))
	r.out = append(r.out, make([]byte, unix.NLMSG_HDRLEN)...)
	if words != "" {
		r.text(unix.NLMSGERR_ATTR_MSG, words)
	}
	return r.out
}

func TestRefusal(t *testing.T) {
	if err := refusal(answer(0, "")); err != nil {
		t.Errorf("success: got %v", err)
	}
	if err := refusal(answer(int32(unix.EINVAL), "Nexthop has invalid gateway")); !errors.Is(err, unix.EINVAL) || err.Error() != "invalid argument (Nexthop has invalid gateway)" {
		t.Errorf("got %v", err)
	}
	if err := refusal(answer(int32(unix.EPERM), "")); !errors.Is(err, ErrPrivilege) {
		t.Errorf("got %v", err)
	}
	if err := refusal([]byte{1, 2, 3}); err == nil {
		t.Error("too short an answer is success")
	}
}

func FuzzRefusal(f *testing.F) {
	f.Add(answer(int32(unix.EINVAL), "Nexthop has invalid gateway"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = refusal(b)
		for _, value := range attributes(b) {
			if len(value) > len(b)-4 {
				t.Fatalf("a value of %d bytes in %d", len(value), len(b))
			}
		}
	})
}
