package ganglia

import "bytes"

func attribute(t *tag, key string) []byte {
	for _, a := range t.attrs {
		if string(a.key) == key {
			return a.value
		}
	}
	return nil
}

func (b *builder) get(t *tag, key string) string { return b.string(attribute(t, key)) }

// string makes a string of an attribute: escapes resolved, UTF-8, and the same one for the same text where it is
// short.
func (b *builder) string(v []byte) string { return b.shared(v, maxWord) }

// value is string for a VAL, of which only the shortest come often.
func (b *builder) value(v []byte) string { return b.shared(v, maxCommonValue) }

const maxCommonValue = 4

// shared makes a string, one for all equal ones of up to limit bytes.
func (b *builder) shared(v []byte, limit int) string {
	if len(v) == 0 {
		return ""
	}
	if bytes.IndexByte(v, '&') >= 0 {
		b.text = resolve(b.text[:0], v)
		if b.twice {
			b.text = resolve(nil, b.text)
		}
		v = b.text
	}
	if len(v) > limit {
		b.held += int64(len(v)) + 16
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

func number[T uint32 | int64](t *tag, key string) T { return parse[T](attribute(t, key)) }

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
