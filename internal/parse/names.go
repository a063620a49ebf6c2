// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import "strings"

// maxName is how many bytes of a function name or a path are kept. The end is
// kept, as in the runtime's own traces.
const maxName = 1 << 10

// names holds every name and path of an input once.
type names map[string]string

// of returns b as valid text. Equal bytes always give the same string.
func (n names) of(b []byte) string {
	s, ok := n[string(b)]
	if !ok {
		s = valid(string(b))
		n[string(b)] = s
	}
	return s
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// tail returns a name, or the end of it if it is too long.
func tail[T string | []byte](name T) T {
	return name[max(len(name)-maxName, 0):]
}
