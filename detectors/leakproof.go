package detectors

import (
	"fmt"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// withProof joins what the runtime can prove to what was found by growth. It
// confirms findings, adds goroutines that are proven to be leaked although
// their number does not rise, and asks for a proof where one would tell more.
//
// A goroutine that is leaked once and one that waits for its next job look the
// same, however long one watches. The runtime can tell them apart, unless
// something that lives refers to what the goroutine waits for.
func (c LeakConfig) withProof(p *Pass, found findings) findings {
	proof := p.Inspections[goroutine.SourceProof]
	proven := provenAt(proof)
	for i := range found {
		found[i].confirm(proven[found[i].Stack.ID])
	}
	if slices.ContainsFunc(found, func(f Finding) bool { return f.Confidence < Confirmed }) {
		p.Ask(goroutine.SourceProof)
	}
	if proof != nil {
		found = append(found, provenOnly(p, proof, proven, found)...)
	}
	if (proof == nil || p.Snapshot.Time.Sub(proof.Time) >= c.MinStand) && c.anyStood(p, proven) {
		p.Ask(goroutine.SourceProof)
	}
	return found
}

// provenOnly returns the proven leaks that are not among those found.
// That a client waits by design is no excuse when nothing refers to it any more.
func provenOnly(p *Pass, proof *goroutine.Snapshot, proven map[goroutine.StackID]int, found findings) (more findings) {
	known := func(s *goroutine.Stack) bool { return p.Known(s) && !p.Owned(s) }
	find := placeFinder{known: known, state: leakable, least: 1}
	for _, pl := range find.find([]*goroutine.Snapshot{p.Snapshot}) {
		if n := min(proven[pl.key.Stack], pl.count(0)); n > 0 && !found.has(pl) && !keepsRunning(pl.stack) {
			more = append(more, provenLeak(p, pl, proof, n))
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

// confirm takes the proof for n goroutines of a suspected finding.
func (f *Finding) confirm(n int) {
	if n == 0 || f.Confidence >= Confirmed {
		return
	}
	f.Confidence = Confirmed
	f.Evidence = slices.Insert(f.Evidence, 0, fmt.Sprintf("The runtime proved that %d of them can never be woken.", n))
	f.Evidence = f.Evidence[:min(len(f.Evidence), MaxEvidence)]
}

func (fs findings) has(pl *place) bool {
	return slices.ContainsFunc(fs, func(f Finding) bool { return f.Stack.ID == pl.key.Stack && f.State == pl.key.State })
}

// keepsRunning reports whether a stack is that of the main goroutine. It waits
// for what never comes, to keep the program running: on purpose.
func keepsRunning(s *goroutine.Stack) bool { return s.Entry().Function == "main.main" }

// anyStood reports whether somebody who has not been proven to be leaked has
// stood where a goroutine can be leaked for MinStand: then a proof is worth its
// cost.
func (c LeakConfig) anyStood(p *Pass, proven map[goroutine.StackID]int) bool {
	old := newestBefore(p.History, p.Snapshot.Time.Add(-c.MinStand))
	if old < 0 {
		return false
	}
	looks := []*goroutine.Snapshot{p.History[old], p.Snapshot}
	find := placeFinder{known: p.Known, state: leakable, least: 1}
	var births ledger
	for _, pl := range find.find(looks) {
		if keepsRunning(pl.stack) || pl.count(1) <= proven[pl.key.Stack] {
			continue
		}
		births.fill(pl, looks)
		for _, k := range births.seen {
			if was := births.look(0)[k]; was.count > 0 && was == births.look(1)[k] {
				return true
			}
		}
	}
	return false
}

func provenLeak(p *Pass, pl *place, proof *goroutine.Snapshot, n int) Finding {
	ids, _ := pl.ids(0)
	f := Finding{
		Confidence: Confirmed,
		Stack:      pl.stack,
		State:      pl.key.State,
		Count:      n,
		Age:        p.Snapshot.Time.Sub(proof.Time),
		IDs:        ids,
		CreatedBy:  pl.createdBy(),
		Message: fmt.Sprintf("%s at %s %s leaked: nothing in the program can ever wake %s from %s.",
			goroutines(n), where(pl.stack), verb(n, "is", "are"), verb(n, "it", "them"), pl.key.State),
	}
	f.note(fmt.Sprintf("The runtime proved %s ago that nothing alive refers to what %s for.", span(f.Age), verb(n, "it waits", "they wait")))
	f.note("Their number does not rise as that of a growing leak does.")
	if others := pl.count(0) - n; others > 0 {
		f.note(fmt.Sprintf("%s more %s here and not counted: nothing was proven about %s.", goroutines(others), verb(others, "is", "are"), verb(others, "it", "them")))
	}
	f.advise(whoWakes(f.State))
	return f
}
