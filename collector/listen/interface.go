package listen

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// Interface finds an interface by name; empty means that of the default route – of IPv6 first when v6 is set, of the
// other family when there is none – else loopback.
func Interface(name string, v6 bool) (*net.Interface, error) {
	if name == "" {
		name = defaultInterface(v6)
	}
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("no interface %q on this host: set interface to one that `ip link` lists: %w", name, err)
	}
	return ifi, nil
}

// settles says that a group may stay with an interface that was found by this name: loopback, where no other is asked for,
// is the place of a host that has no network yet.
func settles(ifi *net.Interface, name string) bool {
	return name != "" || ifi.Flags&net.FlagLoopback == 0
}

func defaultInterface(v6 bool) string {
	tables := []func() string{defaultRoute4, defaultRoute6}
	if v6 {
		tables[0], tables[1] = tables[1], tables[0]
	}
	for _, table := range tables {
		if name := table(); name != "" {
			return name
		}
	}
	ifs, err := net.Interfaces()
	if err == nil {
		for _, i := range ifs {
			if i.Flags&net.FlagLoopback != 0 {
				return i.Name
			}
		}
	}
	return "lo"
}

func defaultRoute4() string { return routeOf("route", defaultRoute) }
func defaultRoute6() string { return routeOf("ipv6_route", defaultIPv6Route) }

// routeOf reads a table of this thread: /proc/net itself is that of the process's first thread.
func routeOf(table string, read func(io.Reader) string) string {
	f, err := os.Open("/proc/thread-self/net/" + table)
	if err != nil {
		return ""
	}
	defer f.Close()
	return read(io.LimitReader(f, 1<<20))
}

// defaultRoute reads a routing table as /proc/net/route has it: interface, destination, gateway, flags, …, mask. The first line whose
// destination and mask are zero is the default route.
func defaultRoute(r io.Reader) string {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) >= 8 && f[1] == "00000000" && f[7] == "00000000" {
			return f[0]
		}
	}
	return ""
}

// defaultIPv6Route reads a routing table as /proc/net/ipv6_route has it: destination, its prefix length, source, its
// length, next hop, metric, two counters, flags, interface. The kernel keeps a route to nowhere on lo there.
func defaultIPv6Route(r io.Reader) string {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) >= 10 && f[1] == "00" && strings.Trim(f[0], "0") == "" && f[9] != "lo" {
			return f[9]
		}
	}
	return ""
}
