// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/pairing"
)

const (
	// maxSpots is how many places of a finding are compared.
	maxSpots = 2
	// passing is how many of the newest snapshots do not count as arrivals: what is
	// at a place only in these may be about to leave.
	passing = 2
	// leastPast is how many earlier snapshots are needed to compare growths.
	leastPast = 8
)

// A growths compares how the goroutines of findings came. What costs a pass over all
// snapshots is computed once, and only when something is compared.
type growths struct {
	findings []*detectors.Finding
	view     *view // may be nil
	at       map[spot]*pairing.Arrivals
}

// compared returns the places of a finding that are compared.
func compared(f *detectors.Finding) []spot {
	all := spotsOf(f, concerned)
	return all[:min(len(all), maxSpots)]
}

// together reports whether the goroutines of two findings came together: at some
// place of one as at some place of the other.
func (g *growths) together(f, other *detectors.Finding) bool {
	if g.at == nil {
		g.read()
	}
	kin := related(f, other)
	for _, s := range compared(f) {
		for _, t := range compared(other) {
			a, b := g.at[s], g.at[t]
			if a != nil && b != nil && a != b && a.Together(b, kin) {
				return true
			}
		}
	}
	return false
}

// read finds the arrivals at all places of the findings; only the IDs when there are
// too few snapshots.
func (g *growths) read() {
	g.at = make(map[spot]*pairing.Arrivals)
	if g.view == nil {
		return
	}
	byStack := make(map[goroutine.StackID][]spot)
	for _, f := range g.findings {
		for _, s := range compared(f) {
			if g.at[s] == nil {
				g.at[s] = &pairing.Arrivals{IDs: g.view.oldest(s)}
				byStack[s.stack] = append(byStack[s.stack], s)
			}
		}
	}
	if len(g.view.past) >= leastPast {
		for s, a := range g.at {
			a.Births = g.view.births(s)
		}
		g.see(byStack)
	}
}

// births returns the course of the births of the goroutines at a place.
func (v *view) births(at spot) pairing.Course {
	settled := v.past[len(v.past)-passing].Time
	n := 0
	for n < len(v.Epochs) && !v.Epochs[n].End.After(settled) {
		n++
	}
	c := pairing.Course{Came: make([]int, n), Ends: make([]time.Time, n)}
	for k := range n {
		c.Ends[k] = v.Epochs[k].End
	}
	for _, g := range v.at([]spot{at}) {
		for _, b := range g.Births {
			if b.Epoch >= 0 && b.Epoch < n {
				c.Came[b.Epoch] += b.Count
			}
		}
	}
	return c
}

// oldest returns the lowest IDs at a place.
func (v *view) oldest(at spot) (ids []uint64) {
	for _, g := range v.at([]spot{at}) {
		ids = goroutine.LowestIDs(ids, g.IDs...)
	}
	return ids
}

// see counts the goroutines at all places, in all snapshots.
func (g *growths) see(byStack map[goroutine.StackID][]spot) {
	snapshots := append(slices.Clip(g.view.past), g.view.Snapshot)
	ends := make([]time.Time, len(snapshots))
	for k, s := range snapshots {
		ends[k] = s.Time
	}
	for _, a := range g.at {
		a.Sights = pairing.Course{Came: make([]int, len(ends)), Ends: ends}
	}
	for k, s := range snapshots {
		for i := range s.Groups {
			stack, state := s.Groups[i].Stack.ID, s.Groups[i].State
			for _, at := range byStack[stack] {
				if at.has(stack, state) {
					g.at[at].Sights.Came[k] += s.Groups[i].Count
				}
			}
		}
	}
	for _, a := range g.at {
		a.Sights = a.Sights.Settled(passing)
	}
}
