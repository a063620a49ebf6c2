// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"strings"
	"unicode/utf8"
)

// Limits of attribute values, in bytes. The SDK has no limit of its own, and
// the Collector refuses requests over 4 MiB.
const (
	maxName     = 512
	maxLabel    = 128
	maxSentence = 1 << 10
	maxBody     = 3 << 10
	maxTrace    = 16 << 10
)

// clip limits a value to max bytes of valid UTF-8. It marks the cut.
func clip(s string, max int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= max {
		return s
	}
	const mark = "…"
	end := max - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
