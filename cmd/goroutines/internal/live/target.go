// Package live observes processes from outside: each snapshot goes through the
// engine that otelgoroutine's monitor has in a process of its own. A process
// that restarts, or cannot be reached, is waited for.
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
	"github.com/otelgoroutine/go/internal/telemetry"
)

const (
	// maxPoints is how many snapshots the sparklines go back.
	maxPoints = 120
	// maxEvents is how many events are kept to be shown.
	maxEvents = 100
	// maxRows bounds the stacks that a point remembers: the largest.
	maxRows = 64
)

var errEmpty = errors.New("a snapshot without goroutines")

// A Process takes snapshots of one process. *source.Remote is the real one.
type Process interface {
	Take(context.Context) (*goroutine.Snapshot, error)
	Forget()
}

// A Point is what a snapshot leaves behind for the sparklines.
type Point struct {
	Time   time.Time
	Failed bool
	Total  int
	States map[goroutine.State]int
	Stacks map[goroutine.GroupKey]int // the largest
}

// An Event is an event with the process that it is about.
type Event struct {
	Target string
	detectors.Event
}

// A Status is everything there is to show of a target.
type Status struct {
	Name     string
	Snapshot *goroutine.Snapshot // the last; nil before the first
	Err      error               // why the last could not be had; nil when it could
	Since    time.Time           // when it began to fail
	Faults   []string            // what went wrong in detectors, by their order; nil when all is well
	Restarts int
	Taken    int // snapshots
	Open     []detectors.Finding
	Points   []Point // oldest first
}

// A Target is a process under observation. Its methods are safe for concurrent
// use; Observe and Run must not run twice at a time.
type Target struct {
	process   Process
	detectors []*detectors.Detector
	telemetry *telemetry.Telemetry // nil: nothing is exported
	onEvent   func(Event)

	engine *engine.Engine

	mu     sync.Mutex
	status Status
}

// NewTarget returns a target. telemetry may be nil; onEvent is called for each
// event, on the goroutine that observes.
func NewTarget(name string, p Process, ds []*detectors.Detector, t *telemetry.Telemetry, onEvent func(Event)) *Target {
	target := &Target{process: p, detectors: ds, telemetry: t, onEvent: onEvent, status: Status{Name: name}}
	target.begin()
	return target
}

// begin starts with a process of which nothing is known.
func (t *Target) begin() {
	t.engine = engine.New(engine.Config{Detectors: t.detectors})
}

// Status returns what there is to show.
func (t *Target) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.Points = slices.Clone(s.Points)
	return s
}

// Run takes a snapshot at once and then every interval, until ctx ends.
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

// Observe takes a snapshot and does everything that follows from it.
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
			s, err = again, e // its births are counted anew
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

// restarted reports whether s is of another process than the snapshot before.
// When nothing listened in between it is taken for another one, whatever its IDs are:
// those of a small process are soon where the last one's were.
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
	away := t.status.Points[len(t.status.Points)-1].Failed // a snapshot that lacks something has an error too
	return away                                            // and nothing tells that it is the same process
}

// judge runs the detectors, and tells and exports what follows.
func (t *Target) judge(ctx context.Context, s *goroutine.Snapshot) engine.Result {
	result := t.engine.Step(s)
	t.send(ctx, result.Events)
	if t.telemetry != nil {
		t.telemetry.Publish(ctx, s, s)
		t.telemetry.SetOpen(result.Open, s.Time)
	}
	return result
}

// faults returns what went wrong in detectors.
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
			t.telemetry.Emit(ctx, e, "")
		}
		t.onEvent(Event{t.status.Name, e})
	}
}

// failed notes a snapshot that could not be had. Metrics go to 0: the last values of
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
