// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"time"
)

// A Kind is the kind of an [Event].
type Kind int

// The kinds of events.
const (
	Detected   Kind = iota + 1 // reported for the first time
	Repeated                   // still open: worse, back again, or open for a long time
	Resolved                   // gone
	Suppressed                 // the number of findings not reported individually has changed
)

var kinds = [...]string{Detected: "detected", Repeated: "repeated", Resolved: "resolved", Suppressed: "suppressed"}

// String returns the kind in lower case.
func (k Kind) String() string {
	if k < Detected || k > Suppressed {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return kinds[k]
}

// An Event reports a change of a finding.
type Event struct {
	Kind Kind
	Time time.Time // of the snapshot that caused it

	// Finding is the subject of the event, with what is true at its time. In
	// a Resolved event, Message and Evidence say how the fault ended, and Count and
	// Age are those of the last time that it stood. In a Suppressed event it is the worst
	// of the findings that are not reported individually, or the zero Finding when
	// none are left.
	Finding Finding

	// Suppressed is the number of open findings that are not reported
	// individually, including those that could not be tracked. It is set only in
	// Suppressed events.
	Suppressed int
}
