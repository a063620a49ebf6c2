package detectors

import (
	"fmt"
	"time"
)

// A Kind is what an [Event] says about a finding.
type Kind int

// The kinds of events.
const (
	Detected   Kind = iota + 1 // reported for the first time
	Repeated                   // still open: worse, back again, or open for long
	Resolved                   // gone
	Suppressed                 // the number of findings not reported one by one has changed
)

var kinds = [...]string{Detected: "detected", Repeated: "repeated", Resolved: "resolved", Suppressed: "suppressed"}

// String returns the kind in lower case.
func (k Kind) String() string {
	if k < Detected || k > Suppressed {
		return fmt.Sprintf("kind(%d)", int(k))
	}
	return kinds[k]
}

// An Event is something to tell people about a finding.
type Event struct {
	Kind Kind
	Time time.Time // of the snapshot that led to it

	// Finding is what the event is about. In a Suppressed event it is the
	// worst of those not reported, and zero when there are none any more.
	Finding Finding

	// Suppressed is how many open findings are not reported one by one,
	// including those for which there was no room. Set in Suppressed events
	// only.
	Suppressed int
}
