package detectors

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// MaxWindows is how many windows a [History] remembers at most: twice as
	// many as a detector waits for.
	MaxWindows = 32
	// maxFed bounds the places that are remembered of a window, the busiest
	// first. Together with MaxWindows it is a megabyte at most.
	maxFed = 256
)

// A Window is what is remembered of a [goroutine.SourceWindow]: who was woken by
// another goroutine, and waits for the same again.
type Window struct {
	Time time.Time                       // its end
	Fed  map[goroutine.GroupKey][]uint64 // the lowest IDs of those woken, rising, at most [goroutine.MaxIDs]
}

func windowOf(s *goroutine.Snapshot) Window {
	w := Window{Time: s.Time, Fed: make(map[goroutine.GroupKey][]uint64)}
	for i := range s.Movements {
		m := &s.Movements[i]
		if len(m.Fed) == 0 || !leakable(m.State) {
			continue
		}
		key := m.Key()
		if fed, ok := w.Fed[key]; ok || len(w.Fed) < maxFed {
			w.Fed[key] = goroutine.SampleIDs(fed, m.Fed...)
		}
	}
	return w
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
