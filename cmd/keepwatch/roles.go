package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

func roleCommand(g *global, use, short string, roles ...string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return g.runRoles(cmd.Context(), cmd.OutOrStdout(), roles...)
	}}
}

func upCommand(g *global) *cobra.Command {
	return roleCommand(g, "up", "Run every role (the HA agent only where configured, as a process of its own)", allRoles...)
}

func collectorCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "collector", Short: "Run the probes of this host and share what the cluster's hosts see", Args: cobra.NoArgs,
		Long: `Runs the probes of this host and shares what the cluster's hosts see. It is the program keepwatch-collector, which lies
beside this one and can be started in its place.`,
		RunE: func(*cobra.Command, []string) error { return g.become("keepwatch-collector") },
	}
}

func extractorCommand(g *global) *cobra.Command {
	return roleCommand(g, "extractor", "Fetch from the collectors and store (needs database.url and bus.url)", roleExtractor)
}

func alerterCommand(g *global) *cobra.Command {
	return roleCommand(g, "alerter", "Judge samples and notify (needs database.url and bus.url)", roleAlerter)
}

func uiCommand(g *global) *cobra.Command {
	return roleCommand(g, "ui", "Serve the web app and the API (needs database.url)", roleUI)
}

func migrateCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Bring the database at database.url to this build's schema", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.load()
			if err != nil {
				return err
			}
			if c.Database.URL == "" {
				return errors.New("database.url is not set: the private Postgres is migrated by keepwatch up")
			}
			d, err := openDB(cmd.Context(), c.Database.URL, c.Database, func(s string) { fmt.Fprintln(cmd.OutOrStdout(), s) })
			if err != nil {
				return err
			}
			d.Close()
			fmt.Fprintln(cmd.OutOrStdout(), "the database is at this build's schema")
			return nil
		},
	}
}

func passwordCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use: "password USER", Short: "Give a user a new password, print it, and end the user's sessions", Args: cobra.ExactArgs(1),
		Long: `Gives a user a new random password, prints it once, enables the user and ends the user's sessions. For an operator at
the server when a password is lost. It asks the running keepwatch.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := g.control(controlSocket).call(cmd.Context(), http.MethodPost, "/password?user="+url.QueryEscape(args[0]), nil)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s's new password: %s\n", args[0], text)
			return err
		},
	}
}
