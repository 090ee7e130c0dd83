package ganglia

import (
	"errors"
	"fmt"
	"strings"
)

// MaxRequest is the most bytes of a request line, its end included.
const MaxRequest = 2048

// ErrRequest is a request that gmetad answers with no byte.
var ErrRequest = errors.New("no request of gmetad's interactive port")

// refused are the characters that gmetad lets nobody ask with (server.c).
const refused = ">!@#$%`;|\"\\'<"

// Request is what a client of gmetad's interactive port asks for. The zero Request asks for everything.
type Request struct {
	Path    []string // cluster or grid, host, metric
	Summary bool     // filter=summary
	HTTP    bool     // the answer has an HTTP head; in Path, * fits any name, and an unknown name leaves nothing
	Status  bool     // the server's own state is asked for, as JSON
}

// ParseRequest reads a request line without its end. The error wraps ErrRequest.
func ParseRequest(line []byte) (Request, error) {
	var r Request
	text := string(line)
	if rest, ok := strings.CutPrefix(text, "GET "); ok {
		i := strings.LastIndex(rest, " HTTP/1.")
		if i < 0 {
			return r, fmt.Errorf("%w: GET without HTTP/1.0 or HTTP/1.1", ErrRequest)
		}
		text, r.HTTP = rest[:i], true
	}
	switch {
	case len(line) >= MaxRequest:
		return r, fmt.Errorf("%w: %d bytes, at most %d", ErrRequest, len(line), MaxRequest-1)
	case !strings.HasPrefix(text, "/"):
		return r, fmt.Errorf("%w: want a path that begins with /", ErrRequest)
	case strings.ContainsAny(text, refused):
		return r, fmt.Errorf("%w: want none of %s", ErrRequest, refused)
	}
	path, query, asked := strings.Cut(text, "?")
	if asked {
		key, value, ok := strings.Cut(query, "=")
		if !ok {
			return r, fmt.Errorf("%w: want key=value after ?", ErrRequest)
		}
		r.Summary = key == "filter" && value == "summary"
	}
	// An empty name within the path is one that nothing has; a slash at the end is nothing.
	if path = strings.TrimSuffix(path[1:], "/"); path != "" || strings.HasPrefix(text, "//") {
		r.Path = strings.Split(path, "/")
	}
	r.Status = len(r.Path) == 1 && r.Path[0] == "status"
	return r, nil
}
