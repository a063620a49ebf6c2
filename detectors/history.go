package detectors

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// A History is the bounded series of snapshots that detectors look back on.
//
// It keeps at most [MaxKept] snapshots: the newest eight at full density, and
// older ones thinned so that the gaps between them grow in proportion to their
// age. So a detector that looks back a minute and one that looks back a day
// can share a history: each finds looks at the scale it asks about. Memory
// follows the number of distinct stacks, not of goroutines.
//
// A History is not safe for concurrent use.
type History struct {
	// Can reports whether a closer look of a kind can be had, now or soon. Nil
	// stands for none, as with saved snapshots.
	Can func(goroutine.Source) bool

	span    time.Duration
	started time.Time
	kept    []*goroutine.Snapshot // oldest first
	closer  map[goroutine.Source]*goroutine.Snapshot
	windows []Window // oldest first
	shared  *shared  // by the passes over the newest snapshot
}

const (
	// MaxKept is how many snapshots a [History] keeps at most.
	MaxKept = 36
	// keptWhole is how many of the newest are never thinned out.
	keptWhole = places.Whole
)

// NewHistory returns a history that reaches back far enough for all of ds.
func NewHistory(ds []*Detector) *History {
	h := &History{}
	for _, d := range ds {
		h.span = max(h.span, d.Needs.History)
	}
	return h
}

// Add appends a snapshot. Snapshots must be added in the order of their time;
// one that is not younger than the newest is dropped and false returned.
func (h *History) Add(s *goroutine.Snapshot) bool {
	if n := len(h.kept); n > 0 && !s.Time.After(h.kept[n-1].Time) {
		return false
	}
	if h.started.IsZero() {
		h.started = s.Time
	}
	h.kept = append(h.kept, s)
	h.shared = newShared()
	h.expire(s.Time)
	h.thin()
	return true
}

// AddCloser keeps a closer look, in place of the last one of its source. Of
// a window it also keeps, beside those before it, who was woken.
func (h *History) AddCloser(s *goroutine.Snapshot) {
	if s.Source == goroutine.SourceWindow {
		h.windows = append(slices.Clone(h.windows[max(0, len(h.windows)+1-maxWindows):]), windowOf(s))
	}
	closer := maps.Clone(h.closer) // passes that were handed out keep theirs
	if closer == nil {
		closer = make(map[goroutine.Source]*goroutine.Snapshot)
	}
	closer[s.Source] = s
	h.closer = closer
}

// Started returns the time of the first snapshot ever added.
func (h *History) Started() time.Time { return h.started }

// Pass returns a pass over the newest snapshot for a detector with these
// needs, and false when there is nothing that it could judge. Ask and Report are
// left for the caller to set.
func (h *History) Pass(needs Needs) (*Pass, bool) {
	usable := h.kept
	if needs.IDs {
		usable = places.WithIDs(h.kept)
	}
	n := len(usable)
	if n == 0 || usable[n-1] != h.kept[len(h.kept)-1] {
		return nil, false
	}
	p := &Pass{
		Snapshot: usable[n-1],
		History:  usable[: n-1 : n-1],
		Started:  h.started,
		Closer:   h.closer,
		Windows:  h.windows,
		shared:   h.shared,
	}
	p.Exclude(nil)
	return p, true
}

// expire drops what is older than the span, except for the newest of those:
// it is where the span begins.
func (h *History) expire(now time.Time) {
	begin := 0
	for begin+1 < len(h.kept) && now.Sub(h.kept[begin+1].Time) >= h.span {
		begin++
	}
	if whole := len(h.kept) - keptWhole; begin > whole {
		begin = max(whole, 0)
	}
	h.kept = append(h.kept[:0:0], h.kept[begin:]...)
}

// thin drops the snapshot whose loss leaves the smallest gap in proportion to
// its age, among those that are neither the oldest nor of the newest keptWhole.
func (h *History) thin() {
	for len(h.kept) > MaxKept {
		newest := h.kept[len(h.kept)-1].Time
		victim, least := 1, math.MaxFloat64
		for i := 1; i < len(h.kept)-keptWhole; i++ {
			gap := h.kept[i+1].Time.Sub(h.kept[i-1].Time)
			age := newest.Sub(h.kept[i].Time)
			if blur := float64(gap) / float64(age); blur < least {
				victim, least = i, blur
			}
		}
		h.kept = append(h.kept[:victim], h.kept[victim+1:]...)
	}
}
