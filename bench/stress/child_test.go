// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package stress

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A report is what a child found, for its parent to judge.
type report struct {
	GoroutinesBefore, GoroutinesAfter int
	Left                              string // all goroutines, when there are more than before
	HeapBefore, HeapAfter             int64  // bytes, after a collection

	Snapshots  int              // that the detectors were shown
	Traces     int              // those of them that are execution traces
	Fewest     int              // goroutines of the scenario in a snapshot, the fewest that there ever were
	Most       int              // and the most
	Wrong      []string         // what did not add up
	Skipped    map[string]int64 // snapshots that were not taken, by reason
	Events     []string         // names
	StackTrace int              // bytes of the longest stack trace in an event
	Told       []string         // to the OpenTelemetry error handler
	Shutdown   string           // the error of Shutdown
	Work       int64            // that the service did meanwhile

	Numbers map[string]int64 // what only this scenario has
	Texts   []string         // likewise
}

// A child is the process of one scenario: a service with a monitor.
type child struct {
	order
	monitor *otelgoroutine.Monitor
	reader  *sdkmetric.ManualReader
	meters  *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
	entered chan struct{} // receives when something begins to hold the monitor up

	mu     sync.Mutex
	report report
}

// newChild returns a child with a goroutine that waits for ever, which a monitor
// reports with its first snapshot: an event that must arrive in every scenario.
func newChild(o order) *child {
	c := &child{order: o, entered: make(chan struct{}, 1), report: report{Fewest: math.MaxInt, Skipped: make(map[string]int64), Numbers: make(map[string]int64)}}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		c.note(func(r *report) { r.Told = append(r.Told, err.Error()) })
	}))
	go lost()
	return c
}

func lost() {
	var never chan int
	<-never
}

// lostEvent is the event of the goroutine that waits for ever.
const lostEvent = "goroutine.blocked_forever.detected"

func (c *child) note(f func(*report)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.report)
}

func (c *child) finish() report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.report
}

// number notes a figure.
func (c *child) number(name string, n int64) { c.note(func(r *report) { r.Numbers[name] = n }) }

// wrong notes what must not be.
func (c *child) wrong(format string, args ...any) {
	c.note(func(r *report) {
		if len(r.Wrong) < 20 {
			r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
		}
	})
}

// must ends the child, for what is not under test.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// until waits for something that must come to pass.
func (c *child) until(what string, f func() bool) {
	for began := time.Now(); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > c.Time+patience/2 {
			panic("in vain: " + what)
		}
	}
}

// snapshots waits for n more.
func (c *child) snapshots(n int) {
	n += c.taken()
	c.until(fmt.Sprintf("snapshot %d", n), func() bool { return c.taken() >= n })
}

// taken returns how many there were so far.
func (c *child) taken() (n int) {
	c.note(func(r *report) { n = r.Snapshots })
	return n
}

// before notes what there is without a monitor.
func (c *child) before() {
	heap := heapNow()
	c.note(func(r *report) { r.GoroutinesBefore, r.HeapBefore = runtime.NumGoroutine(), heap })
}

// after notes what is left, once the goroutines that were told to end had time
// for it.
func (c *child) after() {
	want := c.finish().GoroutinesBefore
	for began := time.Now(); runtime.NumGoroutine() > want && time.Since(began) < patience/2; {
		time.Sleep(2 * time.Millisecond)
	}
	n, left := runtime.NumGoroutine(), ""
	if n > want {
		left = dump()
	}
	heap := heapNow()
	c.note(func(r *report) { r.GoroutinesAfter, r.HeapAfter, r.Left = n, heap, left })
}

func dump() string {
	text := make([]byte, 64<<10)
	return string(text[:runtime.Stack(text, true)])
}

// heapNow collects what is not needed, pools included, and returns what is.
func heapNow() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Things that the providers of a scenario have beside what every child has.
type (
	extraReader    struct{ sdkmetric.Reader }
	extraProcessor struct{ sdklog.Processor }
)

// start makes providers and starts the monitor on them, with the most
// snapshots that it may take. extras are extraReaders, extraProcessors and Options.
func (c *child) start(function string, extras ...any) {
	c.reader = sdkmetric.NewManualReader()
	meterOptions := []sdkmetric.Option{sdkmetric.WithReader(c.reader)}
	logOptions := []sdklog.LoggerProviderOption{sdklog.WithProcessor((*eventLog)(c))}
	options := []otelgoroutine.Option{
		otelgoroutine.WithInterval(otelgoroutine.MinInterval),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}),
		otelgoroutine.WithDetectors(append(detectors.Default(), c.witness(function))...),
	}
	for _, extra := range extras {
		switch x := extra.(type) {
		case extraReader:
			meterOptions = append(meterOptions, sdkmetric.WithReader(x.Reader))
		case extraProcessor:
			logOptions = append(logOptions, sdklog.WithProcessor(x.Processor))
		case otelgoroutine.Option:
			options = append(options, x)
		default:
			panic(fmt.Sprintf("%T", x))
		}
	}
	c.meters, c.logs = sdkmetric.NewMeterProvider(meterOptions...), sdklog.NewLoggerProvider(logOptions...)
	var err error
	c.monitor, err = otelgoroutine.Start(c.meters, append(options, otelgoroutine.WithLoggerProvider(c.logs))...)
	must(err)
}

// stop shuts the monitor down and then its providers, which it leaves as it
// found them.
func (c *child) stop() {
	c.stopMonitor(context.Background())
	c.stopProviders()
}

func (c *child) stopMonitor(ctx context.Context) {
	err := c.monitor.Shutdown(ctx)
	c.note(func(r *report) {
		if r.Shutdown = ""; err != nil {
			r.Shutdown = err.Error()
		}
	})
}

// stopProviders takes errors for what they are: the exporter's.
func (c *child) stopProviders() {
	ctx, cancel := c.limit(c.Endpoint != "" && c.Variant != answered)
	defer cancel()
	_ = c.logs.Shutdown(ctx)
	_ = c.meters.Shutdown(ctx)
}

// witness is a detector that finds nothing: it counts what the detectors are
// shown, the goroutines with this function on their stack above all.
func (c *child) witness(function string) *detectors.Detector {
	return &detectors.Detector{Name: "witness", Doc: "Counts.", Run: func(p *detectors.Pass) error {
		total, there := 0, 0
		for i := range p.Snapshot.Groups {
			g := &p.Snapshot.Groups[i]
			total += g.Count
			if function != "" && slices.ContainsFunc(g.Stack.Frames, func(f goroutine.Frame) bool { return strings.HasSuffix(f.Function, function) }) {
				there += g.Count
			}
		}
		if total != p.Snapshot.Total || p.Snapshot.Missing != 0 {
			c.wrong("a snapshot has %d goroutines, says %d and misses %d", total, p.Snapshot.Total, p.Snapshot.Missing)
		}
		c.note(func(r *report) {
			r.Snapshots++
			if p.Snapshot.Source == goroutine.SourceTrace {
				r.Traces++
			}
			r.Fewest, r.Most = min(r.Fewest, there), max(r.Most, there)
		})
		return nil
	}}
}

// An eventLog is a log processor that notes what arrives.
type eventLog child

func (*eventLog) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (*eventLog) Shutdown(context.Context) error                         { return nil }
func (*eventLog) ForceFlush(context.Context) error                       { return nil }

func (e *eventLog) OnEmit(_ context.Context, record *sdklog.Record) error {
	stackTrace := 0
	record.WalkAttributes(func(kv attribute.KeyValue) bool {
		if kv.Key == telemetry.AttrCodeStacktrace {
			stackTrace = len(kv.Value.AsString())
		}
		return true
	})
	(*child)(e).note(func(r *report) {
		r.Events = append(r.Events, record.EventName())
		r.StackTrace = max(r.StackTrace, stackTrace)
	})
	return nil
}

// A reading is what one collection says.
type reading struct {
	sums    map[string]int64 // by name: the values of all series, added up
	series  map[string]int   // how many there are
	skipped map[string]int64 // by reason
}

func (c *child) collect() reading {
	var rm metricdata.ResourceMetrics
	must(c.reader.Collect(context.Background(), &rm))
	return readingOf(&rm)
}

func readingOf(rm *metricdata.ResourceMetrics) reading {
	r := reading{make(map[string]int64), make(map[string]int), make(map[string]int64)}
	for _, scope := range rm.ScopeMetrics {
		if scope.Scope.Name != otelgoroutine.ScopeName {
			continue
		}
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok {
				r.series[m.Name]++
				continue
			}
			for _, p := range sum.DataPoints {
				r.sums[m.Name] += p.Value
				r.series[m.Name]++
				if reason, ok := p.Attributes.Value(telemetry.AttrSkipReason); ok {
					r.skipped[reason.AsString()] += p.Value
				}
			}
		}
	}
	return r
}

// addUp holds the metrics to the snapshot that they are of.
func (c *child) addUp() reading {
	var r reading
	c.until("metrics that are of the latest snapshot", func() bool {
		s := c.monitor.Snapshot()
		r = c.collect()
		if states, stacks := r.sums[telemetry.MetricCount], r.sums[telemetry.MetricStackCount]; states != stacks {
			c.wrong("the counts by state add up to %d, those by stack to %d", states, stacks)
			return true
		}
		return s != nil && r.sums[telemetry.MetricCount] == int64(s.Total)
	})
	c.note(func(report *report) { report.Skipped = r.skipped })
	return r
}
