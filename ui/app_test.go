package ui

import (
	"net/http/httptest"
	"testing"
	"testing/fstest"
)

func TestApp(t *testing.T) {
	h, err := appOf(fstest.MapFS{
		"index.html":      {Data: []byte("<html>")},
		"favicon.svg":     {Data: []byte("<svg/>")},
		"assets/app-1.js": {Data: []byte("run()")},
	})
	if err != nil {
		t.Fatal(err)
	}
	const immutable = "public, max-age=31536000, immutable"
	tests := []struct {
		method, path string
		status       int
		kind, cache  string
		body         string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "no-cache", "<html>"},
		{"GET", "/hosts/default/web1", 200, "text/html; charset=utf-8", "no-cache", "<html>"},
		{"GET", "/../../etc/passwd", 200, "text/html; charset=utf-8", "no-cache", "<html>"},
		{"GET", "/favicon.svg", 200, "image/svg+xml", "no-cache", "<svg/>"},
		{"GET", "/assets/app-1.js", 200, "text/javascript; charset=utf-8", immutable, "run()"},
		{"HEAD", "/assets/app-1.js", 200, "text/javascript; charset=utf-8", immutable, ""},
		{"GET", "/assets/app-0.js", 404, "application/problem+json", "", ""},
		{"POST", "/", 405, "application/problem+json", "", ""},
	}
	for _, tt := range tests {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		if w.Code != tt.status || w.Header().Get("Content-Type") != tt.kind || w.Header().Get("Cache-Control") != tt.cache {
			t.Errorf("%s %s: got %d %v", tt.method, tt.path, w.Code, w.Header())
		}
		if tt.body != "" && w.Body.String() != tt.body {
			t.Errorf("%s %s: got %q", tt.method, tt.path, w.Body)
		}
	}
	first := httptest.NewRecorder()
	h.ServeHTTP(first, httptest.NewRequest("GET", "/", nil))
	again := httptest.NewRequest("GET", "/", nil)
	again.Header.Set("If-None-Match", first.Header().Get("ETag"))
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, again); w.Code != 304 {
		t.Errorf("unchanged: got %d, want 304", w.Code)
	}
}
