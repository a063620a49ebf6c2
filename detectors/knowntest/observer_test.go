// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"bytes"
	"errors"
	"runtime/trace"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/parse"
)

// interval is the time between two snapshots, as the detectors are told.
const interval = time.Minute

// An observer takes snapshots of this process as the monitor does, and lets
// interval pass from one to the next however long that takes: what the detectors
// see are the goroutines of real libraries over hours, within seconds.
type observer struct {
	t       *testing.T
	decoder *parse.TraceDecoder
	now     time.Time
	engine  *engine.Engine
	leaks   []detectors.Finding // what the detectors "leak" and "growth" warn of by themselves, in the last step
	naked   []detectors.Finding // what these would find without a list of known stacks, in the last step
}

func newObserver(t *testing.T) *observer {
	decoder := parse.NewTraceDecoder(nil, nil)
	decoder.ExcludeReader = true
	o := &observer{
		t:       t,
		decoder: decoder,
		now:     time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	o.engine = engine.New(engine.Config{Detectors: append(detectors.Default(), o.alone()), Known: []detectors.KnownStack{peers}})
	return o
}

// alone is the detectors "leak" and "growth", with and without a list of known stacks. It
// keeps what they find to itself, with the list only warnings: all that comes in the step
// of this test comes together, and so the engine makes one growth of it.
func (o *observer) alone() *detectors.Detector {
	leak, growth := detectors.NewLeak(detectors.DefaultLeakConfig()), detectors.NewGrowth(detectors.DefaultGrowthConfig())
	return &detectors.Detector{Name: "alone", Needs: leak.Needs, Run: func(p *detectors.Pass) error {
		own, bare := *p, *p
		o.leaks, o.naked = nil, nil
		own.Report = func(f detectors.Finding) {
			if f.Confidence >= detectors.Medium {
				o.leaks = append(o.leaks, f)
			}
		}
		bare.Report = func(f detectors.Finding) { o.naked = append(o.naked, f) }
		bare.Exclude(nil)
		return errors.Join(leak.Run(&own), growth.Run(&own), leak.Run(&bare), growth.Run(&bare))
	}}
}

// step takes the next snapshot and returns what all detectors make of it.
func (o *observer) step() (found []detectors.Finding) {
	o.now = o.now.Add(interval)
	r := o.engine.Step(o.snapshot())
	for _, v := range r.Verdicts {
		require.NoError(o.t, v.Err)
	}
	return r.Findings
}

// snapshot is the whole of this process, from an execution trace.
func (o *observer) snapshot() *goroutine.Snapshot {
	var buf bytes.Buffer
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: time.Nanosecond, MaxBytes: 1})
	require.NoError(o.t, recorder.Start())
	_, err := recorder.WriteTo(&buf)
	recorder.Stop()
	require.NoError(o.t, err)
	s, err := o.decoder.Decode(buf.Bytes(), o.now)
	require.NoError(o.t, err)
	s.Scheduler = capture.ReadScheduler()
	return s
}
