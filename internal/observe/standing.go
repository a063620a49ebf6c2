// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// Goroutines that leaked before the watch began, and whose number does not grow, are
// no finding of any detector: they cannot be told from goroutines that wait for work.
// Work is received, though. Many goroutines that have been sending to a channel since
// before the watch began are therefore shown as a candidate.
const (
	// leastStanding is how many goroutines at one place are shown.
	leastStanding = 100
	// standsAfter is how long none of them may have moved on.
	standsAfter = 10 * time.Minute
	// maxStanding is how many places are shown.
	maxStanding = 3
	// standingDetector is the detector whose candidates they are.
	standingDetector = "leak"
)

// standing follows the goroutines that were there at the first snapshot of a process.
type standing struct {
	since time.Time
	first map[goroutine.GroupKey]crowdOf
}

// A crowdOf is how many goroutines were at a place, and the sum of their digests,
// which tells whether they are the same.
type crowdOf struct {
	count  int
	digest uint64
}

// candidates returns the places at which all goroutines of the first snapshot still are.
func (st *standing) candidates(s *goroutine.Snapshot, known func(*goroutine.Stack) bool) (all []detectors.Candidate) {
	if !s.HasIDs() {
		return nil
	}
	begins := st.first == nil
	if begins {
		st.since, st.first = s.Time, make(map[goroutine.GroupKey]crowdOf)
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		if g.State != goroutine.ChanSend || g.Count < leastStanding {
			continue
		}
		var now crowdOf
		now.count, now.digest = s.BornBy(g, s.Epochs[0].LastID)
		if begins {
			st.first[g.Key()] = now
		}
		age := s.Time.Sub(st.since)
		if now.count < leastStanding || now != st.first[g.Key()] || age < standsAfter || known(g.Stack) {
			continue
		}
		all = append(all, detectors.Candidate{
			Stack: g.Stack, State: g.State, Count: now.count, Age: age,
			Missing: "they have been there since before the watch began, and their number does not grow",
		})
	}
	slices.SortStableFunc(all, func(a, b detectors.Candidate) int { return cmp.Compare(b.Count, a.Count) })
	return all[:min(len(all), maxStanding)]
}

// withStanding returns statuses with the candidates of s, except those that are
// candidates or findings already.
func (t *Target) withStanding(s *goroutine.Snapshot, statuses []detectors.Status, open []detectors.Finding) []detectors.Status {
	i := slices.IndexFunc(statuses, func(d detectors.Status) bool { return d.Detector == standingDetector })
	if i < 0 {
		return statuses
	}
	statuses = slices.Clone(statuses)
	all := slices.Clone(statuses[i].Candidates)
	for _, c := range t.standing.candidates(s, t.knownStack) {
		told := slices.ContainsFunc(open, func(f detectors.Finding) bool { return f.Stack.ID == c.Stack.ID }) ||
			slices.ContainsFunc(all, func(other detectors.Candidate) bool { return other.Stack.ID == c.Stack.ID })
		if !told {
			all = append(all, c)
		}
	}
	statuses[i].Candidates = all
	return statuses
}

// knownStack reports whether a stack waits by design.
func (t *Target) knownStack(stack *goroutine.Stack) bool {
	p := detectors.NewPass([]*goroutine.Snapshot{{}})
	p.Exclude(slices.Concat(t.known, detectors.KnownGood()))
	return p.Known(stack)
}
