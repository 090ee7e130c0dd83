package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func queryCommand(g *global) *cobra.Command {
	var since, step time.Duration
	var raw bool
	c := &cobra.Command{
		Use: "query 'PROMQL'", Short: "Ask the running keepwatch a PromQL query", Args: cobra.ExactArgs(1),
		Example: "  keepwatch query 'rate(node_network_receive_bytes_total[1m])'\n  keepwatch query node_load1 --since 1h --step 1m",
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			if since > 0 && step == 0 {
				step = max(since/60, time.Second).Truncate(time.Second)
			}
			if since == 0 {
				step = 0
			}
			text, err := g.control(controlSocket).call(cmd.Context(), "GET", queryPath(args[0], now, now.Add(-since), now, step), nil)
			if err != nil {
				return err
			}
			if raw {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), string(text))
				return err
			}
			return printResult(cmd.OutOrStdout(), text)
		},
	}
	c.Flags().DurationVar(&since, "since", 0, "a range from so long ago until now; 0: the present value")
	c.Flags().DurationVar(&step, "step", 0, "step of a range; 0: a sixtieth of it")
	c.Flags().BoolVar(&raw, "json", false, "print the answer as Prometheus' JSON")
	return c
}

// answer is Prometheus' JSON of a query.
type answer struct {
	Data struct {
		ResultType string
		Result     json.RawMessage
	}
}

type point [2]any // seconds, value as text

func (p point) String() string {
	s, _ := p[0].(float64)
	return fmt.Sprintf("%s  %v", time.UnixMilli(int64(s*1000)).Format("15:04:05"), p[1])
}

func printResult(w io.Writer, text []byte) error {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	if a.Data.ResultType == "scalar" || a.Data.ResultType == "string" {
		var p point
		if err := json.Unmarshal(a.Data.Result, &p); err != nil {
			return fmt.Errorf("cannot read the answer: %w", err)
		}
		_, err := fmt.Fprintln(w, p[1])
		return err
	}
	var series []struct {
		Metric map[string]string
		Value  point
		Values []point
	}
	if err := json.Unmarshal(a.Data.Result, &series); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	if len(series) == 0 {
		_, err := fmt.Fprintln(w, "no series match")
		return err
	}
	t := tabwriter.NewWriter(w, 2, 8, 2, ' ', 0)
	for _, s := range series {
		if len(s.Values) == 0 {
			fmt.Fprintf(t, "%s\t%v\n", seriesName(s.Metric), s.Value[1])
			continue
		}
		fmt.Fprintln(t, seriesName(s.Metric))
		for _, p := range s.Values {
			fmt.Fprintf(t, "  %s\n", p)
		}
	}
	return t.Flush()
}

func seriesName(m map[string]string) string {
	labels := make([]string, 0, len(m))
	for k, v := range m {
		if k != "__name__" {
			labels = append(labels, fmt.Sprintf("%s=%q", k, v))
		}
	}
	slices.Sort(labels)
	return m["__name__"] + "{" + strings.Join(labels, ",") + "}"
}

func statusCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show what the running keepwatch does", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.printJSON(cmd.Context(), cmd.OutOrStdout(), controlSocket, "/status")
		},
	}
}

func metricsCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "metrics", Short: "Print what the running keepwatch counts of itself, in Prometheus' format", Args: cobra.NoArgs,
		Long: `Prints what the process that has the control socket of the data folder counts of itself, in Prometheus' format: a
keepwatch with any roles, or keepwatch-collector.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := g.control(controlSocket).call(cmd.Context(), "GET", "/metrics", nil)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func (g *global) printJSON(ctx context.Context, w io.Writer, socket, path string) error {
	text, err := g.control(socket).call(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	pretty, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, string(pretty))
	return err
}
