package knowntest

import (
	"bytes"
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
	naked   []detectors.Finding // what the detector "leak" would find without a list of known stacks, in the last step
}

func newObserver(t *testing.T) *observer {
	decoder := parse.NewTraceDecoder(nil, nil)
	decoder.ExcludeReader = true
	return &observer{
		t:       t,
		decoder: decoder,
		now:     time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		engine:  engine.New(engine.Config{Detectors: append(detectors.Default(), naked()), Known: []detectors.KnownStack{peers}}),
	}
}

// naked is the detector "leak" without a list of known stacks.
func naked() *detectors.Detector {
	leak := detectors.NewLeak(detectors.DefaultLeakConfig())
	return &detectors.Detector{Name: "naked", Needs: leak.Needs, Run: func(p *detectors.Pass) error {
		own := *p
		own.Exclude(nil)
		return leak.Run(&own)
	}}
}

// step takes the next snapshot and returns what all detectors make of it.
func (o *observer) step() (found []detectors.Finding) {
	o.now = o.now.Add(interval)
	r := o.engine.Step(o.snapshot())
	for _, v := range r.Verdicts {
		require.NoError(o.t, v.Err)
	}
	o.naked = nil
	for _, f := range r.Findings {
		if f.Detector == "naked" {
			o.naked = append(o.naked, f)
		} else {
			found = append(found, f)
		}
	}
	return found
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
