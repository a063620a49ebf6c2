// Package live observes processes from outside. Each snapshot goes through the
// same engine that otelgoroutine's monitor uses inside a process. If a process
// restarts or cannot be reached, observation resumes when it responds again.
package live

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/source"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/telemetry"
)

const (
	// maxPoints is how many snapshots the sparklines cover.
	maxPoints = 120
	// maxEvents is how many events are kept for display.
	maxEvents = 100
	// maxRows is how many stacks, the largest, a point stores.
	maxRows = 64
)

var errEmpty = errors.New("a snapshot without goroutines")

// A Process takes snapshots of one process. *source.Remote is the production
// implementation.
type Process interface {
	Take(context.Context) (*goroutine.Snapshot, error)
	Forget()
}

// A Point is the part of a snapshot that is kept for the sparklines.
type Point struct {
	Time   time.Time
	Failed bool
	Total  int
	States map[goroutine.State]int
	Stacks map[goroutine.GroupKey]int // the largest
}

// An Event is an event and the process that it is about.
type Event struct {
	Target string
	detectors.Event
}

// A Status is everything that is displayed about a target.
type Status struct {
	Name     string
	Snapshot *goroutine.Snapshot // the latest; nil before the first
	Err      error               // why the latest attempt failed; nil if it succeeded
	Since    time.Time           // start of the current series of failures
	Faults   []string            // errors of detectors, in the detectors' order; nil if there are none
	Restarts int
	Taken    int // snapshots
	Open     []detectors.Finding
	Points   []Point      // oldest first
	Sight    sight.Status // what can be judged now
}

// A Target is a process under observation. Its methods are safe for concurrent
// use, but calls of Observe and Run must not overlap.
type Target struct {
	process   Process
	detectors []*detectors.Detector
	known     []detectors.KnownStack
	telemetry *telemetry.Telemetry // nil if nothing is exported
	onEvent   func(Event)

	engine *engine.Engine
	sight  *sight.Sight

	mu     sync.Mutex
	status Status
}

// NewTarget returns a target. telemetry may be nil. seen records what can be
// judged; it must be new, and its interval that of Run. onEvent is called for
// each event, on the goroutine that runs Observe.
func NewTarget(name string, p Process, ds []*detectors.Detector, seen *sight.Sight, t *telemetry.Telemetry, onEvent func(Event)) *Target {
	target := &Target{process: p, detectors: ds, sight: seen, telemetry: t, onEvent: onEvent, status: Status{Name: name}}
	target.begin()
	if t != nil {
		t.SetDetectors(seen.Current(), time.Now())
	}
	return target
}

// Exclude sets stacks that wait by design, beyond those that are known. It is called
// before Run.
func (t *Target) Exclude(known []detectors.KnownStack) {
	t.known = known
	t.begin()
}

// begin starts over with an empty history, for a new process.
func (t *Target) begin() {
	t.engine = engine.New(engine.Config{Detectors: t.detectors, Known: t.known})
}

// Status returns a copy of the current status.
func (t *Target) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.Points = slices.Clone(s.Points)
	s.Sight = t.sight.Status(time.Now())
	return s
}

// Run takes a snapshot immediately and then at every interval, until ctx ends.
func (t *Target) Run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		t.Observe(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// Observe takes a snapshot, runs the detectors, and reports and exports the
// results.
func (t *Target) Observe(ctx context.Context) {
	s, err := t.process.Take(ctx)
	if ctx.Err() != nil {
		return
	}
	if s == nil || s.Total == 0 {
		t.failed(ctx, cmp.Or(err, errEmpty))
		return
	}
	restarted := t.restarted(s)
	if restarted {
		t.process.Forget()
		t.send(ctx, t.engine.End(s.Time))
		t.begin()
		if again, e := t.process.Take(ctx); again != nil && again.Total > 0 {
			s, err = again, e // births are counted from here
		}
	}
	result := t.judge(ctx, s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if restarted {
		t.status.Restarts++
	}
	t.status.Taken++
	t.status.Snapshot, t.status.Err, t.status.Open = s, err, result.Open
	t.status.Faults = faults(result.Verdicts)
	t.add(pointOf(s))
}

// restarted reports whether s is of a different process than the previous
// snapshot. If the connection was refused in between, it assumes a restart and
// ignores the IDs: a small process that restarts soon reaches the IDs of its
// predecessor.
func (t *Target) restarted(s *goroutine.Snapshot) bool {
	last := t.status.Snapshot
	switch {
	case last == nil:
		return false
	case errors.Is(t.status.Err, syscall.ECONNREFUSED):
		return true
	case last.HasIDs() && s.HasIDs():
		return !source.Continues(last, s)
	}
	away := t.status.Points[len(t.status.Points)-1].Failed // not Err, which is also set for a partial snapshot
	return away                                            // nothing shows that it is the same process
}

// judge runs the detectors, reports the events and exports the results.
func (t *Target) judge(ctx context.Context, s *goroutine.Snapshot) engine.Result {
	result := t.engine.Step(s)
	t.send(ctx, result.Events)
	t.sight.Saw(s, result.Statuses, nil, time.Now())
	if t.telemetry != nil {
		t.telemetry.SetDetectors(result.Statuses, s.Time)
		t.telemetry.Publish(ctx, s, s)
		t.telemetry.SetOpen(result.Open, s.Time)
	}
	return result
}

// faults returns the errors of detectors.
func faults(verdicts []engine.Verdict) (all []string) {
	for _, v := range verdicts {
		if v.Err != nil {
			all = append(all, v.Err.Error())
		}
	}
	return all
}

func (t *Target) send(ctx context.Context, events []detectors.Event) {
	for _, e := range events {
		if t.telemetry != nil {
			t.telemetry.Emit(ctx, e, telemetry.Files{})
		}
		t.onEvent(Event{t.status.Name, e})
	}
}

// failed records a failed snapshot. Metrics are set to 0; otherwise the last
// values of an unreachable process would look current.
func (t *Target) failed(ctx context.Context, err error) {
	t.sight.Skipped([]sight.Skip{{Source: goroutine.SourceTrace, Reason: "error"}})
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

// add adds a point. The caller holds t.mu.
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
