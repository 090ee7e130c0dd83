package conf

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Load reads the file at path ("" means none: the defaults), lays the KEEPWATCH_ variables of environ ("NAME=value",
// as os.Environ gives them) over it and checks the whole. The error is Faults, every fault at once, or says why the
// file cannot be read; the Config is then zero.
func Load(path string, environ []string) (Config, error) {
	if path == "" {
		return Parse("", nil, environ)
	}
	data, err := read(path)
	if err != nil {
		return Config{}, fmt.Errorf("cannot read configuration %q: %w", path, err)
	}
	return Parse(path, data, environ)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing to lose
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse is Load on the content of a file; name is what faults call it.
func Parse(name string, data []byte, environ []string) (Config, error) {
	c := Default()
	d := decoder{file: name, at: make(map[string]place)}
	d.document(data, &c)
	d.environ(environ, &c)
	if c.Host == "" {
		host, err := os.Hostname()
		if err != nil {
			return Config{}, fmt.Errorf("cannot find this host's name, set host: %w", err)
		}
		c.Host = host
	}
	d.validate(&c)
	if err := d.faults.report(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// validate adds what Validate finds, with places, but for what follows from a fault already found: a value that
// could not be read, or one that is missing beside a key that is not known.
func (d *decoder) validate(c *Config) {
	if d.unread {
		return // the rest would be about the defaults
	}
	broken, beside := make(map[string]bool), make(map[string]bool)
	for _, f := range d.faults {
		broken[f.Path], beside[parent(f.Path)] = true, true
	}
	for _, f := range c.faults() {
		if _, given := d.at[f.Path]; within(f.Path, broken) || !given && beside[parent(f.Path)] {
			continue
		}
		d.place(f)
		d.faults = append(d.faults, f)
	}
}

// within says whether path is one of paths or below one.
func within(path string, paths map[string]bool) bool {
	for ; path != ""; path = parent(path) {
		if paths[path] {
			return true
		}
	}
	return false
}

// place finds where the fault's key stands, or what it would stand in.
func (d *decoder) place(f *Fault) {
	for path := f.Path; path != ""; path = parent(path) {
		if p, ok := d.at[path]; ok {
			f.Where, f.line, f.column = p.where, p.line, p.column
			return
		}
	}
	f.Where = d.file
}

// parent of "a.b[2]" is "a.b", of "a.b" is "a", of "a" is "".
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}
