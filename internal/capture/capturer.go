package capture

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A Skip is a capture that did not happen.
type Skip struct {
	Source goroutine.Source
	*Refusal
}

// A source takes snapshots. Its errors are of type *Refusal.
type source interface {
	name() goroutine.Source
	take() (*goroutine.Snapshot, error)
}

// Config says which sources a [Capturer] has.
type Config struct {
	Budget    Budget
	Tracing   bool     // execution traces; the goroutine profile is always there
	LabelKeys []string // labelled profiles with these labels
	LeakProof bool
}

// A Capturer takes snapshots. Not safe for concurrent use.
type Capturer struct {
	governor *Governor
	sources  []source // for the regular snapshots, best first
	retired  map[goroutine.Source]bool
	looked   bool

	labelled *labelledSource // nil: no labels are wanted
	text     *textSource
	proof    *proofSource  // nil: not opted in
	window   *windowSource // nil: no traces
}

// New returns a capturer.
func New(c Config) *Capturer {
	stacks := parse.NewStacks()
	capturer := &Capturer{
		governor: NewGovernor(c.Budget, time.Now()),
		retired:  make(map[goroutine.Source]bool),
		text:     newTextSource(),
	}
	if c.Tracing {
		t := newTraceSource(stacks)
		capturer.sources = append(capturer.sources, t)
		capturer.window = &windowSource{trace: t}
	}
	capturer.sources = append(capturer.sources, newProfileSource(stacks))
	if len(c.LabelKeys) > 0 {
		capturer.labelled = newLabelledSource(parse.NewStacks(), c.LabelKeys)
	}
	if c.LeakProof {
		capturer.proof = newProofSource()
	}
	return capturer
}

// Take takes a snapshot from the best source that can run. The snapshot is nil
// when none may or can; skips tell what was passed over and why. A source that
// only has to wait, for its budget or for the load to pass, is waited for: the
// next one would spend what it is waiting for.
//
// The first snapshot is a profile: it is taken while the program starts, which
// is when it would start a flight recorder of its own, and that one must find
// its slot free.
func (c *Capturer) Take() (*goroutine.Snapshot, []Skip) {
	order := c.order()
	if c.governor.Overloaded(int(ReadScheduler().Runnable), runtime.GOMAXPROCS(0)) {
		return nil, []Skip{{order[0].name(), refuse(ReasonLoad, "over %d goroutines are ready for each P", loadFactor)}}
	}
	var skips []Skip
	for _, s := range order {
		snapshot, refusal := c.try(s)
		if refusal == nil {
			c.looked = true
			if c.proof != nil {
				c.proof.watch(snapshot)
			}
			return snapshot, skips
		}
		skips = append(skips, Skip{s.name(), refusal})
		if refusal.Forever {
			c.retired[s.name()] = true
		}
		if refusal.waits() {
			break
		}
	}
	return nil, skips
}

// Labelled takes a snapshot with labels. It returns nil and no skip when no
// labels are wanted.
func (c *Capturer) Labelled() (*goroutine.Snapshot, *Skip) {
	if c.labelled == nil {
		return nil, nil
	}
	s, refusal := c.try(c.labelled)
	return s, skipped(c.labelled, refusal)
}

// A Dump is a goroutine dump.
type Dump struct {
	*goroutine.Snapshot
	Locks []parse.Lock // that goroutines wait for, and who may hold them
}

// Text takes a goroutine dump, which alone has the addresses of locks, the
// arguments of calls and the go statements. It stops the world while it is written: it is for a suspicion,
// and refused when the stop predicted from the number of goroutines is over the
// budget.
func (c *Capturer) Text() (*Dump, *Skip) {
	s, refusal := c.try(c.text)
	if stop, goroutines := c.text.lastStop(); stop > 0 {
		c.governor.Stopped(goroutine.SourceText, goroutines, stop)
	}
	if refusal != nil {
		return nil, skipped(c.text, refusal)
	}
	return &Dump{s, c.text.locks}, nil
}

// Prove asks the runtime which goroutines are leaked for certain. base is a
// snapshot of this moment from [Capturer.Take], from which the danger and the
// cost are predicted.
// It returns nil and no skip when the proof was not opted into.
func (c *Capturer) Prove(base *goroutine.Snapshot) (*goroutine.Snapshot, *Skip) {
	if c.proof == nil || c.retired[goroutine.SourceProof] {
		return nil, nil
	}
	refusal := c.proof.preflight(base, time.Now())
	if refusal == nil {
		refusal = c.allowProof(base)
	}
	if refusal != nil {
		c.retired[goroutine.SourceProof] = refusal.Forever
		return nil, skipped(c.proof, refusal)
	}
	s, refusal := c.run(c.proof)
	return s, skipped(c.proof, refusal)
}

// Charge takes CPU time that was spent on a snapshot after it was taken from
// the budget.
func (c *Capturer) Charge(work time.Duration) { c.governor.Charge(work, time.Now()) }

func (c *Capturer) allowProof(base *goroutine.Snapshot) *Refusal {
	work, pause := c.proof.predict(base)
	return c.governor.AllowCost(work, pause, time.Now())
}

func skipped(s source, r *Refusal) *Skip {
	if r == nil {
		return nil
	}
	return &Skip{s.name(), r}
}

// order returns the sources to try now.
func (c *Capturer) order() []source {
	if !c.looked {
		return c.sources[len(c.sources)-1:]
	}
	var order []source
	for _, s := range c.sources {
		if !c.retired[s.name()] {
			order = append(order, s)
		}
	}
	return order
}

func (c *Capturer) try(s source) (*goroutine.Snapshot, *Refusal) {
	if refusal := c.governor.Allow(s.name(), runtime.NumGoroutine(), time.Now()); refusal != nil {
		return nil, refusal
	}
	return c.run(s)
}

// run takes a snapshot that was allowed and records what it cost.
func (c *Capturer) run(s source) (*goroutine.Snapshot, *Refusal) {
	n := runtime.NumGoroutine()
	began := time.Now()
	snapshot, err := guarded(s)
	took := time.Since(began)
	c.governor.Spent(s.name(), n, took, time.Now())
	if err != nil {
		return nil, err
	}
	complete(snapshot, took)
	return snapshot, nil
}

// complete adds what every snapshot of this process has, if there is one.
func complete(s *goroutine.Snapshot, took time.Duration) {
	if s != nil {
		s.Duration = took
		s.Scheduler = ReadScheduler()
	}
}

// guarded runs a source and turns whatever goes wrong, panics included, into a
// refusal.
func guarded(s source) (snapshot *goroutine.Snapshot, refusal *Refusal) {
	defer func() {
		if p := recover(); p != nil {
			snapshot, refusal = nil, &Refusal{Reason: ReasonError, Err: fmt.Errorf("%s: panic: %v", s.name(), p)}
		}
	}()
	snapshot, err := s.take()
	if err == nil {
		return snapshot, nil
	}
	if errors.As(err, &refusal) {
		return nil, refusal
	}
	return nil, &Refusal{Reason: ReasonError, Err: err}
}
