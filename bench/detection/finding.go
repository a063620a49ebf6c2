package main

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelgoroutine/go/detectors"
)

// A finding is what the monitor told, in an event or as open at the end.
type finding struct {
	At         time.Duration // since the start of the monitor; 0 for those open at the end
	Detector   string
	Confidence string
	Function   string // code.function.name
	State      string
	Count      int
	Message    string
	Evidence   []string
}

func fromFinding(f *detectors.Finding) finding {
	return finding{
		Detector:   f.Detector,
		Confidence: f.Confidence.String(),
		Function:   f.Stack.User().Function,
		State:      string(f.State),
		Count:      f.Count,
		Message:    f.Message,
		Evidence:   f.Evidence,
	}
}

// An eventLog is a log processor that keeps the events of findings.
type eventLog struct {
	began time.Time
	recorder[finding]
}

// Enabled says that all records are wanted.
func (l *eventLog) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// OnEmit keeps a record whose event name says that something was detected.
func (l *eventLog) OnEmit(_ context.Context, r *sdklog.Record) error {
	if strings.HasSuffix(r.EventName(), ".detected") {
		l.add(fromRecord(r, l.began))
	}
	return nil
}

// Shutdown does nothing.
func (l *eventLog) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (l *eventLog) ForceFlush(context.Context) error { return nil }

func fromRecord(r *sdklog.Record, began time.Time) finding {
	f := finding{At: r.Timestamp().Sub(began), Message: r.Body().AsString()}
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		switch kv.Key {
		case "goroutine.detector.name":
			f.Detector = kv.Value.AsString()
		case "goroutine.finding.confidence":
			f.Confidence = kv.Value.AsString()
		case "code.function.name":
			f.Function = kv.Value.AsString()
		case "goroutine.state":
			f.State = kv.Value.AsString()
		case "goroutine.finding.goroutine_count":
			f.Count = int(kv.Value.AsInt64())
		case "goroutine.finding.evidence":
			f.Evidence = kv.Value.AsStringSlice()
		}
		return true
	})
	return f
}
