package engine

import (
	"math"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const (
	// byChance is the highest probability with which two unrelated growths are taken
	// for one, for each comparison.
	byChance = 1e-4
	// byChanceRelated is the same for growths of which the code shows that they have
	// to do with each other: the numbers must only not contradict it.
	byChanceRelated = 1e-2

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
	at       map[spot]*arrivals
}

// Arrivals are how the goroutines of a place came: by the time when they were born,
// and by that when they were first at the place. The latter is better for
// goroutines that did other things before, such as those of connections.
type arrivals struct {
	births, sights course
	ids            []uint64
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
			if a != nil && b != nil && a != b && a.together(b, kin) {
				return true
			}
		}
	}
	return false
}

// together reports whether the goroutines of two places came together. kin says
// that the code shows that they have to do with each other.
func (a *arrivals) together(b *arrivals, kin bool) bool {
	births, sights := a.births.apart(b.births), a.sights.apart(b.sights)
	if kin && min(births, sights) <= math.Log(byChanceRelated) {
		return true
	}
	births *= (a.births.evenness() + b.births.evenness()) / 2
	sights *= (a.sights.evenness() + b.sights.evenness()) / 2
	return min(births, sights, inStep(a.ids, b.ids), inStep(b.ids, a.ids)) <= math.Log(byChance)
}

// read finds the arrivals at all places of the findings; only the IDs when there are
// too few snapshots.
func (g *growths) read() {
	g.at = make(map[spot]*arrivals)
	if g.view == nil {
		return
	}
	byStack := make(map[goroutine.StackID][]spot)
	for _, f := range g.findings {
		for _, s := range compared(f) {
			if g.at[s] == nil {
				g.at[s] = &arrivals{ids: g.view.oldest(s)}
				byStack[s.stack] = append(byStack[s.stack], s)
			}
		}
	}
	if len(g.view.past) >= leastPast {
		for s, a := range g.at {
			a.births = g.view.births(s)
		}
		g.see(byStack)
	}
}

// births returns the course of the births of the goroutines at a place.
func (v *view) births(at spot) course {
	settled := v.past[len(v.past)-passing].Time
	n := 0
	for n < len(v.Epochs) && !v.Epochs[n].End.After(settled) {
		n++
	}
	c := course{came: make([]int, n), ends: make([]time.Time, n)}
	for k := range n {
		c.ends[k] = v.Epochs[k].End
	}
	for _, g := range v.at([]spot{at}) {
		for _, b := range g.Births {
			if b.Epoch >= 0 && b.Epoch < n {
				c.came[b.Epoch] += b.Count
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
		a.sights = course{make([]int, len(ends)), ends}
	}
	for k, s := range snapshots {
		for i := range s.Groups {
			stack, state := s.Groups[i].Stack.ID, s.Groups[i].State
			for _, at := range byStack[stack] {
				if at.has(stack, state) {
					g.at[at].sights.came[k] += s.Groups[i].Count
				}
			}
		}
	}
	for _, a := range g.at {
		a.sights = a.sights.settled()
	}
}

// settled turns a course of the numbers that were at a place into one of those that
// came and have stayed: as far as no later snapshot has fewer.
func (c course) settled() course {
	for k := len(c.came) - 2; k >= 0; k-- {
		c.came[k] = min(c.came[k], c.came[k+1])
	}
	for k := len(c.came) - 1; k > 0; k-- {
		c.came[k] -= c.came[k-1]
	}
	n := max(0, len(c.came)-passing)
	return course{c.came[:n], c.ends[:n]}
}
