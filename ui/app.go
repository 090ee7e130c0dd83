package ui

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"keepwatch/ui/api"
	"keepwatch/ui/web"
)

// notBuilt is told in place of the web app when it is not in the program.
const notBuilt = "The web app is not built: run make build.\n"

// asset is one file of the web app, in memory.
type asset struct {
	body []byte
	kind string
	etag string // weak: the same file compressed has the same
}

// newApp serves the built web app: its files, and index.html for every other path, which the app itself reads.
func newApp() (http.Handler, error) {
	app, ok := web.App()
	if !ok {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(notBuilt)) // the client is gone, then
		}), nil
	}
	return appOf(app)
}

func appOf(app fs.FS) (http.Handler, error) {
	files := make(map[string]asset)
	err := fs.WalkDir(app, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := fs.ReadFile(app, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		files["/"+name] = asset{body, kindOf(name), `W/"` + hex.EncodeToString(sum[:8]) + `"`}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the web app: %w", err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveApp(w, r, files) }), nil
}

// kindOf does not ask the system's table of types, which differs from host to host.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func serveApp(w http.ResponseWriter, r *http.Request, files map[string]asset) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		api.Problem(w, http.StatusMethodNotAllowed, "Only GET and HEAD are possible here.")
		return
	}
	f, ok := files[r.URL.Path]
	assets := strings.HasPrefix(r.URL.Path, "/assets/")
	switch {
	case !ok && assets:
		api.Problem(w, http.StatusNotFound, "There is no such file: reload the page.")
		return
	case !ok:
		f = files["/index.html"]
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("ETag", f.etag)
	h.Set("Cache-Control", "no-cache")
	if assets { // their names change with what they hold
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}
