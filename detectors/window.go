package detectors

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxWindows is how many windows a [History] remembers at most: a few more
	// than a detector waits for.
	maxWindows = 20
	// maxFed bounds the places that are remembered of a window, the busiest
	// first. Together with maxWindows it is half a megabyte at most.
	maxFed = 128
)

// A Window is what is remembered of a trace window ([goroutine.SourceWindow]):
// which goroutines other goroutines woke, by where they waited until then. It
// has the 128 busiest of these places, in whatever state goroutines waited.
type Window struct {
	Time time.Time                       // its end
	Fed  map[goroutine.GroupKey][]uint64 // IDs of some of them; see [goroutine.SampleIDs]
}

func windowOf(s *goroutine.Snapshot) Window {
	w := Window{Time: s.Time, Fed: make(map[goroutine.GroupKey][]uint64)}
	for i := range s.Movements {
		m := &s.Movements[i]
		if len(m.Fed) == 0 {
			continue
		}
		key := m.Key()
		if fed, ok := w.Fed[key]; ok || len(w.Fed) < maxFed {
			w.Fed[key] = goroutine.SampleIDs(fed, m.Fed...)
		}
	}
	return w
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
