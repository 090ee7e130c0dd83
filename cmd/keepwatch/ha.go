package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"keepwatch/haagent/status"
	"keepwatch/metric"
)

func haCommand(g *global) *cobra.Command {
	return parent("ha", "Look at the HA agent of this host, and move addresses away from it", haStatusCommand(g), haSwitchoverCommand(g), haDrainCommand(g))
}

func haStatusCommand(g *global) *cobra.Command {
	var raw bool
	c := &cobra.Command{
		Use: "status", Short: "Show instances, other routers, groups, BFD, tracks, the proxy and the last transitions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if raw {
				return g.printJSON(cmd.Context(), cmd.OutOrStdout(), status.Socket, "/status")
			}
			agent := g.control(status.Socket)
			text, err := agent.call(cmd.Context(), http.MethodGet, "/status", nil)
			if err != nil {
				return err
			}
			var st status.Status
			if err := json.Unmarshal(text, &st); err != nil {
				return fmt.Errorf("cannot read the agent's answer: %w", err)
			}
			if text, err = agent.call(cmd.Context(), http.MethodGet, "/events?after=0", nil); err != nil {
				return err
			}
			var ev status.Events
			if err := json.Unmarshal(text, &ev); err != nil {
				return fmt.Errorf("cannot read the agent's answer: %w", err)
			}
			return printHA(cmd.OutOrStdout(), &st, lastTransitions(ev.Items))
		},
	}
	c.Flags().BoolVar(&raw, "json", false, "print the whole status as JSON")
	return c
}

func haSwitchoverCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "switchover [INSTANCE]", Short: "Hand the addresses over to another router", Args: cobra.MaximumNArgs(1),
		Long: `Hands the addresses of INSTANCE over to the next router; without INSTANCE those of every instance that is master here.
They are served until the successor is heard, and taken back when nobody takes them. The successor keeps them while it
lives, whatever the priorities.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.tellAgent(cmd, "/switchover?"+url.Values{"instance": {strings.Join(args, "")}}.Encode())
		},
	}
}

func haDrainCommand(g *global) *cobra.Command {
	var off bool
	c := &cobra.Command{
		Use: "drain", Short: "Hand everything over and hold nothing until told otherwise", Args: cobra.NoArgs,
		Long: `Hands the addresses of every instance over and takes none back, whoever dies, until 'keepwatch ha drain --off': before
work on this host.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.tellAgent(cmd, fmt.Sprintf("/drain?on=%t", !off))
		},
	}
	c.Flags().BoolVar(&off, "off", false, "take part again")
	return c
}

// tellAgent posts to the agent's socket and prints what it did.
func (g *global) tellAgent(cmd *cobra.Command, path string) error {
	text, err := g.control(status.Socket).call(cmd.Context(), http.MethodPost, path, nil)
	if err != nil {
		return err
	}
	var a status.Answer
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("cannot read the agent's answer: %w", err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), plain(a.Text))
	return err
}

// shownTransitions is how many of the last transitions 'ha status' prints.
const shownTransitions = 10

func lastTransitions(all []status.Event) (last []status.Event) {
	for _, e := range all {
		if e.Kind == string(metric.EventVRRPTransition) {
			last = append(last, e)
		}
	}
	return last[max(0, len(last)-shownTransitions):]
}
