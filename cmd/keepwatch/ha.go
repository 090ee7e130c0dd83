package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"keepwatch/haagent/status"
)

func haCommand(g *global) *cobra.Command {
	c := &cobra.Command{Use: "ha", Short: "Look at the HA agent of this host"}
	var raw bool
	s := &cobra.Command{
		Use: "status", Short: "Show instances, addresses, tracks and the proxy", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if raw {
				return g.printJSON(cmd.Context(), cmd.OutOrStdout(), status.Socket, "/status")
			}
			text, err := g.control(status.Socket).call(cmd.Context(), "GET", "/status", nil)
			if err != nil {
				return err
			}
			var st status.Status
			if err := json.Unmarshal(text, &st); err != nil {
				return fmt.Errorf("cannot read the agent's answer: %w", err)
			}
			return printHA(tabwriter.NewWriter(cmd.OutOrStdout(), 2, 8, 2, ' ', 0), st)
		},
	}
	s.Flags().BoolVar(&raw, "json", false, "print the whole status as JSON")
	c.AddCommand(s)
	return c
}

func printHA(w *tabwriter.Writer, s status.Status) error {
	fmt.Fprintln(w, "INSTANCE\tSTATE\tSINCE\tPRIORITY\tINTERFACE\tVRID\tHELD\tREASON")
	for _, i := range s.Instances {
		priority := fmt.Sprint(i.Priority)
		if i.Priority != i.PriorityConfigured {
			priority = fmt.Sprintf("%d (of %d)", i.Priority, i.PriorityConfigured)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", i.Name, i.State, ago(i.Since, s.Now), priority, i.Interface, i.VRID, strings.Join(i.Held, " "), i.Reason)
	}
	if len(s.Tracks) > 0 {
		fmt.Fprintln(w, "\nTRACK\tSTATE\tSINCE\tDETAIL")
	}
	for _, t := range s.Tracks {
		word := "down"
		if t.Up {
			word = "up"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.Name, word, ago(t.Since, s.Now), t.Detail)
	}
	if p := s.Proxy; p != nil {
		fmt.Fprintf(w, "\nPROXY\tUP\tPROCESS\tRESTARTS\tREASON\n%s\t%t\t%d\t%d\t%s\n", p.Engine, p.Up, p.PID, p.Restarts, p.Reason)
	}
	return w.Flush()
}

func ago(t, now time.Time) string { return now.Sub(t).Truncate(time.Second).String() + " ago" }
