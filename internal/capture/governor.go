package capture

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Budget is what taking snapshots may cost the host.
type Budget struct {
	CPU   float64       // share of one core, over time
	Pause time.Duration // stop of the world, as predicted for one snapshot; 0 allows none
}

// A Governor decides from predictions which capture may run. It measures each
// source, predicts the cost of the next capture from the number of goroutines, and
// allows it when the CPU time earned so far covers the prediction. So with any
// number of goroutines, the share of one core stays within the budget, and the
// time between captures grows instead.
//
// Its callers pass in the time. It is not safe for concurrent use.
type Governor struct {
	budget   Budget
	rates    map[goroutine.Source]rate
	credit   time.Duration // CPU time earned and not spent; negative when in debt
	wanted   time.Duration // CPU time last refused for lack of credit
	earnedAt time.Time
	loaded   int // snapshots skipped in a row because of load
}

// A rate is what a source costs per goroutine.
type rate struct {
	work  time.Duration // CPU time
	pause time.Duration // stop of the world; 0 for a source whose stop does not grow
}

// cores is how many cores a source keeps busy while it runs: the tracer's reader
// works alongside the goroutine that takes the trace.
var cores = map[goroutine.Source]float64{goroutine.SourceTrace: 1.5, goroutine.SourceRecorder: 1.5}

// firstRates are the costs assumed before the first measurement: the upper end of
// what docs/DESIGN.md records.
var firstRates = map[goroutine.Source]rate{
	goroutine.SourceTrace:    {work: 3 * time.Microsecond},
	goroutine.SourceRecorder: {work: 3 * time.Microsecond},
	goroutine.SourceProfile:  {work: 2 * time.Microsecond},
	goroutine.SourceLabelled: {work: 4 * time.Microsecond},
	// The stop takes half a microsecond per frame: 2 µs for a goroutine with one
	// frame, 5.5 µs with 12, 15 µs with 42, at any number of goroutines. Reading
	// the text adds a third.
	goroutine.SourceText: {work: 15 * time.Microsecond, pause: 10 * time.Microsecond},
}

const (
	// loan is how much CPU time a capture may use before it is earned. With it, a
	// process with up to about 15,000 goroutines does not wait for its first
	// snapshot.
	loan = 50 * time.Millisecond
	// creditSpan bounds what an idle governor saves up: what it earns in this time
	// or, if that is more, the cost of the one capture it is saving for.
	creditSpan = 10 * time.Minute
	// loadFactor is how many goroutines must be runnable per P before the process
	// counts as overloaded. loadPatience is how many snapshots in a row are
	// skipped for that reason. Then one is taken anyway: a lasting overload is
	// what people want to see.
	loadFactor   = 64
	loadPatience = 4
	// fewest is the smallest number of goroutines that a measured cost is divided
	// by. Otherwise the part that does not grow with them, about a millisecond,
	// would be taken for the cost of each goroutine.
	fewest = 256
	// forgetting is how slowly a refused source is forgiven: each refusal moves
	// its pause back towards the first assumption, by one part in this many.
	// Without that, a source that is never allowed would never be measured again.
	// With 15 s between refusals, half the way takes eleven minutes.
	forgetting = 64
)

// NewGovernor returns a governor that starts at now, without credit.
func NewGovernor(b Budget, now time.Time) *Governor {
	g := &Governor{budget: b, rates: make(map[goroutine.Source]rate), earnedAt: now}
	for s, r := range firstRates {
		g.rates[s] = r
	}
	return g
}

// Allow returns nil if source may take a snapshot of this many goroutines now.
func (g *Governor) Allow(source goroutine.Source, goroutines int, now time.Time) *Refusal {
	work, pause := g.Predict(source, goroutines)
	refusal := g.AllowCost(work, pause, now)
	if refusal != nil && refusal.Reason == ReasonPause {
		r := g.rates[source]
		r.pause -= (r.pause - firstRates[source].pause) / forgetting
		g.rates[source] = r
	}
	return refusal
}

// AllowCost returns nil if a capture with this predicted cost may run now.
func (g *Governor) AllowCost(work, pause time.Duration, now time.Time) *Refusal {
	g.earn(now)
	switch {
	case pause > g.budget.Pause:
		return refuse(ReasonPause, "the predicted stop of the world is %v; it must be at most %v", pause, g.budget.Pause)
	case g.credit+loan < work:
		g.wanted = work
		return refuse(ReasonBudget, "the predicted CPU time is %v; %v is available", work, (g.credit + loan).Round(time.Microsecond))
	}
	return nil
}

// Overloaded reports whether to skip a snapshot because too many runnable
// goroutines queue for procs Ps. After loadPatience skips in a row it returns
// false.
func (g *Governor) Overloaded(runnable, procs int) bool {
	if runnable < loadFactor*procs || g.loaded >= loadPatience {
		g.loaded = 0
		return false
	}
	g.loaded++
	return true
}

// Predict returns what source would cost now.
func (g *Governor) Predict(source goroutine.Source, goroutines int) (work, pause time.Duration) {
	r := g.rates[source]
	return r.work * time.Duration(goroutines), r.pause * time.Duration(goroutines)
}

// Spent records how long a capture took, whether or not it succeeded.
func (g *Governor) Spent(source goroutine.Source, goroutines int, took time.Duration, now time.Time) {
	g.earn(now)
	work := took
	if c, ok := cores[source]; ok {
		work = time.Duration(float64(took) * c)
	}
	g.credit -= work
	r := g.rates[source]
	r.work = follow(r.work, work, goroutines)
	g.rates[source] = r
}

// Stopped records how long a capture stopped the world, for a source whose stop
// grows with the number of goroutines.
func (g *Governor) Stopped(source goroutine.Source, goroutines int, stop time.Duration) {
	r := g.rates[source]
	r.pause = follow(r.pause, stop, goroutines)
	g.rates[source] = r
}

// follow returns the updated cost per goroutine after a capture that cost total.
// The cost rises at once and falls by a quarter of the difference, because a
// capture that was slow on a busy machine is likely to be slow again.
func follow(rate, total time.Duration, goroutines int) time.Duration {
	measured := total / time.Duration(max(goroutines, fewest))
	if measured > rate {
		return measured
	}
	return rate - (rate-measured)/4
}

// Charge records CPU time that was not spent on a capture itself.
func (g *Governor) Charge(work time.Duration, now time.Time) {
	g.earn(now)
	g.credit -= max(work, 0)
}

func (g *Governor) earn(now time.Time) {
	if passed := now.Sub(g.earnedAt); passed > 0 {
		most := max(time.Duration(g.budget.CPU*float64(creditSpan)), g.wanted)
		g.credit = min(g.credit+time.Duration(g.budget.CPU*float64(passed)), most)
	}
	g.earnedAt = now
}
