package parse

import "strings"

// maxName is how much of a function name or a path is kept: its end, as in the
// runtime's own traces.
const maxName = 1 << 10

// names has every name and path of an input once.
type names map[string]string

// of returns b as valid text, and always the same string for equal bytes.
func (n names) of(b []byte) string {
	s, ok := n[string(b)]
	if !ok {
		s = valid(string(b))
		n[string(b)] = s
	}
	return s
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// tail returns the end of a name that is too long.
func tail[T string | []byte](name T) T {
	return name[max(len(name)-maxName, 0):]
}
