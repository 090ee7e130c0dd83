// Package logs makes the log that a program's configuration asks for, on standard error. It never keeps or moves a
// log: who started the program does. The programs under cmd call it.
package logs

import (
	"io"
	"log/slog"

	"keepwatch/internal/conf"
)

// New writes to w in the configured form. The level can be changed while running, by SetLevel.
func New(w io.Writer, c conf.Log, level *slog.LevelVar) *slog.Logger {
	SetLevel(c, level)
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// SetLevel sets level to the configured one.
func SetLevel(c conf.Log, level *slog.LevelVar) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.Level)); err == nil { // conf has refused other words
		level.Set(l)
	}
}
