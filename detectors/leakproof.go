// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// withProof combines the runtime's proof with the findings that are based on
// growth. It confirms findings, adds goroutines that are proven to be leaked
// although their number does not rise, and asks for a proof when one would help.
//
// A single leaked goroutine and one that waits for its next job look the same,
// however long they are observed. The runtime can tell them apart, unless
// something reachable refers to what the goroutine waits for.
func (c LeakConfig) withProof(p *Pass, all findings) findings {
	proof := p.Inspections[goroutine.SourceProof]
	proven := provenAt(proof)
	for i := range all {
		all[i].confirm(proven[all[i].Stack.ID])
	}
	if slices.ContainsFunc(all, func(f Finding) bool { return f.Confidence < Confirmed }) {
		p.Ask(goroutine.SourceProof)
	}
	if proof != nil {
		all = append(all, provenOnly(p, proof, proven, all)...)
	}
	if (proof == nil || p.Snapshot.Time.Sub(proof.Time) >= c.MinStand) && c.anyStood(p, proven) {
		p.Ask(goroutine.SourceProof)
	}
	return all
}

// provenOnly returns the proven leaks that are not in all. It includes clients
// that wait by design: nothing refers to them any more.
func provenOnly(p *Pass, proof *goroutine.Snapshot, proven map[goroutine.StackID]int, all findings) (more findings) {
	known := func(s *goroutine.Stack) bool { return p.Known(s) && !p.Owned(s) }
	for _, pl := range judged(p.places(), places.ByStack, places.WokenByGoroutines, 1, known) {
		if n := min(proven[pl.Stack.ID], pl.Now()); n > 0 && !all.has(pl) && !keepsRunning(pl.Stack) {
			more = append(more, provenLeak(pl, proof, n))
		}
	}
	return more
}

// provenAt returns how many goroutines a proof has at each stack.
func provenAt(proof *goroutine.Snapshot) map[goroutine.StackID]int {
	if proof == nil {
		return nil
	}
	proven := make(map[goroutine.StackID]int)
	for i := range proof.Groups {
		if g := &proof.Groups[i]; len(g.Stack.Frames) > 0 && g.Stack.ID != goroutine.OtherStacks {
			proven[g.Stack.ID] += g.Count
		}
	}
	return proven
}

// confirm raises a suspected finding to Confirmed if n of its goroutines are
// proven to be leaked.
func (f *Finding) confirm(n int) {
	if n == 0 || f.Confidence >= Confirmed {
		return
	}
	f.Confidence = Confirmed
	f.Evidence = slices.Insert(f.Evidence, 0, fmt.Sprintf("The runtime proved that %d of them can never be woken.", n))
	f.Evidence = f.Evidence[:min(len(f.Evidence), MaxEvidence)]
}

func (fs findings) has(pl *places.Place) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Stack.ID == pl.Stack.ID && f.State == pl.State })
}

// anyStood reports whether a proof is worth its cost: whether a goroutine that
// may be leaked, and is not proven to be, has stayed in place for MinStand.
func (c LeakConfig) anyStood(p *Pass, proven map[goroutine.StackID]int) bool {
	s := p.places()
	old := min(s.At(p.Snapshot.Time.Add(-c.MinStand)), s.Last()-1)
	if old < 0 {
		return false
	}
	for _, pl := range judged(s, places.ByStack, places.WokenByGoroutines, 1, p.Known) {
		if !keepsRunning(pl.Stack) && pl.Now() > proven[pl.Stack.ID] && pl.AnyStoodSince(old) {
			return true
		}
	}
	return false
}

func provenLeak(pl *places.Place, proof *goroutine.Snapshot, n int) Finding {
	f := found(Confirmed, pl, pl.Series.Last())
	f.Stands = true
	f.Count = n
	f.Age = max(0, pl.Series.Newest().Time.Sub(proof.Time)) // the proof may be the younger of the two
	f.Message = fmt.Sprintf("%s at %s %s leaked: nothing in the program can ever wake %s from %s.",
		goroutines(n), where(pl.Stack), verb(n, "is", "are"), verb(n, "it", "them"), pl.State)
	when := "has just proved"
	if f.Age < time.Second {
		f.Age = 0 // the snapshot and the proof were taken together: how long it has been so is not known
	} else {
		when = "proved " + words.Span(f.Age) + " ago"
	}
	f.note("The runtime %s that nothing alive refers to what %s for.", when, verb(n, "it waits", "they wait"))
	f.note("Their number alone does not show a leak.")
	if others := pl.Now() - n; others > 0 {
		f.note("%d more %s here and not counted: nothing was proven about %s.", others, verb(others, "is", "are"), verb(others, "it", "them"))
	}
	f.advise()
	return f
}
