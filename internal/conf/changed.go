package conf

import (
	"reflect"
	"strings"
)

// AtStart are the keys that every program reads when it starts and not again.
var AtStart = []string{"cluster", "host", "log.format"}

// Within reports whether a key is another one or below it.
func Within(key, above string) bool { return key == above || strings.HasPrefix(key, above+".") }

// Changed lists the keys whose values differ, in the order of the file. A list is one key.
func Changed(a, b Config) []string {
	return changed(nil, reflect.ValueOf(a), reflect.ValueOf(b), "")
}

func changed(keys []string, a, b reflect.Value, path string) []string {
	for _, f := range fieldsOf(a.Type()) {
		at, x, y := join(path, f.key), a.Field(f.index), b.Field(f.index)
		switch {
		case x.Kind() == reflect.Struct && !readsText(x.Type()):
			keys = changed(keys, x, y, at)
		case !same(x, y):
			keys = append(keys, at)
		}
	}
	return keys
}
