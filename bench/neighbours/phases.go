// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/trace"
	"slices"
	"time"
)

// phases are run one after the other in the same process. A process has one CPU
// profile and one flight recorder at a time, so the neighbours take turns.
var phases = []phase{
	{name: "no flight recorder", cpu: "dd-trace-go"},
	{name: "a flight recorder", cpu: "pyroscope-go", recorder: true},
	{name: "a flight recorder that was handed over", cpu: "pyroscope-go", recorder: true, handed: true},
}

type phase struct {
	name     string
	cpu      string // the neighbour that has the CPU profile
	recorder bool   // the service runs a flight recorder
	handed   bool   // and captures are taken from it
}

// A neighbour is something that runs beside the captures.
type neighbour struct {
	*ledger
	stop func() error // returns when all it has delivered is checked
}

// A result is what came of a phase.
type result struct {
	phase   string
	took    time.Duration
	ours    *ledger
	ledgers []*ledger // of the neighbours
	taken   map[string]int
	skipped map[string]int
	usage   series
	slack   int64
}

// phases runs all phases. It returns the results also with an error.
func (h *host) phases(ctx context.Context, s settings, progress io.Writer) (results []*result, err error) {
	for _, p := range phases {
		r, err := h.phase(ctx, p, s, progress)
		results = append(results, r)
		if err != nil {
			return results, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return results, nil
}

func (h *host) phase(ctx context.Context, p phase, s settings, progress io.Writer) (*result, error) {
	began := time.Now()
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{}) // the default settings
	t := newTaker(nil)
	if p.handed {
		t = newTaker(recorder)
	}
	r := &result{phase: p.name, ours: &t.ledger, taken: t.taken, skipped: t.skipped, slack: s.slack}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.first() // as Start does, before the service starts what it has
	neighbours, err := h.start(ctx, p, s, recorder)
	for _, n := range neighbours {
		r.ledgers = append(r.ledgers, n.ledger)
	}
	if err == nil {
		err = t.run(ctx, s, neighbours, &r.usage, func() { tell(progress, p, t, neighbours) })
	}
	cancel()
	for _, n := range slices.Backward(neighbours) {
		err = errors.Join(err, n.stop())
	}
	r.took = time.Since(began)
	return r, err
}

// start starts the neighbours of a phase. It returns those that run also with an
// error.
func (h *host) start(ctx context.Context, p phase, s settings, recorder *trace.FlightRecorder) (all []*neighbour, err error) {
	if p.recorder {
		all = append(all, h.startRecorder(ctx, s, recorder))
	}
	for _, start := range []func(context.Context, phase, settings) (*neighbour, error){h.startDatadog, h.startPyroscope, h.startFgprof, h.startStatsviz} {
		n, err := start(ctx, p, s)
		if err != nil {
			return all, err
		}
		all = append(all, n)
	}
	return all, nil
}

func tell(progress io.Writer, p phase, t *taker, neighbours []*neighbour) {
	fmt.Fprintf(progress, "%s: %d captures", p.name, t.total())
	for _, n := range neighbours {
		pieces, _, wrong := n.counts()
		fmt.Fprintf(progress, ", %s %d", n.name, pieces)
		if wrong > 0 {
			fmt.Fprintf(progress, " (%d faults)", wrong)
		}
	}
	fmt.Fprintln(progress)
}
