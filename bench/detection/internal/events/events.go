// Package events keeps what the monitor tells: its findings, as the log events
// that a backend would get.
package events

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A Finding is what the monitor told, in an event or as open at the end.
type Finding struct {
	At         time.Duration // since the start of the monitor; 0 for those open at the end
	Detector   string
	Confidence string
	Function   string // code.function.name
	State      string
	Count      int
	Message    string
	Evidence   []string
}

// From returns a finding of the monitor, without a time.
func From(f *detectors.Finding) Finding {
	return Finding{
		Detector:   f.Detector,
		Confidence: f.Confidence.String(),
		Function:   f.Stack.User().Function,
		State:      string(f.State),
		Count:      f.Count,
		Message:    f.Message,
		Evidence:   f.Evidence,
	}
}

// A Log is a log processor that keeps the events of findings.
type Log struct {
	Began time.Time // times of findings are since then
	Recorder[Finding]
}

// Enabled says that all records are wanted.
func (l *Log) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// OnEmit keeps a record whose event name says that something was detected.
func (l *Log) OnEmit(_ context.Context, r *sdklog.Record) error {
	if strings.HasSuffix(r.EventName(), ".detected") {
		l.Add(fromRecord(r, l.Began))
	}
	return nil
}

// Shutdown does nothing.
func (l *Log) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (l *Log) ForceFlush(context.Context) error { return nil }

// Interval is the default time between looks of the monitor.
const Interval = 15 * time.Second

// Options are those of a monitor whose times are scaled and that tells l, with
// the default detectors and more.
func (l *Log) Options(scale float64, proof bool, more ...*detectors.Detector) []otelgoroutine.Option {
	options := []otelgoroutine.Option{
		otelgoroutine.WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(l))),
		otelgoroutine.WithInterval(time.Duration(scale * float64(Interval))),
		otelgoroutine.WithDetectors(append(detectors.Scaled(scale), more...)...),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}), // the interval is scaled, the cost is not
	}
	if proof {
		options = append(options, otelgoroutine.WithLeakProof())
	}
	return options
}

func fromRecord(r *sdklog.Record, began time.Time) Finding {
	f := Finding{At: r.Timestamp().Sub(began), Message: r.Body().AsString()}
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		switch kv.Key {
		case "goroutine.detector.name":
			f.Detector = kv.Value.AsString()
		case "goroutine.finding.confidence":
			f.Confidence = kv.Value.AsString()
		case "code.function.name":
			f.Function = kv.Value.AsString()
		case "goroutine.detailed_state":
			f.State = kv.Value.AsString()
		case "goroutine.finding.goroutine.count":
			f.Count = int(kv.Value.AsInt64())
		case "goroutine.finding.evidence":
			f.Evidence = kv.Value.AsStringSlice()
		}
		return true
	})
	return f
}

// A Recorder collects values from any goroutine.
type Recorder[T any] struct {
	mu     sync.Mutex
	values []T
}

// Add adds a value.
func (r *Recorder[T]) Add(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values = append(r.values, v)
}

// All returns the values in the order in which they came.
func (r *Recorder[T]) All() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.values)
}
