package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"keepwatch/collector/gmondimport"
	"keepwatch/extractor/gmetadimport"
	"keepwatch/internal/draft"
	"keepwatch/internal/gmetadconf"
	"keepwatch/internal/gmondconf"
)

func importGmond() *cobra.Command {
	c := importFrom("gmond", func(file string, data []byte) translation {
		return drafted(gmondimport.Import(file, data, gmondimport.Options{
			Options: gmondconf.Options{Read: readBounded, Glob: filepath.Glob, Env: os.LookupEnv},
			Own: func(ipv6 bool) (string, bool) {
				name, err := os.Hostname()
				if err != nil {
					return "", false
				}
				address, ok := lookup(name, ipv6)
				a, err := netip.ParseAddr(address)
				return address, ok && err == nil && !a.IsLoopback()
			},
		}))
	})
	c.Short = "Translate a gmond.conf: the configuration on stdout, what differs on stderr"
	c.Long = `Reads a gmond.conf, with the files that it includes, and prints a configuration for 'keepwatch collector' that takes
gmond's place on this host: it hears and sends on the same channels and serves the same XML. Access lists are printed as
gmond applies them. Modules are listed with their metrics, which it does not serve. All that has no equivalent, and every
mistake in the file, is told on stderr with its line and what happens instead; the rest is imported. FILE - is stdin.` + importStatus
	c.Example = "  keepwatch import gmond /etc/ganglia/gmond.conf > keepwatch.yaml"
	return c
}

func importGmetad() *cobra.Command {
	c := importFrom("gmetad", func(file string, data []byte) translation {
		host, err := os.Hostname()
		if err != nil {
			host = "" // told as not known
		}
		return drafted(gmetadimport.Import(file, data, gmetadimport.Options{
			Options: gmetadconf.Options{Read: readBounded, Glob: filepath.Glob, Env: os.LookupEnv},
			Resolve: func(name string) (string, bool) { return lookup(name, false) },
			Host:    host,
		}))
	})
	c.Short = "Translate a gmetad.conf: the configuration on stdout, what differs on stderr"
	c.Long = `Reads a gmetad.conf, with the files that it includes, and prints a configuration for 'keepwatch up' (or 'keepwatch
extractor' with database.url and bus.url) that takes gmetad's place: it polls the same sources and answers on the same
ports to the same hosts. All that has no equivalent, as RRDs and exports, and every mistake in the file, is told on
stderr with its line and what to use instead; the rest is imported. FILE - is stdin.` + importStatus
	c.Example = "  keepwatch import gmetad /etc/ganglia/gmetad.conf > keepwatch.yaml"
	return c
}

func drafted(r draft.Result) translation {
	return translation{r.Config, r.Comments, r.Notes, r.Usable}
}

// lookup is the first address that a name stands for here.
func lookup(name string, ipv6 bool) (address string, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	network := "ip4"
	if ipv6 {
		network = "ip6"
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, network, name)
	if err != nil || len(found) == 0 {
		return "", false
	}
	return found[0].Unmap().String(), true
}
