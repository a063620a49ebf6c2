// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A group is all goroutines with one key, tracked across snapshots.
type group struct {
	serial int // identifies the group on the page
	key    goroutine.GroupKey
	stack  *goroutine.Stack

	sample
	before  sample    // of the previous snapshot
	oldest  time.Time // born at or before; zero when unknown
	aged    bool      // its age was known at the last change
	recent  sample    // sums of births and exits over recentLength; its count is unused
	created uint64    // seq of its first snapshot, or of its return: pages need its stack from then on
	changed uint64    // seq of the last snapshot at which a number changed
	seen    uint64    // number of the last snapshot in which it had goroutines

	series *ring[sample] // nil if it is not one of the largest groups
}

// A sample is what one snapshot says about a group.
type sample struct {
	count int32
	born  int32 // created since the previous snapshot
	left  int32 // in the previous snapshot, but since exited or moved on
}

// count updates the groups with a snapshot.
func (r *Recorder) count(s *goroutine.Snapshot) {
	for _, g := range r.groups {
		g.before, g.sample = g.sample, sample{}
	}
	ids := s.HasIDs() && r.newborn > 0
	r.addUp(s, ids)
	if r.taken > 1 {
		for _, g := range r.groups {
			g.settle(ids)
		}
	}
	if s.HasIDs() {
		r.newborn = s.Epochs[len(s.Epochs)-1].LastID
	}
	r.follow()
	for _, g := range r.groups {
		g.record(r.seq, s.Time)
	}
	r.clear()
}

// addUp adds the groups of s to those of the recorder.
func (r *Recorder) addUp(s *goroutine.Snapshot, ids bool) {
	for i := range s.Groups {
		from := &s.Groups[i]
		g := r.group(from)
		if g == nil {
			continue
		}
		if g.seen != r.taken {
			g.seen, g.oldest = r.taken, time.Time{}
			if g.before.count == 0 {
				g.created = r.seq
			}
		}
		g.count += clamp(from.Count)
		if ids {
			old, _ := s.BornBy(from, r.newborn)
			g.born += clamp(from.Count - old)
		}
		if born, ok := s.Oldest(from); ok && (g.oldest.IsZero() || born.Before(g.oldest)) {
			g.oldest = born
		}
	}
}

// group returns the group that from belongs to, or nil if there is no room for
// it.
func (r *Recorder) group(from *goroutine.Group) *group {
	key := from.Key()
	g := r.groups[key]
	if g == nil && len(r.groups) < maxGroups {
		r.serial++
		g = &group{serial: r.serial, key: key, stack: from.Stack}
		r.groups[key] = g
	}
	return g
}

// settle counts the goroutines that left. Without IDs, only the difference in
// the count is known.
func (g *group) settle(ids bool) {
	if !ids {
		g.born = max(0, g.count-g.before.count)
	}
	g.left = max(0, g.before.count-(g.count-g.born))
}

// follow starts to keep the counts of the largest groups. If there is no room,
// they replace smaller groups.
func (r *Recorder) follow() {
	largest := slices.SortedFunc(maps.Values(r.groups), func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.serial, b.serial))
	})
	smallest := len(largest) - 1
	for i, g := range largest[:min(len(largest), topSeries)] {
		if g.series != nil || g.count == 0 {
			continue
		}
		for r.series >= maxSeries && smallest > i {
			r.drop(largest[smallest])
			smallest--
		}
		g.series = newRing[sample](seriesLength)
		r.series++
	}
}

func (r *Recorder) drop(g *group) {
	if g.series != nil {
		g.series = nil
		r.series--
	}
}

// record completes a snapshot for a group. It stores the sample if the group
// keeps samples, and marks what has changed.
func (g *group) record(seq uint64, now time.Time) {
	recent := sample{born: g.born, left: g.left}
	if g.series != nil {
		g.series.push(g.sample)
		recent = sample{}
		for _, s := range g.series.newest(recentLength) {
			recent.born += s.born
			recent.left += s.left
		}
	}
	aged := !g.oldest.IsZero() && g.oldest.Before(now) // an age of 0 is shown as unknown
	if g.sample != g.before || recent != g.recent || g.created == seq || aged != g.aged {
		g.changed, g.aged = seq, aged
	}
	g.recent = recent
}

// clear drops groups that have had no goroutines for a while. It drops them
// immediately if there is little room left.
func (r *Recorder) clear() {
	crowded := len(r.groups) > maxGroups/2
	for key, g := range r.groups {
		if g.count > 0 || !crowded && r.taken-g.seen < lingering {
			continue
		}
		r.drop(g)
		delete(r.groups, key)
		r.gone.add(g.serial, r.seq)
	}
}

func clamp(n int) int32 { return int32(min(max(n, 0), 1<<30)) }

// departures remembers which groups were dropped, so that pages can drop them.
type departures struct {
	list  []departure // sorted by seq
	floor uint64      // changes before this seq are unknown
}

type departure struct {
	serial int
	seq    uint64
}

func (d *departures) add(serial int, seq uint64) {
	d.list = append(d.list, departure{serial, seq})
	if len(d.list) > maxGroups {
		half := len(d.list) / 2
		d.floor = d.list[half-1].seq
		d.list = append(d.list[:0:0], d.list[half:]...)
	}
}

// since returns the groups that were dropped after seq. ok is false if that is
// too long ago to be known.
func (d *departures) since(seq uint64) (serials []int, ok bool) {
	if seq < d.floor {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(d.list, seq+1, func(d departure, seq uint64) int { return cmp.Compare(d.seq, seq) })
	for _, d := range d.list[i:] {
		serials = append(serials, d.serial)
	}
	return serials, true
}
