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
)

// importFlags are what decides how a foreign configuration is read.
type importFlags struct {
	configID string
	strict   bool
}

func importCommand() *cobra.Command {
	c := &cobra.Command{Use: "import", Short: "Translate another program's configuration into Keepwatch's"}
	var f importFlags
	k := &cobra.Command{
		Use: "keepalived FILE", Short: "Translate a keepalived.conf: the configuration on stdout, what differs on stderr", Args: cobra.ExactArgs(1),
		Long: `Reads a keepalived.conf, with the files that it includes, and prints a configuration for 'keepwatch haagent'. All that
has no equivalent, and every mistake in the file, is told on stderr with its line and what happens instead; the rest is
imported. FILE - is stdin.

The exit status is 0 when there is something to run, 1 when there is nothing; with --strict also 1 after any mistake.`,
		Example: "  keepwatch import keepalived /etc/keepalived/keepalived.conf > keepwatch.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			return importKeepalived(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0], f)
		},
	}
	k.Flags().StringVarP(&f.configID, "config-id", "i", "", "what lines that begin with @ are compared with; empty: this host's name up to its first dot")
	k.Flags().BoolVar(&f.strict, "strict", false, "exit with status 1 after any mistake")
	c.AddCommand(k)
	return c
}

// importKeepalived translates file, or in when it is "-", to out, and tells what there is to tell on notes.
func importKeepalived(in io.Reader, out, notes io.Writer, file string, f importFlags) error {
	data, err := importSource(in, file)
	if err != nil {
		return fmt.Errorf("cannot read %q: %w", file, err)
	}
	if file == "-" {
		file = "stdin"
	}
	r := keepalived.Import(file, data, importOptions(f.configID))
	for _, n := range r.Notes {
		if _, err := fmt.Fprintln(notes, n); err != nil {
			return err
		}
	}
	if !r.Usable() {
		return fmt.Errorf("%q holds nothing that can be imported", file)
	}
	c := conf.Default()
	c.HAAgent = r.Config
	var text strings.Builder
	if err := conf.Write(&text, c, r.Comments); err != nil {
		return err
	}
	if _, err := conf.Parse("the translation", []byte(text.String()), nil); err != nil {
		return fmt.Errorf("the translation cannot be loaded, make several files of %q: %w", file, err)
	}
	if _, err := io.WriteString(out, text.String()); err != nil {
		return err
	}
	if n := r.Mistakes(); f.strict && n > 0 {
		return fmt.Errorf("mistakes in %q: %d", file, n)
	}
	return nil
}

func importSource(in io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(io.LimitReader(in, keepalived.MaxFile+1))
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
	return io.ReadAll(io.LimitReader(f, keepalived.MaxFile+1))
}

// importOptions are those of this host, which is the one that keepalived runs on.
func importOptions(configID string) keepalived.Options {
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
