package live

import (
	"cmp"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// A View is what a page shows: everything, or what has changed. Times are Unix
// times and durations are in seconds. Nothing in it came from arguments, label
// values or other memory of the program; addresses are left out.
type View struct {
	// Seq is the number of the change that the view is of, for the next
	// [Recorder.Since].
	Seq uint64 `json:"seq"`
	// Full says that the view is everything, and not what has changed.
	Full bool `json:"full"`
	// Stopped says that the monitor was shut down: there will be no more.
	Stopped bool `json:"stopped"`

	Snapshot *Head        `json:"snapshot"` // the latest; null before the first
	States   []StateCount `json:"states"`   // of the latest, largest first
	History  History      `json:"history"`  // of the looks; in a change, of the new ones
	Groups   []Group      `json:"groups"`   // largest first; in a change, those that differ
	Gone     []int        `json:"gone"`     // numbers of groups that are no more
	Frames   []Frame      `json:"frames"`   // what Group.Frames counts into, in this view
	Findings []Finding    `json:"findings"` // open, the longest open first; null in a change that has none
	Open     int          `json:"open"`     // how many are open, also where Findings has not all
	Events   []Event      `json:"events"`   // oldest first; in a change, the new ones
	Cost     Cost         `json:"cost"`
}

// A Head is a snapshot without its groups.
type Head struct {
	Time      float64          `json:"time"`
	Source    goroutine.Source `json:"source"`
	Duration  float64          `json:"duration"` // of looking
	Bytes     int64            `json:"bytes"`    // that the source wrote
	Total     int              `json:"total"`    // goroutines
	Missing   int              `json:"missing"`  // goroutines that could not be described
	IDs       bool             `json:"ids"`      // whether ages, births and exits are known
	Scheduler Scheduler        `json:"scheduler"`
}

// Scheduler is what the scheduler counted.
type Scheduler struct {
	Running  int64 `json:"running"`
	Runnable int64 `json:"runnable"`
	Waiting  int64 `json:"waiting"`
	NotInGo  int64 `json:"not_in_go"`
	Created  int64 `json:"created"` // since the start of the process
}

// A StateCount is the number of goroutines in a state.
type StateCount struct {
	State goroutine.State `json:"state"`
	Count int             `json:"count"`
}

// A History has a column for each state that occurs and a row for each look,
// oldest first.
type History struct {
	Time   []float64                 `json:"time"`
	Took   []float64                 `json:"took"` // what looking took
	States map[goroutine.State][]int `json:"states"`
}

// A Group is all goroutines that do the same at the same place.
type Group struct {
	Number int               `json:"n"`  // its name, for as long as it is there
	Stack  goroutine.StackID `json:"id"` // of the stack, the same on every replica
	State  goroutine.State   `json:"state"`
	Count  int               `json:"count"`
	Oldest float64           `json:"oldest,omitempty"` // when the oldest was born, at the latest; 0 when unknown

	// Born and Left are how many were born and how many of the older ones
	// left, over the last looks.
	Born int `json:"born"`
	Left int `json:"left"`

	// Frames is the stack, leaf first, as indices into View.Frames; null in a
	// change when the group is not new. User is the index of the frame that
	// names the place.
	Frames []int `json:"frames"`
	User   int   `json:"user"`

	// Counts are those of the last looks, oldest first, for the largest groups
	// of a full view.
	Counts []int32 `json:"counts,omitempty"`
}

// A Frame is one call.
type Frame struct {
	Function string `json:"f"`
	Line     int    `json:"l"`
	Standard bool   `json:"std,omitempty"` // of the standard library
}

// A Finding is an open incident.
type Finding struct {
	ID         string            `json:"id"`
	Detector   string            `json:"detector"`
	Confidence string            `json:"confidence"`
	Groups     []int             `json:"groups"` // numbers of those it is about
	Stack      goroutine.StackID `json:"stack"`
	State      goroutine.State   `json:"state"`
	Function   string            `json:"function"`
	File       string            `json:"file"`
	Line       int               `json:"line"`
	CreatedBy  string            `json:"created_by,omitempty"`
	Opened     float64           `json:"opened"`
	Count      int               `json:"count"`
	Growth     float64           `json:"growth_per_minute"`
	Age        float64           `json:"age"`
	Message    string            `json:"message"`
	Evidence   []string          `json:"evidence"`
	IDs        []uint64          `json:"goroutine_ids"`
}

// An Event is what was told about a finding, or about those that are not told
// one by one.
type Event struct {
	seq        uint64
	Time       float64 `json:"time"`
	Kind       string  `json:"kind"` // detected, repeated, resolved, suppressed
	Finding    string  `json:"finding"`
	Detector   string  `json:"detector"`
	Confidence string  `json:"confidence"`
	Count      int     `json:"count"`
	Message    string  `json:"message"`
}

// A Cost is what looking costs.
type Cost struct {
	Interval float64 `json:"interval"` // between looks, as configured
	Budget   float64 `json:"budget"`   // share of one core that looking may take
	Share    float64 `json:"share"`    // of the time that looking took, over the history
	Looks    uint64  `json:"looks"`
	Skipped  []Skips `json:"skipped"` // looks that did not happen
}

// A Skip is why a look did not happen.
type Skip struct {
	Source goroutine.Source `json:"source"`
	Reason string           `json:"reason"`
}

// Skips is how many looks did not happen for one reason.
type Skips struct {
	Skip
	Count int `json:"count"`
}

// Bounds of a view.
const (
	maxFindings = 100
	maxDepth    = 128     // frames of a stack: the innermost, and the outermost
	outermost   = 32      // of those
	sparkLooks  = 60      // counts of a group
	maxStacks   = 2 << 20 // bytes of all stacks, about, a tenth of it compressed; smaller groups are left out
)

// View returns everything.
func (r *Recorder) View() *View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view(0, true)
}

// Since returns what has changed after seq. ok is false when that is not known
// any more: get everything then.
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

// missed reports whether there were more looks after seq than are kept.
func (r *Recorder) missed(seq uint64) bool {
	oldest := r.points.newest(seriesLooks)
	return len(oldest) == seriesLooks && oldest[0].seq > seq
}

// view returns what has changed after seq.
func (r *Recorder) view(seq uint64, full bool) *View {
	v := &View{
		Seq:     r.seq,
		Full:    full,
		Stopped: r.stopped,
		History: historyOf(after(r.points.all(), seq, func(p point) uint64 { return p.seq })),
		Groups:  []Group{},
		Gone:    []int{},
		Open:    len(r.open),
		Events:  after(r.events.all(), seq, func(e Event) uint64 { return e.seq }),
		Cost:    r.cost(),
	}
	if r.latest != nil {
		v.Snapshot, v.States = headOf(r.latest), statesOf(r.latest)
	}
	r.viewGroups(v, seq)
	if full || r.judged > seq {
		v.Findings = r.findings()
	}
	return v
}

// after returns the items of a list in the order of seq that came after one.
func after[T any](all []T, seq uint64, of func(T) uint64) []T {
	i, _ := slices.BinarySearchFunc(all, seq+1, func(item T, seq uint64) int { return cmp.Compare(of(item), seq) })
	return append([]T{}, all[i:]...)
}

func historyOf(points []point) History {
	h := History{Time: []float64{}, Took: []float64{}, States: make(map[goroutine.State][]int)}
	for i, p := range points {
		h.Time = append(h.Time, p.time)
		h.Took = append(h.Took, p.took)
		for _, c := range p.states {
			if h.States[c.State] == nil {
				h.States[c.State] = make([]int, len(points))
			}
			h.States[c.State][i] = c.Count
		}
	}
	return h
}

func headOf(s *goroutine.Snapshot) *Head {
	return &Head{
		Time: seconds(s.Time), Source: s.Source, Duration: s.Duration.Seconds(), Bytes: s.Bytes,
		Total: s.Total, Missing: s.Missing, IDs: s.HasIDs(), Scheduler: Scheduler(s.Scheduler),
	}
}

// viewGroups adds the groups that changed after seq, with the stacks of those
// that are new, the largest first until the room for stacks is used up.
func (r *Recorder) viewGroups(v *View, seq uint64) {
	changed := slices.SortedFunc(maps.Values(r.groups), func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.serial, b.serial))
	})
	frames := frameTable{index: make(map[Frame]int), frames: []Frame{}}
	for _, g := range changed {
		if g.changed <= seq || v.Full && g.count == 0 {
			continue
		}
		shown := g.view()
		if g.created > seq {
			if frames.bytes > maxStacks {
				continue
			}
			shown.Frames, shown.User = frames.stack(g.stack)
		}
		if v.Full && g.series != nil {
			shown.Counts = counts(g.series.newest(sparkLooks))
		}
		v.Groups = append(v.Groups, shown)
	}
	v.Frames = frames.frames
}

func (g *group) view() Group {
	shown := Group{
		Number: g.serial, Stack: g.stack.ID, State: g.key.State,
		Count: int(g.count), Born: int(g.recent.born), Left: int(g.recent.left),
	}
	if !g.oldest.IsZero() {
		shown.Oldest = seconds(g.oldest)
	}
	return shown
}

func counts(samples []sample) []int32 {
	out := make([]int32, len(samples))
	for i, s := range samples {
		out[i] = s.count
	}
	return out
}

// A frameTable has every frame of a view once.
type frameTable struct {
	frames []Frame
	index  map[Frame]int
	bytes  int // of the frames and of what counts into them, about
}

// stack returns the frames of a stack, and which of them names the place.
func (t *frameTable) stack(s *goroutine.Stack) (frames []int, user int) {
	place := s.User()
	frames, user = []int{}, -1
	for i, f := range shownFrames(s) {
		frames = append(frames, t.frame(f))
		if user < 0 && f == place {
			user = i
		}
	}
	t.bytes += 150
	return frames, max(user, 0)
}

func (t *frameTable) frame(f goroutine.Frame) int {
	shown := Frame{Function: f.Function, Line: f.Line, Standard: f.Standard()}
	i, known := t.index[shown]
	if !known {
		i = len(t.frames)
		t.index[shown] = i
		t.frames = append(t.frames, shown)
		t.bytes += len(f.Function) + 30
	}
	t.bytes += 5
	return i
}

// shownFrames returns the frames of a stack that are shown: all of a usual
// one, and both ends of a deep one.
func shownFrames(s *goroutine.Stack) []goroutine.Frame {
	visible := s.Visible()
	if len(visible) <= maxDepth {
		return visible
	}
	shown := slices.Clone(visible[:maxDepth-outermost-1])
	shown = append(shown, goroutine.Frame{Function: "…"})
	return append(shown, visible[len(visible)-outermost:]...)
}

// findings returns the open findings.
func (r *Recorder) findings() []Finding {
	byStack := make(map[goroutine.StackID][]*group)
	for _, g := range r.groups {
		byStack[g.stack.ID] = append(byStack[g.stack.ID], g)
	}
	findings := make([]Finding, 0, min(len(r.open), maxFindings))
	for i := range r.open[:min(len(r.open), maxFindings)] {
		f := findingOf(&r.open[i])
		for _, g := range byStack[f.Stack] {
			if f.State == "" || f.State == g.key.State {
				f.Groups = append(f.Groups, g.serial)
			}
		}
		slices.Sort(f.Groups)
		findings = append(findings, f)
	}
	return findings
}

func findingOf(from *detectors.Finding) Finding {
	f := Finding{
		ID: from.ID, Opened: seconds(from.Opened),
		Detector: from.Detector, Confidence: from.Confidence.String(), State: from.State,
		CreatedBy: from.CreatedBy.Function, Count: from.Count, Growth: finite(from.GrowthPerMinute), Age: from.Age.Seconds(),
		Message: sentence(from.Message), Groups: []int{}, Evidence: []string{}, IDs: append([]uint64{}, from.IDs...),
	}
	if from.Stack != nil {
		at := from.Stack.User()
		f.Stack, f.Function, f.File, f.Line = from.Stack.ID, at.Function, at.File, at.Line
	}
	for _, e := range from.Evidence {
		f.Evidence = append(f.Evidence, sentence(e))
	}
	return f
}

// finite replaces what JSON has no word for.
func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// address matches what looks like an address in memory.
var address = regexp.MustCompile(`0x[0-9a-fA-F]{4,}`)

// Scrub leaves addresses out of a text.
func Scrub(text string) string { return address.ReplaceAllString(text, "0x…") }

// sentence scrubs what is meant to be one, and bounds it.
func sentence(s string) string {
	const most = 1 << 10
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return Scrub(s)
}

func eventOf(seq uint64, e detectors.Event) Event {
	f := &e.Finding
	event := Event{
		seq: seq, Time: seconds(e.Time), Kind: e.Kind.String(), Finding: f.ID,
		Detector: f.Detector, Count: f.Count, Message: sentence(f.Message),
	}
	if e.Kind == detectors.Suppressed {
		event.Count = e.Suppressed
	} else {
		event.Confidence = f.Confidence.String()
	}
	return event
}

func (r *Recorder) cost() Cost {
	c := Cost{Interval: r.config.Interval.Seconds(), Budget: r.config.CPU, Looks: r.looks, Skipped: []Skips{}}
	points := r.points.all()
	if n := len(points); n > 1 {
		took := 0.0
		for _, p := range points[1:] {
			took += p.took
		}
		c.Share = took / max(points[n-1].time-points[0].time, 0.001)
	}
	for skip, n := range r.skips {
		c.Skipped = append(c.Skipped, Skips{skip, n})
	}
	slices.SortFunc(c.Skipped, func(a, b Skips) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Reason, b.Reason))
	})
	return c
}

// A Detail is all that is known about one group.
type Detail struct {
	Group Group        `json:"group"` // without its stack
	Stack []DeepFrame  `json:"stack"` // leaf first
	IDs   []uint64     `json:"goroutine_ids"`
	Ages  []Cohort     `json:"ages"`    // oldest first; empty when unknown
	Past  []PastSample `json:"history"` // oldest first; empty for small groups
	Keys  []string     `json:"label_keys,omitempty"`
	Maker string       `json:"created_by,omitempty"`
}

// A DeepFrame is a call with its file.
type DeepFrame struct {
	Function string `json:"function"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Standard bool   `json:"standard"`
}

// A Cohort is how many goroutines were born at or before a time, and after the
// cohort before.
type Cohort struct {
	Born  float64 `json:"born"`
	Count int     `json:"count"`
}

// A PastSample is what one look said about a group.
type PastSample struct {
	Time  float64 `json:"time"`
	Count int32   `json:"count"`
	Born  int32   `json:"born"`
	Left  int32   `json:"left"`
}

// Detail returns what is known about the group with this number, and false
// when there is none.
func (r *Recorder) Detail(number int) (*Detail, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.groups {
		if g.serial == number {
			return r.detail(g), true
		}
	}
	return nil, false
}

func (r *Recorder) detail(g *group) *Detail {
	d := &Detail{Group: g.view(), IDs: []uint64{}, Ages: []Cohort{}, Past: []PastSample{}, Stack: []DeepFrame{}}
	for _, f := range shownFrames(g.stack) {
		d.Stack = append(d.Stack, DeepFrame{Function: f.Function, File: f.File, Line: f.Line, Standard: f.Standard()})
	}
	if g.series != nil {
		samples := g.series.all()
		points := r.points.newest(len(samples))
		for i, s := range samples {
			d.Past = append(d.Past, PastSample{Time: points[i].time, Count: s.count, Born: s.born, Left: s.left})
		}
	}
	for i := range r.latest.Groups {
		if from := &r.latest.Groups[i]; from.Key() == g.key {
			d.add(r.latest, from)
		}
	}
	slices.Sort(d.IDs)
	d.IDs = d.IDs[:min(len(d.IDs), goroutine.MaxIDs)]
	return d
}

// add adds what one group of the snapshot knows. Values of labels stay behind.
func (d *Detail) add(s *goroutine.Snapshot, from *goroutine.Group) {
	d.IDs = append(d.IDs, from.IDs...)
	for _, l := range from.Labels {
		if !slices.Contains(d.Keys, l.Key) {
			d.Keys = append(d.Keys, l.Key)
		}
	}
	if d.Maker == "" {
		d.Maker = from.CreatedBy.Function
	}
	for _, c := range from.Births {
		if c.Epoch < len(s.Epochs) {
			d.addAge(seconds(s.Epochs[c.Epoch].End), c.Count)
		}
	}
}

func (d *Detail) addAge(born float64, count int) {
	i, found := slices.BinarySearchFunc(d.Ages, born, func(c Cohort, born float64) int { return cmp.Compare(c.Born, born) })
	if !found {
		d.Ages = slices.Insert(d.Ages, i, Cohort{Born: born})
	}
	d.Ages[i].Count += count
}
