package detectors

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// MaxWindows is how many windows a [History] remembers at most: a few more
	// than a detector waits for.
	MaxWindows = 20
	// maxFed bounds the places that are remembered of a window, the busiest
	// first. Together with MaxWindows it is half a megabyte at most.
	maxFed = 128
)

// A Window is what is remembered of a [goroutine.SourceWindow]: whom other
// goroutines woke, by where they waited until then.
type Window struct {
	Time time.Time                       // its end
	Fed  map[goroutine.GroupKey][]uint64 // IDs of some of them; see [goroutine.SampleIDs]
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
