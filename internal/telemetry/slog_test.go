// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/noop"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// fields returns what a record has in JSON.
func fields(t *testing.T, r slog.Record) (all map[string]any) {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, slog.NewJSONHandler(&out, nil).Handle(context.Background(), r))
	require.NoError(t, json.Unmarshal(out.Bytes(), &all))
	return all
}

func TestARecordOfSlogHasWhatTheEventHas(t *testing.T) {
	e := detectors.Event{Kind: detectors.Detected, Time: epoch, Finding: withAll()}
	r := SlogRecord(e, Files{Profile: "/tmp/p.pb.gz", ProfileID: [16]byte{1}, Recording: "/tmp/p.trace"})
	assert.Equal(t, epoch, r.Time)
	assert.Equal(t, slog.LevelWarn, r.Level)
	assert.Zero(t, r.PC, "no line of the program logged it")
	assert.Equal(t, "37 goroutines are stuck. Confidence: suspected. Not judged now: the restart lost the history. Next: Make room for one value in the channel.", r.Message)
	got := fields(t, r)
	assert.Equal(t, "goroutine.leak.detected", got["event.name"])
	assert.EqualValues(t, 37, got[AttrFindingCount])
	assert.EqualValues(t, 90, got[AttrFindingAge])
	assert.Equal(t, []any{"It was 20.", "It is 37."}, got[AttrEvidence])
	assert.Equal(t, []any{3.0, 5.0}, got[AttrIDs])
	assert.Equal(t, "main.handle(...)\n\t/src/main.go:42\n", got[AttrCodeStacktrace])
	assert.Equal(t, "/tmp/p.pb.gz", got[AttrProfilePath])
	for _, name := range findingAttributes {
		name = strings.Replace(name, "<key>", "tenant", 1)
		if slices.Contains(notInSlog, name) {
			assert.NotContains(t, got, name)
		} else {
			assert.Contains(t, got, name)
		}
	}
}

func TestLevelsOfSlogFollowSeverities(t *testing.T) {
	for severity, want := range map[log.Severity]slog.Level{
		log.SeverityInfo: slog.LevelInfo, log.SeverityWarn: slog.LevelWarn, log.SeverityError: slog.LevelError,
	} {
		assert.Equal(t, want, slogLevel(severity))
	}
}

func TestASummaryInSlog(t *testing.T) {
	got := fields(t, SlogRecord(detectors.Event{Kind: detectors.Suppressed, Suppressed: 3}, Files{}))
	assert.EqualValues(t, 3, got[AttrSuppressedCount])
	assert.Equal(t, EventSuppressed, got["event.name"])
	assert.NotContains(t, got, AttrFindingID)
}

// A record of slog is one line, below what a container runtime takes for one.
func TestARecordOfSlogIsBounded(t *testing.T) {
	long := "a\nb" + strings.Repeat("x\u4e16", 1<<18)
	f := withAll()
	f.Message, f.Advice, f.Unjudged, f.State = long, long, long, goroutine.State(long)
	f.CreatedBy = goroutine.Frame{Function: long, File: long, Line: 1}
	f.Evidence = []string{long, long, long, long, long, long, long, long}
	var frames []goroutine.Frame
	for range 10_000 {
		frames = append(frames, goroutine.Frame{Function: "main." + strings.Repeat("f", 1000), File: strings.Repeat("d", 1000), Line: 1})
	}
	f.Stack = goroutine.NewStack(frames)
	for range 2 * detectors.MaxParticipants {
		f.Participants = append(f.Participants, detectors.Participant{Role: detectors.RoleWaiter, Stack: f.Stack, State: f.State, Count: 1, CreatedBy: f.CreatedBy, Note: long})
	}
	var out bytes.Buffer
	r := SlogRecord(detectors.Event{Kind: detectors.Detected, Time: epoch, Finding: f}, Files{Profile: long, Recording: long})
	require.NoError(t, slog.NewTextHandler(&out, nil).Handle(context.Background(), r))
	assert.Equal(t, 1, strings.Count(out.String(), "\n"))
	assert.NotContains(t, r.Message, "\n")
	assert.LessOrEqual(t, out.Len(), 16<<10)
	assert.Less(t, len(Headline(detectors.Event{Kind: detectors.Detected, Finding: f})), 1<<10)
}

func TestTheHeadline(t *testing.T) {
	assert.Equal(t, "37 goroutines are stuck.", Headline(detectors.Event{Kind: detectors.Detected, Finding: finding()}))
	assert.Equal(t, "goroutine.leak.detected", Headline(detectors.Event{Kind: detectors.Detected, Finding: detectors.Finding{Detector: "leak"}}))
	assert.Contains(t, Headline(detectors.Event{Kind: detectors.Suppressed, Suppressed: 2}), "2 open findings")
}

func TestOnlyNoOpsDeclineEvents(t *testing.T) {
	stopped := sdklog.NewLoggerProvider()
	require.NoError(t, stopped.Shutdown(context.Background()))
	metrics := metricnoop.NewMeterProvider()
	assert.True(t, Declined(metrics, noop.NewLoggerProvider()))
	assert.True(t, Declined(&metricnoop.MeterProvider{}, &noop.LoggerProvider{}))
	assert.False(t, Declined(metrics, otel.GetLoggerProvider()), "nothing has set it up")
	assert.False(t, Declined(otel.GetMeterProvider(), noop.NewLoggerProvider()), "nothing has set it up")
	assert.False(t, Declined(sdkmetric.NewMeterProvider(), noop.NewLoggerProvider()), "metrics only")
	assert.False(t, Declined(metrics, sdklog.NewLoggerProvider()))
	assert.False(t, Declined(metrics, stopped))
	assert.False(t, Declined(metrics, struct{ noop.LoggerProvider }{}), "a type of another module")
}

func TestTheBridgeIsRecognizedByItsPackage(t *testing.T) {
	assert.False(t, Bridged(slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil))))
	assert.False(t, Bridged(slog.New(slog.DiscardHandler)))
	assert.True(t, from(&bytes.Buffer{}, "bytes"))
	assert.True(t, from(time.Time{}, "time"))
	assert.False(t, from(nil, "time"))
}

func TestLoggersWithOneHandlerAreTheSame(t *testing.T) {
	h := slog.NewTextHandler(&bytes.Buffer{}, nil)
	l := slog.New(h)
	assert.True(t, SameSlog(l, l))
	assert.True(t, SameSlog(l, slog.New(h)))
	assert.False(t, SameSlog(l, l.With("component", "orders")))
	assert.False(t, SameSlog(l, slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil))))
	assert.False(t, SameSlog(l, nil))
	assert.False(t, SameSlog(nil, nil))
}
