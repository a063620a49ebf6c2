// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// hurry is how much faster everything runs in these tests than in a service
// with the defaults: a minute becomes a second.
const hurry = 60

// A patient is a service with otelgoroutine, the OpenTelemetry SDK as services
// set it up, and faults that can be cured.
type patient struct {
	monitor *otelgoroutine.Monitor
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
}

// A patientConfig describes a patient.
type patientConfig struct {
	OTLP     string // address to export to
	Instance string // service.instance.id; empty: none
	Tight    bool   // a budget under which most snapshots are skipped
	Jam      bool   // in a process of its own: twenty goroutines waiting for a lock
	NoIDs    bool   // snapshots without goroutine IDs
	Leak     bool   // in a process of its own: more and more goroutines waiting for a channel
}

// newPatient starts a patient. Its intervals are the SDK's defaults, divided by
// hurry. The log exporter keeps trying for as long as a test may take, so that
// no event is lost when the machine is slow to start a Collector.
func newPatient(ctx context.Context, c patientConfig) (*patient, error) {
	metrics, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(c.OTLP), otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: true,
			InitialInterval: 5 * time.Second / hurry, MaxInterval: 30 * time.Second / hurry, MaxElapsedTime: time.Minute / hurry}))
	if err != nil {
		return nil, err
	}
	logs, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(c.OTLP), otlploggrpc.WithInsecure(),
		otlploggrpc.WithTimeout(patience),
		otlploggrpc.WithRetry(otlploggrpc.RetryConfig{Enabled: true,
			InitialInterval: 100 * time.Millisecond, MaxInterval: 500 * time.Millisecond, MaxElapsedTime: patience}))
	if err != nil {
		return nil, err
	}
	res := c.resource()
	p := &patient{
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(
			sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(time.Minute/hurry)))),
		logs: sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(
			sdklog.NewBatchProcessor(logs, sdklog.WithExportInterval(100*time.Millisecond), sdklog.WithExportTimeout(patience)))),
	}
	p.monitor, err = otelgoroutine.Start(p.metrics, c.options(p.logs)...)
	return p, err
}

func (c patientConfig) resource() *resource.Resource {
	attributes := []attribute.KeyValue{attribute.String("service.name", "patient")}
	if c.Instance != "" {
		attributes = append(attributes, attribute.String("service.instance.id", c.Instance))
	}
	return resource.NewSchemaless(attributes...)
}

func (c patientConfig) options(logs *sdklog.LoggerProvider) []otelgoroutine.Option {
	budget := otelgoroutine.Budget{CPU: 1, Pause: 10 * time.Millisecond}
	if c.Tight {
		budget = otelgoroutine.Budget{CPU: 1e-6, Pause: 1}
	}
	deadlock := detectors.DefaultDeadlockConfig()
	deadlock.MinWait /= hurry
	watch := []*detectors.Detector{detectors.NewDeadlock(deadlock)}
	if c.Leak {
		leak := detectors.DefaultLeakConfig()
		leak.MinAge, leak.MaxAge, leak.Window, leak.Warmup = 4*time.Second, 8*time.Second, 15*time.Second, 5*time.Second
		watch = append(watch, detectors.NewLeak(leak))
	}
	source := otelgoroutine.SourceAuto
	if c.NoIDs {
		source = otelgoroutine.SourceProfileOnly
	}
	return []otelgoroutine.Option{
		otelgoroutine.WithSource(source),
		otelgoroutine.WithLoggerProvider(logs),
		otelgoroutine.WithInterval(15 * time.Second / hurry),
		otelgoroutine.WithDetectors(watch...),
		otelgoroutine.WithBudget(budget),
	}
}

func (p *patient) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := p.monitor.Shutdown(ctx)
	_ = p.metrics.Shutdown(ctx) // fails if the Collector has already stopped
	_ = p.logs.Shutdown(ctx)
	return err
}

// A jam is a held lock and goroutines that wait for it. Each way of reaching it
// has its own stack, and therefore its own finding.
type jam struct {
	lock    sync.Mutex
	way     func(*sync.Mutex)
	waiting sync.WaitGroup
	once    sync.Once
}

func newJam(way func(*sync.Mutex), n int) *jam {
	j := &jam{way: way}
	j.lock.Lock()
	j.grow(n)
	return j
}

func (j *jam) grow(n int) {
	for range n {
		j.waiting.Go(func() { j.way(&j.lock) })
	}
}

// clear ends the jam. Later calls do nothing.
func (j *jam) clear() {
	j.once.Do(j.lock.Unlock)
	j.waiting.Wait()
}

//go:noinline
func wayA(m *sync.Mutex) {
	m.Lock()
	defer m.Unlock()
}

//go:noinline
func wayB(m *sync.Mutex) {
	m.Lock()
	defer m.Unlock()
}

//go:noinline
func wayC(m *sync.Mutex) {
	m.Lock()
	defer m.Unlock()
}

//go:noinline
func wayD(m *sync.Mutex) {
	m.Lock()
	defer m.Unlock()
}
