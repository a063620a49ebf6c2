// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// findings collects what a detector found at single places.
type findings []Finding

// found returns a finding about the goroutines at a place whose condition has
// held since a snapshot.
func found(c Confidence, pl *places.Place, since int) Finding {
	ids, _ := pl.IDs(pl.Series.Last())
	f := Finding{
		Confidence: c,
		Stack:      pl.Stack,
		State:      pl.State,
		Count:      pl.Now(),
		Age:        pl.Series.Ago(since),
		IDs:        slices.Clone(ids),
		CreatedBy:  pl.CreatedBy(),
	}
	f.grew(pl, since)
	if pl.Lock != 0 {
		f.Subject = fmt.Sprintf("%#x", pl.Lock)
		f.note("The lock is at %s.", f.Subject)
	}
	return f
}

// grew sets the growth since a snapshot.
func (f *Finding) grew(pl *places.Place, since int) {
	if minutes := pl.Series.Ago(since).Minutes(); minutes > 0 {
		f.GrowthPerMinute = max(0, float64(pl.Now()-pl.Count(since))/minutes)
	}
}

// note adds a sentence of evidence while there is room.
func (f *Finding) note(format string, args ...any) {
	if len(f.Evidence) < MaxEvidence {
		f.Evidence = append(f.Evidence, fmt.Sprintf(format, args...))
	}
}

// report reports the findings, largest first. Findings that differ only in the
// line have the same identity and are merged into the largest.
func (fs findings) report(p *Pass) {
	slices.SortStableFunc(fs, func(a, b Finding) int { return cmp.Compare(b.Count, a.Count) })
	index := make(map[Identity]int)
	var merged []Finding
	for _, f := range fs {
		i, ok := index[f.Identity()]
		if !ok {
			index[f.Identity()] = len(merged)
			merged = append(merged, f)
			continue
		}
		merged[i].join(&f)
	}
	for _, f := range merged {
		f.noteCreator()
		p.Report(f)
	}
}

// noteCreator adds who created the goroutines, where the snapshot knows it. The
// engine finds it out for others.
func (f *Finding) noteCreator() {
	if f.CreatedBy.Function != "" {
		f.note("%s created by %s.", verb(f.Count, "It was", "They were"), line(f.CreatedBy))
	}
}

// join adds a finding with the same identity to a larger one.
func (f *Finding) join(other *Finding) {
	f.note("The same is true of %s at %s.", goroutines(other.Count), where(other.Stack))
	f.Confidence = max(f.Confidence, other.Confidence)
	f.Count += other.Count
	f.GrowthPerMinute += other.GrowthPerMinute
	f.Age = max(f.Age, other.Age)
	f.IDs = append(slices.Clone(f.IDs), other.IDs...)
	slices.Sort(f.IDs)
	f.IDs = f.IDs[:min(len(f.IDs), goroutine.MaxIDs)]
}

// processWide returns the stack of a finding about the whole process, which
// shows the frames of one stack. Its ID is goroutine.OtherStacks, so that the
// identity of the finding does not change with the stack shown.
func processWide(shown *goroutine.Stack) *goroutine.Stack {
	return &goroutine.Stack{ID: goroutine.OtherStacks, Frames: shown.Frames}
}

// keepsRunning reports whether a stack is that of the main goroutine, which may
// wait forever on purpose to keep the program running.
func keepsRunning(s *goroutine.Stack) bool { return s.Entry().Function == "main.main" }
