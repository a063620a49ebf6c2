// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
)

// A View is what a page shows: either everything or only what has changed.
// Nothing in it comes from arguments, label values or other memory of the
// program, and addresses are left out.
type View struct {
	report.Head // the latest snapshot

	// Seq is the sequence number of this view. Pass it to the next call of
	// [Recorder.Since].
	Seq     uint64 `json:"seq"`
	Full    bool   `json:"full"`    // the view contains everything, not only changes
	Stopped bool   `json:"stopped"` // the monitor was shut down: no more changes will follow

	States   []report.Share   `json:"states"`        // of the latest snapshot, largest first
	History  History          `json:"history"`       // of past snapshots; in a change, only of the new ones
	Stacks   []Group          `json:"stacks"`        // largest first; in a change, only stacks that differ
	Gone     []int            `json:"gone"`          // numbers of stacks that no longer exist
	Frames   []report.Frame   `json:"frames"`        // frames of this view, indexed by Group.Calls
	Findings []report.Finding `json:"findings"`      // open findings, the longest open first; null in a change that does not update them
	Sight    *report.Sight    `json:"sight"`         // what the findings cover
	Open     int              `json:"open_findings"` // number of open findings, including any that Findings leaves out
	Events   []report.Event   `json:"events"`        // oldest first; in a change, only the new ones
	Cost     report.Cost      `json:"cost"`
}

// A History has a column for each state that occurs and a row for each
// snapshot, oldest first.
type History struct {
	Time     []time.Time      `json:"time"`
	Duration []float64        `json:"duration_seconds"` // time taken by the snapshot
	States   map[string][]int `json:"states"`
}

// A Group is all goroutines with the same stack, line and state.
type Group struct {
	Number int `json:"number"` // identifies the group for as long as it exists
	report.Place

	// Born is how many goroutines were created during the last snapshots, and
	// Left how many of the older ones exited or moved on.
	Born int `json:"born"`
	Left int `json:"left"`

	// Calls is the stack, leaf first, as indices into View.Frames. In a change,
	// it is null unless the group is new.
	Calls []int `json:"calls"`

	// Counts holds the counts of the last snapshots, oldest first. Only the
	// largest groups of a full view have it.
	Counts []int32 `json:"counts,omitempty"`
}

// Bounds of a view.
const (
	maxDepth    = 128     // frames of a stack: the innermost and the outermost
	outermost   = 32      // how many of them are the outermost
	sparkLength = 60      // counts of a group
	maxStacks   = 2 << 20 // approximate bytes of all stacks (a tenth of that when compressed); smaller groups are left out
)

// View returns a full view.
func (r *Recorder) View() *View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view(0, true)
}

// Since returns what has changed after seq. If ok is false, that is no longer
// known, and the caller must get a full view.
func (r *Recorder) Since(seq uint64) (v *View, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone, ok := r.gone.since(seq)
	if !ok || seq > r.seq || r.missed(seq) {
		return nil, false
	}
	v = r.view(seq, false)
	v.Gone = append(v.Gone, gone...)
	return v, true
}

// missed reports whether more snapshots were taken after seq than are kept.
func (r *Recorder) missed(seq uint64) bool {
	oldest := r.points.newest(seriesLength)
	return len(oldest) == seriesLength && oldest[0].seq > seq
}

// view returns what has changed after seq.
func (r *Recorder) view(seq uint64, full bool) *View {
	v := &View{
		Head: report.HeadOf(r.latest), Seq: r.seq, Full: full, Stopped: r.stopped,
		States: []report.Share{}, Stacks: []Group{}, Gone: []int{}, Events: []report.Event{},
		History: historyOf(after(r.points.all(), seq, func(p point) uint64 { return p.seq })),
		Open:    r.open, Cost: r.cost(), Sight: r.Sight(),
	}
	if newest := r.points.newest(1); len(newest) > 0 {
		v.States = newest[0].states
	}
	for _, e := range after(r.events.all(), seq, func(e event) uint64 { return e.seq }) {
		v.Events = append(v.Events, e.Event)
	}
	r.viewGroups(v, seq)
	if full || r.judged > seq {
		v.Findings = r.viewFindings()
	}
	return v
}

// after returns the items with a sequence number above seq. all must be sorted
// by sequence number.
func after[T any](all []T, seq uint64, of func(T) uint64) []T {
	i, _ := slices.BinarySearchFunc(all, seq+1, func(item T, seq uint64) int { return cmp.Compare(of(item), seq) })
	return all[i:]
}

func historyOf(points []point) History {
	h := History{Time: []time.Time{}, Duration: []float64{}, States: make(map[string][]int)}
	for i, p := range points {
		h.Time = append(h.Time, p.time)
		h.Duration = append(h.Duration, p.took.Seconds())
		for _, s := range p.states {
			if h.States[s.Name] == nil {
				h.States[s.Name] = make([]int, len(points))
			}
			h.States[s.Name][i] = s.Count
		}
	}
	return h
}

// viewGroups adds the groups that changed after seq. New groups come with their
// stacks. The largest groups come first, until the room for stacks is used up.
func (r *Recorder) viewGroups(v *View, seq uint64) {
	changed := slices.SortedFunc(maps.Values(r.groups), func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.serial, b.serial))
	})
	t := report.FrameTable{Frames: []report.Frame{}}
	bytes, known := 0, 0
	for _, g := range changed {
		if g.changed <= seq || v.Full && g.count == 0 {
			continue
		}
		shown := r.viewGroup(g)
		if g.created > seq {
			if bytes > maxStacks {
				continue
			}
			shown.Calls, shown.User = callsOf(&t, g.stack)
			bytes += 150 + 5*len(shown.Calls)
			for ; known < len(t.Frames); known++ {
				bytes += 30 + len(t.Frames[known].Function)
			}
		}
		if v.Full && g.series != nil {
			shown.Counts = column(g.series.newest(sparkLength), func(s sample) int32 { return s.count })
		}
		v.Stacks = append(v.Stacks, shown)
	}
	v.Frames = t.Frames
}

func (r *Recorder) viewGroup(g *group) Group {
	return Group{
		Number: g.serial, Born: int(g.recent.born), Left: int(g.recent.left),
		Place: report.Place{ID: string(g.key.Stack), State: string(g.key.State), Count: int(g.count), Oldest: report.Age(r.latest.Time, g.oldest)},
	}
}

// callsOf adds the frames of a stack to t. It leaves out file names, which are
// a third of the size.
func callsOf(t *report.FrameTable, s *goroutine.Stack) (calls []int, user int) {
	frames, user := bothEnds(report.Frames(s))
	for i := range frames {
		frames[i].File = ""
	}
	return t.Calls(frames), user
}

// bothEnds returns all frames of a stack of usual depth, and both ends of a
// deeper one.
func bothEnds(frames []report.Frame, user int) ([]report.Frame, int) {
	more := len(frames) - maxDepth
	if more <= 0 {
		return frames, user
	}
	cut := maxDepth - outermost - 1
	if user >= cut {
		user = max(cut, user-more)
	}
	return slices.Concat(frames[:cut], []report.Frame{{Function: "…"}}, frames[len(frames)-outermost:]), user
}

func column[T any](samples []sample, of func(sample) T) []T {
	out := make([]T, len(samples))
	for i, s := range samples {
		out[i] = of(s)
	}
	return out
}

// viewFindings returns the open findings with the groups that they concern.
func (r *Recorder) viewFindings() []report.Finding {
	byStack := make(map[string][]*group)
	for _, g := range r.groups {
		byStack[string(g.key.Stack)] = append(byStack[string(g.key.Stack)], g)
	}
	findings := append([]report.Finding{}, r.findings...)
	for i := range findings {
		f := &findings[i]
		f.Stacks = numbers(byStack[f.StackID], f.State)
		f.Participants = slices.Clone(f.Participants)
		for k := range f.Participants {
			p := &f.Participants[k]
			p.Stacks = numbers(byStack[p.StackID], p.State)
		}
	}
	return findings
}

// numbers returns the numbers of the groups in a state, or of all if it is
// empty, in rising order.
func numbers(groups []*group, state string) (list []int) {
	for _, g := range groups {
		if state == "" || state == string(g.key.State) {
			list = append(list, g.serial)
		}
	}
	slices.Sort(list)
	return list
}

// address matches anything that looks like a memory address.
var address = regexp.MustCompile(`0x[0-9a-fA-F]{4,}`)

// Scrub replaces the addresses in a text by letters, each by the same one
// throughout, and further ones by a mark.
func Scrub(text string) string { return mark(make(letters).in(text)) }

func mark(text string) string { return address.ReplaceAllString(text, "0x…") }

// sentence scrubs a text that should be one sentence and limits its length.
func sentence(s string) string {
	const most = 1 << 10
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return mark(s)
}

// Sight returns what the findings cover now. What detectors say is scrubbed.
func (r *Recorder) Sight() *report.Sight {
	if r.config.Sight == nil {
		return nil
	}
	s := r.config.Sight()
	for i := range s.Detectors {
		s.Detectors[i].Detail = sentence(s.Detectors[i].Detail)
	}
	for i := range s.Candidates {
		c := &s.Candidates[i]
		c.Message, c.Missing = sentence(c.Message), sentence(c.Missing)
	}
	s.Summary = sentence(s.Summary)
	return s
}

// scrubbed returns f without addresses. Each gets a letter that stands for it
// throughout the finding: A holds what B waits for.
func scrubbed(f report.Finding) report.Finding {
	l := make(letters)
	f.Message, f.Advice, f.Unjudged, f.Opened = l.sentence(f.Message), l.sentence(f.Advice), l.sentence(f.Unjudged), millis(f.Opened)
	f.Evidence = slices.Clone(f.Evidence)
	for i, e := range f.Evidence {
		f.Evidence[i] = l.sentence(e)
	}
	f.Participants = slices.Clone(f.Participants)
	for i := range f.Participants {
		p := &f.Participants[i]
		p.Note, p.Frames = l.sentence(p.Note), nil
	}
	return f
}

// letters are the names of addresses within a finding.
type letters map[string]string

func (l letters) sentence(s string) string { return sentence(l.in(s)) }

// in replaces addresses in a text while there are letters.
func (l letters) in(text string) string {
	return address.ReplaceAllStringFunc(text, func(a string) string {
		if l[a] == "" && len(l) < 26 {
			l[a] = string(rune('A' + len(l)))
		}
		return cmp.Or(l[a], a)
	})
}

func (r *Recorder) cost() report.Cost {
	c := report.Cost{Interval: r.config.Interval.Seconds(), Budget: r.config.CPU, Snapshots: r.taken, Skipped: []report.Skipped{}}
	points := r.points.all()
	if n := len(points); n > 1 {
		var took time.Duration
		for _, p := range points[1:] {
			took += p.took
		}
		c.Share = took.Seconds() / max(points[n-1].time.Sub(points[0].time).Seconds(), 0.001)
	}
	for skip, n := range r.skips {
		c.Skipped = append(c.Skipped, report.Skipped{Skip: skip, Count: n})
	}
	slices.SortFunc(c.Skipped, func(a, b report.Skipped) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Reason, b.Reason))
	})
	return c
}
