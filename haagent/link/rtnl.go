package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// rtnl is a socket for requests to the kernel's routing netlink. Requests that belong together leave in one system
// call and their outcome comes back in another: the kernel works on them within the first, reports each that failed,
// and only the last is asked to report success too.
type rtnl struct {
	fd int

	mu   sync.Mutex // from begin until flush or dump is done
	out  []byte
	open int   // where the request that is being written begins
	tags []int // of the requests in out
	seq  uint32
	in   []byte
}

// order is the byte order of netlink: the machine's own.
var order = binary.NativeEndian

// answerTime bounds the wait for the kernel's answer, which is there when the request's system call returns.
var answerTime = unix.Timeval{Sec: 5}

func openRTNL() (*rtnl, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, privilege(fmt.Errorf("cannot open netlink: %w", err))
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &answerTime)
	}
	for _, o := range []int{unix.NETLINK_CAP_ACK, unix.NETLINK_EXT_ACK} {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, o, 1)
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot prepare netlink: %w", err)
	}
	return &rtnl{fd: fd, in: make([]byte, 32<<10)}, nil
}

func (r *rtnl) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	fd := r.fd
	r.fd = -1 // EBADF for those who come late, never another file's number
	return unix.Close(fd)
}

// begin starts a request, whose header of its kind follows. tag tells it apart when it failed.
func (r *rtnl) begin(tag int, kind, flags uint16, header ...byte) {
	r.open = len(r.out)
	r.seq++
	r.out = order.AppendUint32(r.out, 0)
	r.out = order.AppendUint16(r.out, kind)
	r.out = order.AppendUint16(r.out, unix.NLM_F_REQUEST|flags)
	r.out = order.AppendUint32(r.out, r.seq)
	r.out = order.AppendUint32(r.out, 0)
	r.out = append(r.out, header...)
	r.tags = append(r.tags, tag)
}

// attr adds an attribute. Those of a nest lie between nest and end.
func (r *rtnl) attr(kind uint16, value []byte) {
	r.out = order.AppendUint16(r.out, uint16(4+len(value)))
	r.out = order.AppendUint16(r.out, kind)
	r.out = append(r.out, value...)
	r.pad()
}

func (r *rtnl) attr32(kind uint16, value uint32) {
	var b [4]byte
	order.PutUint32(b[:], value)
	r.attr(kind, b[:])
}

// text adds a string with its final 0.
func (r *rtnl) text(kind uint16, value string) {
	at := len(r.out)
	r.attr(kind, nil)
	r.out = append(append(r.out, value...), 0)
	order.PutUint16(r.out[at:], uint16(len(r.out)-at))
	r.pad()
}

func (r *rtnl) nest(kind uint16) (at int) {
	at = len(r.out)
	r.attr(kind|unix.NLA_F_NESTED, nil)
	return at
}

func (r *rtnl) endNest(at int) { order.PutUint16(r.out[at:], uint16(len(r.out)-at)) }

func (r *rtnl) pad() {
	for len(r.out)%4 != 0 {
		r.out = append(r.out, 0)
	}
}

// end closes the request.
func (r *rtnl) end() {
	order.PutUint32(r.out[r.open:], uint32(len(r.out)-r.open))
}

func (r *rtnl) reset() { r.out, r.tags = r.out[:0], r.tags[:0] }

// flush sends the requests and calls failed for each that the kernel refused, by its tag.
func (r *rtnl) flush(failed func(tag int, err error)) error {
	defer r.reset()
	if len(r.tags) == 0 {
		return nil
	}
	flags := order.Uint16(r.out[r.open+6:])
	order.PutUint16(r.out[r.open+6:], flags|unix.NLM_F_ACK)
	if err := r.send(); err != nil {
		return err
	}
	first := r.seq - uint32(len(r.tags)) + 1
	for done := false; !done; {
		err := r.receive(func(kind uint16, seq uint32, body []byte) {
			i := seq - first
			if kind != unix.NLMSG_ERROR || i >= uint32(len(r.tags)) {
				return // of a request that an earlier caller gave up
			}
			if err := refusal(body); err != nil {
				failed(r.tags[i], err)
			}
			done = done || seq == r.seq
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ask sends one request and gives the body of its answer, which is valid until the next request.
func (r *rtnl) ask() (answer []byte, err error) {
	defer r.reset()
	if err := r.send(); err != nil {
		return nil, err
	}
	for done := false; !done; {
		received := r.receive(func(kind uint16, seq uint32, body []byte) {
			if done = done || seq == r.seq; seq != r.seq {
				return
			}
			if kind == unix.NLMSG_ERROR {
				err = refusal(body)
				return
			}
			answer = body
		})
		if received != nil {
			return nil, received
		}
	}
	return answer, err
}

// dump sends one request for a list and calls each with the items, whose bytes are valid during the call.
func (r *rtnl) dump(each func(body []byte)) (err error) {
	defer r.reset()
	if err := r.send(); err != nil {
		return err
	}
	for done := false; !done; {
		received := r.receive(func(kind uint16, seq uint32, body []byte) {
			switch {
			case seq != r.seq || done:
			case kind == unix.NLMSG_DONE:
				done = true
			case kind == unix.NLMSG_ERROR:
				done, err = true, refusal(body)
			default:
				each(body)
			}
		})
		if received != nil {
			return received
		}
	}
	return err
}

func (r *rtnl) send() error {
	for {
		_, err := unix.Write(r.fd, r.out)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return privilege(fmt.Errorf("cannot ask the kernel: %w", err))
		}
	}
}

// receive takes one datagram of messages.
func (r *rtnl) receive(each func(kind uint16, seq uint32, body []byte)) error {
	n, err := unix.Read(r.fd, r.in)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot hear the kernel's answer: %w", err)
	}
	for b := r.in[:n]; len(b) >= unix.NLMSG_HDRLEN; {
		length := int(order.Uint32(b))
		if length < unix.NLMSG_HDRLEN || length > len(b) {
			return fmt.Errorf("cannot read the kernel's answer: a message of %d bytes in %d", length, len(b))
		}
		each(order.Uint16(b[4:]), order.Uint32(b[8:]), b[unix.NLMSG_HDRLEN:length])
		b = b[min((length+3)&^3, len(b)):]
	}
	return nil
}
