package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// maxNodes bounds the values that one file may hold after its aliases are followed, so that few bytes cannot stand
// for many.
const maxNodes = 100_000

// decoder walks the tree of a YAML document beside the structs and notes every fault. The YAML library's own
// decoder is not used because it gives no columns, cannot say which keys are wanted and forgets where a value stood.
type decoder struct {
	file   string
	faults Faults
	at     map[string]place // where each key of the file or the environment stands, by path
	nodes  int
	unread bool // the file could not be read at all
}

type place struct {
	where        string
	line, column int
}

func (d *decoder) placeOf(line, column int) place {
	return place{where: fmt.Sprintf("%s:%d:%d", d.file, line, column), line: line, column: column}
}

func (d *decoder) fault(n *yaml.Node, path, format string, args ...any) {
	p := d.placeOf(n.Line, n.Column)
	d.faults = append(d.faults, &Fault{Where: p.where, Path: path, Text: fmt.Sprintf(format, args...), line: p.line, column: p.column})
}

// document reads the one YAML document of a file into c, which holds the defaults.
func (d *decoder) document(data []byte, c *Config) {
	if len(data) > maxFile {
		d.unread = true
		d.faults = append(d.faults, &Fault{Where: d.file, Text: fmt.Sprintf("larger than %d bytes", maxFile)})
		return
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.syntax(err)
		return
	}
	var root, second yaml.Node
	if err := loader.Load(&root); err == io.EOF {
		return // empty, or comments only
	} else if err != nil {
		d.syntax(err)
		return
	}
	if len(root.Content) == 1 {
		d.value(root.Content[0], reflect.ValueOf(c).Elem(), "")
	}
	if err := loader.Load(&second); err == nil {
		d.fault(&second, "", "a second document: want one")
	} else if err != io.EOF {
		d.syntax(err)
	}
}

func (d *decoder) syntax(err error) {
	d.unread = true
	f := &Fault{Where: d.file, Text: fmt.Sprintf("not YAML: %v", err)}
	var at *yaml.LoadError
	if errors.As(err, &at) {
		f.Text = "not YAML: " + at.Message
		if at.ContextMsg != "" {
			f.Text += ", " + at.ContextMsg
		}
		if at.Mark.Line > 0 {
			p := d.placeOf(at.Mark.Line, at.Mark.Column)
			f.Where, f.line, f.column = p.where, p.line, p.column
		}
	}
	d.faults = append(d.faults, f)
}

func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if path != "" {
		d.at[path] = d.placeOf(n.Line, n.Column)
	}
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.fault(n, path, "more than %d values, aliases (*) followed", maxNodes)
		}
		return
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias // the structs are finitely deep, so an alias to what holds it ends too
	}
	switch {
	case scalarType(v.Type()):
		d.scalar(n, v, path)
	case v.Kind() == reflect.Struct:
		d.structure(n, v, path)
	case v.Kind() == reflect.Slice:
		d.list(n, v, path)
	case v.Kind() == reflect.Map:
		d.textMap(n, v, path)
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fault(n, path, "%s: want %s", kindWord(n), typeWord(v.Type()))
	case n.Tag == "!!null" && v.Kind() == reflect.String:
		d.fault(n, path, `no value: want text; write "" for none`)
	case n.Tag == "!!null":
		d.fault(n, path, "no value: want %s", typeWord(v.Type()))
	default:
		if err := setScalar(v, n.Value); err != nil {
			d.fault(n, path, "%v", err)
		}
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // a heading whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "%s: want keys and values", kindWord(n))
		return
	}
	fields := fieldsOf(v.Type())
	d.pairs(n, path, func(key, value *yaml.Node, path string) {
		for _, f := range fields {
			if f.key == key.Value {
				d.value(value, v.Field(f.index), path)
				return
			}
		}
		d.unknown(key, path, fields)
	})
}

func (d *decoder) unknown(key *yaml.Node, path string, fields []field) {
	var known []string
	for _, f := range fields {
		known = append(known, f.key)
	}
	if near := Nearest(key.Value, known); near != "" {
		d.fault(key, path, "unknown key: want %s", near)
		return
	}
	d.fault(key, path, "unknown key: want one of %s", strings.Join(known, ", "))
}

// pairs calls f for every key once, with the key's path.
func (d *decoder) pairs(n *yaml.Node, path string, f func(key, value *yaml.Node, path string)) {
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			d.fault(key, orWhole(path), "%s as a key: want a word", kindWord(key))
			continue
		}
		if key.Tag == "!!merge" {
			d.fault(key, join(path, "<<"), "merge keys are not read: write the keys out, or name a whole value by an alias (*)")
			continue
		}
		at := join(path, key.Value)
		if line, twice := seen[key.Value]; twice {
			d.fault(key, at, "key stands twice: first in line %d", line)
			continue
		}
		seen[key.Value] = key.Line
		f(key, value, at)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		d.fault(n, path, "no value: want a list; write [] for none")
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fault(n, path, "%s: want a list", kindWord(n))
		return
	}
	items := reflect.MakeSlice(v.Type(), 0, min(len(n.Content), maxNodes))
	for i, c := range n.Content {
		if d.nodes > maxNodes {
			return
		}
		item := itemDefault(v.Type().Elem())
		d.value(c, item, fmt.Sprintf("%s[%d]", path, i))
		items = reflect.Append(items, item)
	}
	v.Set(items)
}

func (d *decoder) textMap(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "%s: want names and values; write {} for none", kindWord(n))
		return
	}
	texts := reflect.MakeMap(v.Type())
	d.pairs(n, path, func(key, value *yaml.Node, path string) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(value, item, path)
		texts.SetMapIndex(reflect.ValueOf(key.Value), item)
	})
	v.Set(texts)
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,60}$`)

// join appends a key to a path; a key that is no plain word stands quoted and cut.
func join(path, key string) string {
	if !plainKey.MatchString(key) {
		key = fmt.Sprintf("%.60q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// orWhole names the top of the file, whose path is empty.
func orWhole(path string) string {
	if path == "" {
		return "top level"
	}
	return path
}

func kindWord(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "keys and values"
	case yaml.ScalarNode:
		return "a single value"
	}
	return "an alias"
}
