package conf

import (
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// WriteReference writes every key with its type, default and meaning, as Markdown. docs/configuration.md holds it
// between two marks; a test keeps the two the same.
func WriteReference(w io.Writer) error {
	_, err := io.WriteString(w, Document())
	return err
}

// Document is the text of WriteReference.
func Document() string {
	var b strings.Builder
	config := reflect.ValueOf(Default())
	fields := fieldsOf(config.Type())
	var top, sections []row
	for _, f := range fields {
		r := row{field: f, path: f.key, value: config.Field(f.index)}
		if scalarType(r.value.Type()) {
			top = append(top, r)
		} else {
			sections = append(sections, r)
		}
	}
	b.WriteString("### General\n\n")
	writeTable(&b, top)
	for _, s := range sections {
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n\n", s.path, sentence(s.doc))
		writeTable(&b, rowsOf(s.value, s.path))
	}
	return b.String()
}

type row struct {
	field
	path  string
	value reflect.Value // the default
}

// rowsOf lists a struct's keys in the order of the file, each list followed by the keys of its items.
func rowsOf(v reflect.Value, path string) []row {
	var rows []row
	for _, f := range fieldsOf(v.Type()) {
		r := row{field: f, path: path + "." + f.key, value: v.Field(f.index)}
		rows = append(rows, r)
		switch t := r.value.Type(); {
		case scalarType(t):
		case t.Kind() == reflect.Struct:
			rows = append(rows, rowsOf(r.value, r.path)...)
		case t.Kind() == reflect.Slice && !scalarType(t.Elem()):
			rows = append(rows, rowsOf(itemDefault(t.Elem()), r.path+"[]")...)
		}
	}
	return rows
}

func writeTable(b *strings.Builder, rows []row) {
	b.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.path, kindOf(r.value.Type()), defaultOf(r.value), cell(r.doc))
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func kindOf(t reflect.Type) string {
	switch {
	case t == durationType:
		return "duration"
	case t == prefixType:
		return "address with prefix"
	case t == reflect.TypeFor[Route]():
		return "route"
	case t == reflect.TypeFor[Rule]():
		return "routing rule"
	case t == reflect.TypeFor[Address]():
		return "address with prefix and place"
	case readsText(t):
		return "address"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Slice && scalarType(t.Elem()):
		return "list of " + kindOf(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Map:
		return "names and text"
	case t.Kind() == reflect.Struct:
		return "keys"
	}
	return "number"
}

func defaultOf(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return "`" + short(x) + "`"
	case string:
		if x == "" {
			return "empty"
		}
		return "`" + x + "`"
	case netip.Addr:
		if !x.IsValid() {
			return "empty"
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		return ""
	case reflect.Slice:
		if v.Len() > 0 && !scalarType(v.Type().Elem()) {
			var b strings.Builder
			fmt.Fprintf(&b, "%d:", v.Len())
			for i := range v.Len() {
				for _, r := range rowsOf(v.Index(i), "") {
					if !r.value.IsZero() {
						fmt.Fprintf(&b, " `%s: %v`", strings.TrimPrefix(r.path, "."), r.value.Interface())
					}
				}
			}
			return b.String()
		}
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			return "none"
		}
	}
	return fmt.Sprintf("`%v`", v.Interface())
}
