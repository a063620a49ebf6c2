// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// The predicted cost of the leak proof. All values were measured with Go 1.26.8
// and 1.27.4, which agree, and are rounded up.
const (
	// proofPerPair is the cost for each pair of waiters on one lock: from every
	// waiter, the runtime follows the rest of the queue, twice, with the world
	// stopped. It took 3 ns when the queue was in memory order (4.5 s for 40,000
	// waiters). When it was not, it took 7 ns with 1,000 waiters, 9 ns with
	// 10,000, and 16 to 23 ns with 20,000 and 40,000 (27 to 37 s). A busier
	// machine took longer.
	proofPerPair = 30 * time.Nanosecond
	// proofHalves is how many stops that cost is divided into.
	proofHalves = 2

	// proofPerGoroutine is the cost for each goroutine: 1.8 µs if it is leaked,
	// less if it is not. The longest stop takes 0.15 to 0.2 µs of it.
	proofPerGoroutine = 2 * time.Microsecond
	proofStop         = 250 * time.Nanosecond

	// proofPerKiB is the cost of the garbage collection per KiB of live heap: 400
	// ns in a linked list of 64-byte objects, 10 ns without pointers.
	proofPerKiB = 500 * time.Nanosecond

	// In a chain, each goroutine holds what wakes the next one. The proof stops
	// the world again for each link of a chain, and visits every goroutine that is
	// still parked: 1,000 links took 0.13 s, 10,000 took 2 to 3 s, and 1,000 links
	// alongside 100,000 leaked goroutines took 5 s. The world was stopped for half
	// to nine tenths of that time. No snapshot shows how long the longest chain
	// is. Assuming one chain through all goroutines would refuse every proof that
	// matters, so chains are assumed to be short until a proof has counted the
	// stops.
	proofLinks            = 16
	proofPerLink          = 120 * time.Microsecond
	proofPerLinkGoroutine = 60 * time.Nanosecond

	// ProofSpacing is the usual minimum time between two proofs.
	ProofSpacing = 10 * time.Minute
)

// A proofSource asks the runtime which goroutines can never be woken, because
// nothing reachable leads to what they wait for.
//
// Users must opt in: if a goroutine is found to be leaked and is then woken after
// all, the process ends. safety.proof refuses the proof if that can be foreseen.
type proofSource struct {
	stacks *parse.Stacks
	last   time.Time // when the last proof began
	links  int       // in the longest chain to expect

	spacing time.Duration // least time between two proofs
}

func newProofSource() *proofSource {
	return &proofSource{stacks: parse.NewStacks(), links: proofLinks, spacing: ProofSpacing}
}

func (p *proofSource) name() goroutine.Source { return goroutine.SourceProof }

func (p *proofSource) take(a *allowance) (result, error) {
	p.last = time.Now()
	before := collectorStops()
	var buf bytes.Buffer
	if err := pprof.Lookup(leakProfile).WriteTo(&buf, 0); err != nil {
		return result{}, err
	}
	p.links = max(proofLinks, collectorStops()-before)
	if err := a.err(); err != nil {
		return result{}, err
	}
	s, err := parse.Profile(buf.Bytes(), time.Now(), p.stacks, parse.Labels{})
	if err != nil {
		return result{}, err
	}
	s.Source = goroutine.SourceProof
	return result{Snapshot: s}, nil
}

const leakProfile = "goroutineleak"

// due refuses a proof that the runtime does not support, or that comes too soon
// after the last one.
func (p *proofSource) due(now time.Time) *Refusal {
	if pprof.Lookup(leakProfile) == nil {
		return refuseForever(ReasonVersion, "%s has no %s profile, which came with Go 1.27", runtime.Version(), leakProfile)
	}
	if !p.last.IsZero() && now.Sub(p.last) < p.spacing {
		return refuse(ReasonBudget, "the last leak proof was %v ago; they are at least %v apart", now.Sub(p.last).Round(time.Second), p.spacing)
	}
	return nil
}

// predict returns what a proof would cost.
func (p *proofSource) predict(s *goroutine.Snapshot) (work, pause time.Duration) {
	pairs := proofPerPair * pairs(s)
	n := time.Duration(s.Total)
	work = pairs + proofPerGoroutine*n + proofPerKiB*time.Duration(liveHeap()>>10)
	work += time.Duration(p.links) * (proofPerLink + proofPerLinkGoroutine*n)
	return work, pairs/proofHalves + proofStop*n
}

// pairs returns how many pairs of goroutines may wait in one queue. Different
// states are different queues. Goroutines in one state are assumed to wait for one
// lock, unless the addresses of their locks are known. Condition variables have
// another kind of queue, which the runtime does not follow. A goroutine that waits
// for something unknown may be waiting for a lock.
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
	return uint64Of(sample[0])
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
