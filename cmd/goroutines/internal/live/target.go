// Package live looks at processes over and over: each look goes through the
// history, the detectors and the incidents that otelgoroutine's monitor has in
// a process of its own. A process that restarts, or cannot be reached, is waited
// for.
package live

import (
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/source"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/incident"
	"github.com/otelgoroutine/go/internal/telemetry"
)

const (
	// maxPoints is how many looks the sparklines go back.
	maxPoints = 120
	// maxEvents is how many events are kept to be shown.
	maxEvents = 100
	// maxRows bounds the stacks that a point remembers: the largest.
	maxRows = 64
)

// A Process takes snapshots of one process. *source.Remote is the real one.
type Process interface {
	Take(context.Context) (*goroutine.Snapshot, error)
	Forget()
}

// A Point is what a look leaves behind for the sparklines.
type Point struct {
	Time   time.Time
	Failed bool
	Total  int
	States map[goroutine.State]int
	Stacks map[goroutine.GroupKey]int // the largest
}

// An Event is an incident's event, with the process that it is about.
type Event struct {
	Target string
	incident.Event
}

// A Status is everything there is to show of a target.
type Status struct {
	Name     string
	Snapshot *goroutine.Snapshot // the last; nil before the first
	Err      error               // of the last look; nil when it went well
	Since    time.Time           // when it began to fail
	Restarts int
	Looks    int
	Open     []incident.Incident
	Points   []Point // oldest first
}

// A Target is a process under observation. Its methods are safe for concurrent
// use; Look and Run must not run twice at a time.
type Target struct {
	process   Process
	detectors []*detectors.Detector
	telemetry *telemetry.Telemetry // nil: nothing is exported
	onEvent   func(Event)

	history   *detectors.History
	incidents *incident.Tracker

	mu     sync.Mutex
	status Status
}

// NewTarget returns a target. telemetry may be nil; onEvent is called for each
// event, on the goroutine that looks.
func NewTarget(name string, p Process, ds []*detectors.Detector, t *telemetry.Telemetry, onEvent func(Event)) *Target {
	target := &Target{process: p, detectors: ds, telemetry: t, onEvent: onEvent, status: Status{Name: name}}
	target.begin()
	return target
}

// begin starts with a process of which nothing is known.
func (t *Target) begin() {
	t.history, t.incidents = detectors.NewHistory(t.detectors), incident.New(incident.Config{})
}

// Status returns what there is to show.
func (t *Target) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.Points, s.Open = slices.Clone(s.Points), slices.Clone(s.Open)
	return s
}

// Run looks at once and then every interval, until ctx ends.
func (t *Target) Run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		t.Look(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// Look takes a snapshot and does everything that follows from it.
func (t *Target) Look(ctx context.Context) {
	s, err := t.process.Take(ctx)
	if ctx.Err() != nil {
		return
	}
	if s == nil || s.Total == 0 {
		t.failed(ctx, err)
		return
	}
	restarted := t.restarted(s)
	if restarted {
		t.process.Forget()
		t.resolveAll(ctx, s.Time)
		t.begin()
		if again, e := t.process.Take(ctx); again != nil && again.Total > 0 {
			s, err = again, e // its births are counted anew
		}
	}
	t.judge(ctx, s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if restarted {
		t.status.Restarts++
	}
	t.status.Looks++
	t.status.Snapshot, t.status.Err, t.status.Open = s, err, t.incidents.Open()
	t.add(pointOf(s))
}

// restarted reports whether s is of another process than the look before. When
// nobody listened in between it is taken for another one, whatever its IDs are:
// those of a small process are soon where the last one's were.
func (t *Target) restarted(s *goroutine.Snapshot) bool {
	last, failed := t.status.Snapshot, t.status.Err != nil
	switch {
	case last == nil:
		return false
	case errors.Is(t.status.Err, syscall.ECONNREFUSED):
		return true
	case last.HasIDs() && s.HasIDs():
		return !source.Continues(last, s)
	}
	return failed // it was away, and nothing tells that it is the same
}

// judge runs the detectors, and tells and exports what follows.
func (t *Target) judge(ctx context.Context, s *goroutine.Snapshot) {
	if !t.history.Add(s) {
		return
	}
	var findings []detectors.Finding
	ran := make(map[string]bool)
	for _, d := range t.detectors {
		v, err := detectors.Judge(d, t.history, detectors.KnownGood())
		findings = append(findings, v.Findings...)
		ran[d.Name] = v.Ran && err == nil
	}
	t.send(ctx, t.incidents.Step(ran, findings, s.Time))
	if t.telemetry != nil {
		t.telemetry.Publish(ctx, s, s)
		t.publishOpen(s.Time)
	}
}

func (t *Target) publishOpen(now time.Time) {
	if t.telemetry == nil {
		return
	}
	var open []detectors.Finding
	for _, i := range t.incidents.Open() {
		open = append(open, i.Finding)
	}
	t.telemetry.SetOpen(open, now)
}

// resolveAll ends all incidents: their process is gone.
func (t *Target) resolveAll(ctx context.Context, now time.Time) {
	ran := make(map[string]bool)
	for _, d := range t.detectors {
		ran[d.Name] = true
	}
	for range 3 { // incident.Config.Absences
		t.send(ctx, t.incidents.Step(ran, nil, now))
	}
}

func (t *Target) send(ctx context.Context, events []incident.Event) {
	for _, e := range events {
		if t.telemetry != nil {
			t.telemetry.Emit(ctx, e, "")
		}
		t.onEvent(Event{t.status.Name, e})
	}
}

// failed notes a look that did not happen. Metrics go to 0: the last values of
// a process that is away would be taken for its present ones.
func (t *Target) failed(ctx context.Context, err error) {
	if t.telemetry != nil {
		empty := &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceTrace}
		if t.status.Err == nil {
			t.telemetry.Publish(ctx, empty, empty)
		}
		t.telemetry.Skipped(ctx, goroutine.SourceTrace, "error")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status.Err == nil {
		t.status.Since = time.Now()
	}
	t.status.Err = err
	t.add(Point{Time: time.Now(), Failed: true})
}

// add adds a point; t.mu is held.
func (t *Target) add(p Point) {
	t.status.Points = append(t.status.Points, p)
	if n := len(t.status.Points) - maxPoints; n > 0 {
		t.status.Points = slices.Delete(t.status.Points, 0, n)
	}
}

func pointOf(s *goroutine.Snapshot) Point {
	p := Point{Time: s.Time, Total: s.Total, States: s.States(), Stacks: make(map[goroutine.GroupKey]int)}
	for i := range s.Groups[:min(len(s.Groups), maxRows)] {
		p.Stacks[s.Groups[i].Key()] += s.Groups[i].Count
	}
	return p
}

// Events keeps the newest events of all targets. It is safe for concurrent use.
type Events struct {
	mu   sync.Mutex
	list []Event
}

// Add adds an event.
func (e *Events) Add(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
	if n := len(e.list) - maxEvents; n > 0 {
		e.list = slices.Delete(e.list, 0, n)
	}
}

// List returns the events, oldest first.
func (e *Events) List() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.list)
}
