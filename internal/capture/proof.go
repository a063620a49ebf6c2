package capture

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// What the leak proof is predicted to cost, from docs/DESIGN.md.
const (
	proofPerPair = 3 * time.Nanosecond   // for each pair of waiters on one lock
	proofPerKiB  = 500 * time.Nanosecond // of live heap: the garbage collection that it forces
	proofFrozen  = 2                     // the world is stopped for one part in so many of the pairs' time
	// ProofSpacing is the least time between two proofs.
	ProofSpacing = 10 * time.Minute
)

// A proofSource asks the runtime which goroutines can never be woken, because
// nothing that is reachable leads to what they wait for.
//
// It is opted into. A goroutine that was found to be leaked and is woken all
// the same ends the process; preflight refuses where that can be seen coming.
type proofSource struct {
	stacks *parse.Stacks
	last   time.Time
}

func newProofSource() *proofSource { return &proofSource{stacks: parse.NewStacks()} }

func (p *proofSource) name() goroutine.Source { return goroutine.SourceProof }

func (p *proofSource) take() (*goroutine.Snapshot, error) {
	profile := pprof.Lookup("goroutineleak")
	if profile == nil {
		return nil, unsupported()
	}
	p.last = time.Now()
	var buf bytes.Buffer
	if err := profile.WriteTo(&buf, 0); err != nil {
		return nil, err
	}
	s, err := parse.Profile(buf.Bytes(), time.Now(), p.stacks, nil)
	if err != nil {
		return nil, err
	}
	s.Source = goroutine.SourceProof
	return s, nil
}

func unsupported() *Refusal {
	return &Refusal{Reason: ReasonVersion, Forever: true,
		Err: fmt.Errorf("%s has no goroutineleak profile: it came with Go 1.27", runtime.Version())}
}

// preflight refuses a proof that could end the process or freeze it, as far as
// the snapshot at hand tells.
func (p *proofSource) preflight(s *goroutine.Snapshot, now time.Time) *Refusal {
	if pprof.Lookup("goroutineleak") == nil {
		return unsupported()
	}
	if !p.last.IsZero() && now.Sub(p.last) < ProofSpacing {
		return refuse(ReasonBudget, "the last leak proof was %v ago; they are at least %v apart", now.Sub(p.last).Round(time.Second), ProofSpacing)
	}
	if path := unsafeModule(); path != "" {
		return &Refusal{Reason: ReasonUnsafe, Forever: true, Err: fmt.Errorf("module %s parks goroutines where the garbage collector cannot see who wakes them", path)}
	}
	for i := range s.Groups {
		if f, found := foreignPark(&s.Groups[i]); found {
			return refuse(ReasonUnsafe, "%s parks goroutines itself", f.Function)
		}
	}
	return nil
}

// unsafeModule returns the path of a module of this program that is known to
// park goroutines through a linknamed runtime.gopark.
func unsafeModule() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if strings.Contains(m.Path, "gvisor") {
			return m.Path
		}
	}
	return ""
}

// foreignPark finds a frame from outside the standard library directly above
// runtime.gopark: somebody who parks goroutines past the runtime's knowledge.
// A group whose frames are not known counts as one.
func foreignPark(g *goroutine.Group) (goroutine.Frame, bool) {
	if g.Stack.ID == goroutine.OtherStacks {
		return goroutine.Frame{Function: "a stack that was summed up"}, true
	}
	for i, f := range g.Stack.Frames {
		if f.Function == "runtime.gopark" && i+1 < len(g.Stack.Frames) {
			next := g.Stack.Frames[i+1]
			return next, !next.Standard()
		}
	}
	return goroutine.Frame{}, false
}

// predict returns what a proof would cost. The time is quadratic in the
// waiters on one lock; without the locks' addresses, all waiters of one state
// at one stack are taken to wait on the same.
func (p *proofSource) predict(s *goroutine.Snapshot) (work, pause time.Duration) {
	var pairs time.Duration
	for i := range s.Groups {
		if g := &s.Groups[i]; g.State.Category() == goroutine.CategoryMutex {
			pairs += proofPerPair * time.Duration(g.Count) * time.Duration(g.Count)
		}
	}
	return pairs + proofPerKiB*time.Duration(liveHeap()>>10), pairs / proofFrozen
}

func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
