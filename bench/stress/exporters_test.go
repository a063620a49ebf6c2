package stress

import (
	"context"
	"errors"
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
	"github.com/otelgoroutine/go/otelgoroutine"
)

// TestExportersThatDoNotExport proves that a backend in trouble is the
// exporters' trouble alone. Whether they hang, fail or are slow, with the
// periodic reader and the batch processor of the SDK looks go on, metrics can
// be collected, the service works, and Shutdown returns without an error. With
// the simple processor, which makes whoever emits a record wait for its export,
// the looks may have to wait too; then Shutdown returns with the error of its
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
		"no answer": (&inbox{}).serve,
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
	b := &inbox{answers: true}
	r := inChild(t, order{Scenario: "exporters", Variant: "gRPC, batch", Endpoint: b.serve(t)}, setting{})
	exported(t, r, false)
	assert.Empty(t, r.Told)
	metrics, events := b.all()
	assert.Equal(t, []string{lostEvent}, events)
	assert.Subset(t, metrics, []string{
		"goroutine.count", "goroutine.scheduler.goroutine.count", "goroutine.created", "goroutine.stack.goroutine.count", "goroutine.stack.age",
		"goroutine.finding.open", "goroutine.finding.detected", "goroutine.snapshot.duration", "requests",
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
		assert.NotContains(t, told, "otelgoroutine:", "the SDK complains, and nobody else")
	}
	t.Logf("%d looks, %d requests, %d complaints of the SDK, Shutdown took %d ms and said %q", r.Looks, r.Work, len(r.Told), r.Numbers["shutdown ms"], r.Texts)
}

// exporting is what exporters do until they are let go, by variant.
var exporting = map[string]struct {
	simple bool
	export func(ctx context.Context, gate <-chan struct{}) error
}{
	"hang, batch":  {false, hang},
	"hang, simple": {true, hang},
	"fail, batch":  {false, fail},
	"fail, simple": {true, fail},
	"slow, batch":  {false, slow},
	"slow, simple": {true, slow},
}

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
	if !c.held() {
		c.looks(5)
	}
	c.addUp()

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
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

// held reports whether the exporter of log records holds the monitor up.
func (c *child) held() bool { return c.Variant == "hang, simple" || c.Variant == "gRPC, simple" }

// telemetry returns the reader and the processor of a variant.
func (c *child) telemetry(gate <-chan struct{}) []any {
	metrics, logs, simple := c.exportersOf(gate)
	reader := sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(50*time.Millisecond), sdkmetric.WithTimeout(time.Second))
	if simple {
		return []any{extraReader{reader}, extraProcessor{sdklog.NewSimpleProcessor(logs)}}
	}
	return []any{extraReader{reader}, extraProcessor{sdklog.NewBatchProcessor(logs, sdklog.WithExportInterval(50*time.Millisecond), sdklog.WithExportTimeout(time.Second))}}
}

func (c *child) exportersOf(gate <-chan struct{}) (sdkmetric.Exporter, sdklog.Exporter, bool) {
	if c.Endpoint == "" {
		v := exporting[c.Variant]
		e := exporter{export: func(ctx context.Context) error { return v.export(ctx, gate) }}
		return metricExporter{e}, logExporter{e}, v.simple
	}
	metrics, err := otlpmetricgrpc.New(context.Background(), otlpmetricgrpc.WithEndpoint(c.Endpoint), otlpmetricgrpc.WithInsecure())
	must(err)
	logs, err := otlploggrpc.New(context.Background(), otlploggrpc.WithEndpoint(c.Endpoint), otlploggrpc.WithInsecure(), otlploggrpc.WithTimeout(c.Time+2500*time.Millisecond))
	must(err)
	return metrics, logs, c.Variant == "gRPC, simple"
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

type logExporter struct{ exporter }

func (e logExporter) Export(ctx context.Context, _ []sdklog.Record) error { return e.export(ctx) }

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
			if assert.Len(t, r.Told, 1, "once, and not at every look") {
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
		extras = append(extras, extraProcessor{processor(func() { <-gate })})
	case "a processor panics":
		extras = append(extras, extraProcessor{processor(func() { panic("I am a processor") })})
	case "a detector blocks":
		extras = append(extras, c.alongside(func() {
			if c.looked() > 0 && len(c.finish().Events) > 0 {
				<-gate
			}
		}))
	case "a detector panics":
		extras = append(extras, c.alongside(func() { panic("I am a detector") }))
	}
	c.start("", extras...)
	c.until("the event", func() bool { return len(c.finish().Events) > 0 })
	switch c.Variant {
	case "a callback blocks":
		c.looks(5)
		c.hangCollection(gate)
	case "a processor panics", "a detector panics":
		c.looks(5)
		c.addUp()
	default:
		time.Sleep(c.Time / 2)
		c.addUp()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
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

// hangCollection has a collection under way that does not end, in the callback
// of somebody else.
func (c *child) hangCollection(gate <-chan struct{}) {
	entered := make(chan struct{}, 1)
	_, err := c.meters.Meter("another").Int64ObservableGauge("another", metric.WithInt64Callback(func(context.Context, metric.Int64Observer) error {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-gate
		return nil
	}))
	must(err)
	go c.collect()
	<-entered
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
