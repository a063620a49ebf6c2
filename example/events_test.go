// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// overOTLP starts a monitor whose events pass through the SDK, a real exporter
// and gRPC to a receiver.
func overOTLP(t *testing.T, opts ...otelgoroutine.Option) *otlptest.Recorder {
	t.Helper()
	arrived := new(otlptest.Recorder)
	r, err := otlptest.Start(arrived)
	require.NoError(t, err)
	exporter, err := otlploggrpc.New(t.Context(), otlploggrpc.WithEndpoint(r.Addr()), otlploggrpc.WithInsecure())
	require.NoError(t, err)
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter, sdklog.WithExportInterval(50*time.Millisecond))))
	meters := sdkmetric.NewMeterProvider()
	m, err := otelgoroutine.Start(meters, append(opts, otelgoroutine.WithLoggerProvider(logs), otelgoroutine.WithInterval(otelgoroutine.MinInterval))...)
	require.NoError(t, err)
	t.Cleanup(func() {
		assert.NoError(t, m.Shutdown(context.Background()))
		assert.NoError(t, logs.Shutdown(context.Background()))
		assert.NoError(t, meters.Shutdown(context.Background()))
		assert.NoError(t, r.Stop())
	})
	return arrived
}

// large returns a finding of the maximum size.
func large(name string, n int) detectors.Finding {
	frames := make([]goroutine.Frame, 200)
	for i := range frames {
		frames[i] = goroutine.Frame{Function: fmt.Sprintf("example.com/%s/%s%d.f%d", name, strings.Repeat("long", 50), n, i), File: "/src/f.go", Line: i + 1}
	}
	f := detectors.Finding{
		Confidence: detectors.High, Stack: goroutine.NewStack(frames), State: goroutine.Select, Count: 1000, GrowthPerMinute: 1.5, Age: time.Hour,
		CreatedBy: goroutine.Frame{Function: "main.made", File: "/src/made.go", Line: 7}, Message: "What " + name + " found.",
	}
	for i := range detectors.MaxEvidence {
		f.Evidence = append(f.Evidence, strings.Repeat(fmt.Sprintf("Sentence %d. ", i), 100))
	}
	for i := range goroutine.MaxIDs {
		f.IDs = append(f.IDs, uint64(i+1))
	}
	for range detectors.MaxParticipants {
		f.Participants = append(f.Participants, detectors.Participant{
			Role: detectors.RoleWaiter, Stack: f.Stack, State: f.State, Count: 1000, IDs: f.IDs, CreatedBy: f.CreatedBy, Note: f.Evidence[0],
		})
	}
	return f
}

// TestEveryEventArrivesComplete sends the detected and resolved events of all
// built-in detectors over real OTLP.
func TestEveryEventArrivesComplete(t *testing.T) {
	var over atomic.Bool
	var reporting []*detectors.Detector
	for _, d := range detectors.Default() {
		name := d.Name
		f := large(name, 0)
		reporting = append(reporting, &detectors.Detector{Name: name, Run: func(p *detectors.Pass) error {
			if !over.Load() {
				p.Report(f)
			}
			return nil
		}})
	}
	dir := t.TempDir()
	arrived := overOTLP(t, otelgoroutine.WithDetectors(reporting...), otelgoroutine.WithProfileDir(dir, 20))
	for _, d := range reporting {
		assertArrives(t, arrived, "goroutine."+d.Name+".detected", d.Name, dir)
	}
	over.Store(true)
	for _, d := range reporting {
		assertEndArrives(t, arrived, "goroutine."+d.Name+".resolved", d.Name)
	}
}

func await(t *testing.T, arrived *otlptest.Recorder, event string) plog.LogRecord {
	t.Helper()
	require.Eventually(t, func() bool { return len(arrived.Events(event)) > 0 }, 2*time.Minute, 10*time.Millisecond, event)
	return arrived.Events(event)[0]
}

// assertEndArrives checks the event of the end, which has the evidence of it
// instead of the last numbers.
func assertEndArrives(t *testing.T, arrived *otlptest.Recorder, event, detector string) {
	t.Helper()
	r := await(t, arrived, event)
	got := r.Attributes().AsRaw()
	assert.True(t, strings.HasPrefix(r.Body().Str(), "Resolved: "), r.Body().Str())
	assert.Contains(t, r.Body().Str(), "example.com/"+detector)
	assert.Equal(t, detector, got["goroutine.detector.name"], event)
	assert.NotEmpty(t, got["goroutine.finding.evidence"], event)
	assert.Len(t, got["goroutine.finding.id"], 16)
	assert.Zero(t, r.DroppedAttributesCount(), event)
}

func assertArrives(t *testing.T, arrived *otlptest.Recorder, event, detector, dir string) {
	t.Helper()
	r := await(t, arrived, event)
	assert.Contains(t, r.Body().Str(), "What "+detector+" found.")
	assert.NotZero(t, r.Timestamp())
	assert.NotZero(t, r.SeverityNumber())
	assert.Zero(t, r.DroppedAttributesCount(), event)
	got := r.Attributes().AsRaw()
	for key, want := range map[string]any{
		"goroutine.detector.name":             detector,
		"goroutine.finding.confidence":        "high",
		"goroutine.state":                     "waiting",
		"goroutine.detailed_state":            "select",
		"goroutine.creator.function.name":     "main.made",
		"code.file.path":                      "/src/f.go",
		"code.line.number":                    int64(1),
		"goroutine.finding.goroutine.count":   int64(1000),
		"goroutine.finding.age":               3600.0,
		"goroutine.finding.growth_per_minute": 1.5,
	} {
		assert.Equal(t, want, got[key], "%s of %s", key, event)
	}
	assert.Len(t, got["goroutine.finding.id"], 16)
	assert.NotEmpty(t, got["goroutine.stack.id"])
	assert.NotEmpty(t, got["code.function.name"])
	assert.Len(t, got["goroutine.finding.evidence"], detectors.MaxEvidence)
	assert.Len(t, got["goroutine.ids"], goroutine.MaxIDs)
	trace := got["code.stacktrace"].(string)
	assert.Greater(t, len(trace), 8<<10)
	assert.LessOrEqual(t, len(trace), 16<<10)
	for _, of := range []string{"roles", "descriptions", "goroutine.counts", "stack.ids", "stacktraces"} {
		assert.Len(t, got["goroutine.finding.participant."+of], detectors.MaxParticipants, of)
	}
	path := got["goroutine.profile.path"].(string)
	assert.Equal(t, dir, filepath.Dir(path))
	assert.FileExists(t, path)
}

// TestAStormIsBounded reports 10,000 different findings of the maximum size at
// once, repeatedly.
func TestAStormIsBounded(t *testing.T) {
	const detectorsOf, findingsOf = 100, 100 // findingsOf is the maximum that a detector may report at once
	var steps atomic.Int32
	var storm []*detectors.Detector
	for i := range detectorsOf {
		var all []detectors.Finding
		for n := range findingsOf {
			f := large("storm", n+i*findingsOf)
			f.Stack.Frames = f.Stack.Frames[:10]
			all = append(all, f)
		}
		storm = append(storm, &detectors.Detector{Name: fmt.Sprintf("storm_%d", i), Run: func(p *detectors.Pass) error {
			steps.Add(1)
			for _, f := range all {
				p.Report(f)
			}
			return nil
		}})
	}
	arrived := overOTLP(t, otelgoroutine.WithDetectors(storm...), otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}))
	require.Eventually(t, func() bool {
		return steps.Load() >= 20*detectorsOf && len(arrived.Events("goroutine.finding.suppressed")) > 0
	}, 5*time.Minute, 10*time.Millisecond)
	suppressed := arrived.Events("goroutine.finding.suppressed")[0].Attributes().AsRaw()
	assert.EqualValues(t, detectorsOf*findingsOf-10, suppressed["goroutine.finding.suppressed_count"], "ten have an event of their own")
	assert.Less(t, len(arrived.Events()), 60, "however many snapshots were taken")
}
