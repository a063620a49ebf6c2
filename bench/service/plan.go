package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// A scenario is everything that is measured with one number of parked
// goroutines.
type scenario struct {
	Parked   int           `json:"parked"`
	Rounds   int           `json:"rounds"`
	Warmup   time.Duration `json:"warmup"`
	Duration time.Duration `json:"duration"`
	Capacity float64       `json:"capacity"` // requests a second that the server bears without a monitor
	Rate     float64       `json:"rate"`     // requests a second of the steady load
	Runs     []measurement `json:"runs"`
}

const (
	steadyShare    = 0.5 // of the capacity
	leastWarmup    = 3 * time.Second
	usualDuration  = 30 * time.Second
	longDuration   = 45 * time.Second
	calibrationFor = 10 * time.Second
	// The default of otelgoroutine.WithBudget.
	defaultCPU   = 0.005
	defaultPause = 10 * time.Millisecond
	// snapshotMargin is how long before the end of the measured time the first
	// regular snapshot is to begin, where it comes late.
	snapshotMargin = 5 * time.Second
)

func newScenario(o options, i int) scenario {
	s := scenario{Parked: o.parked[i], Rounds: o.rounds[i], Duration: o.duration, Warmup: o.warmup}
	first := firstRegular(s.Parked)
	if s.Duration == 0 {
		s.Duration = usualDuration
		if first > usualDuration {
			s.Duration = longDuration
		}
	}
	if s.Warmup < 0 {
		s.Warmup = max(leastWarmup, first-s.Duration+min(snapshotMargin, s.Duration/2))
	}
	return s
}

// firstRegular asks the governor with the default budget when it will allow the
// first snapshot with the tracer, counted from the start of the monitor. The
// snapshot before that, at the start, finds no parked goroutines yet.
func firstRegular(parked int) time.Duration {
	began := time.Time{}.Add(time.Hour)
	g := capture.NewGovernor(capture.Budget{CPU: defaultCPU, Pause: defaultPause}, began)
	for after := interval; ; after += interval {
		if g.Allow(goroutine.SourceTrace, parked, began.Add(after)) == nil {
			return after
		}
	}
}

// runAll measures the scenarios one after the other. A run that fails does not
// keep the others from being measured.
func runAll(ctx context.Context, o options, progress io.Writer) (scenarios []scenario, failed error) {
	fmt.Fprintf(progress, "seed %d\n", o.seed)
	random := rand.New(rand.NewPCG(o.seed, 0))
	for i := range o.parked {
		s := newScenario(o, i)
		failed = errors.Join(failed, s.run(ctx, o, random, progress))
		scenarios = append(scenarios, s)
		if ctx.Err() != nil {
			break
		}
	}
	return scenarios, failed
}

// run takes the variants in turns, in another order each time, so that what
// else the machine does meets all of them.
func (s *scenario) run(ctx context.Context, o options, random *rand.Rand, progress io.Writer) (failed error) {
	if err := s.calibrate(ctx, random, progress); err != nil {
		return fmt.Errorf("%s parked, calibration: %w", lab.Thousands(s.Parked), err)
	}
	n, all := 0, s.Rounds*len(o.loads)*len(o.variants)
	for i := range s.Rounds * len(o.loads) {
		for _, variant := range shuffled(o.variants, random) {
			n++
			p := s.plan(variant, o.loads[i%len(o.loads)], i/len(o.loads), random.Uint64())
			fmt.Fprintf(progress, "[%d/%d] %s ... ", n, all, p)
			m, err := measure(ctx, p, progress)
			if err == nil {
				fmt.Fprintln(progress, m.line())
				s.Runs = append(s.Runs, m)
				continue
			}
			fmt.Fprintln(progress, "failed")
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p, err))
			if ctx.Err() != nil {
				return failed
			}
		}
	}
	return failed
}

// calibrate finds out what the server bears without a monitor.
func (s *scenario) calibrate(ctx context.Context, random *rand.Rand, progress io.Writer) error {
	p := s.plan(off, saturation, 0, random.Uint64())
	p.Warmup, p.Duration = min(p.Warmup, leastWarmup), min(p.Duration, calibrationFor)
	fmt.Fprintf(progress, "%s parked, calibration ... ", lab.Thousands(s.Parked))
	m, err := measure(ctx, p, progress)
	if err != nil {
		fmt.Fprintln(progress, "failed")
		return err
	}
	s.Capacity = m.Throughput
	s.Rate = steadyShare * s.Capacity
	fmt.Fprintf(progress, "bears %.0f requests a second; the steady load is %.0f\n", s.Capacity, s.Rate)
	return nil
}

// A plan is one run that is to be made.
type plan struct {
	Parked   int
	Variant  string
	Load     string
	Round    int
	Warmup   time.Duration
	Duration time.Duration
	Rate     float64
	Seed     uint64
}

func (s *scenario) plan(variant, load string, round int, seed uint64) plan {
	return plan{s.Parked, variant, load, round, s.Warmup, s.Duration, s.Rate, seed}
}

func (p plan) String() string {
	return fmt.Sprintf("%s parked, %s, round %d, %s", lab.Thousands(p.Parked), p.Load, p.Round+1, p.Variant)
}

func shuffled(names []string, random *rand.Rand) []string {
	names = slices.Clone(names)
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names
}
