// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/telemetry"
)

var (
	waiting = detectortest.At(goroutine.ChanReceive, "main.worker:7", "main.start:3")
	crowded = detectortest.At(goroutine.ChanSend, "main.send:9", "main.start:4")
)

// crowd finds places with at least ten goroutines.
var crowd = &detectors.Detector{
	Name: "crowd",
	Doc:  "Ten goroutines at one place.",
	Run: func(p *detectors.Pass) error {
		for i := range p.Snapshot.Groups {
			if g := &p.Snapshot.Groups[i]; g.Count >= 10 {
				p.Report(detectors.Finding{Confidence: detectors.Suspected, Stack: g.Stack, State: g.State, Count: g.Count, Message: "a crowd"})
			}
		}
		return nil
	},
}

// A fake is a process whose snapshots are made by the test. Take returns the
// result of next or, if next is nil, the next snapshot of the simulated
// process.
type fake struct {
	*detectortest.Process
	next      func() (*goroutine.Snapshot, error)
	taken     int
	forgotten int

	generation uint64 // of the last trace; 0: no traces
	noTrace    string // the reason; see Process
	retries    int
}

func newFake(at detectortest.Place, n int) *fake {
	f := &fake{Process: detectortest.NewProcess(1)}
	f.Go(at, n)
	return f
}

func (f *fake) snapshot() *goroutine.Snapshot { return f.Process.Snapshot() }

func (f *fake) Take(context.Context) (*goroutine.Snapshot, error) {
	f.taken++
	if f.next != nil {
		return f.next()
	}
	f.Advance(15 * time.Second)
	return f.snapshot(), nil
}

func (f *fake) Forget() { f.forgotten++ }

func (f *fake) Generation() uint64 { return f.generation }
func (f *fake) NoTrace() (reason, detail string) {
	if f.noTrace == "" {
		return "", ""
	}
	return f.noTrace, "why: " + f.noTrace
}
func (f *fake) Retry() { f.retries++ }

// fails makes all further snapshots fail.
func (f *fake) fails(err error) {
	f.next = func() (*goroutine.Snapshot, error) { return nil, err }
}

// restart starts another process at the same address.
func (f *fake) restart(at detectortest.Place, n int) {
	now := f.Now()
	f.Process, f.next = detectortest.NewProcess(1), nil
	f.Advance(now.Sub(f.Now()))
	f.Go(at, n)
}

// withoutIDs removes everything that a profile does not have.
func (f *fake) withoutIDs() {
	f.next = func() (*goroutine.Snapshot, error) {
		f.Advance(15 * time.Second)
		s := f.snapshot()
		s.Epochs, s.Source = nil, goroutine.SourceProfile
		for i := range s.Groups {
			s.Groups[i].Births, s.Groups[i].IDs = nil, nil
		}
		return s, nil
	}
}

// told collects events as "kind of detector".
type told []string

func (l *told) take(s Step) {
	for _, e := range s.Events {
		*l = append(*l, s.Status.Name+": "+e.Finding.Detector+" "+e.Kind.String())
	}
}

func newTestTarget(f *fake, t *telemetry.Telemetry, ds ...*detectors.Detector) (*Target, *told) {
	events := new(told)
	return NewTarget("http://host", f, ds, sight.New(15*time.Second, ds, time.Now()), t, events.take), events
}

func observe(t *testing.T, target *Target, times int) {
	t.Helper()
	for range times {
		target.Observe(t.Context())
	}
}

// TestFindings follows a finding from its first snapshot to its resolution.
func TestFindings(t *testing.T) {
	f := newFake(waiting, 3)
	target, events := newTestTarget(f, nil, crowd)
	assert.Equal(t, "http://host", target.Status().Name)
	assert.Nil(t, target.Status().Snapshot)

	observe(t, target, 1)
	assert.Empty(t, *events)
	ids := f.Go(crowded, 12)
	observe(t, target, 2)
	assert.Equal(t, told{"http://host: crowd detected"}, *events)
	s := target.Status()
	require.Len(t, s.Open, 1)
	assert.Equal(t, 12, s.Open[0].Count)
	assert.Equal(t, 15, s.Snapshot.Total)
	assert.Equal(t, 3, s.Taken)
	require.NoError(t, s.Err)

	f.Exit(ids...)
	observe(t, target, 1)
	assert.Len(t, target.Status().Open, 1, "one snapshot without it is no end")
	observe(t, target, 5)
	assert.Equal(t, told{"http://host: crowd detected", "http://host: crowd resolved"}, *events)
	assert.Empty(t, target.Status().Open)
}

// TestRestarts checks that nothing is carried over to another process.
func TestRestarts(t *testing.T) {
	refused := fmt.Errorf("http://host: %w: nothing listens on that port", syscall.ECONNREFUSED)
	other := errors.New("no complete response")
	for name, c := range map[string]struct {
		between func(*fake) // between the first snapshot and the last
		last    func(*fake)
		restart bool
	}{
		"nothing happened":                 {last: func(*fake) {}},
		"other IDs":                        {last: func(f *fake) { f.restart(waiting, 2) }, restart: true},
		"refused, then other IDs":          {between: func(f *fake) { f.fails(refused) }, last: func(f *fake) { f.restart(waiting, 2) }, restart: true},
		"refused, then the same IDs":       {between: func(f *fake) { f.fails(refused) }, last: func(f *fake) { f.next = nil }, restart: true},
		"away, and back with the same IDs": {between: func(f *fake) { f.fails(other) }, last: func(f *fake) { f.next = nil }},
		"away, and back with other IDs":    {between: func(f *fake) { f.fails(other) }, last: func(f *fake) { f.restart(waiting, 2) }, restart: true},
		"away, and back without IDs":       {between: func(f *fake) { f.fails(other) }, last: (*fake).withoutIDs},
		"refused, and back without IDs":    {between: func(f *fake) { f.fails(refused) }, last: (*fake).withoutIDs, restart: true},
		"no IDs any more":                  {last: (*fake).withoutIDs},
		"a part, then no IDs": {between: func(f *fake) {
			f.next = func() (*goroutine.Snapshot, error) { f.Advance(time.Second); return f.snapshot(), other }
		}, last: (*fake).withoutIDs},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(crowded, 20)
			target, events := newTestTarget(f, nil, crowd)
			observe(t, target, 1)
			require.Len(t, target.Status().Open, 1)
			if c.between != nil {
				c.between(f)
				observe(t, target, 2)
				assert.Len(t, target.Status().Open, 1, "what cannot be judged stays open")
			}
			*events = nil
			f.taken = 0
			c.last(f)
			observe(t, target, 1)
			s := target.Status()
			require.NoError(t, s.Err)
			if !c.restart {
				assert.Zero(t, s.Restarts)
				assert.Zero(t, f.forgotten)
				assert.Equal(t, 1, f.taken)
				assert.Empty(t, *events)
				return
			}
			assert.Equal(t, 1, s.Restarts)
			assert.Equal(t, 1, f.forgotten)
			assert.Equal(t, 2, f.taken, "once more, with births counted anew")
			require.NotEmpty(t, *events)
			assert.Equal(t, "http://host: crowd resolved", (*events)[0], "what was found went with its process")
			if len(s.Open) > 0 {
				assert.Equal(t, told{"http://host: crowd resolved", "http://host: crowd detected"}, *events)
			}
			observe(t, target, 3)
			assert.Equal(t, 1, target.Status().Restarts, "it is one restart")
		})
	}
}

// TestRestartWithoutASecondSnapshot checks that the first snapshot is used.
func TestRestartWithoutASecondSnapshot(t *testing.T) {
	f := newFake(crowded, 20)
	target, _ := newTestTarget(f, nil, crowd)
	observe(t, target, 1)
	f.restart(waiting, 2)
	first := true
	f.next = func() (*goroutine.Snapshot, error) {
		if first {
			first = false
			f.Advance(time.Second)
			return f.snapshot(), nil
		}
		return nil, errors.New("gone again")
	}
	observe(t, target, 1)
	s := target.Status()
	assert.Equal(t, 1, s.Restarts)
	assert.Equal(t, 2, s.Snapshot.Total)
	assert.NoError(t, s.Err)
}

func TestAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(crowded, 20)
		target, events := newTestTarget(f, nil, crowd)
		observe(t, target, 1)
		began := time.Now()
		gone := errors.New("gone")
		f.fails(gone)
		for range 3 {
			observe(t, target, 1)
			time.Sleep(time.Second)
		}
		s := target.Status()
		assert.Equal(t, gone, s.Err)
		assert.Equal(t, began, s.Since, "when it began, not the last time")
		assert.True(t, s.Sight.Detectors[0].Judging, "three seconds are not too long")
		time.Sleep(time.Minute)
		assert.Equal(t, detectors.ReasonNoSnapshot, target.Status().Sight.Detectors[0].Reason)
		assert.Equal(t, 20, s.Snapshot.Total, "the last snapshot stays")
		assert.Equal(t, 1, s.Taken)
		require.Len(t, s.Points, 4)
		for i, p := range s.Points {
			assert.Equal(t, i > 0, p.Failed)
		}
		assert.Equal(t, told{"http://host: crowd detected"}, *events)

		f.next = func() (*goroutine.Snapshot, error) { return &goroutine.Snapshot{Time: f.Now()}, nil }
		observe(t, target, 1)
		assert.True(t, target.Status().Points[4].Failed)
		assert.EqualError(t, target.Status().Err, "a snapshot without goroutines")

		f.next = nil
		observe(t, target, 1)
		require.NoError(t, target.Status().Err)
		f.fails(gone)
		observe(t, target, 1)
		assert.Equal(t, began.Add(63*time.Second), target.Status().Since, "it begins anew")
	})
}

// TestPartOfASnapshot checks that a partial snapshot is judged and its error
// shown.
func TestPartOfASnapshot(t *testing.T) {
	f := newFake(crowded, 20)
	target, events := newTestTarget(f, nil, crowd)
	cut := errors.New("the response was cut off")
	f.next = func() (*goroutine.Snapshot, error) { return f.snapshot(), cut }
	observe(t, target, 1)
	s := target.Status()
	assert.Equal(t, cut, s.Err)
	assert.Equal(t, 20, s.Snapshot.Total)
	assert.Len(t, s.Open, 1)
	assert.Len(t, *events, 1)
	assert.False(t, s.Points[0].Failed)
}

// TestFaultOfADetector checks that a detector's error is shown and the other
// detectors still run.
func TestFaultOfADetector(t *testing.T) {
	broken := &detectors.Detector{Name: "broken", Doc: "Fails.", Run: func(*detectors.Pass) error { return errors.New("out of order") }}
	panics := &detectors.Detector{Name: "panics", Doc: "Panics.", Run: func(*detectors.Pass) error { panic("unexpected") }}
	f := newFake(crowded, 20)
	target, events := newTestTarget(f, nil, broken, panics, crowd)
	observe(t, target, 1)
	assert.Equal(t, []string{`detector "broken": out of order`, `detector "panics": panic: unexpected`}, target.Status().Faults)
	assert.Equal(t, told{"http://host: crowd detected"}, *events)
}

// TestInterrupted checks that a snapshot that fails because the context ended
// is not an error.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake(waiting, 3)
	f.next = func() (*goroutine.Snapshot, error) { cancel(); return nil, ctx.Err() }
	target, _ := newTestTarget(f, nil, crowd)
	target.Observe(ctx)
	assert.NoError(t, target.Status().Err)
	assert.Empty(t, target.Status().Points)
}

func TestPoints(t *testing.T) {
	f := newFake(waiting, 3)
	for i := range 2 * maxRows {
		f.Go(detectortest.At(goroutine.Select, fmt.Sprintf("main.f%d:1", i)), 2)
	}
	target, _ := newTestTarget(f, nil)
	observe(t, target, 1)
	p := target.Status().Points[0]
	assert.Equal(t, 3+4*maxRows, p.Total)
	assert.Equal(t, map[goroutine.State]int{goroutine.ChanReceive: 3, goroutine.Select: 4 * maxRows}, p.States)
	assert.Len(t, p.Stacks, maxRows)
	largest := target.Status().Snapshot.Groups[0].Key()
	assert.Equal(t, 3, p.Stacks[largest])

	observe(t, target, maxPoints+9)
	points := target.Status().Points
	assert.Len(t, points, maxPoints)
	assert.Equal(t, target.Status().Snapshot.Time, points[maxPoints-1].Time, "the oldest went")
	assert.True(t, slices.IsSortedFunc(points, func(a, b Point) int { return a.Time.Compare(b.Time) }))
	assert.Equal(t, maxPoints+10, target.Status().Taken)
}

// TestStatusIsACopy checks that a status does not change while it is shown.
func TestStatusIsACopy(t *testing.T) {
	f := newFake(crowded, 20)
	target, _ := newTestTarget(f, nil, crowd)
	observe(t, target, 2)
	s := target.Status()
	s.Points[0].Total = -1
	assert.Equal(t, 20, target.Status().Points[0].Total)
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(waiting, 3)
		target, _ := newTestTarget(f, nil, crowd)
		ctx, cancel := context.WithTimeout(t.Context(), 35*time.Second)
		defer cancel()
		began := time.Now()
		target.Run(ctx, 10*time.Second)
		assert.Equal(t, 35*time.Second, time.Since(began), "it ends with the context")
		assert.Equal(t, 4, target.Status().Taken, "at once, and after 10, 20 and 30 s")
	})
}

// TestConcurrentUse reads the status of a target while it is observed.
func TestConcurrentUse(t *testing.T) {
	f := newFake(crowded, 20)
	var events Events
	target := NewTarget("http://host", f, []*detectors.Detector{crowd}, sight.New(15*time.Second, nil, time.Now()), nil, func(s Step) {
		for _, e := range s.Events {
			events.Add(Event{s.Status.Name, e})
		}
	})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				s := target.Status()
				for _, p := range s.Points {
					assert.Equal(t, 20, p.Total)
				}
				assert.LessOrEqual(t, len(events.List()), maxEvents)
			}
		})
	}
	observe(t, target, 200)
	wg.Wait()
}

func TestEvents(t *testing.T) {
	var events Events
	assert.Empty(t, events.List())
	for i := range maxEvents + 5 {
		events.Add(Event{Target: fmt.Sprint(i)})
	}
	list := events.List()
	require.Len(t, list, maxEvents)
	assert.Equal(t, "5", list[0].Target, "the oldest went")
	assert.Equal(t, fmt.Sprint(maxEvents+4), list[maxEvents-1].Target)
	list[0].Target = "changed"
	assert.Equal(t, "5", events.List()[0].Target)
}

// logs stores the names of the exported events.
type logs struct{ names []string }

func (l *logs) Export(_ context.Context, records []sdklog.Record) error {
	for _, r := range records {
		l.names = append(l.names, r.EventName())
	}
	return nil
}
func (l *logs) Shutdown(context.Context) error   { return nil }
func (l *logs) ForceFlush(context.Context) error { return nil }

// sums returns the sum of each sum metric over all attributes.
func sums(t *testing.T, reader sdkmetric.Reader) map[string]int64 {
	t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &rm))
	all := make(map[string]int64)
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
				for _, p := range sum.DataPoints {
					all[m.Name] += p.Value
				}
			}
		}
	}
	return all
}

// TestExports checks that an unreachable process has no goroutines and that its
// findings stay open until there is evidence.
func TestExports(t *testing.T) {
	reader, exported := sdkmetric.NewManualReader(), new(logs)
	tel, err := telemetry.New(telemetry.Config{
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		LoggerProvider: sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(exported))),
		TopStacks:      20,
	})
	require.NoError(t, err)
	f := newFake(crowded, 20)
	f.Go(waiting, 3)
	target, events := newTestTarget(f, tel, crowd)

	observe(t, target, 1)
	got := sums(t, reader)
	assert.EqualValues(t, 23, got[telemetry.MetricCount])
	assert.EqualValues(t, 23, got[telemetry.MetricStackCount])
	assert.EqualValues(t, 1, got[telemetry.MetricFindingOpen])
	assert.EqualValues(t, 1, got[telemetry.MetricFindingDetected])
	assert.NotContains(t, got, telemetry.MetricSchedulerCount, "only the process itself can ask its scheduler")
	assert.Len(t, exported.names, len(*events))

	f.fails(syscall.ECONNREFUSED)
	observe(t, target, 2)
	got = sums(t, reader)
	assert.Zero(t, got[telemetry.MetricCount])
	assert.Zero(t, got[telemetry.MetricStackCount])
	assert.EqualValues(t, 2, got[telemetry.MetricSnapshotSkipped])
	assert.EqualValues(t, 1, got[telemetry.MetricFindingOpen])

	f.restart(waiting, 4)
	observe(t, target, 1)
	got = sums(t, reader)
	assert.EqualValues(t, 4, got[telemetry.MetricCount])
	assert.Zero(t, got[telemetry.MetricFindingOpen])
	assert.Equal(t, told{"http://host: crowd detected", "http://host: crowd resolved"}, *events)
	assert.Len(t, exported.names, 2)
}
