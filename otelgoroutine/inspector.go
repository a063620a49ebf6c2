// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/engine"
)

const (
	// dumpSpacing is the least time between two attempts at a goroutine dump, in
	// intervals, and at most maxDumpSpacing. A dump stops the world; the budget bounds
	// one stop, this bounds how many there are.
	dumpSpacing    = 4
	maxDumpSpacing = time.Minute

	// windowPatience is how many times in a row a window may be refused before
	// detectors no longer wait for one, at the interval. On a suspicion, when refusals
	// come sooner, they wait for as long.
	windowPatience = 8
)

// proofSpacing is the least time between two leak proofs: forty intervals, ten minutes
// at most, which is forty intervals of the default. So it scales with the times of
// everything else; the budget bounds what proofs cost.
func proofSpacing(interval time.Duration) time.Duration {
	return min(40*interval, capture.ProofSpacing)
}

// windowSpan is how long a window is open: a sixtieth of the interval,
// a quarter of a second at most. In it everything that the program does is
// traced, and a flight recorder that it starts fails to start.
func windowSpan(interval time.Duration) time.Duration {
	return min(max(interval/60, 25*time.Millisecond), 250*time.Millisecond)
}

// An inspector takes closer inspections of this process and limits how often
// each kind is taken.
type inspector struct {
	observer *observer
	window   time.Duration // how long a window is open
	spacing  time.Duration // between dumps
	proofs   time.Duration // between leak proofs
	labels   []string      // keys of the labels that exclusions are about
	patience time.Duration // how long windows must have been refused before detectors wait no longer

	refused  int       // windows in a row that could not be had
	since    time.Time // of the first of these
	proved   time.Time // when the last leak proof was taken
	dumped   time.Time // when a goroutine dump was last attempted
	undumped bool      // that was refused
}

// Inspect implements [engine.Inspector].
func (i *inspector) Inspect(kind goroutine.Source, base *goroutine.Snapshot) *engine.Inspection {
	ctx := context.Background()
	inspection, skip := i.inspect(kind, base)
	if skip != nil {
		i.observer.skipped(ctx, *skip)
	}
	if inspection != nil {
		i.observer.telemetry.Took(ctx, inspection.Snapshot)
	}
	return inspection
}

func (i *inspector) inspect(kind goroutine.Source, base *goroutine.Snapshot) (*engine.Inspection, *capture.Skip) {
	switch kind {
	case goroutine.SourceWindow:
		return i.openWindow()
	case goroutine.SourceProof:
		return i.prove(base)
	case goroutine.SourceText:
		return i.dump(base.Time)
	case goroutine.SourceLabelled:
		s, skip := i.observer.client.labelledBy(i.labels)
		return inspectionOf(s), skip
	case goroutine.SourceLocks:
		s, skip := i.observer.client.Locks()
		return inspectionOf(s), skip
	}
	return nil, nil
}

// Expect implements [engine.Inspector]. A dump is expected until one is refused.
func (i *inspector) Expect(kind goroutine.Source) bool {
	switch kind {
	case goroutine.SourceWindow:
		return i.refused < windowPatience || time.Since(i.since) < i.patience
	case goroutine.SourceText:
		return !i.undumped
	}
	return false
}

// openWindow takes a trace window and counts refusals in a row. A window refused
// for the budget may succeed later; a source that takes no windows never will.
func (i *inspector) openWindow() (*engine.Inspection, *capture.Skip) {
	s, skip := i.observer.client.Window(i.window)
	switch {
	case s != nil:
		i.refused = 0
	case skip != nil:
		if i.refused++; i.refused == 1 {
			i.since = time.Now()
		}
	default:
		i.refused, i.since = windowPatience, time.Time{}
	}
	return inspectionOf(s), skip
}

func (i *inspector) prove(base *goroutine.Snapshot) (*engine.Inspection, *capture.Skip) {
	if !i.proved.IsZero() && base.Time.Sub(i.proved) < i.proofs {
		return nil, nil
	}
	s, skip := i.observer.client.Prove(base)
	if s != nil {
		i.proved = base.Time
	}
	return inspectionOf(s), skip
}

func (i *inspector) dump(now time.Time) (*engine.Inspection, *capture.Skip) {
	if !i.dumped.IsZero() && now.Sub(i.dumped) < i.spacing {
		return nil, nil
	}
	i.dumped = now
	s, skip := i.observer.client.Text()
	i.undumped = s == nil
	return inspectionOf(s), skip
}

func inspectionOf(s *goroutine.Snapshot) *engine.Inspection {
	if s == nil {
		return nil
	}
	return &engine.Inspection{Snapshot: s}
}
