// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime/trace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

func TestBadOptionsAreRefusedWithWhatIsAccepted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	run := func(*detectors.Pass) error { return nil }
	for _, tt := range []struct {
		name   string
		option Option
		says   []string
	}{
		{"nil option", nil, []string{"option 0 is nil"}},
		{"interval too short", WithInterval(time.Millisecond), []string{"WithInterval(1ms)", "100ms to 1h0m0s"}},
		{"interval too long", WithInterval(2 * time.Hour), []string{"WithInterval(2h0m0s)", "100ms to 1h0m0s"}},
		{"interval negative", WithInterval(-1), []string{"WithInterval(-1ns)"}},
		{"no top stacks", WithTopStacks(0), []string{"WithTopStacks(0)", "1 to 400"}},
		{"too many top stacks", WithTopStacks(401), []string{"WithTopStacks(401)", "1 to 400"}},
		{"nil detector", WithDetectors(nil), []string{"WithDetectors", "detector 0 is nil"}},
		{"bad name", WithDetectors(&detectors.Detector{Name: "No Good", Run: run}), []string{"No Good", "lower case"}},
		{"no run", WithDetectors(&detectors.Detector{Name: "x"}), []string{`"x"`, "no Run function"}},
		{"twice", WithDetectors(&detectors.Detector{Name: "x", Run: run}, &detectors.Detector{Name: "x", Run: run}), []string{"taken"}},
		{"no CPU", WithBudget(Budget{Pause: time.Millisecond}), []string{"CPU is 0", "at most 1"}},
		{"CPU not a number", WithBudget(Budget{CPU: math.NaN(), Pause: time.Millisecond}), []string{"CPU is NaN"}},
		{"too much CPU", WithBudget(Budget{CPU: 2, Pause: time.Millisecond}), []string{"CPU is 2"}},
		{"no pause", WithBudget(Budget{CPU: 0.1}), []string{"Pause is 0s", "at most 1s"}},
		{"too much pause", WithBudget(Budget{CPU: 0.1, Pause: time.Minute}), []string{"Pause is 1m0s"}},
		{"source", WithSource(Source(7)), []string{"WithSource(Source(7))", "SourceAuto or SourceProfileOnly"}},
		{"nil logger provider", WithLoggerProvider(nil), []string{"WithLoggerProvider(nil)"}},
		{"nil pointer logger provider", WithLoggerProvider((*sdklog.LoggerProvider)(nil)), []string{"WithLoggerProvider(nil)"}},
		{"no directory", WithProfileDir(filepath.Join(t.TempDir(), "missing"), 1), []string{"does not exist", "missing"}},
		{"not a directory", WithProfileDir(file, 1), []string{"not a directory"}},
		{"keep nothing", WithProfileDir(t.TempDir(), 0), []string{", 0): keep must be 1 to 10000"}},
		{"nil recorder", WithFlightRecorder(nil), []string{"WithFlightRecorder(nil)", "leave the option out"}},
		{"known stack without reason", WithKnownStacks(detectors.KnownStack{Name: "x", Match: func(*goroutine.Stack) bool { return true }}), []string{"entry 0", "Reason"}},
		{"known stack with a label without a key", WithKnownStacks(detectors.KnownStack{Name: "x", Reason: "y", Creator: "f", Label: goroutine.Label{Value: "v"}}), []string{`entry 0 ("x"): the Label has the Value "v" and no Key`}},
		{"known stack of every creator", WithKnownStacks(detectors.KnownStack{Name: "x", Reason: "y", Creator: "*"}), []string{`Creator is "*", which matches every function`}},
		{"known stack with a star in a name", WithKnownStacks(detectors.KnownStack{Name: "x", Reason: "y", Creator: "main.*.run"}), []string{"a * is accepted at the end only"}},
		{"known stack without condition", WithKnownStacks(detectors.KnownStack{Name: "x", Reason: "y"}), []string{"entry 0", "a Creator or a Label"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mp := provider()
			m, err := Start(mp, tt.option)
			require.Error(t, err)
			assert.Nil(t, m)
			for _, s := range tt.says {
				assert.ErrorContains(t, err, s)
			}
			m, err = Start(mp, WithSource(SourceProfileOnly))
			require.NoError(t, err, "a refused Start must not keep the provider")
			require.NoError(t, m.Shutdown(t.Context()))
		})
	}
}

func TestEveryBadOptionIsTold(t *testing.T) {
	_, err := Start(provider(), WithInterval(0), WithTopStacks(-1))
	assert.ErrorContains(t, err, "WithInterval(0s)")
	assert.ErrorContains(t, err, "WithTopStacks(-1)")
}

func TestARecorderAndProfilesOnlyContradict(t *testing.T) {
	recorder := new(trace.FlightRecorder)
	for _, opts := range [][]Option{
		{WithFlightRecorder(recorder), WithSource(SourceProfileOnly)},
		{WithSource(SourceProfileOnly), WithFlightRecorder(recorder)},
	} {
		_, err := newConfig(opts)
		assert.ErrorContains(t, err, "leave one out")
	}
	c, err := newConfig([]Option{WithFlightRecorder(recorder), WithSource(SourceAuto)})
	require.NoError(t, err)
	assert.Same(t, recorder, c.capture().Recorder)
}

// An unsafe trace that is ours is not taken. The program's own goes on, and what
// that means is told.
func TestWhatIsToldOfUnsafeTraces(t *testing.T) {
	for source, says := range map[goroutine.Source]string{
		goroutine.SourceTrace:    "no traces are taken: assembly",
		goroutine.SourceRecorder: "the flight recorder of WithFlightRecorder is running: assembly",
	} {
		errs := handled(func() {
			synctest.Test(t, func(t *testing.T) {
				c := parked(1)
				take := c.take
				c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
					s, _ := take(n)
					return s, []capture.Skip{{Source: source, Refusal: &capture.Refusal{Reason: capture.ReasonUnsafe, Err: errors.New("assembly")}}}
				}
				m, err := Start(provider(), withCapturer(c), WithDetectors())
				require.NoError(t, err)
				time.Sleep(10 * time.Minute)
				require.NoError(t, m.Shutdown(t.Context()))
			})
		})
		require.Len(t, errs, 1, source)
		assert.ErrorContains(t, errs[0], says)
	}
}
