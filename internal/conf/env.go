package conf

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

const envPrefix = "KEEPWATCH_"

// Variables that other parts of the program read.
const (
	EnvConfig = "KEEPWATCH_CONFIG" // the same as --config
	EnvData   = "KEEPWATCH_DATA"   // the same as --data

	envTest = "KEEPWATCH_TEST_" // whatever starts so is the tests'
)

// variable is one key that the environment can set.
type variable struct {
	path  string
	value reflect.Value
}

// environ lays KEEPWATCH_ variables over c: every key that holds one value or a list of single values, by its path
// in upper case with underscores.
func (d *decoder) environ(environ []string, c *Config) {
	known := map[string]variable{EnvConfig: {}, EnvData: {}}
	fileOnly := make(map[string]string)
	variables(reflect.ValueOf(c).Elem(), "", known, fileOnly)
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, text, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, envPrefix) || strings.HasPrefix(name, envTest) {
			continue
		}
		v, ok := known[name]
		switch {
		case !ok:
			d.unknownVariable(name, known, fileOnly)
		case v.path != "":
			d.variable(name, text, v)
		}
	}
}

// variables collects what the environment can set, and the keys that only a file can.
func variables(v reflect.Value, path string, known map[string]variable, fileOnly map[string]string) {
	for _, f := range fieldsOf(v.Type()) {
		at, value := join(path, f.key), v.Field(f.index)
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(at, ".", "_"))
		switch t := value.Type(); {
		case scalarType(t), t.Kind() == reflect.Slice && scalarType(t.Elem()):
			known[name] = variable{path: at, value: value}
		case t.Kind() == reflect.Struct:
			variables(value, at, known, fileOnly)
		default:
			fileOnly[name] = at
		}
	}
}

func (d *decoder) variable(name, text string, v variable) {
	at := place{where: "environment " + name}
	d.at[v.path] = at
	if v.value.Kind() != reflect.Slice {
		if err := setScalar(v.value, text); err != nil {
			d.faults = append(d.faults, &Fault{Where: at.where, Path: v.path, Text: err.Error()})
		}
		return
	}
	items := reflect.MakeSlice(v.value.Type(), 0, 0)
	for word := range strings.SplitSeq(text, ",") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		item := reflect.New(v.value.Type().Elem()).Elem()
		path := fmt.Sprintf("%s[%d]", v.path, items.Len())
		d.at[path] = at
		if err := setScalar(item, word); err != nil {
			d.faults = append(d.faults, &Fault{Where: at.where, Path: path, Text: err.Error()})
		}
		items = reflect.Append(items, item)
	}
	v.value.Set(items)
}

func (d *decoder) unknownVariable(name string, known map[string]variable, fileOnly map[string]string) {
	f := &Fault{Where: fmt.Sprintf("environment %.80s", name)}
	f.Text = "unknown variable: want the path of a key in upper case with underscores, as KEEPWATCH_UI_LISTEN"
	if at, ok := fileOnly[name]; ok {
		f.Path, f.Text = at, "is set in the file only: one variable cannot hold it"
	} else if near := nearestVariable(name, known); near != "" {
		f.Text = "unknown variable: want " + near
	}
	d.faults = append(d.faults, f)
}

// nearestVariable compares without the prefix: what all have in common must not make them near.
func nearestVariable(name string, known map[string]variable) string {
	var words []string
	for k := range known {
		words = append(words, strings.TrimPrefix(k, envPrefix))
	}
	slices.Sort(words)
	if near := Nearest(strings.TrimPrefix(name, envPrefix), words); near != "" {
		return envPrefix + near
	}
	return ""
}
