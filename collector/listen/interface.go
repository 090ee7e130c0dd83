package listen

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// Interface finds an interface by name; empty means that of the IPv4 default route, else loopback.
func Interface(name string) (*net.Interface, error) {
	if name == "" {
		name = defaultInterface()
	}
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("no interface %q on this host: set interface to one that `ip link` lists: %w", name, err)
	}
	return ifi, nil
}

func defaultInterface() string {
	f, err := os.Open("/proc/thread-self/net/route") // /proc/net is that of the first thread
	if err == nil {
		defer f.Close()
		if name := defaultRoute(io.LimitReader(f, 1<<20)); name != "" {
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

// defaultRoute reads a routing table as /proc/net/route has it: interface, destination, gateway, flags, …, mask. The first line whose
// destination and mask are zero and that is up is the default route.
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
