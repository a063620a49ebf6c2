package detectors

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Window is what is remembered of a trace window ([goroutine.SourceWindow]):
// which goroutines other goroutines woke, by where they waited until then. It
// has the 128 busiest of these places, in whatever state goroutines waited.
type Window struct {
	Time time.Time                       // its end
	Fed  map[goroutine.GroupKey][]uint64 // IDs of some of them; see [goroutine.SampleIDs]
}

// windowsSince returns how many windows ended at t or later.
func windowsSince(windows []Window, t time.Time) (n int) {
	for _, w := range windows {
		if !w.Time.Before(t) {
			n++
		}
	}
	return n
}
