package script

import (
	"fmt"
	"math"
	"os"
	"os/user"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// identity is as whom a program runs.
type identity struct {
	uid        uint32
	credential *syscall.Credential // nil: as this process
}

// users resolves each user once, because a lookup may ask a directory in the network.
type users struct {
	own       int
	maySwitch bool
	standard  string // of commands that name none; empty: own

	mu    sync.Mutex
	known map[string]identity
}

// nobody is as whom programs run by default when the agent is root.
const nobody = "nobody"

func newUsers(standard string) (*users, error) {
	may, err := maySwitch()
	if err != nil {
		return nil, err
	}
	u := &users{own: os.Geteuid(), maySwitch: may, standard: standard, known: make(map[string]identity)}
	if standard != "" {
		if _, err := u.find(standard); err != nil {
			return nil, err
		}
	} else if u.own == 0 {
		u.standard = nobody // found when the first program runs: an agent without programs needs no such user
	}
	return u, nil
}

// maySwitch tells whether this process may take another user and its groups.
func maySwitch() (bool, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false, fmt.Errorf("cannot tell this process's capabilities: %w", err)
	}
	const both = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	return data[0].Effective&both == both, nil
}

func (u *users) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	clear(u.known)
}

func (u *users) find(name string) (identity, error) {
	if name == "" {
		name = u.standard
	}
	if name == "" {
		return identity{uid: uint32(u.own)}, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if id, ok := u.known[name]; ok {
		return id, nil
	}
	id, err := u.resolve(name)
	if err == nil {
		u.known[name] = id
	}
	return id, err
}

func (u *users) resolve(name string) (identity, error) {
	entry, err := user.Lookup(name)
	if err != nil {
		if entry, err = user.LookupId(name); err != nil {
			return identity{}, fmt.Errorf("there is no user %q: add it, or name another as script_user or user", name)
		}
	}
	uid, err := number(entry.Uid)
	if err != nil {
		return identity{}, fmt.Errorf("cannot read the number of user %q: %w", name, err)
	}
	if int(uid) == u.own {
		return identity{uid: uid}, nil
	}
	if !u.maySwitch {
		return identity{}, fmt.Errorf("this process may not run programs as %q: give it CAP_SETUID and CAP_SETGID, or name its own user (%d) as script_user or user", name, u.own)
	}
	c := &syscall.Credential{Uid: uid}
	if c.Gid, err = number(entry.Gid); err != nil {
		return identity{}, fmt.Errorf("cannot read the group of user %q: %w", name, err)
	}
	groups, err := entry.GroupIds()
	if err != nil {
		return identity{}, fmt.Errorf("cannot list the groups of user %q: %w", name, err)
	}
	for _, g := range groups {
		n, err := number(g)
		if err != nil {
			return identity{}, fmt.Errorf("cannot read a group of user %q: %w", name, err)
		}
		c.Groups = append(c.Groups, n)
	}
	return identity{uid: uid, credential: c}, nil
}

// number reads a uid or gid. The highest means "none" to the kernel.
func number(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n == math.MaxUint32 {
		err = fmt.Errorf("%s is reserved", s)
	}
	return uint32(n), err
}
