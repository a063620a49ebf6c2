// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package diagnosis says what one goroutine dump says by itself, as an expert would who
// has it before them and no other: why the process ended, which goroutine most likely
// holds a lock that others wait for and what that one waits for, which goroutines have
// waited far longer than others at the same place, and which ones the runtime has proved
// to be leaked.
//
// The detectors of package detectors judge a process over time, with its code at hand. A
// dump has neither. What the runtime itself says in it is certain. Holders of locks are
// not in a dump: they follow from the lines and the addresses on the stacks, so that a
// finding about them is at most [detectors.Suspected].
//
// docs/diagnosis.md has the rules, and what they say about dumps of real faults.
package diagnosis

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/words"
)

// The names in the Detector field of findings.
const (
	nameCrash = "crash"
	nameLock  = "deadlock" // the same as of the detector that judges locks over time
	nameWait  = "long_wait"
	nameLeak  = "leak"
)

// maxFindings is how many findings of one kind there are at most; the most severe are
// kept.
const maxFindings = 16

// Of returns what the dump says: the end of the process first, then faults by confidence
// and by the number of goroutines. details is nil for a snapshot that is no dump. earlier
// is a dump of the same process before, or nil: what stands at the same place in both has
// waited for at least that long. known
// reports whether a stack waits by design or was excluded; it may be nil.
func Of(s *goroutine.Snapshot, details *parse.Details, earlier *Earlier, known func(*goroutine.Stack) bool) []detectors.Finding {
	if known == nil {
		known = func(*goroutine.Stack) bool { return false }
	}
	d := &dump{Snapshot: s, known: known, stood: make(map[goroutine.GroupKey]time.Duration)}
	faults := d.leaks(details)
	if details == nil {
		return sorted(faults)
	}
	d.Details = *details
	d.stand(earlier)
	locks := d.locks()
	faults = append(faults, locks...)
	faults = append(faults, d.waits(locks)...)
	demoteOutside(faults)
	return append(d.crash(), sorted(faults)...)
}

// demoteOutside makes information of waits for answers from outside the process while
// something in the process stands still for as long: a process that calls itself waits for
// that.
func demoteOutside(faults []detectors.Finding) {
	outside := func(f *detectors.Finding) bool {
		return f.Detector == nameWait && detectors.Explain(f.Stack, f.State).Outside
	}
	for i := range faults {
		f := &faults[i]
		if outside(f) && slices.ContainsFunc(faults, func(other detectors.Finding) bool {
			return !outside(&other) && (other.Confidence >= detectors.Medium || other.Count >= leastStuck && other.Age+time.Minute >= f.Age)
		}) {
			f.Confidence = detectors.Info
			note(f, "If the answer is to come from this process, what else stands still here explains it.")
		}
	}
}

// sorted sorts findings, those with the highest confidence first.
func sorted(all []detectors.Finding) []detectors.Finding {
	slices.SortStableFunc(all, func(a, b detectors.Finding) int {
		return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(b.Age, a.Age), cmp.Compare(b.Count, a.Count))
	})
	return all
}

// A dump is a snapshot with its details.
type dump struct {
	*goroutine.Snapshot
	parse.Details
	known func(*goroutine.Stack) bool
	stood map[goroutine.GroupKey]time.Duration // places whose waits are those since an earlier dump
}

// weaker are the detectors whose findings tell less than a diagnosis about the same
// goroutines.
var weaker = []string{"deadlock", "contention", "pileup", "hang", "stall", "surge"}

// Join returns the findings of a diagnosis, followed by those of detectors that it does
// not explain.
func Join(diagnosis, detected []detectors.Finding) []detectors.Finding {
	all := slices.Clip(diagnosis)
	for _, f := range detected {
		explained := slices.Contains(weaker, f.Detector) && slices.ContainsFunc(diagnosis, func(own detectors.Finding) bool {
			return own.Confidence >= detectors.Medium && own.Confidence >= f.Confidence && about(&own, &f)
		})
		if !explained {
			all = append(all, f)
		}
	}
	return all
}

// about reports whether two findings are about the same goroutines.
func about(own, f *detectors.Finding) bool {
	same := func(s *goroutine.Stack, state goroutine.State, ids []uint64) bool {
		if s != nil && f.Stack != nil && s.ID == f.Stack.ID && state == f.State {
			return true
		}
		return slices.ContainsFunc(ids, func(id uint64) bool { return slices.Contains(f.IDs, id) })
	}
	if same(own.Stack, own.State, own.IDs) {
		return true
	}
	return slices.ContainsFunc(own.Participants, func(p detectors.Participant) bool { return same(p.Stack, p.State, p.IDs) })
}

// of returns the detail of a goroutine, or nil.
func (d *dump) of(id uint64) *parse.Detail {
	for i := range d.Goroutines {
		if d.Goroutines[i].ID == id {
			return &d.Goroutines[i]
		}
	}
	return nil
}

// note adds a sentence of evidence while there is room.
func note(f *detectors.Finding, format string, args ...any) {
	if len(f.Evidence) < detectors.MaxEvidence {
		f.Evidence = append(f.Evidence, fmt.Sprintf(format, args...))
	}
}

// noteStood says that a wait is that since an earlier dump.
func (d *dump) noteStood(f *detectors.Finding, key goroutine.GroupKey) {
	if ago := d.stood[key]; ago > 0 {
		note(f, "In the dump of %s before, the same goroutines were at this place.", words.Span(ago))
	}
}

// frameAt formats a place in the code.
func frameAt(f goroutine.Frame) string {
	switch {
	case f.Function == "":
		return "an unknown place"
	case f.File == "":
		return f.Function
	}
	return fmt.Sprintf("%s (%s:%d)", f.Function, path.Base(f.File), f.Line)
}

func where(s *goroutine.Stack) string {
	if s == nil {
		return frameAt(goroutine.Frame{})
	}
	return frameAt(s.User())
}

// waited returns how long a goroutine has waited, as a clause that may be empty.
func waited(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return " for " + words.Span(d)
}

func goroutines(n int) string { return words.Plural(n, "goroutine") }

func method(function string) bool { return strings.Contains(function, ".(*") }

// shortList formats some IDs.
func shortList(ids []uint64) string {
	var list []string
	for _, id := range ids[:min(len(ids), 4)] {
		list = append(list, fmt.Sprint(id))
	}
	if more := len(ids) - len(list); more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	return strings.Join(list, ", ")
}
