package arch

// Where the kernel's packets may be touched: these need privileges, and their mistakes reach other hosts.
var packetFolders = []string{
	"collector/listen",   // multicast groups, time of receipt at the socket
	"probes",             // ping, advertisements heard passively, IPVS counters
	"haagent/link",       // advertisements sent and heard, addresses, gratuitous ARP
	"haagent/lvs",        // IPVS over netlink
	"internal/netnstest", // network namespaces of the tests
	"test",               // the whole product in namespaces of its own
}

const (
	packets  = "raw sockets and netlink belong to collector/listen, probes, haagent/link and haagent/lvs"
	database = "what must survive a dead database does not depend on it"
)

// Keepwatch is the rules of this module.
func Keepwatch() Rules {
	return Rules{
		Module: "keepwatch",
		Parts:  []string{"probes", "collector", "extractor", "alerter", "haagent", "ui"},
		Between: []Allow{
			{"collector", "probes", "the collector runs the probes"},
			{"probes/vrrp", "haagent/vrrp", "pure: the packet, read and written by one codec"},
			{"probes/vrrp", "haagent/status", "pure: what the agent says over its socket"},
			{"extractor", "collector/frame", "pure: the codec of the wire between the two"},
		},
		Unreached: []Ban{
			{"probes", "schema", database}, {"probes", "bus", database},
			{"collector", "schema", database}, {"collector", "bus", database},
			{"haagent", "schema", database}, {"haagent", "bus", database},
		},
		Only:     only(),
		Names:    packetNames(),
		Literals: packetLiterals(),
		Pure:     pure(),
		Impure:   impure(),
		Clock: []string{
			"time.Now", "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.NewTimer", "time.NewTicker",
			"time.Tick", "time.Sleep", "context.WithTimeout", "context.WithDeadline",
		},
		Standard: []Reason{{"metric", "the vocabulary of all parts brings no dependency with it"}},
		Ends: []Reason{
			{"cmd", "a program is started, not imported"},
			{"test", "the tests of the whole are imported by nobody"},
			{"deploy", "what is shipped beside the program is imported by nobody"},
		},
		BadNames:  []string{"util", "utils", "common", "helper", "helpers", "types", "misc", "base", "shared"},
		WithTests: true,
	}
}

func only() []Only {
	const (
		sql    = "the database's driver belongs to schema, so that SQL, transactions and error codes have one place"
		promql = "its API moves at each minor version, one package takes the blow"
	)
	rules := []Only{
		{"github.com/jackc/pgx", []string{"schema"}, sql},
		{"github.com/pressly/goose", []string{"schema"}, "migrations belong to schema"},
		{"github.com/prometheus/prometheus", []string{"extractor/promql", "metric/threshold"}, promql}, // the latter in its tests: Standard holds its code
		{"github.com/gosnmp/gosnmp", []string{"probes/snmp"}, "SNMP is one source among others"},
		{"github.com/nats-io", []string{"bus", "test"}, "the bus could be another one tomorrow"},
	}
	for _, path := range []string{
		"github.com/vishvananda/netlink", "github.com/vishvananda/netns", "github.com/mdlayher/packet",
		"github.com/mdlayher/socket", "github.com/mdlayher/netlink", "github.com/moby/ipvs", "github.com/google/gopacket",
		"golang.org/x/net/ipv4", "golang.org/x/net/ipv6", "golang.org/x/net/icmp", "golang.org/x/net/bpf",
	} {
		rules = append(rules, Only{path, packetFolders, packets})
	}
	return rules
}

func packetNames() (rules []Only) {
	for _, name := range []string{
		"golang.org/x/sys/unix.SOCK_RAW", "golang.org/x/sys/unix.AF_PACKET", "golang.org/x/sys/unix.AF_NETLINK",
		"syscall.SOCK_RAW", "syscall.AF_PACKET", "syscall.AF_NETLINK",
		"net.ListenIP", "net.DialIP",
	} {
		rules = append(rules, Only{name, packetFolders, packets})
	}
	return rules
}

// packetLiterals are the network names of net.ListenPacket and net.Dial that mean raw IP.
func packetLiterals() (rules []Only) {
	for _, network := range []string{"ip4:", "ip6:"} {
		rules = append(rules, Only{network, append([]string{"internal/arch"}, packetFolders...), packets})
	}
	return rules
}

func pure() []Pure {
	const (
		vocabulary = "values only"
		codec      = "a codec is bytes in, values out: any test, fuzzer or replay can call it"
		decision   = "a decision gets now as a value: live, replay and test run the same code"
	)
	return []Pure{
		{"metric", nil, vocabulary},
		{"metric/threshold", nil, decision},
		{"internal/batch", []string{"sync"}, codec}, // the pool of compressors
		{"internal/acl", nil, decision},
		{"internal/ganglia", nil, codec},
		{"internal/report", nil, vocabulary},
		{"internal/gmetadconf", []string{"keepwatch/internal/conf"}, codec},
		{"extractor/gmetadimport", []string{"keepwatch/internal/conf"}, codec},
		{"internal/draft", []string{"keepwatch/internal/conf"}, codec}, // Validate decides what is taken
		{"collector/gmondimport", []string{"keepwatch/internal/conf"}, codec},
		{"internal/gmondconf", []string{"keepwatch/internal/conf"}, codec}, // conf's word that is nearest to a wrong one
		{"collector/gmond", nil, codec},
		{"collector/frame", nil, codec},
		{"collector/holders", nil, decision},
		{"collector/share", nil, decision},
		{"collector/gmondsend", []string{"keepwatch/internal/conf"}, decision},
		{"collector/repair", nil, decision},
		{"extractor/chunk", nil, codec},
		{"extractor/normalize", []string{"keepwatch/internal/conf"}, decision},
		{"alerter/rule", nil, decision},
		{"alerter/route", nil, decision},
		{"alerter/message", nil, decision},
		{"haagent/vrrp", nil, decision},
		{"haagent/bfd", nil, decision},
		{"haagent/status", nil, codec},
		{"haagent/keepalived", []string{"keepwatch/internal/conf"}, codec}, // what a configuration means, to Validate
	}
}

// impure: a path ending in '/' stands for all below it.
func impure() []Only {
	return []Only{
		{"os", nil, "the system"}, {"os/", nil, "the system"}, {"io/ioutil", nil, "the system"}, {"syscall", nil, "the system"},
		{"golang.org/x/sys/", nil, "the system"},
		{"net", nil, "the network (netip has the addresses)"}, {"net/http", nil, "the network"}, {"net/smtp", nil, "the network"},
		{"log", nil, "the log"}, {"log/", nil, "the log"},
		{"database/", nil, "the database"},
		{"sync", nil, "goroutines"}, {"sync/", nil, "goroutines"}, {"golang.org/x/sync/", nil, "goroutines"},
		{"math/rand", nil, "chance"}, {"math/rand/", nil, "chance"}, {"crypto/rand", nil, "chance"},
	}
}
