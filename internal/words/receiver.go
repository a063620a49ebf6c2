// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package words

import "strings"

// Receiver returns the part of a method's name up to its pointer receiver, as in
// "net/http.(*conn)" for "net/http.(*conn).serve.func1", or "" for a function that has
// none.
func Receiver(function string) string {
	i := strings.Index(function, ".(*")
	if i < 0 {
		return ""
	}
	end := strings.IndexByte(function[i:], ')')
	if end < 0 {
		return ""
	}
	return function[:i+end+1]
}
