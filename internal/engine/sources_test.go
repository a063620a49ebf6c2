// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

// A faulty process deadlocks after an hour, and leaks a goroutine every 30 s from
// then on. Its other goroutines come and go. The sources of its snapshots follow a
// schedule. It returns the events, in order.
func faulty(source func(i int) goroutine.Source) (events []string) {
	p := detectortest.NewProcess(2)
	e := engine.New(engine.Config{Detectors: detectors.Default()})
	created := goroutine.Frame{Function: "main.main", File: "main/main.go", Line: 7}
	at := func(state goroutine.State, frames ...string) detectortest.Place {
		place := detectortest.At(state, frames...)
		place.CreatedBy = created
		return place
	}
	locked := at(goroutine.MutexLock, "main.debit:3", "main.transfer:9")
	leaked := at(goroutine.ChanSend, "main.reply:5", "main.serve:1")
	busy := at(goroutine.Select, "main.wait:5", "main.serve:2")
	p.Go(at(goroutine.ChanReceive, "main.main:1"), 1)
	for i, s := range detectortest.Series(p, 5*60, 30*time.Second, func(i int) {
		for range 5 {
			p.GoFor(busy, 40*time.Second)
		}
		if i == 120 {
			p.Go(locked, 8)
		}
		if i > 120 {
			p.Go(leaked, 1)
		}
		p.Source = source(i)
	}) {
		for _, event := range e.Step(s).Events {
			if event.Kind != detectors.Repeated {
				events = append(events, fmt.Sprintf("%d %s %s %s", i/120, event.Kind, event.Finding.Detector, event.Finding.Stack.User().Function))
			}
		}
	}
	return events
}

// Text and traces take turns in one series, with profiles in between when a dump
// would stop the world for too long. A switch must neither take a finding back nor
// add one.
func TestASwitchOfSourceChangesNoVerdict(t *testing.T) {
	want := faulty(func(int) goroutine.Source { return goroutine.SourceTrace })
	require.Len(t, want, 2)
	for name, source := range map[string]func(i int) goroutine.Source{
		"the program's recorder":                  func(int) goroutine.Source { return goroutine.SourceRecorder },
		"dumps only":                              func(int) goroutine.Source { return goroutine.SourceText },
		"a recorder that is refused now and then": func(i int) goroutine.Source { return pick(i%7 == 0, goroutine.SourceText, goroutine.SourceRecorder) },
		"in turn": func(i int) goroutine.Source {
			return [2]goroutine.Source{goroutine.SourceTrace, goroutine.SourceText}[i%2]
		},
		"dumps now and then":              func(i int) goroutine.Source { return pick(i%40 < 4, goroutine.SourceText, goroutine.SourceTrace) },
		"from dumps to traces":            func(i int) goroutine.Source { return pick(i < 200, goroutine.SourceText, goroutine.SourceTrace) },
		"from traces to dumps":            func(i int) goroutine.Source { return pick(i < 200, goroutine.SourceTrace, goroutine.SourceText) },
		"dumps with profiles in between":  func(i int) goroutine.Source { return pick(i%8 == 3, goroutine.SourceProfile, goroutine.SourceText) },
		"traces with profiles in between": func(i int) goroutine.Source { return pick(i%8 == 3, goroutine.SourceProfile, goroutine.SourceTrace) },
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, want, faulty(source)) })
	}
}

func pick(first bool, a, b goroutine.Source) goroutine.Source {
	if first {
		return a
	}
	return b
}
