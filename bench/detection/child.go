package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/events"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// childVariable makes this program run one scenario, which it holds as JSON,
// and write what was observed to its standard output.
const childVariable = "OTELGOROUTINE_DETECTION_SCENARIO"

// An order is what a child is to do.
type order struct {
	Name     string
	Scale    float64
	Duration time.Duration
	Proof    bool
}

// An observation is what a child observed.
type observation struct {
	GoVersion      string
	Served, Faults int64
	FirstFault     time.Duration    // since the start
	Standing       int              // goroutines within an expected function, at the end
	Events         []events.Finding // in the order of their time; without those of an end
	Open           []events.Finding // at the end
	Looks          int
	MaxGap         time.Duration  // between two looks
	Sources        map[string]int // looks by source
	Course         []int          // goroutines within an expected function, at twelve moments
	Alarms         []alarm        // of the other rules
	Errors         []string       // given to the OpenTelemetry error handler
}

// child is the process of one scenario. It returns the exit status.
func child(text string, stdout, stderr io.Writer) int {
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		var seen *observation
		if seen, err = observe(o); err == nil {
			err = json.NewEncoder(stdout).Encode(seen)
		}
	}
	if err != nil {
		fmt.Fprintf(stderr, "%v\n", err)
		return 1
	}
	return 0
}

// observe runs a scenario under the monitor, and leaves it running. Nothing of
// its own waits in a way that a detector could take for the scenario's: it is
// driven by timers, and the main goroutine waits for a WaitGroup.
func observe(o order) (*observation, error) {
	s, ok := corpus.Find(o.Name)
	if !ok {
		return nil, fmt.Errorf("no scenario is called %q", o.Name)
	}
	seen := &observation{GoVersion: runtime.Version(), Sources: make(map[string]int)}
	var complaints events.Recorder[string]
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { complaints.Add(err.Error()) }))

	began := time.Now()
	told := &events.Log{Began: began}
	looks := &observer{seen: seen, scenario: &s, every: o.Duration / 12}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(
		sdkmetric.NewPeriodicReader(discard{}, sdkmetric.WithInterval(time.Duration(o.Scale*float64(time.Minute))))))
	monitor, err := otelgoroutine.Start(meters, told.Options(o.Scale, o.Proof, looks.detector())...)
	if err != nil {
		return nil, err
	}
	others := newRivals(&s, o)
	env := corpus.NewEnv(o.Scale)
	go s.Run(env)
	others.start()

	var end sync.WaitGroup
	end.Add(1)
	time.AfterFunc(o.Duration, end.Done)
	end.Wait()

	for _, f := range monitor.Findings() {
		seen.Open = append(seen.Open, events.From(&f))
	}
	if err := monitor.Shutdown(context.Background()); err != nil {
		return nil, err
	}
	seen.Events = told.All()
	_ = meters.Shutdown(context.Background())
	seen.Standing = standing(dump(), &s)
	seen.Alarms = others.finish()
	seen.Served, seen.Faults, seen.FirstFault = env.Told()
	seen.Errors = complaints.All()
	return seen, nil
}

// An observer is a detector that finds nothing: it writes down what the
// detectors were shown.
type observer struct {
	seen     *observation
	scenario *corpus.Scenario
	every    time.Duration
	last     time.Time
	noted    time.Time
}

func (ob *observer) detector() *detectors.Detector {
	return &detectors.Detector{Name: "observer", Doc: "Counts the looks.", Run: ob.run}
}

func (ob *observer) run(p *detectors.Pass) error {
	now := p.Snapshot.Time
	ob.seen.Looks++
	ob.seen.Sources[string(p.Snapshot.Source)]++
	if !ob.last.IsZero() {
		ob.seen.MaxGap = max(ob.seen.MaxGap, now.Sub(ob.last))
	}
	ob.last = now
	if now.Sub(ob.noted) >= ob.every && len(ob.scenario.Expect) > 0 {
		ob.noted = now
		ob.seen.Course = append(ob.seen.Course, ob.count(p.Snapshot))
	}
	return nil
}

func (ob *observer) count(s *goroutine.Snapshot) (n int) {
	for i := range s.Groups {
		g := &s.Groups[i]
		if slices.ContainsFunc(g.Stack.Frames, func(f goroutine.Frame) bool { return expected(ob.scenario, f.Function) }) {
			n += g.Count
		}
	}
	return n
}

// expected reports whether function is one at which the fault is to be found.
func expected(s *corpus.Scenario, function string) bool {
	return slices.ContainsFunc(s.Expect, func(x corpus.Expectation) bool { return x.Matches(function) })
}

// discard is an exporter that takes everything and keeps nothing.
type discard struct{}

func (discard) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (discard) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}
func (discard) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (discard) ForceFlush(context.Context) error                          { return nil }
func (discard) Shutdown(context.Context) error                            { return nil }
