package main

import (
	"fmt"
	"os"
	"strings"
)

// update puts a text between the two marks of a name in a Markdown file.
func update(file, name, text string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot update the docs: %w", err)
	}
	begin, end := "<!-- "+name+": begin -->\n", "<!-- "+name+": end -->"
	head, rest, found := strings.Cut(string(b), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		return fmt.Errorf("cannot update %s: it lacks the lines %q and %q", file, strings.TrimSpace(begin), end)
	}
	if err := os.WriteFile(file, []byte(head+begin+"\n"+strings.TrimSpace(text)+"\n\n"+end+tail), 0o644); err != nil {
		return fmt.Errorf("cannot update the docs: %w", err)
	}
	return nil
}
