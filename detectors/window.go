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

// fed returns those who were woken in a window at a place, as it was in the
// newest look.
func (w *Window) fed(pl *place) (ids []uint64) {
	seen := make(map[goroutine.GroupKey]bool)
	for _, g := range pl.groups[len(pl.groups)-1] {
		if key := g.Key(); !seen[key] {
			seen[key] = true
			ids = append(ids, w.Fed[key]...)
		}
	}
	return ids
}

// windowsSince returns how many windows were opened since t.
func windowsSince(windows []Window, t time.Time) (n int) {
	for _, w := range windows {
		if !w.Time.Before(t) {
			n++
		}
	}
	return n
}
