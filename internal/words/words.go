// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package words has what texts for people have in common.
package words

import (
	"fmt"
	"time"
)

// Span formats a duration in one unit, as of an age. A negative one, as between
// two measurements that overlap, counts as none.
func Span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}

// Clock formats a time of day with its zone, because those who read it may be in
// another, and with seconds only where they matter.
func Clock(t time.Time) string {
	if t.Second() == 0 {
		return t.Format("15:04 MST")
	}
	return t.Format("15:04:05 MST")
}

// Plural formats a number of things.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Verb returns the form of a verb for a number of things.
func Verb(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
