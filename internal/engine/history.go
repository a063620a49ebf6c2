// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxKept is how many snapshots a history keeps at most while nothing is
	// suspected.
	maxKept = 36
	// maxWhole is how many of the newest snapshots are kept at full density, one
	// after the other, while a detector suspects something: as many as a lock with
	// a single waiter needs, 21, and a few more. They come on top of maxKept, so
	// that those of a suspicion push no older ones out.
	maxWhole = 24
	// maxWindows is how many trace windows a history remembers: a few more
	// than a detector waits for.
	maxWindows = 20
	// maxPlaces bounds the places that are remembered of a window, the busiest
	// first, for each kind of waker. Together with maxWindows it is a megabyte at most.
	maxPlaces = 128
)

// A history is a bounded series of snapshots for the detectors.
//
// It keeps at most maxKept snapshots: the newest detectors.NewestKept at full
// density, and older ones thinned so that the gaps between them grow in
// proportion to their age. While a detector suspects something, it keeps up to
// maxWhole-NewestKept more, which are the newest. Detectors that need a minute and detectors that need
// a day thus share one history, and each finds snapshots at its own scale.
// Memory follows the number of distinct stacks, not of goroutines.
type history struct {
	span        time.Duration
	started     time.Time
	whole       int                   // how many of the newest are kept at full density
	kept        []*goroutine.Snapshot // oldest first
	inspections map[goroutine.Source]*goroutine.Snapshot
	windows     []detectors.Window // oldest first
}

// newHistory returns a history that reaches back far enough for all of ds.
func newHistory(ds []*detectors.Detector) *history {
	h := &history{whole: detectors.NewestKept}
	for _, d := range ds {
		h.span = max(h.span, d.Needs.History)
	}
	return h
}

// add appends a snapshot. It returns false and drops a snapshot that is not
// newer than the newest.
func (h *history) add(s *goroutine.Snapshot) bool {
	if n := len(h.kept); n > 0 && !s.Time.After(h.kept[n-1].Time) {
		return false
	}
	if h.started.IsZero() {
		h.started = s.Time
	}
	h.kept = append(h.kept, s)
	h.expire(s.Time)
	h.kept = goroutine.Thin(h.kept, maxKept-detectors.NewestKept+h.whole, h.whole, func(s *goroutine.Snapshot) time.Time { return s.Time })
	return true
}

// attend says whether a detector suspected something in the newest snapshot. For
// each one in which it did, one more is kept at full density, up to maxWhole; and
// one less for each in which it did not, since suspicions come and go.
func (h *history) attend(suspected bool) {
	if suspected {
		h.whole = min(h.whole+1, maxWhole)
	} else {
		h.whole = max(h.whole-1, detectors.NewestKept)
	}
}

// newest returns the time of the newest snapshot. There must be one.
func (h *history) newest() time.Time { return h.kept[len(h.kept)-1].Time }

// inspected stores a closer inspection in place of the last one of its source.
// It also records which goroutines a trace window shows as woken, in addition to
// earlier windows.
func (h *history) inspected(s *goroutine.Snapshot) {
	if s.Source == goroutine.SourceWindow {
		h.windows = append(slices.Clone(h.windows[max(0, len(h.windows)+1-maxWindows):]), windowOf(s))
	}
	inspections := maps.Clone(h.inspections) // passes that were handed out keep theirs
	if inspections == nil {
		inspections = make(map[goroutine.Source]*goroutine.Snapshot)
	}
	inspections[s.Source] = s
	h.inspections = inspections
}

func windowOf(s *goroutine.Snapshot) detectors.Window {
	w := detectors.Window{Time: s.Time, Fed: make(map[goroutine.GroupKey][]uint64), Timed: make(map[goroutine.GroupKey][]uint64)}
	for i := range s.Movements {
		m := &s.Movements[i]
		keepWoken(w.Fed, m.Key(), m.Fed)
		keepWoken(w.Timed, m.Key(), m.Timed)
	}
	return w
}

// keepWoken adds goroutines that were woken at a place, unless there are too many
// places.
func keepWoken(woken map[goroutine.GroupKey][]uint64, at goroutine.GroupKey, ids []uint64) {
	if len(ids) == 0 {
		return
	}
	if known, ok := woken[at]; ok || len(woken) < maxPlaces {
		woken[at] = goroutine.SampleIDs(known, ids...)
	}
}

// pass returns the pass over the newest snapshot that all detectors share, or
// nil before the first snapshot.
func (h *history) pass() *detectors.Pass {
	if len(h.kept) == 0 {
		return nil
	}
	p := detectors.NewPass(h.kept)
	p.Started = h.started
	h.refresh(p)
	return p
}

// view returns the view of the newest snapshot. There must be one.
func (h *history) view() *view {
	last := len(h.kept) - 1
	return &view{Snapshot: h.kept[last], past: h.kept[:last], windows: h.windows}
}

// refresh gives a pass the inspections that were taken since it was made.
func (h *history) refresh(p *detectors.Pass) {
	p.Inspections, p.Windows = h.inspections, h.windows
}

// expire drops snapshots older than the span, except the newest of them, with
// which the span begins.
func (h *history) expire(now time.Time) {
	begin := 0
	for begin+1 < len(h.kept) && now.Sub(h.kept[begin+1].Time) >= h.span {
		begin++
	}
	if whole := len(h.kept) - h.whole; begin > whole {
		begin = max(whole, 0)
	}
	h.kept = slices.Clone(h.kept[begin:])
}
