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
	history *detectors.History
	all     []*detectors.Detector
}

func newObserver(t *testing.T) *observer {
	decoder := parse.NewTraceDecoder(nil, nil)
	decoder.ExcludeReader = true
	all := detectors.Default()
	return &observer{
		t:       t,
		decoder: decoder,
		now:     time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		history: detectors.NewHistory(all),
		all:     all,
	}
}

// step takes the next snapshot and returns what all detectors make of it.
func (o *observer) step() (found []detectors.Finding) {
	o.now = o.now.Add(interval)
	require.True(o.t, o.history.Add(o.snapshot()))
	for _, d := range o.all {
		found = append(found, o.judge(d, append(detectors.KnownGood(), peers))...)
	}
	return found
}

func (o *observer) judge(d *detectors.Detector, known []detectors.KnownStack) []detectors.Finding {
	v, err := detectors.Judge(d, o.history, known)
	require.NoError(o.t, err)
	return v.Findings
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
