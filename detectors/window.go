package detectors

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Window is the part of a trace window ([goroutine.SourceWindow]) that is
// kept: which goroutines were woken by other goroutines, by the place where they
// had been waiting. It holds the 128 busiest places, regardless of state.
type Window struct {
	Time time.Time                       // when the window ended
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
