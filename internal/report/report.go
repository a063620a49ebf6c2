// Package report turns snapshots and their findings into something to read:
// one model ([Report]), which is written as text and as JSON here, and as HTML
// by internal/htmlreport.
//
// Nothing that could hold personal data is shown unless asked for: stacks carry
// no arguments, label values and addresses are left out.
package report

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// Options changes what a report has. The zero value is what
// otelgoroutine.Monitor writes.
type Options struct {
	// Target names what was looked at: a file, a URL, a process. It may be
	// empty. It is not part of the text.
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

	// Terse leaves out why stacks wait by design, which the text does not
	// show and which takes as long as all the rest.
	Terse bool

	// Same says that the snapshots of a series are of one process, so that
	// goroutine IDs can be compared. Without it a [Diff] counts only.
	Same bool
}

const defaultTop = 20

// A Report is everything that is told about a series of snapshots, as plain
// values. Where nothing else is said, it is about the last of the series. It
// shares nothing with the snapshots but strings and may be changed.
type Report struct {
	Target   string    `json:"target,omitempty"`
	Taken    bool      `json:"taken"` // false: there is no snapshot yet, and nothing below is set
	Time     time.Time `json:"time"`
	Source   string    `json:"source"`
	Duration float64   `json:"duration_seconds,omitempty"` // of taking and reading it
	Total    int       `json:"total"`                      // goroutines that are described
	Missing  int       `json:"missing,omitempty"`          // goroutines that could not be described
	IDs      bool      `json:"has_ids"`                    // whether the source knows goroutine IDs

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

// A Share is a part of the goroutines.
type Share struct {
	Name    string  `json:"name"`
	Count   int     `json:"count"`
	Percent float64 `json:"percent"`
}

// A Frame is one call.
type Frame struct {
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// A Stack is the goroutines with one stack, state and, where asked for, labels.
type Stack struct {
	ID       string  `json:"id"`
	State    string  `json:"state"`
	Category string  `json:"category"`
	Count    int     `json:"count"`
	Percent  float64 `json:"percent"`

	Oldest  float64  `json:"oldest_seconds,omitempty"`  // age of the oldest, at least; 0 when unknown
	Waiting float64  `json:"waiting_seconds,omitempty"` // longest wait by the runtime's clock, in whole minutes; 0 when unknown
	Births  []Birth  `json:"births,omitempty"`          // oldest first; nil when there are no IDs
	IDs     []uint64 `json:"ids,omitempty"`             // the oldest, at most goroutine.MaxIDs

	Labels    []Label `json:"labels,omitempty"`     // by key; the values are empty unless asked for
	Lock      string  `json:"lock,omitempty"`       // address, where asked for and known
	CreatedBy *Frame  `json:"created_by,omitempty"` // the go statement, where known
	Known     string  `json:"known,omitempty"`      // why it waits by design; empty where that is not known
	Frames    []Frame `json:"frames"`               // leaf first, without the runtime's own at either end
}

// A Birth is how many goroutines are at least so old.
type Birth struct {
	Age   float64 `json:"age_seconds"` // at least
	Count int     `json:"count"`       // born in this span, not in total
}

// A Label is a pprof label.
type Label struct {
	Key   string `json:"key"`
	Value string `json:"value,omitempty"`
}

// A Finding is what a detector found.
type Finding struct {
	Detector        string   `json:"detector"`
	Confidence      string   `json:"confidence"`
	Severity        string   `json:"severity"` // info, warn or error, as in the event
	Message         string   `json:"message"`
	Evidence        []string `json:"evidence,omitempty"`
	State           string   `json:"state,omitempty"`
	StackID         string   `json:"stack_id,omitempty"`
	Count           int      `json:"count"`
	GrowthPerMinute float64  `json:"growth_per_minute,omitempty"`
	Age             float64  `json:"age_seconds,omitempty"`
	IDs             []uint64 `json:"ids,omitempty"`
	CreatedBy       *Frame   `json:"created_by,omitempty"`
	Frames          []Frame  `json:"frames,omitempty"`
}

// New returns the report of a series of snapshots, oldest first, of which the
// last is the one described, and the findings that are open in it. Nil
// snapshots are left out; without any the report says that there is none yet.
func New(series []*goroutine.Snapshot, findings []detectors.Finding, o Options) *Report {
	series = slices.DeleteFunc(slices.Clone(series), func(s *goroutine.Snapshot) bool { return s == nil })
	r := &Report{Target: o.Target, Notes: slices.Clone(o.Notes), stacks: cmp.Or(o.Stacks, defaultTop)}
	if len(series) == 0 {
		return r
	}
	s := series[len(series)-1]
	r.Taken, r.Time, r.Source = true, s.Time, string(s.Source)
	r.Duration, r.Total, r.Missing, r.IDs = s.Duration.Seconds(), s.Total, s.Missing, s.HasIDs()
	r.States, r.Categories = states(s), categories(s)
	r.Health = assess(s)
	r.Trend = trendOf(series)
	r.Findings = findingsOf(findings)
	r.Stacks = stacksOf(s, o)
	r.Functions = FunctionsOf(r.Stacks, r.Total, cmp.Or(o.Functions, defaultTop))
	if len(series) > 1 {
		r.Diff = NewDiff(series[0], s, o)
	}
	return r
}

func states(s *goroutine.Snapshot) []Share {
	counts := make(map[string]int)
	for state, n := range s.States() {
		counts[string(state)] += n
	}
	return shares(counts, s.Total)
}

func categories(s *goroutine.Snapshot) []Share {
	counts := make(map[string]int)
	for state, n := range s.States() {
		counts[string(state.Category())] += n
	}
	return shares(counts, s.Total)
}

// shares orders counts, largest first.
func shares(counts map[string]int, total int) []Share {
	list := make([]Share, 0, len(counts))
	for name, n := range counts {
		list = append(list, Share{name, n, percent(n, total)})
	}
	slices.SortFunc(list, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return list
}

func percent(part, whole int) float64 {
	return 100 * float64(part) / float64(max(whole, 1))
}

func findingsOf(findings []detectors.Finding) []Finding {
	list := make([]Finding, 0, len(findings))
	for i := range findings {
		f := &findings[i]
		r := Finding{
			Detector: f.Detector, Confidence: f.Confidence.String(), Severity: severity(f.Confidence),
			Message: f.Message, Evidence: slices.Clone(f.Evidence), State: string(f.State),
			Count: f.Count, GrowthPerMinute: f.GrowthPerMinute, Age: f.Age.Seconds(), IDs: slices.Clone(f.IDs),
			CreatedBy: frameOf(f.CreatedBy),
		}
		if f.Stack != nil {
			r.StackID, r.Frames = string(f.Stack.ID), framesOf(f.Stack.Visible())
		}
		list = append(list, r)
	}
	return list
}

// severity is that of the event which the monitor sends for a finding.
func severity(c detectors.Confidence) string {
	switch {
	case c == detectors.Info:
		return "info"
	case c <= detectors.Suspected:
		return "warn"
	}
	return "error"
}

func stacksOf(s *goroutine.Snapshot, o Options) []Stack {
	list := make([]Stack, len(s.Groups))
	for i := range s.Groups {
		list[i] = stackOf(s, &s.Groups[i], o)
	}
	return list
}

func stackOf(s *goroutine.Snapshot, g *goroutine.Group, o Options) Stack {
	r := Stack{
		ID: string(g.Stack.ID), State: string(g.State), Category: string(g.State.Category()),
		Count: g.Count, Percent: percent(g.Count, s.Total), Waiting: g.Wait.Seconds(),
		IDs: slices.Clone(g.IDs), CreatedBy: frameOf(g.CreatedBy), Frames: framesOf(g.Stack.Visible()),
	}
	if born, ok := s.Oldest(g); ok {
		r.Oldest = max(0, s.Time.Sub(born).Seconds())
	}
	for _, c := range g.Births {
		if c.Epoch < len(s.Epochs) {
			r.Births = append(r.Births, Birth{max(0, s.Time.Sub(s.Epochs[c.Epoch].End).Seconds()), c.Count})
		}
	}
	for _, l := range g.Labels {
		shown := Label{Key: l.Key}
		if o.Values {
			shown.Value = l.Value
		}
		r.Labels = append(r.Labels, shown)
	}
	if o.Values && g.Lock != 0 {
		r.Lock = address(g.Lock)
	}
	if !o.Terse {
		if k, ok := detectors.KnownAs(g.Stack); ok {
			r.Known = k.Name + ": " + k.Reason
		}
	}
	return r
}

func framesOf(frames []goroutine.Frame) []Frame {
	list := make([]Frame, len(frames))
	for i, f := range frames {
		list[i] = Frame(f)
	}
	return list
}

// frameOf returns nil for the zero frame.
func frameOf(f goroutine.Frame) *Frame {
	if f.Function == "" {
		return nil
	}
	return &Frame{f.Function, f.File, f.Line}
}
