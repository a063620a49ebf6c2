// Package report is the one view model of snapshots and findings. [Report] is
// written as text and as JSON here and as HTML by internal/htmlreport; the live
// page (internal/live) and the terminal use the same [Head], [Share], [Stack],
// [Finding] and [Event].
//
// Nothing that could hold personal data is shown unless [Options.Values] is set: stacks carry
// no arguments, label values and addresses are left out.
//
// docs/json.md documents the JSON. A test holds it and the structs together.
package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// SchemaVersion is the version of the JSON. It changes when a field changes its
// meaning or goes away, not when one is added.
const SchemaVersion = "1"

// Options changes what a report has. The zero value is what
// otelgoroutine.Monitor writes.
type Options struct {
	// Target names the subject: a file, a URL, a process. It may be empty. It
	// is not part of the text.
	Target string

	// Stacks and Functions are how many of each the text shows, the largest
	// first; 0 stands for 20. The model has all stacks of the snapshot.
	Stacks, Functions int

	// Values shows the values of labels, which may be personal data, and the
	// addresses of locks.
	Values bool

	// Notes are sentences about what the report lacks and why: which
	// detectors could not run, say. They are not part of the text.
	Notes []string

	// Terse leaves out what the text does not show and what takes as long as
	// all the rest: why stacks wait by design, and which frames are of the
	// standard library.
	Terse bool

	// Same says that the snapshots of a series are of one process, so that
	// goroutine IDs can be compared. Without it a [Diff] counts only.
	Same bool
}

const defaultTop = 20

// A Report is a series of snapshots and its findings as plain values. Where
// nothing else is said, it is about the last of the series. It shares nothing
// with the snapshots but strings and may be changed.
type Report struct {
	Head
	Target string `json:"target,omitempty"`

	Health     Health  `json:"health"`
	States     []Share `json:"states"`     // largest first
	Categories []Share `json:"categories"` // largest first; those without a goroutine are left out

	Trend    *Trend    `json:"trend,omitempty"` // of two snapshots and more
	Findings []Finding `json:"findings"`
	Notes    []string  `json:"notes,omitempty"`

	Functions Functions `json:"functions"`
	Stacks    []Stack   `json:"stacks"`         // all, largest first
	Diff      *Diff     `json:"diff,omitempty"` // against the first of the series

	stacks int // how many the text shows
}

// A Head is a snapshot without its goroutines.
type Head struct {
	SchemaVersion string    `json:"schema_version"`
	Taken         bool      `json:"taken"` // false: there is no snapshot yet, and nothing below is set
	Time          time.Time `json:"time,omitzero"`
	Source        string    `json:"source"`
	Duration      float64   `json:"duration_seconds,omitempty"` // of taking and reading it
	Bytes         int64     `json:"bytes,omitempty"`            // that the source wrote
	Total         int       `json:"total"`                      // goroutines that are described
	Missing       int       `json:"missing,omitempty"`          // goroutines that could not be described
	IDs           bool      `json:"has_ids"`                    // whether the source knows goroutine IDs, and so ages
	Scheduler     Scheduler `json:"scheduler,omitzero"`         // in a process of its own only
}

// Scheduler is what the scheduler counted.
type Scheduler struct {
	Running  int64 `json:"running"`
	Runnable int64 `json:"runnable"`
	Waiting  int64 `json:"waiting"`
	NotInGo  int64 `json:"not_in_go"` // in a system call or in C
	Created  int64 `json:"created"`   // since the start of the process
}

// HeadOf returns the head of a snapshot. Without one, with nil, nothing but the
// version is set.
func HeadOf(s *goroutine.Snapshot) Head {
	if s == nil {
		return Head{SchemaVersion: SchemaVersion}
	}
	return Head{
		SchemaVersion: SchemaVersion, Taken: true, Time: s.Time, Source: string(s.Source), Duration: seconds(s.Duration),
		Bytes: s.Bytes, Total: s.Total, Missing: s.Missing, IDs: s.HasIDs(), Scheduler: Scheduler(s.Scheduler),
	}
}

// New returns the report of a series of snapshots, oldest first, of which the
// last is the one described, and the findings that are open in it. Nil
// snapshots are left out; without any the report says that there is none yet.
func New(series []*goroutine.Snapshot, findings []detectors.Finding, o Options) *Report {
	series = slices.DeleteFunc(slices.Clone(series), func(s *goroutine.Snapshot) bool { return s == nil })
	r := &Report{Head: HeadOf(nil), Target: o.Target, Notes: slices.Clone(o.Notes), stacks: cmp.Or(o.Stacks, defaultTop)}
	if len(series) == 0 {
		return r
	}
	s := series[len(series)-1]
	r.Head = HeadOf(s)
	r.States, r.Categories = States(s), categories(s)
	r.Trend = trendOf(series)
	r.Findings = Findings(findings)
	r.Health = assess(s)
	r.Stacks = stacksOf(s, o)
	r.Functions = FunctionsOf(r.Stacks, r.Total, cmp.Or(o.Functions, defaultTop))
	if len(series) > 1 {
		r.Diff = NewDiff(series[0], s, o)
	}
	return r
}

// A Share is a part of the goroutines.
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

// seconds rounds a duration to the microsecond.
func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }

// Age returns how many seconds before now a time was, to the millisecond: at
// least 0, and 0 for the zero time.
func Age(now, then time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return max(0, now.Sub(then).Round(time.Millisecond).Seconds())
}
