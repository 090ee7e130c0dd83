package conf

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"
)

// Write writes a configuration as a file that Load reads: the keys that differ from the defaults, in the order of
// the reference. comments, which may be nil, hold what to write above a key or an item by its path, as
// haagent.instances[0].priority. A password of an instance is written too: who asks for the file gets all of it. The
// error is w's, or names a text that is no UTF-8.
func Write(w io.Writer, c Config, comments map[string]string) error {
	p := writer{comments: comments}
	root := p.structure(reflect.ValueOf(c), reflect.ValueOf(Default()), "")
	if p.err != nil {
		return p.err
	}
	if len(root.Content) == 0 {
		_, err := io.WriteString(w, "# every key has its default\n")
		return err
	}
	d, err := yaml.NewDumper(w, yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return fmt.Errorf("cannot write a configuration: %w", err)
	}
	if err := d.Dump(root); err != nil {
		return fmt.Errorf("cannot write a configuration: %w", err)
	}
	return d.Close()
}

// writer makes a tree of YAML of values, beside the defaults.
type writer struct {
	comments map[string]string
	err      error
}

func (p *writer) structure(v, standard reflect.Value, path string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v.Type()) {
		value, usual := v.Field(f.index), standard.Field(f.index)
		if same(value, usual) {
			continue
		}
		at := join(path, f.key)
		key := text(f.key)
		key.HeadComment = p.comments[at]
		n.Content = append(n.Content, key, p.value(value, usual, at))
	}
	if plain(n) && len(n.Content) <= 6 && strings.HasSuffix(path, "]") {
		n.Style = yaml.FlowStyle
	}
	return n
}

// same reports equality; a list that is nil is the same as an empty one.
func same(a, b reflect.Value) bool {
	switch {
	case readsText(a.Type()):
	case a.Kind() == reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case a.Kind() == reflect.Slice:
		for i := range min(a.Len(), b.Len()) {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return a.Len() == b.Len()
	case a.Kind() == reflect.Map && a.Len() == 0:
		return b.Len() == 0
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

func (p *writer) value(v, standard reflect.Value, path string) *yaml.Node {
	switch {
	case scalarType(v.Type()):
		return p.scalar(v, path)
	case v.Kind() == reflect.Struct:
		return p.structure(v, standard, path)
	case v.Kind() == reflect.Slice:
		return p.list(v, path)
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, name := range names {
		n.Content = append(n.Content, p.scalar(name, path), p.scalar(v.MapIndex(name), path))
	}
	return n
}

func (p *writer) list(v reflect.Value, path string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	width, flow := 0, true
	for i := range v.Len() {
		at := fmt.Sprintf("%s[%d]", path, i)
		item := p.value(v.Index(i), itemDefault(v.Type().Elem()), at)
		item.HeadComment = p.comments[at]
		flow = flow && (item.Kind == yaml.ScalarNode || item.Style == yaml.FlowStyle && v.Len() <= 4) && item.HeadComment == ""
		width += len(item.Value) + 2
		for _, c := range item.Content {
			width += len(c.Value) + 2
		}
		n.Content = append(n.Content, item)
	}
	if flow && width <= 80 {
		n.Style = yaml.FlowStyle
	}
	return n
}

// plain reports whether all in n are single values without comments.
func plain(n *yaml.Node) bool {
	return !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind != yaml.ScalarNode || c.HeadComment != "" })
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func (p *writer) scalar(v reflect.Value, path string) *yaml.Node {
	switch x := v.Interface().(type) {
	case time.Duration:
		return text(short(x))
	case encoding.TextMarshaler:
		out, err := x.MarshalText()
		if err != nil && p.err == nil {
			p.err = fmt.Errorf("cannot write %s: %w", path, err)
		}
		return text(string(out))
	case string:
		if !utf8.ValidString(x) && p.err == nil {
			p.err = fmt.Errorf("cannot write %s: want UTF-8", path)
		}
		return text(x)
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v.Interface())}
}
