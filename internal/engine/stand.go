// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// restShare is the share of the goroutines of a standing finding that may still be
// there when it is over: one in restShare. The last of a crowd may be others that
// came to the place since, or have been forgotten for good; a fault of a tenth of
// its size is found anew if it grows.
const restShare = 10

// A stand follows the goroutines of a finding that stands (Finding.Stands), to
// know when they have left. A finding lists a few of its goroutines, the oldest;
// of the others the snapshots tell how many there are, by epoch of birth.
//
// A listed goroutine has left when several snapshots with IDs in a row show it away
// from its place: a goroutine that is woken by a broadcast or a timer and waits
// again is away in one. Two are enough when it has exited: nothing comes back, but
// one snapshot may be incomplete without saying so. For a lock one that shows it
// elsewhere, or a wakeup in a trace window, is enough, because nothing but the lock
// itself ends such a wait. It has left for good then: one that comes back waits for
// something new, and is found anew if it stands.
//
// The goroutines have left when all that are listed have, and
//
//   - one of these is back at its place: then the place is in use again, and it
//     does not matter how many are there; or
//   - of all that were there when the finding was made, few are left (restShare).
type stand struct {
	spots  []spot
	listed []listed
	limit  uint64 // highest ID at that time
	count  int    // how many were there
	born   births // and when they were born
	others int    // those that the finding did not count
	empty  int    // snapshots in a row without a goroutine there, while none is listed

	followed time.Time // of the last snapshot; trace windows up to then are known
}

// A listed goroutine is one whose ID a finding lists.
type listed struct {
	id   uint64
	at   spot
	away int // snapshots in a row
	left bool
	back bool // at its place again
	here bool // not known to have left, and at its place in the newest snapshot with IDs
}

// newStand returns the goroutines of f, which was found in the snapshot of v.
func newStand(f *detectors.Finding, v *view) *stand {
	st := &stand{spots: spotsOf(f, concerned), limit: v.newest(), followed: v.Time}
	groups := v.at(st.spots)
	for _, g := range groups {
		st.count += g.Count
	}
	st.born = birthsOf(v, groups, st.limit)
	st.others = max(0, st.count-f.Count-inCompany(f))
	for _, id := range idsOf(f, concerned) {
		at := spot{f.Stack.ID, f.State}
		if g := v.groups().byID[id]; g != nil { // a finding may span several stacks
			at = spot{g.Stack.ID, g.State}
		}
		st.listed = append(st.listed, listed{id: id, at: at, here: true})
	}
	return st
}

// follow takes a newer snapshot into account.
func (st *stand) follow(v *view) {
	if len(st.listed) == 0 {
		st.followPlace(v)
		return
	}
	if !v.HasIDs() {
		for i := range st.listed {
			st.listed[i].here = false
		}
		return
	}
	windows := slices.DeleteFunc(slices.Clone(v.windows), func(w detectors.Window) bool { return !w.Time.After(st.followed) })
	for i := range st.listed {
		l := &st.listed[i]
		l.follow(v.find(l.id, l.at), windows)
	}
	st.followed = v.Time
}

// follow notes where a goroutine is in the newest snapshot.
func (l *listed) follow(now presence, windows []detectors.Window) {
	lock := l.at.state.Lock()
	switch now {
	case here:
		l.away = 0
		l.left = l.left || lock && slices.ContainsFunc(windows, l.handed)
	case elsewhere:
		l.away++
		l.left = l.left || lock || l.away >= absences
	case away:
		l.away++
		l.left = l.left || l.away >= absences
	case gone:
		l.away++
		l.left = l.left || l.away >= 2
	}
	l.here, l.back = now == here && !l.left, now == here && l.left
}

// handed reports whether a window shows that a goroutine was handed the lock.
func (l *listed) handed(w detectors.Window) bool {
	for key, fed := range w.Fed {
		if l.at.has(key.Stack, key.State) && slices.Contains(fed, l.id) {
			return true
		}
	}
	return false
}

// followPlace follows a finding that lists no goroutines: only a place at which
// there are none any more tells that they have left.
func (st *stand) followPlace(v *view) {
	n := 0
	for _, s := range st.spots {
		n += v.count([]spot{{stack: s.stack}}) // whatever the state: sources differ
	}
	st.empty++
	if n > 0 || v.Missing > 0 || v.sumsUp() {
		st.empty = 0
	}
}

// unjudged says why a snapshot does not tell whether the goroutines are where they
// were; "" when it does.
func (st *stand) unjudged(v *view) string {
	switch {
	case len(st.listed) == 0 && st.empty == 0 && st.standing(v) == 0:
		return "the finding lists no goroutines to follow"
	case len(st.listed) == 0 || st.stays() || v.HasIDs() && st.left() == len(st.listed):
		return ""
	case !v.HasIDs():
		return "snapshots have no goroutine IDs"
	case v.Missing > 0:
		return fmt.Sprintf("%s could not be described", words.Plural(v.Missing, "goroutine"))
	case slices.ContainsFunc(st.listed, func(l listed) bool { return l.away > 0 }):
		return "" // they may come back: a few more snapshots tell
	}
	return "so many goroutines are at the place that those which were stuck cannot be told from others"
}

// over reports whether the goroutines have left.
func (st *stand) over(v *view) bool {
	if len(st.listed) == 0 {
		return st.empty >= absences
	}
	back := false
	for _, l := range st.listed {
		if !l.left {
			return false
		}
		back = back || l.back
	}
	few := (st.count - st.others) / restShare
	return back || st.remaining(v) <= st.others+few && st.standing(v) <= few
}

// restarted reports whether the snapshot is of another process: its IDs begin
// anew.
func (st *stand) restarted(v *view) bool { return v.HasIDs() && v.newest() < st.limit && !st.stays() }

// left returns how many of the listed goroutines have left.
func (st *stand) left() (n int) {
	for _, l := range st.listed {
		if l.left {
			n++
		}
	}
	return n
}

// stays reports whether one of the goroutines that are listed is known to be where
// it was.
func (st *stand) stays() bool {
	return slices.ContainsFunc(st.listed, func(l listed) bool { return l.here })
}

// remaining returns how many of the goroutines that were there when the finding was
// made may still be: an upper bound, since older ones may have come from elsewhere.
func (st *stand) remaining(v *view) (n int) {
	for _, g := range v.at(st.spots) {
		if len(g.Births) == 0 {
			n += g.Count
		}
		for _, c := range g.Births {
			if c.Epoch < 1 || c.Epoch < len(v.Epochs) && v.Epochs[c.Epoch-1].LastID < st.limit {
				n += c.Count
			}
		}
	}
	return n
}

// standing returns how many of them certainly are: those of the epochs of which all
// are where they were.
func (st *stand) standing(v *view) (n int) {
	var from uint64
	now := birthsOf(v, v.at(st.spots), st.limit)
	for _, e := range v.Epochs {
		if e.LastID > st.limit {
			break
		}
		if is := now.within(from, e.LastID); is.Count > 0 && is == st.born.within(from, e.LastID) {
			n += is.Count
		}
		from = e.LastID
	}
	return n
}

// births are cohorts, by the highest ID of their epoch, rising.
type births []cohort

type cohort struct {
	lastID uint64
	goroutine.Cohort
}

// birthsOf returns the births of groups up to an ID that ended an epoch.
func birthsOf(v *view, groups []*goroutine.Group, limit uint64) births {
	var merged []goroutine.Cohort
	for _, g := range groups {
		for _, c := range g.Births {
			merged = goroutine.AddCohort(merged, c)
		}
	}
	var b births
	for _, c := range merged {
		if c.Epoch >= 0 && c.Epoch < len(v.Epochs) && v.Epochs[c.Epoch].LastID <= limit {
			b = append(b, cohort{v.Epochs[c.Epoch].LastID, c})
		}
	}
	return b
}

// within returns the goroutines of the epochs after one ID and up to another.
func (b births) within(after, last uint64) (sum goroutine.Cohort) {
	for _, c := range b {
		if c.lastID > after && c.lastID <= last {
			sum.Count += c.Count
			sum.Digest += c.Digest
		}
	}
	return sum
}
