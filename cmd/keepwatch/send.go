package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"keepwatch/collector/gmondsend"
	"keepwatch/collector/listen"
	"keepwatch/internal/gmondconf"
)

func sendCommand(g *global) *cobra.Command {
	var m gmondsend.Gmetric
	var file string
	c := &cobra.Command{
		Use: "send", Short: "Announce a metric, as Ganglia's gmetric does", Args: flagsOnly,
		Long: `Announces one value of a metric. The flags are those of Ganglia's gmetric.

Without --conf the running keepwatch of this data folder takes the metric as one of this host: it is stored as
gmond_NAME{source="gmond"} (gmond_NAME_info for text), or under the name that Keepwatch has for it (load_one: node_load1),
shared with all collectors, and sent over the channels of collector.gmond.send, if any.
With --conf no keepwatch is needed: the metric goes to the udp_send_channels of that gmond.conf, in the very packets
that gmetric sends.

What gmetric refuses is refused: a double quote in name, value, type or units, a type that is none, a value that is no
number though the type is one (0x1f and nan are numbers), a spoof without colon. So are some things that gmetric
takes: an empty value of a numeric type, an empty name, a heartbeat without spoof, and arguments that are no flags.
What does not fit into one packet is not sent in part. The exit status is then 1, as when a channel did not take it; it
is 0 when the packets have left this host.`,
		Example: "  keepwatch send -n queue_length -v 17 -t uint32 -u jobs\n" +
			"  keepwatch send -c /etc/ganglia/gmond.conf -n temperature -v 21.5 -t float -S 10.0.0.9:printer",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := givenFor(cmd, &m); err != nil {
				return err
			}
			if err := m.Check(); err != nil {
				return err
			}
			if file != "" {
				return sendDirectly(cmd.Context(), file, m)
			}
			_, err := g.control(controlSocket).call(cmd.Context(), http.MethodPost, "/send", m)
			return err
		},
	}
	f := c.Flags()
	f.StringVarP(&m.Name, "name", "n", "", "name of the metric")
	f.StringVarP(&m.Value, "value", "v", "", "value of the metric")
	f.StringVarP(&m.Type, "type", "t", "", "string, int8, uint8, int16, uint16, int32, uint32, float or double")
	f.StringVarP(&m.Units, "units", "u", "", "unit of the value, as bytes/sec")
	f.StringVarP(&m.Slope, "slope", "s", "both", "zero, positive (a counter), negative, both or derivative; else: unspecified")
	m.TMax = 60
	f.VarP((*seconds)(&m.TMax), "tmax", "x", "seconds between two values at most")
	f.VarP((*seconds)(&m.DMax), "dmax", "d", "seconds after which the metric is forgotten; 0: never")
	f.StringVarP(&m.Group, "group", "g", "", "groups of the metric, parted by commas")
	f.StringVarP(&m.Cluster, "cluster", "C", "", "cluster of the metric: a label, the metric stays in its host's cluster")
	f.StringVarP(&m.Desc, "desc", "D", "", "description")
	f.StringVarP(&m.Title, "title", "T", "", "title")
	f.StringVarP(&m.Spoof, "spoof", "S", "", "address:name of the host that the metric is of; empty: this one")
	f.BoolVarP(&m.Heartbeat, "heartbeat", "H", false, "say that the host of --spoof lives; name, value and type are its own")
	f.StringVarP(&file, "conf", "c", "", "gmond.conf whose udp_send_channels take the metric; empty: the running keepwatch")
	return c
}

// flagsOnly refuses arguments.
func flagsOnly(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%.60q: there are no arguments but flags, see --help", args[0])
	}
	return nil
}

// seconds is a flag that says what it wants.
type seconds uint32

func (s *seconds) String() string { return strconv.FormatUint(uint64(*s), 10) }
func (s *seconds) Type() string   { return "seconds" }

func (s *seconds) Set(text string) error {
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return fmt.Errorf("want seconds, 0 to %d", uint32(math.MaxUint32))
	}
	*s = seconds(n)
	return nil
}

// givenFor says which flags are missing. A flag that is there may be empty, as to gmetric.
func givenFor(cmd *cobra.Command, m *gmondsend.Gmetric) error {
	given := cmd.Flags().Changed
	if given("spoof") && m.Spoof == "" {
		return errors.New("spoof is empty: want address:name of the host, as 10.0.0.9:printer")
	}
	if m.Heartbeat {
		return nil
	}
	var missing []string
	for _, name := range []string{"name", "value", "type"} {
		if !given(name) {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s missing: a metric needs --name, --value and --type (or --heartbeat with --spoof)", strings.Join(missing, ", "))
	}
	return nil
}

// sendDirectly does what gmetric does: it sends to all channels of a gmond.conf.
func sendDirectly(ctx context.Context, file string, m gmondsend.Gmetric) error {
	data, err := readBounded(file)
	if err != nil {
		return fmt.Errorf("cannot read %q: %w", file, err)
	}
	c, err := gmondconf.Parse(file, data, gmondconf.Options{Read: readBounded, Glob: filepath.Glob, Env: os.LookupEnv})
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("cannot find this host's name: %w", err)
	}
	metadata, value, err := m.Datagrams(host, gmondsend.Override(c.Globals.OverrideHostname, c.Globals.OverrideIP))
	if err != nil {
		return err
	}
	channels, err := channelsOf(ctx, c.Send, host)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	s, err := listen.OpenSender(ctx, channels, listen.Options{})
	if err != nil {
		return err
	}
	for _, d := range [][]byte{metadata, value} {
		if sent, e := s.Send(d); sent < len(channels) {
			err = errors.Join(err, fmt.Errorf("%d of %d channels did not take the metric", len(channels)-sent, len(channels)), e)
			break
		}
	}
	return errors.Join(err, s.Close())
}

func channelsOf(ctx context.Context, list []*gmondconf.SendChannel, host string) (channels []listen.SendChannel, err error) {
	if len(list) == 0 {
		return nil, errors.New("no udp_send_channel: the metric has nowhere to go")
	}
	for _, x := range list {
		if x.Port < 1 || x.Port > 65535 {
			return nil, fmt.Errorf("%v: udp_send_channel without a port: want 1 to 65535, as 8649", x.At)
		}
		ch := listen.SendChannel{Interface: x.Interface, TTL: x.TTL, Bind: x.Bind}
		port := strconv.Itoa(x.Port)
		if x.Join != "" {
			ch.Group = net.JoinHostPort(x.Join, port)
		} else {
			ch.To, ch.Interface = net.JoinHostPort(x.Host, port), ""
		}
		if x.BindHostname {
			addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
			if err != nil {
				return nil, fmt.Errorf("%v: bind_hostname is set, and the address of %q is not known: %w", x.At, host, err)
			}
			ch.Bind = addrs[0].Unmap().String()
		}
		channels = append(channels, ch)
	}
	return channels, nil
}
