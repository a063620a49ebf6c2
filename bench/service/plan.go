// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

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
	parked, rounds   int
	warmup, duration time.Duration
	capacity         float64 // requests a second that the server bears without a monitor
	runs             []measurement
}

const (
	steadyShare    = 0.5 // of the capacity
	leastWarmup    = 3 * time.Second
	usualDuration  = 30 * time.Second
	longDuration   = 2 * time.Minute
	calibrationFor = 10 * time.Second
	// The default of otelgoroutine.WithBudget.
	defaultCPU   = 0.005
	defaultPause = 10 * time.Millisecond
	// snapshotMargin is how long before the end of the measured time the first
	// regular snapshot is to begin, where it comes late: on a slow machine it came
	// later than the governor says beforehand.
	snapshotMargin = 30 * time.Second
)

func newScenario(o options, i int) scenario {
	s := scenario{parked: o.parked[i], rounds: o.roundsOf(i), duration: o.duration, warmup: o.warmup}
	first := firstRegular(s.parked)
	if s.duration == 0 {
		s.duration = usualDuration
		if first > usualDuration {
			s.duration = longDuration
		}
	}
	if s.warmup < 0 {
		s.warmup = max(leastWarmup, first-s.duration+min(snapshotMargin, s.duration/2))
	}
	return s
}

// firstRegular asks the governor with the default budget when it will allow the
// first snapshot with the tracer, counted from the start of the monitor. The
// snapshot before that, at the start, finds no parked goroutines yet.
func firstRegular(parked int) time.Duration {
	began := time.Time{}.Add(time.Hour)
	g := capture.NewGovernor(capture.Budget{CPU: defaultCPU, Pause: defaultPause}, began)
	after := interval
	for g.Allow(goroutine.SourceTrace, parked, began.Add(after)) != nil {
		after += interval
	}
	return after
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
	}
	return scenarios, failed
}

// run takes the variants in turns, in another order each time, so that what
// else the machine does meets all of them.
func (s *scenario) run(ctx context.Context, o options, random *rand.Rand, progress io.Writer) (failed error) {
	p := plan{parked: s.parked, variant: variants[0], load: saturation, seed: random.Uint64(),
		warmup: min(s.warmup, leastWarmup), duration: min(s.duration, calibrationFor)}
	calibration, err := p.measure(ctx, progress)
	if err != nil {
		return err
	}
	s.capacity = calibration.throughput
	for i := range s.rounds * len(o.loads) {
		for _, v := range shuffled(o.variants, random) {
			p := plan{s.parked, v, o.loads[i%len(o.loads)], i / len(o.loads), s.warmup, s.duration, s.rate(), random.Uint64()}
			m, err := p.measure(ctx, progress)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				s.runs = append(s.runs, m)
			}
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// rate returns the requests a second of the steady load.
func (s *scenario) rate() float64 { return steadyShare * s.capacity }

func shuffled(all []variant, random *rand.Rand) []variant {
	all = slices.Clone(all)
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// A plan is one run that is to be made.
type plan struct {
	parked           int
	variant          variant
	load             string
	round            int
	warmup, duration time.Duration
	rate             float64 // requests a second; steady load only
	seed             uint64
}

func (p plan) String() string {
	return fmt.Sprintf("%s parked, %s, round %d, %s", lab.Thousands(p.parked), p.load, p.round+1, p.variant.name)
}

// measure makes the run and tells how it went.
func (p plan) measure(ctx context.Context, progress io.Writer) (measurement, error) {
	fmt.Fprintf(progress, "%s ... ", p)
	m, err := measure(ctx, p, progress)
	if err != nil {
		fmt.Fprintln(progress, "failed")
		return m, fmt.Errorf("%s: %w", p, err)
	}
	fmt.Fprintf(progress, "%.0f/s, p99 %s, CPU %.0f %% of a core, snapshots: %d, errors: %d\n",
		m.throughput, lab.Duration(m.p99), 100*cores(&m), m.snapshots, m.errors)
	return m, nil
}
