// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric/noop"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// lines is a slog handler that keeps the records it gets.
type lines struct {
	level  slog.Level
	handle func() error // called first; may be nil

	mu      sync.Mutex
	records []slog.Record
}

func (l *lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *lines) WithGroup(string) slog.Handler                    { return l }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	if l.handle != nil {
		if err := l.handle(); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r.Clone())
	return nil
}

func (l *lines) messages() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.records {
		all = append(all, r.Message)
	}
	return all
}

// byDefaultTo makes h the handler of slog's default logger until the test is over.
func byDefaultTo(t *testing.T, h slog.Handler) {
	t.Helper()
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	slog.SetDefault(slog.New(h))
}

// observeFor runs a monitor that opens one incident at once, for a time.
func observeFor(t *testing.T, d time.Duration, opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m, err := Start(provider(), append([]Option{withCapturer(parked(3)), WithDetectors(always())}, opts...)...)
		require.NoError(t, err)
		time.Sleep(d)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// oneLine is the message of the incident.
const oneLine = "There it is. Confidence: high."

func TestWithoutALoggerProviderEventsGoToTheDefaultOfSlog(t *testing.T) {
	var out bytes.Buffer
	byDefaultTo(t, slog.NewTextHandler(&out, nil))
	observeFor(t, time.Minute)
	require.Equal(t, 1, strings.Count(out.String(), "\n"), "one line: %s", out.String())
	assert.Contains(t, out.String(), `time=2000-01-01T00:00:00.000Z level=ERROR msg="There it is. Confidence: high." event.name=goroutine.finding.detected`)
	assert.Contains(t, out.String(), "code.function.name=main.worker code.file.path=/src/main.go code.line.number=42")
	assert.Contains(t, out.String(), "goroutine.finding.goroutine.count=3")
	assert.NotContains(t, out.String(), "source=")
}

func TestTheDefaultOfSlogIsAskedForEachEvent(t *testing.T) {
	var first, second lines
	byDefaultTo(t, &first)
	synctest.Test(t, func(t *testing.T) {
		m, err := Start(noop.NewMeterProvider(), withCapturer(parked(1)), WithDetectors(always()))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		slog.SetDefault(slog.New(&second))
		time.Sleep(time.Hour)
		require.NoError(t, m.Shutdown(t.Context()))
	})
	assert.Len(t, first.messages(), 1)
	assert.Len(t, second.messages(), 1, "the repetition after an hour")
}

func TestWithALoggerProviderTheDefaultOfSlogGetsNothing(t *testing.T) {
	var standard lines
	var logs memory
	byDefaultTo(t, &standard)
	observeFor(t, time.Minute, WithLoggerProvider(logsTo(&logs)))
	assert.Len(t, logs.names(), 1)
	assert.Empty(t, standard.messages())
}

// choosy is a log processor that takes errors only, or only events with a name.
type choosy struct {
	memory
	takes func(sdklog.EnabledParameters) bool
}

func (c *choosy) Enabled(_ context.Context, p sdklog.EnabledParameters) bool { return c.takes(p) }

func TestWhatALoggerProviderDoesNotTakeGoesNowhereElse(t *testing.T) {
	var standard lines
	byDefaultTo(t, &standard)
	c := &choosy{takes: func(p sdklog.EnabledParameters) bool { return p.Severity >= log.SeverityError }}
	assert.Empty(t, handled(func() {
		observeFor(t, time.Minute, WithDetectors(informing()), WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(c))))
	}))
	assert.Empty(t, c.names())
	assert.Empty(t, standard.messages())

	named := &choosy{takes: func(p sdklog.EnabledParameters) bool { return p.EventName != "" }}
	observeFor(t, time.Minute, WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(named))))
	assert.Len(t, named.names(), 1, "one that takes events by name hears them")
	assert.Empty(t, standard.messages())
}

// informing reports one finding that is information.
func informing() *detectors.Detector {
	return &detectors.Detector{Name: "informing", Doc: "Informs.", Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		p.Report(detectors.Finding{Confidence: detectors.Info, Stack: g.Stack, State: g.State, Count: g.Count, Message: "It may be of interest."})
		return nil
	}}
}

func TestALoggerHearsEveryEventBesidesTheLoggerProvider(t *testing.T) {
	var given, standard lines
	var logs memory
	byDefaultTo(t, &standard)
	observeFor(t, time.Minute, WithLoggerProvider(logsTo(&logs)), WithLogger(slog.New(&given)))
	assert.Len(t, logs.names(), 1)
	assert.Equal(t, []string{oneLine}, given.messages())
	observeFor(t, time.Minute, WithLogger(slog.New(&given)))
	assert.Len(t, given.messages(), 2)
	assert.Empty(t, standard.messages(), "a logger takes its place")
}

func TestTheLevelOfALoggerIsAChoice(t *testing.T) {
	var standard lines
	byDefaultTo(t, &standard)
	given := lines{level: slog.LevelError}
	assert.Empty(t, handled(func() { observeFor(t, time.Minute, WithDetectors(informing()), WithLogger(slog.New(&given))) }))
	assert.Empty(t, given.messages())
	assert.Empty(t, standard.messages())
}

// ending reports one finding in the first snapshot only.
func ending() *detectors.Detector {
	d, passes := always(), 0
	run := d.Run
	d.Run = func(p *detectors.Pass) error {
		if passes++; passes > 1 {
			return nil
		}
		return run(p)
	}
	return d
}

func TestAFunctionIsCalledWithEveryEventInOrder(t *testing.T) {
	var standard lines
	byDefaultTo(t, &standard)
	var calls []string
	note := func(name string) func(detectors.Event) {
		return func(e detectors.Event) { calls = append(calls, name+" "+e.Kind.String()+" "+e.Finding.Detector) }
	}
	observeFor(t, time.Hour, WithDetectors(ending()), WithEventFunc(note("a")), WithEventFunc(note("b")))
	assert.Equal(t, []string{"a detected always", "b detected always", "a resolved always", "b resolved always"}, calls)
	assert.Empty(t, standard.messages())
}

func TestSummariesGoEverywhere(t *testing.T) {
	many := &detectors.Detector{Name: "many", Doc: "Finds many things.", Run: func(p *detectors.Pass) error {
		for i := range 15 {
			g := p.Snapshot.Groups[0]
			p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Subject: fmt.Sprint(i), Message: "One of many."})
		}
		return nil
	}}
	var given lines
	var kinds []detectors.Kind
	observeFor(t, time.Minute, WithDetectors(many), WithLogger(slog.New(&given)), WithEventFunc(func(e detectors.Event) { kinds = append(kinds, e.Kind) }))
	assert.Len(t, kinds, 11)
	assert.Equal(t, detectors.Suppressed, kinds[10])
	require.Len(t, given.messages(), 11)
	assert.Equal(t, slog.LevelWarn, given.records[10].Level)
	assert.Equal(t, "5 open findings are not reported one by one; goroutine.finding.open counts all of them.", given.records[10].Message)
}

func TestTwoMonitorsTellSlogOnce(t *testing.T) {
	var standard, given lines
	byDefaultTo(t, &standard)
	for _, tt := range []struct {
		name            string
		first, second   []Option
		standard, given int
	}{
		{"both to the default", nil, nil, 1, 0},
		{"both to one logger", []Option{WithLogger(slog.New(&given))}, []Option{WithLogger(slog.New(&given))}, 0, 1},
		{"the default in two ways", []Option{WithLogger(slog.Default())}, nil, 1, 0},
		{"one has a logger", []Option{WithLogger(slog.New(&given))}, nil, 1, 1},
		{"one has a logger provider", []Option{WithLoggerProvider(logsTo(new(memory)))}, nil, 1, 0},
		{"the second has other detectors", nil, []Option{WithDetectors(informing())}, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			standard.records, given.records = nil, nil
			functions := 0
			count := WithEventFunc(func(detectors.Event) { functions++ })
			synctest.Test(t, func(t *testing.T) {
				var all []*Monitor
				for _, opts := range [][]Option{tt.first, tt.second} {
					m, err := Start(provider(), append([]Option{withCapturer(parked(3)), WithDetectors(always())}, opts...)...)
					require.NoError(t, err)
					all = append(all, m)
				}
				counting, err := Start(provider(), withCapturer(parked(3)), WithDetectors(always()), count)
				require.NoError(t, err)
				time.Sleep(time.Minute)
				for _, m := range append(all, counting) {
					require.NoError(t, m.Shutdown(t.Context()))
				}
			})
			assert.Len(t, standard.messages(), tt.standard)
			assert.Len(t, given.messages(), tt.given)
			assert.Equal(t, 1, functions, "a function is its monitor's own")
		})
	}
}

// An event that another monitor sends is still one that was found.
func TestWhatAnotherMonitorTellsIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := sdkmetric.NewManualReader()
		lp := logsTo(new(memory))
		first, err := Start(provider(), withCapturer(parked(3)), WithDetectors(always()), WithLoggerProvider(lp))
		require.NoError(t, err)
		second, err := Start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), withCapturer(parked(3)), WithDetectors(always()), WithLoggerProvider(lp))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.EqualValues(t, 1, sum(t, reader, "goroutine.finding.detected"))
		require.NoError(t, first.Shutdown(t.Context()))
		require.NoError(t, second.Shutdown(t.Context()))
	})
}

func TestAnEventThatNothingHearsIsReportedOnce(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	for _, tt := range []struct {
		name     string
		standard slog.Handler
		opts     []Option
		says     string // nothing: there is no report
	}{
		{"the level of slog's default", &lines{level: slog.LevelWarn}, []Option{WithDetectors(informing())}, "slog's default logger does not take level INFO; set up a LoggerProvider, or use WithLogger or WithEventFunc. The event: It may be of interest."},
		{"slog's default discards", slog.DiscardHandler, nil, "The event: There it is."},
		{"a no-op for logs alone", &lines{}, []Option{WithLoggerProvider(lognoop.NewLoggerProvider())}, ""},
		{"a logger that discards is a choice", &lines{}, []Option{WithLogger(quiet)}, ""},
		{"all is told", &lines{}, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			byDefaultTo(t, tt.standard)
			errs := handled(func() { observeFor(t, 5*time.Hour, tt.opts...) })
			if tt.says == "" {
				assert.Empty(t, errs)
				return
			}
			require.Len(t, errs, 1)
			assert.ErrorContains(t, errs[0], tt.says)
			if l, ok := tt.standard.(*lines); ok {
				assert.Empty(t, l.messages())
			}
		})
	}
}

func TestASubscriberHearsEvents(t *testing.T) {
	assert.Empty(t, handled(func() {
		synctest.Test(t, func(t *testing.T) {
			subscribed := make(chan struct{})
			c := parked(3)
			take := c.take
			c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
				<-subscribed
				return take(n)
			}
			m, err := Start(provider(), withCapturer(c), WithDetectors(always()), WithLoggerProvider(lognoop.NewLoggerProvider()), WithInterval(time.Hour))
			require.NoError(t, err)
			m.Subscribe(func(Update) {})
			close(subscribed)
			synctest.Wait()
			require.NoError(t, m.Shutdown(t.Context()))
		})
	}))
}

// otelconf makes a no-op LoggerProvider of a configuration with metrics only.
func TestSlogHearsWhereOnlyLogsAreANoOp(t *testing.T) {
	var standard lines
	byDefaultTo(t, &standard)
	observeFor(t, time.Minute, WithLoggerProvider(lognoop.NewLoggerProvider()))
	assert.Len(t, standard.messages(), 1)
}

func TestADisabledSDKIsAWish(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "True")
	var standard, given lines
	byDefaultTo(t, &standard)
	assert.Empty(t, handled(func() { observeFor(t, time.Hour) }))
	assert.Empty(t, standard.messages())
	observeFor(t, time.Minute, WithLogger(slog.New(&given)))
	assert.Len(t, given.messages(), 1, "what was asked for is done")
}

func TestSlogIsHeard(t *testing.T) {
	var logs memory
	heard := slog.New(&lines{})
	for _, tt := range []struct {
		name     string
		standard slog.Handler
		opts     []Option
		disabled string
		heard    bool
	}{
		{"slog's default", &lines{}, nil, "", true},
		{"slog's default takes errors", &lines{level: slog.LevelError}, nil, "", true},
		{"slog's default takes no errors", &lines{level: slog.LevelError + 1}, nil, "", false},
		{"without detectors there are no events", &lines{}, []Option{WithDetectors()}, "", false},
		{"no-op providers", &lines{}, []Option{WithLoggerProvider(lognoop.NewLoggerProvider())}, "", false},
		{"a pointer to one", &lines{}, []Option{WithLoggerProvider(&lognoop.LoggerProvider{})}, "", false},
		{"the SDK is disabled", &lines{}, nil, "true", false},
		{"the SDK is not disabled", &lines{}, nil, "no", true},
		{"a logger provider without processors", &lines{}, []Option{WithLoggerProvider(sdklog.NewLoggerProvider())}, "", true},
		{"a logger", slog.DiscardHandler, []Option{WithLogger(heard), WithLoggerProvider(lognoop.NewLoggerProvider())}, "true", true},
		{"a logger that discards", &lines{}, []Option{WithLogger(slog.New(slog.DiscardHandler))}, "", false},
		{"a function", slog.DiscardHandler, []Option{WithEventFunc(func(detectors.Event) {}), WithLoggerProvider(lognoop.NewLoggerProvider())}, "true", true},
		{"a logger provider", slog.DiscardHandler, []Option{WithLoggerProvider(logsTo(&logs))}, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			byDefaultTo(t, tt.standard)
			t.Setenv("OTEL_SDK_DISABLED", tt.disabled)
			synctest.Test(t, func(t *testing.T) {
				c := parked(1)
				m, err := Start(noop.NewMeterProvider(), append([]Option{withCapturer(c)}, tt.opts...)...)
				require.NoError(t, err)
				time.Sleep(time.Hour)
				assert.Equal(t, tt.heard, c.taken.Load() > 0)
				require.NoError(t, m.Shutdown(t.Context()))
			})
		})
	}
}

func TestAPanicInASinkIsReportedAndLosesNothing(t *testing.T) {
	var after int
	broken := &lines{handle: func() error { panic("boom") }}
	errs := handled(func() {
		observeFor(t, time.Minute, WithLogger(slog.New(broken)),
			WithEventFunc(func(detectors.Event) { panic("boom") }), WithEventFunc(func(detectors.Event) { after++ }))
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "boom")
	assert.Equal(t, 1, after)
}

func TestAHandlerThatPanicsWhenAskedIsNotHeard(t *testing.T) {
	byDefaultTo(t, panickingHandler{})
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			c := parked(1)
			m, err := Start(noop.NewMeterProvider(), withCapturer(c))
			require.NoError(t, err)
			synctest.Wait()
			assert.Equal(t, detectors.ReasonNoListener, m.sight.Status(time.Now()).Detectors[0].Reason, "nothing waits for an answer that does not come")
			time.Sleep(time.Hour)
			assert.Zero(t, c.taken.Load())
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "boom")
}

// panickingHandler is a handler that panics when it is asked.
type panickingHandler struct{ slog.Handler }

func (panickingHandler) Enabled(context.Context, slog.Level) bool { panic("boom") }

func TestAFunctionMayEndItsGoroutine(t *testing.T) {
	calls := 0
	observeFor(t, 90*time.Minute, WithEventFunc(func(detectors.Event) {
		calls++
		runtime.Goexit()
	}))
	assert.Equal(t, 2, calls)
}

func TestAnErrorOfAHandlerIsReportedOnce(t *testing.T) {
	full := &lines{handle: func() error { return errors.New("disk full") }}
	errs := handled(func() { observeFor(t, 3*time.Hour, WithLogger(slog.New(full))) })
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "disk full")
}

func TestASinkMayUseTheMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m *Monitor
		var found int
		started := make(chan struct{})
		given := &lines{handle: func() error {
			<-started
			found = len(m.Findings())
			m.Snapshot()
			m.Status()
			m.Subscribe(func(Update) {})()
			return m.WriteReport(io.Discard)
		}}
		m, err := Start(provider(), withCapturer(parked(1)), WithDetectors(always()), WithLogger(slog.New(given)),
			WithEventFunc(func(detectors.Event) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				assert.ErrorIs(t, m.Shutdown(ctx), context.DeadlineExceeded, "it waits for this call")
			}))
		require.NoError(t, err)
		close(started)
		time.Sleep(time.Minute)
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Equal(t, 1, found)
	})
}

// hanging starts a monitor whose slog handler hangs until the gate is closed.
func hanging(t *testing.T, gate chan struct{}, opts ...Option) (*Monitor, *script) {
	t.Helper()
	c := parked(1)
	m, err := Start(provider(), append([]Option{withCapturer(c), WithDetectors(always()), WithLogger(slog.New(&lines{handle: func() error {
		<-gate
		return nil
	}}))}, opts...)...)
	require.NoError(t, err)
	return m, c
}

func TestASinkThatHangsHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		later := 0
		m, c := hanging(t, gate, WithEventFunc(func(detectors.Event) { later++ }))
		time.Sleep(time.Hour + time.Second)
		assert.EqualValues(t, 1+time.Hour/m.interval, c.taken.Load())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, m.Shutdown(ctx), context.DeadlineExceeded)
		close(gate)
		assert.NoError(t, m.Shutdown(t.Context()))
		assert.Equal(t, 2, later, "what waited was delivered")
	})
}

func TestASinkThatHangsForGoodIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		later := 0
		m, _ := hanging(t, gate, WithEventFunc(func(detectors.Event) { later++ }))
		time.Sleep(time.Minute)
		began := time.Now()
		assert.ErrorContains(t, m.Shutdown(t.Context()), "a slog handler or a function of WithEventFunc did not return within 10s; its goroutine was left behind, and 1 calls after it were not made")
		assert.Equal(t, callPatience, time.Since(began))
		assert.Error(t, m.Shutdown(t.Context()), "it says so again")
		close(gate) // and so the goroutine ends, or the bubble does not
		synctest.Wait()
		assert.Zero(t, later)
	})
}

// Shutdown is patient with each call, not with all of them together.
func TestShutdownWaitsForSlowSinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		slow := WithEventFunc(func(detectors.Event) {
			time.Sleep(callPatience - time.Second)
			calls++
		})
		m, err := Start(provider(), withCapturer(parked(1)), WithDetectors(always()), slow, slow, slow)
		require.NoError(t, err)
		synctest.Wait()
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Equal(t, 3, calls)
	})
}

func TestWhatASlowSinkDropsIsReportedOnce(t *testing.T) {
	names := 0
	changing := &detectors.Detector{Name: "changing", Doc: "Finds other things each time.", Run: func(p *detectors.Pass) error {
		for range 5 {
			names++
			g := p.Snapshot.Groups[0]
			p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Subject: fmt.Sprint(names), Message: "Another."})
		}
		return nil
	}}
	var delivered int
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			m, err := Start(provider(), withCapturer(parked(1)), WithDetectors(changing), WithEventFunc(func(detectors.Event) {
				<-gate
				delivered++
			}))
			require.NoError(t, err)
			time.Sleep(5 * time.Hour)
			close(gate)
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "an event was dropped, because 64 deliveries wait")
	assert.Equal(t, 1+maxWaiting, delivered)
}

// While a handler is at work, its last answer counts.
func TestASlowHandlerIsStillHeard(t *testing.T) {
	var gate chan struct{} // of the bubble
	byDefaultTo(t, &lines{handle: func() error { <-gate; return nil }})
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			gate = make(chan struct{})
			c := parked(1)
			m, err := Start(noop.NewMeterProvider(), withCapturer(c), WithDetectors(always()))
			require.NoError(t, err)
			time.Sleep(3*time.Hour + time.Second)
			assert.EqualValues(t, 1+3*time.Hour/m.interval, c.taken.Load())
			close(gate)
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	assert.Empty(t, errs, "questions take no event's room")
}

// stubborn is a handler that does not answer.
type stubborn struct {
	slog.Handler
	gate <-chan struct{}
}

func (s *stubborn) Enabled(context.Context, slog.Level) bool {
	<-s.gate
	return true
}

func TestAHandlerThatDoesNotAnswerIsNotHeard(t *testing.T) {
	h := &stubborn{Handler: slog.DiscardHandler}
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		h.gate = gate
		c := parked(1)
		m, err := Start(noop.NewMeterProvider(), withCapturer(c), WithLogger(slog.New(h)))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		assert.Zero(t, c.taken.Load())
		assert.Error(t, m.Shutdown(t.Context()))
		close(gate)
	})
}

func TestEventsMayGoToNeitherNilLoggersNorNilFunctions(t *testing.T) {
	for _, o := range []Option{WithLogger(nil), WithLogger(new(slog.Logger)), WithEventFunc(nil)} {
		_, err := Start(provider(), o)
		assert.ErrorContains(t, err, "(nil)")
	}
}

// The global providers are set once in a process, so each case has a process of its
// own.
func TestSlogUntilTheGlobalLoggerProviderIsSet(t *testing.T) {
	cases := map[string]func(*testing.T){
		"the SDK is set up after Start": func(t *testing.T) {
			var standard lines
			var logs memory
			slog.SetDefault(slog.New(&standard))
			synctest.Test(t, func(t *testing.T) {
				m, err := Start(nil, withCapturer(parked(1)), WithDetectors(always()))
				require.NoError(t, err)
				time.Sleep(time.Minute)
				assert.Len(t, standard.messages(), 1, "at once")
				otel.SetLoggerProvider(logsTo(&logs))
				time.Sleep(time.Hour)
				assert.Len(t, standard.messages(), 1)
				assert.Len(t, logs.names(), 1, "the repetition after an hour")
				require.NoError(t, m.Shutdown(t.Context()))
			})
		},
		"no-ops are set after Start": func(t *testing.T) {
			var standard lines
			slog.SetDefault(slog.New(&standard))
			synctest.Test(t, func(t *testing.T) {
				m, err := Start(nil, withCapturer(parked(1)), WithDetectors(always()))
				require.NoError(t, err)
				time.Sleep(time.Minute)
				otel.SetLoggerProvider(lognoop.NewLoggerProvider())
				otel.SetMeterProvider(noop.NewMeterProvider())
				time.Sleep(time.Hour)
				assert.Len(t, standard.messages(), 1)
				require.NoError(t, m.Shutdown(t.Context()))
			})
		},
	}
	const key = "OTELGOROUTINE_TEST_SLOG"
	if name := os.Getenv(key); name != "" {
		cases[name](t)
		return
	}
	for name := range cases {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSlogUntilTheGlobalLoggerProviderIsSet$", "-test.count=1")
			child.Env = append(os.Environ(), key+"="+name)
			out, err := child.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

// several monitors deliver from goroutines of their own.
func TestSinksAreConcurrentSafe(t *testing.T) {
	var given lines
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			m, err := Start(provider(), WithInterval(MinInterval), withCapturer(&script{take: func(int) (*goroutine.Snapshot, []capture.Skip) { return parked(2).take(1) }}),
				WithDetectors(always()), WithLogger(slog.New(&given)), WithEventFunc(func(detectors.Event) {}))
			if assert.NoError(t, err) {
				wg.Go(func() { m.Findings() })
				assert.NoError(t, m.Shutdown(context.Background()))
			}
		})
	}
	wg.Wait()
}
