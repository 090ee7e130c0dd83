// Command keepwatch is all of Keepwatch in one program: every role, alone or together, and the operator's tools. The HA
// agent alone is another program, which it starts or becomes.
// This package owns flags, signals, the exit code and the joining of the parts; it decides nothing that a part owns.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"keepwatch/collector"
	"keepwatch/internal/conf"
)

// version is set by the linker.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command().ExecuteContext(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "keepwatch:", err)
		os.Exit(1)
	}
}

// global are the flags that every command takes.
type global struct {
	config string
	data   string
}

func command() *cobra.Command {
	g := &global{}
	root := &cobra.Command{
		Use:   "keepwatch",
		Short: "Watches hosts, proxies and virtual addresses, tells the right person, and runs the failover itself",
		Long: `Keepwatch watches hosts, proxies and virtual addresses, keeps what it saw in Postgres, tells the right person
by mail or SMS, and runs the proxy and the VIP failover that it watches.

'keepwatch up' runs every role in one process, but for the HA agent, which it starts as a process of its own. A larger
installation runs one role a process, on as many hosts as wanted, from the same configuration file. 'keepwatch collector'
and 'keepwatch haagent' are the small programs keepwatch-collector and keepwatch-haagent, which lie beside this one. Every
key of the file can also be given as KEEPWATCH_SECTION_KEY.`,
		SilenceUsage: true, SilenceErrors: true, Version: version,
	}
	root.PersistentFlags().StringVar(&g.config, "config", os.Getenv("KEEPWATCH_CONFIG"), "configuration file (YAML); none: the defaults")
	data := os.Getenv("KEEPWATCH_DATA")
	if data == "" {
		data = "./data"
	}
	root.PersistentFlags().StringVar(&g.data, "data", data, "data folder")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(upCommand(g), collectorCommand(g), extractorCommand(g), alerterCommand(g), haagentCommand(g), uiCommand(g),
		configCommand(g), importCommand(), migrateCommand(g), statusCommand(g), metricsCommand(g), queryCommand(g), sendCommand(g), haCommand(g), passwordCommand(g), versionCommand())
	return root
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) {
		fmt.Println("keepwatch", version)
	}}
}

func configCommand(g *global) *cobra.Command {
	return parent("config", "Check or explain the configuration", &cobra.Command{
		Use: "check", Short: "Check the configuration file and say all that is wrong with it", Args: cobra.NoArgs,
		Long: `Reads the configuration as the roles do and says all that is wrong with it; then it reads the key files of
collector.keys, which this user must be allowed to read. Other files that it names are not opened.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.load()
			if err != nil {
				return err
			}
			if len(c.Collector.Keys) > 0 { // else the first start makes one
				if _, err := collector.LoadKeys(c.Collector.Keys, ""); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
			return err
		},
	}, &cobra.Command{
		Use: "reference", Short: "List every key with its type, default and meaning", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return conf.WriteReference(cmd.OutOrStdout()) },
	})
}

// parent is a command of which others are parts. Alone it prints what they are.
func parent(use, short string, parts ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %.60q of '%s', see '%[2]s --help'", args[0], c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(parts...)
	return c
}

// load reads the configuration and checks it.
func (g *global) load() (conf.Config, error) { return conf.Load(g.config, os.Environ()) }
