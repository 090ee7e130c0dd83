// Package web holds the built web app. Its sources are beside it; it never builds or serves them. Package ui serves
// what it holds.
package web

import (
	"embed"
	"io/fs"
)

// The pattern is dist, which `make web` builds, in a form that also matches index.html, a source that is always
// there: so a fresh clone compiles before the app is built.
//
//go:embed all:[di][in][sd][te]*
var files embed.FS

// App is the built app, index.html at its root. ok is false when this program was compiled before the app was built.
func App() (app fs.FS, ok bool) {
	app, err := fs.Sub(files, "dist")
	if err != nil {
		return nil, false
	}
	if _, err := fs.Stat(app, "index.html"); err != nil {
		return nil, false
	}
	return app, true
}
