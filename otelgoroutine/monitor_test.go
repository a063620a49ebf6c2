// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	otelattribute "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	otelmetric "go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// TestMain runs all tests with an environment that says nothing, and a slog default that
// takes nothing. Those that are about these set their own.
func TestMain(m *testing.M) {
	clearEnvironment()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	goleak.VerifyTestMain(m)
}

// script is a capturer that returns what a test says.
type script struct {
	take  func(n int) (*goroutine.Snapshot, []capture.Skip)
	taken atomic.Int32
	early func() *goroutine.Snapshot // nil: none before the second regular one
	proof *goroutine.Snapshot
	text  func() *goroutine.Snapshot // nil: no budget for one
	locks func() *goroutine.Snapshot // nil: traces are off
	texts int
	dump  []byte // nil: no budget for one

	recording []byte

	poor   bool          // no budget for snapshots beyond the regular ones
	counts func() counts // nil: the process creates goroutines all the time, unless still is set
	still  atomic.Pointer[counts]

	proofs  atomic.Int32
	aborted atomic.Int32
	abort   func()                                                        // may be nil
	window  func(span time.Duration) (*goroutine.Snapshot, *capture.Skip) // nil: there are none
}

func (s *script) Take() (*goroutine.Snapshot, []capture.Skip) {
	return s.take(int(s.taken.Add(1)))
}

func (s *script) Early() (*goroutine.Snapshot, []capture.Skip) {
	if s.early == nil || s.poor {
		return nil, nil
	}
	return s.early(), nil
}

func (s *script) Recording() []byte { return s.recording }

// withCapturer also has the snapshots come at equal distances.
func withCapturer(c capturer) Option {
	return optionFunc(func(cfg *config) { cfg.capturer, cfg.early = c, never })
}

func never() float64 { return 0 }

// parked is a capturer that always sees the same n goroutines.
func parked(n int) *script {
	stack := goroutine.NewStack([]goroutine.Frame{{Function: "runtime.gopark"}, {Function: "main.worker", File: "/src/main.go", Line: 42}})
	return &script{take: func(int) (*goroutine.Snapshot, []capture.Skip) {
		return &goroutine.Snapshot{
			Time: time.Now(), Source: goroutine.SourceTrace, Total: n,
			Groups: []goroutine.Group{{Stack: stack, State: goroutine.ChanReceiveNil, Count: n, IDs: []uint64{7},
				Births: []goroutine.Cohort{{Count: n, Digest: uint64(n)}}}},
			Epochs: []goroutine.Epoch{{LastID: 100, End: time.Now()}},
		}, nil
	}}
}

// always reports one finding in every snapshot.
func always() *detectors.Detector {
	return &detectors.Detector{Name: "always", Doc: "Always finds.", Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Message: "There it is."})
		return nil
	}}
}

// memory is a log processor that keeps what it gets.
type memory struct {
	mu      sync.Mutex
	records []sdklog.Record
	onEmit  func()
}

func (m *memory) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (m *memory) Shutdown(context.Context) error                         { return nil }
func (m *memory) ForceFlush(context.Context) error                       { return nil }
func (m *memory) OnEmit(_ context.Context, r *sdklog.Record) error {
	if m.onEmit != nil {
		m.onEmit()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, r.Clone())
	return nil
}

func (m *memory) names() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		names = append(names, r.EventName())
	}
	return names
}

func logsTo(m *memory) log.LoggerProvider {
	return sdklog.NewLoggerProvider(sdklog.WithProcessor(m))
}

func TestSnapshotsAreTakenAtOnceAndThenEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		m, err := Start(provider(), withCapturer(c))
		require.NoError(t, err)
		synctest.Wait()
		require.NotNil(t, m.Snapshot())
		assert.EqualValues(t, 1, c.taken.Load())
		time.Sleep(time.Minute + time.Second)
		assert.EqualValues(t, 5, c.taken.Load(), "15 s is the default")
		require.NoError(t, m.Shutdown(t.Context()))
		time.Sleep(time.Hour)
		assert.EqualValues(t, 5, c.taken.Load())
	})
}

func TestEventsAreSentAndFindingsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		m, err := Start(provider(), withCapturer(parked(3)), WithDetectors(always()), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		assert.Equal(t, []string{"goroutine.finding.detected"}, logs.names(), "once, not with every snapshot")
		require.Len(t, m.Findings(), 1)
		assert.Equal(t, 3, m.Findings()[0].Count)
		var report bytes.Buffer
		require.NoError(t, m.WriteReport(&report))
		assert.Contains(t, report.String(), "3 goroutines at")
		assert.Contains(t, report.String(), "There it is.")
		assert.Contains(t, report.String(), "      main.worker (")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestBlockedForeverIsADefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		m, err := Start(provider(), withCapturer(parked(1)), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"goroutine.blocked_forever.detected"}, logs.names())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestWithoutDetectorsThereAreMetricsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		m, err := Start(provider(), withCapturer(parked(1)), WithDetectors(), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		assert.Empty(t, logs.names())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestAProfileIsSavedWithTheEvent(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		m, err := Start(provider(), withCapturer(parked(1)), WithDetectors(always()),
			WithLoggerProvider(logsTo(&logs)), WithProfileDir(dir, 2))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, m.Shutdown(t.Context()))
		path := attribute(t, &logs, "goroutine.profile.path")
		assert.FileExists(t, path)
	})
}

func attribute(t *testing.T, m *memory, key string) (value string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	require.NotEmpty(t, m.records)
	m.records[0].WalkAttributes(func(kv otelattribute.KeyValue) bool {
		if string(kv.Key) == key {
			value = kv.Value.AsString()
		}
		return true
	})
	return value
}

// handled collects what goes to otel.Handle while f runs.
func handled(f func()) (errs []error) {
	var mu sync.Mutex
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	f()
	return errs
}

func TestNothingThatGoesWrongReachesTheHost(t *testing.T) {
	broken := &detectors.Detector{Name: "broken", Run: func(*detectors.Pass) error { panic("boom") }}
	failing := &detectors.Detector{Name: "failing", Run: func(*detectors.Pass) error { return errors.New("no luck") }}
	for _, tt := range []struct {
		name    string
		options func(*memory) []Option
		says    string
	}{
		{"capturer panics", func(*memory) []Option {
			return []Option{withCapturer(&script{take: func(int) (*goroutine.Snapshot, []capture.Skip) { panic("boom") }})}
		}, "boom"},
		{"detector panics", func(*memory) []Option {
			return []Option{withCapturer(parked(1)), WithDetectors(broken)}
		}, `detector "broken": panic: boom`},
		{"detector fails", func(*memory) []Option {
			return []Option{withCapturer(parked(1)), WithDetectors(failing)}
		}, `detector "failing": no luck`},
		{"log processor panics", func(m *memory) []Option {
			m.onEmit = func() { panic("boom") }
			return []Option{withCapturer(parked(1)), WithDetectors(always())}
		}, "boom"},
		{"source fails", func(*memory) []Option {
			return []Option{withCapturer(&script{take: func(int) (*goroutine.Snapshot, []capture.Skip) {
				return nil, []capture.Skip{{Source: goroutine.SourceTrace, Refusal: &capture.Refusal{Reason: capture.ReasonError, Err: errors.New("bad bytes")}}}
			}})}
		}, "bad bytes"},
		{"known stack panics", func(*memory) []Option {
			return []Option{withCapturer(parked(1)), WithKnownStacks(detectors.KnownStack{Name: "x", Reason: "y", Match: func(*goroutine.Stack) bool { panic("boom") }})}
		}, "boom"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			errs := handled(func() {
				synctest.Test(t, func(t *testing.T) {
					var logs memory
					m, err := Start(provider(), append(tt.options(&logs), WithLoggerProvider(logsTo(&logs)))...)
					require.NoError(t, err)
					time.Sleep(10 * time.Minute)
					require.NoError(t, m.Shutdown(t.Context()))
				})
			})
			require.NotEmpty(t, errs)
			assert.ErrorContains(t, errs[0], tt.says)
			assert.LessOrEqual(t, len(errs), 2, "each kind of failure is told once, not with every snapshot")
		})
	}
}

func TestAPanicAtOneEventLosesNoOther(t *testing.T) {
	twice := &detectors.Detector{Name: "twice", Doc: "Finds two things.", Run: func(p *detectors.Pass) error {
		for _, subject := range []string{"a", "b"} {
			g := p.Snapshot.Groups[0]
			p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Subject: subject})
		}
		return nil
	}}
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			var calls int
			logs := memory{onEmit: func() {
				if calls++; calls == 1 {
					panic("boom")
				}
			}}
			m, err := Start(provider(), withCapturer(parked(1)), WithDetectors(twice), WithLoggerProvider(logsTo(&logs)))
			require.NoError(t, err)
			synctest.Wait()
			assert.Equal(t, []string{"goroutine.finding.detected"}, logs.names(), "the second of one snapshot")
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "boom")
}

func TestALogProcessorThatBlocksDoesNotBlockTheHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		logs := memory{onEmit: func() { <-gate }}
		reader := sdkmetric.NewManualReader()
		m, err := Start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), withCapturer(parked(4)), WithDetectors(always()), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err)
		time.Sleep(time.Hour)

		var rm metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &rm))
		assert.NotEmpty(t, rm.ScopeMetrics)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, m.Shutdown(ctx), context.DeadlineExceeded)
		close(gate)
		assert.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestShutdownUnregistersAndIsIdempotent(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	m, err := Start(mp)
	require.NoError(t, err)
	require.NoError(t, m.Shutdown(t.Context()))
	require.NoError(t, m.Shutdown(t.Context()))
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))
	for _, scope := range rm.ScopeMetrics {
		for _, metric := range scope.Metrics {
			assert.Contains(t, []string{"goroutine.snapshot.duration", "goroutine.snapshot.skipped", "goroutine.finding.detected"}, metric.Name,
				"only what was recorded before is left")
		}
	}
}

// TestShutdownDoesNotWaitForOthersCallbacks holds a collection up in a callback
// of the user, during which the SDK unregisters nothing.
func TestShutdownDoesNotWaitForOthersCallbacks(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	entered, gate := make(chan struct{}), make(chan struct{})
	_, err := mp.Meter("other").Int64ObservableGauge("other", otelmetric.WithInt64Callback(func(context.Context, otelmetric.Int64Observer) error {
		entered <- struct{}{}
		<-gate
		return nil
	}))
	require.NoError(t, err)
	m, err := Start(mp)
	require.NoError(t, err)
	collected := make(chan error)
	go func() {
		var rm metricdata.ResourceMetrics
		collected <- reader.Collect(context.Background(), &rm)
	}()
	<-entered

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	assert.ErrorIs(t, m.Shutdown(ctx), context.DeadlineExceeded)
	assert.ErrorIs(t, m.Shutdown(ctx), context.DeadlineExceeded, "nor does the second")
	close(gate)
	assert.NoError(t, <-collected)
	assert.NoError(t, m.Shutdown(t.Context()))
}

func TestShutdownGivesTheHistoryBack(t *testing.T) {
	m, err := Start(provider(), withCapturer(parked(1)))
	require.NoError(t, err)
	engine := weak.Make(m.observer.engine)
	require.Eventually(t, func() bool { return len(m.Findings()) > 0 }, time.Minute, time.Millisecond)
	require.NoError(t, m.Shutdown(t.Context()))
	runtime.GC()
	assert.Nil(t, engine.Value())
	assert.NotNil(t, m.Snapshot(), "what was last seen can still be asked for")
	assert.Len(t, m.Findings(), 1)
}

func TestASecondStartOnOneProviderIsRefused(t *testing.T) {
	mp := provider()
	m, err := Start(mp)
	require.NoError(t, err)
	_, err = Start(mp)
	assert.ErrorIs(t, err, ErrStarted)
	other, err := Start(provider())
	require.NoError(t, err)
	require.NoError(t, other.Shutdown(t.Context()))
	require.NoError(t, m.Shutdown(t.Context()))
	again, err := Start(mp)
	require.NoError(t, err, "after Shutdown the provider is free")
	require.NoError(t, again.Shutdown(t.Context()))
}

func TestANilProviderIsTheGlobalOne(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	before := otel.GetMeterProvider()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	defer otel.SetMeterProvider(before)
	m, err := Start(nil)
	require.NoError(t, err)
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))
	require.NotEmpty(t, rm.ScopeMetrics)
	assert.Equal(t, ScopeName, rm.ScopeMetrics[0].Scope.Name)
	assert.Equal(t, Version, rm.ScopeMetrics[0].Scope.Version)
	require.NoError(t, m.Shutdown(t.Context()))
}

func TestANilPointerIsRefused(t *testing.T) {
	_, err := Start((*sdkmetric.MeterProvider)(nil))
	assert.ErrorContains(t, err, "nil pointer")
}

func TestStartAndShutdownRace(t *testing.T) {
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			m, err := Start(provider(), WithInterval(MinInterval))
			if assert.NoError(t, err) {
				wg.Go(func() { m.Snapshot(); m.Findings(); _ = m.WriteReport(&bytes.Buffer{}) })
				wg.Go(func() { assert.NoError(t, m.Shutdown(context.Background())) })
				assert.NoError(t, m.Shutdown(context.Background()))
			}
		})
	}
	wg.Wait()
}

func (s *script) Text() (*goroutine.Snapshot, *capture.Skip) {
	s.texts++
	if s.text == nil {
		return nil, &capture.Skip{Source: goroutine.SourceText, Refusal: &capture.Refusal{Reason: capture.ReasonPause, Err: errors.New("too long")}}
	}
	return s.text(), nil
}

func (s *script) Dump() (*capture.Dump, *capture.Skip) {
	if s.dump == nil {
		return nil, &capture.Skip{Source: goroutine.SourceText, Refusal: &capture.Refusal{Reason: capture.ReasonPause, Err: errors.New("too long")}}
	}
	return &capture.Dump{Time: time.Now(), Text: s.dump}, nil
}

func (s *script) Locks() (*goroutine.Snapshot, *capture.Skip) {
	if s.locks == nil {
		return nil, nil
	}
	return s.locks(), nil
}

func (s *script) Spare(time.Duration) bool { return !s.poor }

func (s *script) Counts() (goroutines, created int64) {
	if s.counts != nil {
		c := s.counts()
		return c.goroutines, c.created
	}
	if c := s.still.Load(); c != nil {
		return c.goroutines, c.created
	}
	return 1, time.Now().UnixMilli()
}

func (s *script) Charge(time.Duration)     {}
func (s *script) Configure(capture.Config) {}
func (s *script) Abort() {
	s.aborted.Add(1)
	if s.abort != nil {
		s.abort()
	}
}
func (s *script) Labelled([]string, func(goroutine.StackID) bool) (*goroutine.Snapshot, *capture.Skip) {
	return nil, nil
}
func (s *script) Window(span time.Duration, _ <-chan struct{}) (*goroutine.Snapshot, *capture.Skip) {
	if s.window == nil {
		return nil, nil
	}
	return s.window(span)
}

func (s *script) Prove(*goroutine.Snapshot) (*goroutine.Snapshot, *capture.Skip) {
	s.proofs.Add(1)
	return s.proof, nil
}

func TestAnInspectionIsTakenWhenADetectorAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		first, _ := c.take(1)
		c.proof = &goroutine.Snapshot{Source: goroutine.SourceProof, Groups: []goroutine.Group{{Stack: first.Groups[0].Stack, Count: 2}}}
		var runs atomic.Int32
		suspects := &detectors.Detector{Name: "suspects", Run: func(p *detectors.Pass) error {
			runs.Add(1)
			p.Ask(goroutine.SourceProof)
			p.Ask(goroutine.SourceProof)
			g := p.Snapshot.Groups[0]
			f := detectors.Finding{Confidence: detectors.Suspected, Stack: g.Stack, State: g.State, Count: g.Count}
			if p.Inspections[goroutine.SourceProof] != nil {
				f.Confidence = detectors.Confirmed
			}
			p.Report(f)
			return nil
		}}
		m, err := Start(provider(), withCapturer(c), WithDetectors(suspects), WithLeakProof())
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, m.Findings(), 1)
		assert.Equal(t, detectors.Confirmed, m.Findings()[0].Confidence, "with the same snapshot")
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		assert.EqualValues(t, 21+1, runs.Load(), "one more for the inspection")
		assert.EqualValues(t, 1, c.proofs.Load())
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		assert.EqualValues(t, 2, c.proofs.Load(), "ten minutes apart")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// waits asks for a window with every snapshot and notes whether it may hope for one.
func waits(hopes *[]bool) *detectors.Detector {
	return &detectors.Detector{Name: "waits", Run: func(p *detectors.Pass) error {
		if len(p.Windows) == 0 {
			*hopes = append(*hopes, p.Ask(goroutine.SourceWindow))
		}
		return nil
	}}
}

func TestAWindowIsOpenedWhenADetectorAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		var spans []time.Duration
		c.window = func(span time.Duration) (*goroutine.Snapshot, *capture.Skip) {
			spans = append(spans, span)
			return &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceWindow}, nil
		}
		var hopes []bool
		m, err := Start(provider(), withCapturer(c), WithDetectors(waits(&hopes)))
		require.NoError(t, err)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Equal(t, []time.Duration{250 * time.Millisecond}, spans, "there is one with the same snapshot, and no other is asked for")
		assert.Equal(t, []bool{true}, hopes)
	})
}

func TestDetectorsDoNotWaitForWindowsThatDoNotCome(t *testing.T) {
	refused := &capture.Skip{Source: goroutine.SourceWindow, Refusal: &capture.Refusal{Reason: capture.ReasonBudget, Err: errors.New("too dear")}}
	for name, tc := range map[string]struct {
		skip  *capture.Skip
		hopes int
	}{"over the budget": {refused, 8}, "no traces are taken": {nil, 1}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := parked(3)
				c.window = func(time.Duration) (*goroutine.Snapshot, *capture.Skip) { return nil, tc.skip }
				var hopes []bool
				m, err := Start(provider(), withCapturer(c), WithDetectors(waits(&hopes)))
				require.NoError(t, err)
				time.Sleep(5*time.Minute - time.Second)
				synctest.Wait()
				require.NoError(t, m.Shutdown(t.Context()))
				want := make([]bool, 20)
				for i := range tc.hopes {
					want[i] = true
				}
				assert.Equal(t, want, hopes)
			})
		})
	}
}

func TestDetectorsThatNeedIDsSaySoOnce(t *testing.T) {
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			c := &script{take: func(int) (*goroutine.Snapshot, []capture.Skip) {
				return &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceProfile}, nil
			}}
			m, err := Start(provider(), withCapturer(c))
			require.NoError(t, err)
			time.Sleep(time.Hour)
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], `source "profile" have no goroutine IDs; detector "hang"`)
}

func TestAnErrorHandlerThatPanicsDoesNotReachTheHost(t *testing.T) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) { panic("boom") }))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	synctest.Test(t, func(t *testing.T) {
		m, err := Start(provider(), withCapturer(&script{take: func(int) (*goroutine.Snapshot, []capture.Skip) { panic("boom") }}))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// provider returns a meter provider that is read.
func provider() *sdkmetric.MeterProvider {
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
}
