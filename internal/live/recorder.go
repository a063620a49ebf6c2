package live

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// Bounds of what is kept.
const (
	pointLooks  = 720 // looks whose states are kept: three hours at 15 s
	seriesLooks = 240 // looks whose counts are kept for a group: one hour at 15 s
	maxSeries   = 300 // groups whose counts are kept
	topSeries   = 200 // the largest groups of a look, whose counts are kept from then on
	maxGroups   = 8192
	maxEvents   = 200
	maxSkips    = 64 // pairs of source and reason

	// lingering is for how many looks a group without goroutines is kept:
	// most of those come back.
	lingering = 8
	// recentLooks is the time over which births and exits are added up.
	recentLooks = 20
)

// Config is what a recorder tells about the monitor.
type Config struct {
	Interval time.Duration // between looks
	CPU      float64       // budget, as a share of one core
	Pause    time.Duration // budget of a stop
}

// A Recorder remembers looks. Make one with [New].
type Recorder struct {
	config Config

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	stopped bool
	seq     uint64 // of the last change

	latest  *goroutine.Snapshot // nil before the first look
	looks   uint64
	newborn uint64 // highest goroutine ID of the last look that knew IDs

	groups map[goroutine.GroupKey]*group
	serial int // of the youngest group
	series int // groups with a series
	gone   departures

	points *ring[point]
	open   []detectors.Finding
	judged uint64 // seq of the last look at which something was open, or ceased to be
	events *ring[Event]
	skips  map[Skip]int
}

// New returns a recorder that has seen nothing.
func New(c Config) *Recorder {
	return &Recorder{
		config:  c,
		changed: make(chan struct{}),
		groups:  make(map[goroutine.GroupKey]*group),
		points:  newRing[point](pointLooks),
		events:  newRing[Event](maxEvents),
		skips:   make(map[Skip]int),
	}
}

// Look records a snapshot, the incidents that are open after it and the events
// that it led to. The snapshot is kept until the next.
func (r *Recorder) Look(s *goroutine.Snapshot, open []detectors.Finding, events []detectors.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	r.looks++
	r.count(s)
	r.points.push(pointOf(r.seq, s))
	if len(open)+len(r.open) > 0 {
		r.open, r.judged = open, r.seq
	}
	for _, e := range events {
		r.events.push(eventOf(r.seq, e))
	}
	r.latest = s
	r.wake()
}

// Skipped records a look that did not happen.
func (r *Recorder) Skipped(source goroutine.Source, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	skip := Skip{Source: source, Reason: reason}
	if _, known := r.skips[skip]; !known && len(r.skips) >= maxSkips {
		return
	}
	r.skips[skip]++
	r.seq++
	r.wake()
}

// Close says that there will be no more looks. What was recorded can still be
// viewed. It may be called again.
func (r *Recorder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped {
		r.stopped = true
		r.seq++
		r.wake()
	}
}

// wake tells everybody who waits.
func (r *Recorder) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the next change after the one
// that seq tells, and so at once when there was one since.
func (r *Recorder) Changed(seq uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seq > seq {
		now := make(chan struct{})
		close(now)
		return now
	}
	return r.changed
}

// Snapshot returns the latest snapshot, nil before the first.
func (r *Recorder) Snapshot() *goroutine.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest
}

// A point is what is kept of one look for the states over time.
type point struct {
	seq    uint64
	time   float64
	states []StateCount
	took   float64
}

func pointOf(seq uint64, s *goroutine.Snapshot) point {
	return point{seq: seq, time: seconds(s.Time), states: statesOf(s), took: s.Duration.Seconds()}
}

// statesOf counts by state, largest first.
func statesOf(s *goroutine.Snapshot) []StateCount {
	counts := []StateCount{}
	for state, n := range s.States() {
		counts = append(counts, StateCount{State: state, Count: n})
	}
	slices.SortFunc(counts, func(a, b StateCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.State, b.State))
	})
	return counts[:min(len(counts), maxStates)]
}

// maxStates is how many states of a look are kept; the runtime has some forty.
const maxStates = 64

// seconds is how times are told: Unix time, to the millisecond.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
