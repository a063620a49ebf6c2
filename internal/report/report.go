// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package report is the single view model of snapshots and findings. This
// package writes a [Report] as text and JSON, and internal/htmlreport writes it
// as HTML. The live page (internal/live) and the terminal use the same [Head],
// [Share], [Stack], [Finding] and [Event].
//
// Nothing that could be personal data is shown unless [Options.Values] is set:
// stacks have no arguments, and label values and addresses are left out.
//
// docs/json.md documents the JSON. A test checks that it matches the structs.
package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// SchemaVersion is the version of the JSON. It changes when a field changes its
// meaning or is removed, but not when a field is added.
const SchemaVersion = "1"

// Options controls what a report contains. The zero value is what
// otelgoroutine.Monitor uses.
type Options struct {
	// Target names the subject: a file, a URL or a process. It may be empty.
	// The text does not show it.
	Target string

	// Stacks and Functions are how many of each the text shows, the largest
	// first; 0 means 20. The model has all stacks of the snapshot.
	Stacks, Functions int

	// Unfold shows all frames in the text. Otherwise those of the standard library
	// share a line.
	Unfold bool

	// Waits returns how long single goroutines of a group of a snapshot have waited, if
	// that is known. It may be nil.
	Waits func(*goroutine.Snapshot, *goroutine.Group) []Wait

	// Filter says that the series has only some of the goroutines, and which; nil if
	// it has all. Whole is then the last snapshot with all of them, which the findings
	// and the health are about.
	Filter *Filter
	Whole  *goroutine.Snapshot

	// Values includes label values, which may be personal data, and the
	// addresses of locks.
	Values bool

	// Past is the history before the series, oldest first. The trend begins with it.
	Past []Point

	// Sight says what the findings cover. If it is nil, the report does not say.
	Sight *Sight

	// Notes are sentences that say what the report lacks and why: for example,
	// which detectors could not run. The text does not show them.
	Notes []string

	// Terse leaves out data that the text does not show and that takes as long
	// to compute as all the rest: why stacks wait by design, and which frames
	// belong to the standard library.
	Terse bool

	// Same says that all snapshots of a series are of one process, so goroutine
	// IDs can be compared. Without it, a [Diff] compares only counts.
	Same bool
}

const defaultTop = 20

// A Report holds a series of snapshots and its findings as plain values. Unless
// stated otherwise, its fields describe the last snapshot. It shares nothing
// with the snapshots except strings and may be modified.
type Report struct {
	Head
	Target string `json:"target,omitempty"`

	Filter *Filter `json:"filter,omitempty"` // which goroutines are described; nil: all

	Health     Health  `json:"health"`
	States     []Share `json:"states"`     // largest first
	Categories []Share `json:"categories"` // largest first; categories without goroutines are left out

	Trend    *Trend    `json:"trend,omitempty"` // nil for fewer than two points
	Sight    *Sight    `json:"sight,omitempty"` // what the findings cover
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes,omitempty"`

	Functions Functions `json:"functions"`
	Stacks    []Stack   `json:"stacks"`         // all, largest first
	Diff      *Diff     `json:"diff,omitempty"` // changes since the first snapshot of the series

	stacks int  // number of stacks that the text shows
	unfold bool // the text shows all frames
}

// A Head is a snapshot without its goroutines.
type Head struct {
	SchemaVersion string    `json:"schema_version"`
	Taken         bool      `json:"taken"` // false: there is no snapshot yet, and the fields below are not set
	Time          time.Time `json:"time,omitzero"`
	Source        string    `json:"source"`
	Duration      float64   `json:"duration_seconds,omitempty"` // time to take and read it
	Bytes         int64     `json:"bytes,omitempty"`            // bytes that the source wrote
	Total         int       `json:"total"`                      // goroutines that are described
	Missing       int       `json:"missing,omitempty"`          // goroutines that could not be described
	IDs           bool      `json:"has_ids"`                    // whether the source knows goroutine IDs, and therefore ages
	Scheduler     Scheduler `json:"scheduler,omitzero"`         // only for a snapshot that a process took of itself
}

// Scheduler holds the scheduler's own counts.
type Scheduler struct {
	Running  int64 `json:"running"`
	Runnable int64 `json:"runnable"`
	Waiting  int64 `json:"waiting"`
	NotInGo  int64 `json:"not_in_go"` // in a system call or in C
	Created  int64 `json:"created"`   // since the start of the process
}

// HeadOf returns the head of a snapshot. If s is nil, only the version is set.
func HeadOf(s *goroutine.Snapshot) Head {
	if s == nil {
		return Head{SchemaVersion: SchemaVersion}
	}
	return Head{
		SchemaVersion: SchemaVersion, Taken: true, Time: s.Time, Source: string(s.Source), Duration: seconds(s.Duration),
		Bytes: s.Bytes, Total: s.Total, Missing: s.Missing, IDs: s.HasIDs(), Scheduler: Scheduler(s.Scheduler),
	}
}

// New returns the report of a series of snapshots, oldest first, and the
// findings that are open in the last one. The report describes the last
// snapshot. Nil snapshots are ignored; if none is left, the report says that
// there is none yet.
func New(series []*goroutine.Snapshot, findings []detectors.Finding, o Options) *Report {
	series = slices.DeleteFunc(slices.Clone(series), func(s *goroutine.Snapshot) bool { return s == nil })
	r := &Report{Head: HeadOf(nil), Target: o.Target, Notes: slices.Clone(o.Notes), Sight: o.Sight, stacks: cmp.Or(o.Stacks, defaultTop), unfold: o.Unfold}
	if len(series) == 0 {
		return r
	}
	s := series[len(series)-1]
	r.Head = HeadOf(s)
	r.States, r.Categories = States(s), categories(s)
	r.Trend = trendOf(slices.Concat(o.Past, pointsOf(series)))
	r.Findings = Findings(findings)
	r.Health = assess(cmp.Or(o.Whole, s), findings)
	r.Filter = o.Filter.count(s, o.Whole)
	r.Stacks = stacksOf(s, o)
	r.Functions = FunctionsOf(r.Stacks, r.Total, cmp.Or(o.Functions, defaultTop))
	if len(series) > 1 {
		r.Diff = NewDiff(series[0], s, o)
	}
	return r
}

// A Share is a number of goroutines and its share of the total.
type Share struct {
	Name    string  `json:"name"`
	Count   int     `json:"count"`
	Percent float64 `json:"percent"`
}

// States counts goroutines by state, largest first.
func States(s *goroutine.Snapshot) []Share {
	return shares(s, func(g goroutine.State) string { return string(g) })
}

func categories(s *goroutine.Snapshot) []Share {
	return shares(s, func(g goroutine.State) string { return string(g.Category()) })
}

func shares(s *goroutine.Snapshot, name func(goroutine.State) string) []Share {
	counts := make(map[string]int)
	for state, n := range s.States() {
		counts[name(state)] += n
	}
	list := make([]Share, 0, len(counts))
	for name, n := range counts {
		list = append(list, Share{name, n, percent(n, s.Total)})
	}
	slices.SortFunc(list, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return list
}

func percent(part, whole int) float64 {
	return 100 * float64(part) / float64(max(whole, 1))
}

// seconds returns a duration in seconds, rounded to the microsecond.
func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }

// Age returns the seconds from then to now, with millisecond precision. It is
// at least 0, and 0 if then is the zero time.
func Age(now, then time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return max(0, now.Sub(then).Round(time.Millisecond).Seconds())
}
