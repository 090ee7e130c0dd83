package ganglia

import "bytes"

func value(t *tag, key string) []byte {
	for _, a := range t.attrs {
		if string(a.key) == key {
			return a.value
		}
	}
	return nil
}

func (b *builder) get(t *tag, key string) string { return b.string(value(t, key)) }

// string makes a string of a value: escapes resolved, UTF-8, and the same one for the same text where it is short.
func (b *builder) string(v []byte) string {
	if len(v) == 0 {
		return ""
	}
	escaped := bytes.IndexByte(v, '&') >= 0
	if escaped {
		b.text = resolve(b.text[:0], v)
		if b.twice {
			b.text = resolve(nil, b.text)
		}
		v = b.text
	}
	if len(v) > maxWord {
		b.held += int64(len(v))
		return utf8Of(string(v))
	}
	if s, ok := b.words[string(v)]; ok {
		return s
	}
	s := utf8Of(string(v))
	b.held += int64(len(s)) + 16
	if len(b.words) < maxWords {
		b.words[string(v)] = s
	}
	return s
}

func number[T uint32 | int64](t *tag, key string) T { return parse[T](value(t, key)) }

// parse reads a whole number softly: what is none, or negative, or too large, is 0.
func parse[T uint32 | int64](v []byte) T {
	var n uint64
	for _, c := range v {
		if c < '0' || c > '9' || n >= 1<<59 {
			return 0
		}
		n = n*10 + uint64(c-'0')
	}
	if t := T(n); t >= 0 && uint64(t) == n {
		return t
	}
	return 0
}

// decimals counts the digits behind the point.
func decimals(text []byte) int {
	i := bytes.IndexByte(text, '.')
	if i < 0 {
		return 0
	}
	n := 0
	for _, c := range text[i+1:] {
		if c < '0' || c > '9' {
			break
		}
		n++
	}
	return min(n, maxDecimals)
}

// maxDecimals bounds how exactly a sum is printed.
const maxDecimals = 17
