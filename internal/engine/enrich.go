// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// maxAdded is how many of a detector's sentences may be replaced by details from a
// dump.
const maxAdded = 4

// An enrichment is what a goroutine dump adds to a finding.
type enrichment struct {
	at        time.Time // of the snapshot that the dump was taken with
	createdBy goroutine.Frame
	evidence  []string // that is true whenever it is told
	measured  []string // that was true at the time of the dump

	participants map[goroutine.GroupKey]goroutine.Frame // who created them
}

// enrich adds details that only a goroutine dump has to findings that may be
// faults: the go statement that created the goroutines and, for locks, the
// longest wait that the runtime has measured. One dump serves all findings of
// a snapshot, and its details are kept while the finding lasts; later they say when
// they were measured. Without a dump, findings are unchanged. The details never
// change confidence or identity.
func (e *Engine) enrich(c *closer, findings []detectors.Finding) {
	kept := make(map[detectors.Identity]enrichment)
	var fresh []*detectors.Finding
	for i := range findings {
		f := &findings[i]
		if !worthADump(f) {
			continue
		}
		if told, ok := e.dumped[f.Identity()]; ok {
			kept[f.Identity()] = told
		} else {
			fresh = append(fresh, f)
		}
	}
	if len(fresh) > 0 {
		if dump := c.dump(); dump != nil {
			for _, f := range fresh {
				told := enrichmentOf(dump, f)
				told.at = c.Time
				kept[f.Identity()] = told
			}
		}
	}
	e.dumped = kept
	for i := range findings {
		kept[findings[i].Identity()].addTo(&findings[i], c.Time)
	}
}

// worthADump reports whether a dump may add details to f. A finding about the
// process as a whole has no goroutines of its own.
func worthADump(f *detectors.Finding) bool {
	if f.Confidence < detectors.Medium || f.Stack.ID == goroutine.OtherStacks {
		return false
	}
	return f.CreatedBy.Function == "" || f.State.Lock()
}

// enrichmentOf returns the details that a dump has about the goroutines of a
// finding.
func enrichmentOf(dump *goroutine.Snapshot, f *detectors.Finding) enrichment {
	var e enrichment
	here := groupsAt(dump, f)
	if f.CreatedBy.Function == "" {
		e.created(creators(dump, f.IDs, here), f.Count)
	}
	e.participants = make(map[goroutine.GroupKey]goroutine.Frame)
	for i := range f.Participants {
		if p := &f.Participants[i]; p.Stack != nil {
			e.participants[placeOf(p)] = most(creators(dump, p.IDs, nil))
		}
	}
	if !f.State.Lock() {
		return e
	}
	var longest time.Duration
	for _, g := range here {
		longest = max(longest, g.Wait)
	}
	if longest > 0 {
		e.measured = append(e.measured, fmt.Sprintf("By the runtime's own clock, the longest wait is %s.", words.Span(longest)))
	}
	return e
}

// groupsAt returns the groups of a dump where the goroutines of f wait.
func groupsAt(dump *goroutine.Snapshot, f *detectors.Finding) (groups []*goroutine.Group) {
	for i := range dump.Groups {
		if g := &dump.Groups[i]; g.Stack.ID == f.Stack.ID && (f.State == "" || g.State == f.State) {
			groups = append(groups, g)
		}
	}
	return groups
}

// placeOf returns where the goroutines of a participant are.
func placeOf(p *detectors.Participant) goroutine.GroupKey {
	g := goroutine.Group{Stack: p.Stack, State: p.State}
	return g.Key()
}

// creators returns how many goroutines each go statement created. If the dump has
// these IDs, which a finding lists, only these goroutines are counted: the finding
// may span several stacks, and other goroutines may share its stack. Otherwise all
// goroutines in here are counted. The go statement of a goroutine does not
// change when it moves.
func creators(dump *goroutine.Snapshot, ids []uint64, here []*goroutine.Group) map[goroutine.Frame]int {
	made := make(map[goroutine.Frame]int)
	for i := range dump.Groups {
		if g := &dump.Groups[i]; g.CreatedBy.Function != "" {
			if n := common(g.IDs, ids); n > 0 {
				made[g.CreatedBy] += n
			}
		}
	}
	if len(made) > 0 {
		return made
	}
	for _, g := range here {
		if g.CreatedBy.Function != "" {
			made[g.CreatedBy] += g.Count
		}
	}
	return made
}

// common returns how many elements two rising lists share.
func common(a, b []uint64) (n int) {
	for _, id := range a {
		if _, ok := slices.BinarySearch(b, id); ok {
			n++
		}
	}
	return n
}

// most returns the go statement that created the most goroutines, or the zero
// frame.
func most(made map[goroutine.Frame]int) (site goroutine.Frame) {
	for s, n := range made {
		if best := made[site]; n > best || n == best && s.String() < site.String() {
			site = s
		}
	}
	return site
}

// created takes the go statement that created the most goroutines, and adds a
// sentence that says where it is.
func (e *enrichment) created(made map[goroutine.Frame]int, count int) {
	if len(made) == 0 {
		return
	}
	e.createdBy = most(made)
	subject := "They were"
	if count == 1 {
		subject = "It was"
	}
	by := place(e.createdBy)
	switch others := len(made) - 1; {
	case others == 1:
		by += " and at one other place"
	case others > 1:
		by += fmt.Sprintf(" and at %d other places", others)
	}
	e.evidence = append(e.evidence, fmt.Sprintf("%s created by %s.", subject, by))
}

// place names a line of code.
func place(f goroutine.Frame) string {
	if f.File == "" {
		return f.Function
	}
	return fmt.Sprintf("%s (%s:%d)", f.Function, path.Base(f.File), f.Line)
}

// addTo adds the details to f. If there is no room, they replace up to maxAdded
// of the detector's last sentences.
func (e enrichment) addTo(f *detectors.Finding, now time.Time) {
	if f.CreatedBy.Function == "" {
		f.CreatedBy = e.createdBy
	}
	f.Participants = slices.Clone(f.Participants)
	for i := range f.Participants {
		if p := &f.Participants[i]; p.CreatedBy.Function == "" && p.Stack != nil {
			p.CreatedBy = e.participants[placeOf(p)]
		}
	}
	said, added := f.Evidence, e.sentences(now)
	added = added[:min(len(added), max(maxAdded, detectors.MaxEvidence-len(said)))]
	said = said[:min(len(said), detectors.MaxEvidence-len(added))]
	f.Evidence = slices.Concat(said, added)
}

// sentences returns the details. Those that may have changed since say how old they
// are.
func (e enrichment) sentences(now time.Time) []string {
	all := slices.Clone(e.evidence)
	for _, s := range e.measured {
		if ago := now.Sub(e.at); ago > 0 {
			s = fmt.Sprintf("In a goroutine dump %s ago: %s", words.Span(ago), s)
		}
		all = append(all, s)
	}
	return all
}
