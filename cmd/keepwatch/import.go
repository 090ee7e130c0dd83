package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keepwatch/haagent/keepalived"
	"keepwatch/internal/conf"
	"keepwatch/internal/report"
)

// importStatus ends the text of every import.
const importStatus = `

The exit status is 0 when there is something to run, 1 when there is nothing; with --strict also 1 after any mistake.`

// translation is what a foreign configuration becomes.
type translation struct {
	config   conf.Config
	comments map[string]string
	notes    []report.Note
	usable   bool // there is something to run
}

func importCommand() *cobra.Command {
	return parent("import", "Translate another program's configuration into Keepwatch's", importKeepalived(), importGmond(), importGmetad())
}

func importKeepalived() *cobra.Command {
	var configID string
	k := importFrom("keepalived", func(file string, data []byte) translation {
		r := keepalived.Import(file, data, keepalivedOptions(configID))
		t := translation{conf.Default(), r.Comments, r.Notes, r.Usable()}
		t.config.HAAgent = r.Config
		return t
	})
	k.Short = "Translate a keepalived.conf: the configuration on stdout, what differs on stderr"
	k.Long = `Reads a keepalived.conf, with the files that it includes, and prints a configuration for 'keepwatch haagent'. All that
has no equivalent, and every mistake in the file, is told on stderr with its line and what happens instead; the rest is
imported. FILE - is stdin.` + importStatus
	k.Example = "  keepwatch import keepalived /etc/keepalived/keepalived.conf > keepwatch.yaml"
	k.Flags().StringVarP(&configID, "config-id", "i", "", "what lines that begin with @ are compared with; empty: this host's name up to its first dot")
	return k
}

// importFrom is a command that translates a file.
func importFrom(program string, translate func(file string, data []byte) translation) *cobra.Command {
	var strict bool
	c := &cobra.Command{
		Use: program + " FILE", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := args[0]
			data, err := importSource(cmd.InOrStdin(), file)
			if err != nil {
				return fmt.Errorf("cannot read %q: %w", file, err)
			}
			if file == "-" {
				file = "stdin"
			}
			return printImport(cmd.OutOrStdout(), cmd.ErrOrStderr(), file, translate(file, data), strict)
		},
	}
	c.Flags().BoolVar(&strict, "strict", false, "exit with status 1 after any mistake")
	return c
}

// printImport prints a translation to out, and what there is to tell on notes.
func printImport(out, notes io.Writer, file string, t translation, strict bool) error {
	for _, n := range t.notes {
		if _, err := fmt.Fprintln(notes, n); err != nil {
			return err
		}
	}
	if !t.usable {
		return fmt.Errorf("%q holds nothing that can be imported", file)
	}
	var text strings.Builder
	if err := conf.Write(&text, t.config, t.comments); err != nil {
		return err
	}
	if _, err := conf.Parse("the translation", []byte(text.String()), nil); err != nil {
		return fmt.Errorf("the translation cannot be loaded, make several files of %q: %w", file, err)
	}
	if _, err := io.WriteString(out, text.String()); err != nil {
		return err
	}
	if n := report.Mistakes(t.notes); strict && n > 0 {
		return fmt.Errorf("mistakes in %q: %d", file, n)
	}
	return nil
}

func importSource(in io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(io.LimitReader(in, report.MaxFile+1))
	}
	return readBounded(file)
}

// readBounded reads a regular file; a pipe or a device could block for ever.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing to lose
	return io.ReadAll(io.LimitReader(f, report.MaxFile+1))
}

// keepalivedOptions are those of this host, which is the one that keepalived runs on.
func keepalivedOptions(configID string) keepalived.Options {
	if configID == "" {
		if host, err := os.Hostname(); err == nil {
			configID, _, _ = strings.Cut(host, ".")
		}
	}
	scriptUser := "root"
	if _, err := user.Lookup("keepalived_script"); err == nil {
		scriptUser = "keepalived_script"
	}
	return keepalived.Options{
		ConfigID: configID, Read: readBounded, Glob: filepath.Glob, ScriptUser: scriptUser,
		LookPath: func(program string) (string, bool) {
			found, err := exec.LookPath(program)
			return found, err == nil
		},
	}
}
