// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package stress

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// TestExportersThatDoNotExport proves that a backend in trouble is the
// exporters' trouble alone. Whether they hang, fail or are slow, with the
// periodic reader and the batch processor of the SDK snapshots go on, metrics
// can be collected, the service works, and Shutdown returns without an error. With
// the simple processor, which makes the emitter of a record wait for its export,
// the snapshots may have to wait too; then Shutdown returns with the error of its
// context.
func TestExportersThatDoNotExport(t *testing.T) {
	t.Parallel()
	for _, variant := range some("hang, simple", "hang, batch", "fail, batch", "fail, simple", "slow, batch", "slow, simple") {
		t.Run(variant, func(t *testing.T) {
			r := inChild(t, order{Scenario: "exporters", Variant: variant}, setting{})
			exported(t, r, variant == "hang, simple")
		})
	}
}

// TestEndpointsThatDoNotAnswer proves the same of real OTLP over gRPC, with
// a server that accepts connections and is silent, and one that takes requests
// and does not answer.
func TestEndpointsThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	long(t)
	for name, serve := range map[string]func(*testing.T) string{
		"silent":    silent,
		"no answer": func(t *testing.T) string { return receive(t, unanswered{}) },
	} {
		for _, processor := range []string{"batch", "simple"} {
			t.Run(name+", "+processor, func(t *testing.T) {
				r := inChild(t, order{Scenario: "exporters", Variant: "gRPC, " + processor, Endpoint: serve(t)}, setting{})
				exported(t, r, processor == "simple")
			})
		}
	}
}

// TestEndpointThatAnswers proves that what is sent over OTLP arrives: each
// metric that has a value, and the event.
func TestEndpointThatAnswers(t *testing.T) {
	t.Parallel()
	var b otlptest.Recorder
	r := inChild(t, order{Scenario: "exporters", Variant: answered, Endpoint: receive(t, &b)}, setting{})
	exported(t, r, false)
	assert.Empty(t, r.Told)
	for _, event := range b.Events() {
		assert.Equal(t, lostEvent, event.EventName())
	}
	assert.NotEmpty(t, b.Events())
	assert.Subset(t, b.MetricNames(), []string{
		telemetry.MetricCount, telemetry.MetricSchedulerCount, telemetry.MetricCreated, telemetry.MetricStackCount, telemetry.MetricStackAge,
		telemetry.MetricFindingOpen, telemetry.MetricFindingDetected, telemetry.MetricSnapshotDuration, "requests",
	})
}

// exported holds a child to what is true whatever its exporters do. held tells
// that one holds the monitor up.
func exported(t *testing.T, r report, held bool) {
	t.Helper()
	nothingIsLeft(t, r, 8<<20)
	assert.Positive(t, r.Work, "requests during the trouble")
	assert.Contains(t, r.Events, lostEvent)
	assert.Equal(t, held, r.Numbers["held up"] == 1, "%q", r.Texts)
	assert.Empty(t, r.Shutdown, "once nothing holds it up")
	if held {
		assert.Contains(t, r.Texts[0], "context deadline exceeded")
	}
	for _, told := range r.Told {
		assert.NotContains(t, told, "otelgoroutine:", "the SDK alone complains")
	}
	t.Logf("%d snapshots, %d requests, %d complaints of the SDK, Shutdown took %d ms and said %q", r.Snapshots, r.Work, len(r.Told), r.Numbers["shutdown ms"], r.Texts)
}

// exporting is what exporters do until they are let go.
var exporting = map[string]func(ctx context.Context, gate <-chan struct{}) error{"hang": hang, "fail": fail, "slow": slow}

// hang does not even heed its context.
func hang(_ context.Context, gate <-chan struct{}) error {
	<-gate
	return nil
}

func fail(context.Context, <-chan struct{}) error { return errors.New("no such backend") }

func slow(context.Context, <-chan struct{}) error {
	time.Sleep(300 * time.Millisecond)
	return nil
}

func exporters(c *child) {
	c.before()
	gate := make(chan struct{})
	c.start("", c.telemetry(gate)...)
	l := newLoad(c.meters.Meter("service"))
	c.until("the event", func() bool { return len(c.finish().Events) > 0 })
	work := l.work.Load()
	time.Sleep(c.Time)
	c.note(func(r *report) { r.Work = l.work.Load() - work })
	if c.held() {
		<-c.entered // the monitor waits for an export
	} else {
		c.snapshots(5)
	}
	c.addUp()
	if c.Variant == answered {
		must(errors.Join(c.meters.ForceFlush(context.Background()), c.logs.ForceFlush(context.Background())))
	}

	ctx, cancel := c.limit(c.held())
	defer cancel()
	began := time.Now()
	c.stopMonitor(ctx)
	c.number("shutdown ms", time.Since(began).Milliseconds())
	c.note(func(r *report) {
		r.Texts = []string{r.Shutdown}
		if r.Shutdown != "" {
			r.Numbers["held up"] = 1
		}
	})
	close(gate)
	l.end()
	c.stop()
	c.after()
}

// limit is how long Shutdown may take: a second where something holds it up, and
// else as long as a test can wait.
func (c *child) limit(held bool) (context.Context, context.CancelFunc) {
	if held {
		return context.WithTimeout(context.Background(), time.Second)
	}
	return context.WithTimeout(context.Background(), c.Time+patience/2)
}

// answered is the variant whose endpoint answers. It exports when it is told to,
// so that no export is under way at the end: an SDK that is shut down gives one
// up, and says so.
const answered = "gRPC, answered"

// held reports whether the exporter of log records holds the monitor up.
func (c *child) held() bool { return c.Variant == "hang, simple" || c.Variant == "gRPC, simple" }

// telemetry returns the reader and the processor of a variant.
func (c *child) telemetry(gate <-chan struct{}) []any {
	metrics, logs := c.exportersOf(gate)
	if c.Variant == answered {
		return []any{extraReader{sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(time.Hour))}, extraProcessor{sdklog.NewBatchProcessor(logs)}}
	}
	reader := sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(50*time.Millisecond), sdkmetric.WithTimeout(time.Second))
	if strings.HasSuffix(c.Variant, ", simple") {
		return []any{extraReader{reader}, extraProcessor{sdklog.NewSimpleProcessor(logExporter{Exporter: logs, entered: c.entered})}}
	}
	return []any{extraReader{reader}, extraProcessor{sdklog.NewBatchProcessor(logs, sdklog.WithExportInterval(50*time.Millisecond), sdklog.WithExportTimeout(time.Second))}}
}

func (c *child) exportersOf(gate <-chan struct{}) (sdkmetric.Exporter, sdklog.Exporter) {
	if c.Endpoint == "" {
		kind, _, _ := strings.Cut(c.Variant, ", ")
		e := exporter{export: func(ctx context.Context) error { return exporting[kind](ctx, gate) }}
		return metricExporter{e}, recordExporter{e}
	}
	metrics, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithEndpoint(c.Endpoint), otlpmetricgrpc.WithInsecure())
	must(err)
	logs, err := otlploggrpc.New(context.Background(), otlploggrpc.WithEndpoint(c.Endpoint), otlploggrpc.WithInsecure(), otlploggrpc.WithTimeout(time.Hour))
	must(err)
	return metrics, logExporter{Exporter: logs, gate: gate}
}

// A logExporter tells when an export begins, and gives it up when its gate
// opens. Both may be nil.
type logExporter struct {
	sdklog.Exporter
	entered chan<- struct{}
	gate    <-chan struct{}
}

func (e logExporter) Export(ctx context.Context, records []sdklog.Record) error {
	select {
	case e.entered <- struct{}{}:
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-e.gate:
			cancel()
		case <-ctx.Done():
		}
	}()
	return e.Exporter.Export(ctx, records)
}

// An exporter keeps nothing.
type exporter struct {
	export func(context.Context) error
}

func (exporter) ForceFlush(context.Context) error { return nil }
func (exporter) Shutdown(context.Context) error   { return nil }

type metricExporter struct{ exporter }

func (metricExporter) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (metricExporter) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

func (e metricExporter) Export(ctx context.Context, _ *metricdata.ResourceMetrics) error {
	return e.export(ctx)
}

type recordExporter struct{ exporter }

func (e recordExporter) Export(ctx context.Context, _ []sdklog.Record) error { return e.export(ctx) }

// TestHostileCode proves that code of the user's which runs within the monitor,
// or beside it in the SDK, and blocks or panics, hurts itself alone: what is
// told is told, metrics go on, Shutdown keeps to its context, and once it is let
// go nothing is left.
func TestHostileCode(t *testing.T) {
	t.Parallel()
	long(t)
	for variant, tt := range map[string]struct {
		held bool // Shutdown has to give up
		told string
	}{
		"a processor blocks": {held: true},
		"a processor panics": {told: "panic: I am a processor"},
		"a detector blocks":  {held: true},
		"a detector panics":  {told: `detector "hostile": panic: I am a detector`},
		"a callback blocks":  {held: true},
	} {
		t.Run(variant, func(t *testing.T) {
			r := inChild(t, order{Scenario: "hostile", Variant: variant}, setting{})
			nothingIsLeft(t, r, 4<<20)
			assert.Contains(t, r.Events, lostEvent)
			assert.Empty(t, r.Shutdown, "once nothing holds it up")
			if tt.held {
				assert.Contains(t, r.Texts[0], "context deadline exceeded")
			} else {
				assert.Empty(t, r.Texts[0])
			}
			if tt.told == "" {
				assert.Empty(t, r.Told)
				return
			}
			if assert.Len(t, r.Told, 1, "once, and not at every snapshot") {
				assert.Contains(t, r.Told[0], tt.told)
			}
		})
	}
}

func hostile(c *child) {
	gate := make(chan struct{})
	c.before()
	var extras []any
	switch c.Variant {
	case "a processor blocks":
		extras = append(extras, extraProcessor{processor(func() { c.block(gate) })})
	case "a processor panics":
		extras = append(extras, extraProcessor{processor(func() { panic("I am a processor") })})
	case "a detector blocks":
		extras = append(extras, c.alongside(func() {
			if c.taken() > 0 && len(c.finish().Events) > 0 {
				c.block(gate)
			}
		}))
	case "a detector panics":
		extras = append(extras, c.alongside(func() { panic("I am a detector") }))
	}
	c.start("", extras...)
	c.until("the event", func() bool { return len(c.finish().Events) > 0 })
	switch c.Variant {
	case "a callback blocks":
		c.snapshots(5)
		c.hangCollection(gate)
	case "a processor panics", "a detector panics":
		c.snapshots(5)
		c.addUp()
	default:
		<-c.entered
		c.addUp()
	}
	ctx, cancel := c.limit(strings.HasSuffix(c.Variant, " blocks"))
	defer cancel()
	c.stopMonitor(ctx)
	c.note(func(r *report) { r.Texts = []string{r.Shutdown} })
	close(gate)
	c.stop()
	c.after()
}

// alongside are the default detectors, the witness and a hostile one.
func (c *child) alongside(run func()) otelgoroutine.Option {
	bad := &detectors.Detector{Name: "hostile", Doc: "Does what it should not.", Run: func(*detectors.Pass) error {
		run()
		return nil
	}}
	return otelgoroutine.WithDetectors(append([]*detectors.Detector{bad, c.witness("")}, detectors.Default()...)...)
}

// block waits for the gate, and tells that it does.
func (c *child) block(gate <-chan struct{}) {
	select {
	case c.entered <- struct{}{}:
	default:
	}
	<-gate
}

// hangCollection has a collection under way that does not end, in another
// callback than the monitor's.
func (c *child) hangCollection(gate <-chan struct{}) {
	_, err := c.meters.Meter("another").Int64ObservableGauge("another", metric.WithInt64Callback(func(context.Context, metric.Int64Observer) error {
		c.block(gate)
		return nil
	}))
	must(err)
	go c.collect()
	<-c.entered
}

// A processor of log records that does as it likes.
type processor func()

func (processor) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (processor) Shutdown(context.Context) error                         { return nil }
func (processor) ForceFlush(context.Context) error                       { return nil }
func (p processor) OnEmit(context.Context, *sdklog.Record) error {
	p()
	return nil
}
