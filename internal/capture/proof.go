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

// What the leak proof is predicted to cost. All were measured with Go 1.26.8
// and 1.27.4, which agree, and are rounded up.
const (
	// proofPerPair is for each pair of waiters on one lock: the runtime
	// follows the rest of the queue from every waiter, twice, with the world
	// stopped. It took 3 ns where the queue is in the order of the memory
	// (4.5 s for 40,000 waiters) and, where it is not, 7 ns with 1,000
	// waiters, 9 ns with 10,000, 16 to 23 ns with 20,000 and 40,000 (27 to
	// 37 s), the more the busier the machine.
	proofPerPair = 30 * time.Nanosecond
	// proofHalves is how many stops those come in.
	proofHalves = 2

	// proofPerGoroutine is for each goroutine: 1.8 µs when it is leaked, less
	// when it is not. The longest stop has 0.15 to 0.2 µs of it.
	proofPerGoroutine = 2 * time.Microsecond
	proofStop         = 250 * time.Nanosecond

	// proofPerKiB is for the garbage collection, by live heap: 400 ns in a
	// linked list of 64-byte objects, 10 ns without pointers.
	proofPerKiB = 500 * time.Nanosecond

	// The proof stops the world anew for each link of a chain in which a
	// goroutine holds what wakes the next one, and looks at everything that
	// is still parked: 1,000 links took 0.13 s, 10,000 took 2 to 3 s, and
	// 1,000 links beside 100,000 leaked goroutines 5 s, for half to nine
	// tenths of which the world was stopped. No snapshot shows how long the
	// longest chain is, and one goroutine in a chain with all others would be
	// a bound that refuses every proof that matters. So programs are taken to
	// have short chains until a proof has counted the stops.
	proofLinks            = 16
	proofPerLink          = 120 * time.Microsecond
	proofPerLinkGoroutine = 60 * time.Nanosecond

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
	links  int             // of the longest chain to expect
	parks  goroutine.Frame // somebody who parks goroutines itself
}

func newProofSource() *proofSource {
	return &proofSource{stacks: parse.NewStacks(), links: proofLinks}
}

func (p *proofSource) name() goroutine.Source { return goroutine.SourceProof }

func (p *proofSource) take() (*goroutine.Snapshot, error) {
	profile := pprof.Lookup("goroutineleak")
	if profile == nil {
		return nil, unsupported()
	}
	p.last = time.Now()
	before := collectorStops()
	var buf bytes.Buffer
	if err := profile.WriteTo(&buf, 0); err != nil {
		return nil, err
	}
	p.links = max(proofLinks, collectorStops()-before)
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

// preflight refuses a proof that could end the process, as far as the snapshot
// at hand tells.
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
	if p.watch(s); p.parks.Function != "" {
		return &Refusal{Reason: ReasonUnsafe, Forever: true, Err: fmt.Errorf("%s parks goroutines itself", p.parks.Function)}
	}
	return unseen(s)
}

// watch looks for goroutines that park themselves, past the runtime's knowledge
// of who can wake them. Every snapshot counts: where a goroutine runs in one
// that is parked most of the time, the others show it.
func (p *proofSource) watch(s *goroutine.Snapshot) {
	for i := range s.Groups {
		if f, found := foreignPark(s.Groups[i].State, s.Groups[i].Stack.Frames); found {
			p.parks = f
			return
		}
	}
}

// unseen refuses a proof where a goroutine may be parked in a way that the
// snapshot does not show.
func unseen(s *goroutine.Snapshot) *Refusal {
	if s.Missing > 0 || s.Source == goroutine.SourceText {
		return refuse(ReasonUnsafe, "the snapshot does not show how every goroutine is parked")
	}
	for i := range s.Groups {
		if unknownPark(&s.Groups[i]) {
			return refuse(ReasonUnsafe, "the stacks of %d parked goroutines are not known", s.Groups[i].Count)
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
	for _, m := range append(info.Deps, &info.Main) {
		if m.Replace != nil {
			m = m.Replace
		}
		if strings.Contains(m.Path, "gvisor") {
			return m.Path
		}
	}
	return ""
}

// unknownPark reports whether a group may be parked by anybody.
func unknownPark(g *goroutine.Group) bool {
	return g.Stack.ID == goroutine.OtherStacks || len(g.Stack.Frames) == 0 && g.State == goroutine.Waiting
}

// foreignPark finds a frame from outside the standard library directly above
// the runtime's own way to park. A trace leaves gopark out of the stack of a
// goroutine that parked before its eyes: the frame is then at the leaf.
func foreignPark(state goroutine.State, frames []goroutine.Frame) (goroutine.Frame, bool) {
	for i, f := range frames {
		parks := i == 0 && state.Blocked()
		if i > 0 {
			above := frames[i-1].Function
			parks = above == "runtime.gopark" || above == "runtime.goparkunlock"
		}
		if parks && !f.Standard() {
			return f, true
		}
	}
	return goroutine.Frame{}, false
}

// predict returns what a proof would cost.
func (p *proofSource) predict(s *goroutine.Snapshot) (work, pause time.Duration) {
	pairs := proofPerPair * pairs(s)
	n := time.Duration(s.Total)
	work = pairs + proofPerGoroutine*n + proofPerKiB*time.Duration(liveHeap()>>10)
	work += time.Duration(p.links) * (proofPerLink + proofPerLinkGoroutine*n)
	return work, pairs/proofHalves + proofStop*n
}

// pairs returns how many pairs of goroutines may wait in one queue. All that
// wait in one state are taken to wait for the same lock, unless their locks'
// addresses are known: different states are different queues, and of all locks
// of one kind it may be one. Condition variables have another queue, which the
// runtime does not follow. A goroutine that waits for what is not known may
// wait for a lock.
func pairs(s *goroutine.Snapshot) (pairs time.Duration) {
	type queue struct {
		state goroutine.State
		lock  uint64
	}
	queues := make(map[queue]time.Duration)
	for i := range s.Groups {
		g := &s.Groups[i]
		if queued := g.State.Category() == goroutine.CategoryMutex && g.State != goroutine.CondWait; queued || g.State == goroutine.Waiting {
			queues[queue{g.State, g.Lock}] += time.Duration(g.Count)
		}
	}
	for _, n := range queues {
		pairs += n * n
	}
	return pairs
}

func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

// collectorStops returns how often the garbage collector stopped the world.
func collectorStops() (stops int) {
	sample := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	for _, n := range sample[0].Value.Float64Histogram().Counts {
		stops += int(n)
	}
	return stops
}
