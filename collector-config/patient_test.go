package collectorconfig

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// hurry is how much faster everything goes in these tests than in a service
// with the defaults: a minute is a second.
const hurry = 60

// A patient is a service in this process: the OpenTelemetry SDK as services set
// it up, otelgoroutine, and faults that can be cured.
type patient struct {
	monitor *otelgoroutine.Monitor
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
}

// newPatient starts one that exports to addr. Times are those of the SDK's
// defaults, divided.
func newPatient(t *testing.T, addr, instance string, options ...otelgoroutine.Option) *patient {
	t.Helper()
	res := resource.NewSchemaless(attribute.String("service.name", "patient"))
	if instance != "" {
		res = resource.NewSchemaless(attribute.String("service.name", "patient"), attribute.String("service.instance.id", instance))
	}
	metrics, err := otlpmetricgrpc.New(t.Context(), otlpmetricgrpc.WithEndpoint(addr), otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithTimeout(10*time.Second/hurry),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{Enabled: true,
			InitialInterval: 5 * time.Second / hurry, MaxInterval: 30 * time.Second / hurry, MaxElapsedTime: time.Minute / hurry}))
	require.NoError(t, err)
	// The log exporter has the default times: an event waits for 30 s.
	logs, err := otlploggrpc.New(t.Context(), otlploggrpc.WithEndpoint(addr), otlploggrpc.WithInsecure(),
		otlploggrpc.WithRetry(otlploggrpc.RetryConfig{Enabled: true,
			InitialInterval: 100 * time.Millisecond, MaxInterval: 500 * time.Millisecond, MaxElapsedTime: time.Minute}))
	require.NoError(t, err)
	p := &patient{
		metrics: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(
			sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(time.Minute/hurry)))),
		logs: sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(
			sdklog.NewBatchProcessor(logs, sdklog.WithExportInterval(100*time.Millisecond)))),
	}
	deadlock := detectors.DefaultDeadlockConfig()
	deadlock.MinWait /= hurry
	options = append([]otelgoroutine.Option{
		otelgoroutine.WithLoggerProvider(p.logs),
		otelgoroutine.WithInterval(15 * time.Second / hurry),
		otelgoroutine.WithDetectors(detectors.NewDeadlock(deadlock)),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: 10 * time.Millisecond}),
	}, options...)
	p.monitor, err = otelgoroutine.Start(p.metrics, options...)
	require.NoError(t, err)
	t.Cleanup(func() { p.shutdown(t) })
	return p
}

func (p *patient) shutdown(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	assert.NoError(t, p.monitor.Shutdown(ctx))
	_ = p.metrics.Shutdown(ctx) // an error where the Collector has gone before
	_ = p.logs.Shutdown(ctx)
}

// A jam is a lock that is held, and goroutines that wait for it. Each way to
// come to it is a stack, and so a finding, of its own.
type jam struct {
	lock    sync.Mutex
	way     func(*sync.Mutex)
	waiting sync.WaitGroup
	once    sync.Once
}

func newJam(t *testing.T, way func(*sync.Mutex), n int) *jam {
	j := &jam{way: way}
	j.lock.Lock()
	j.grow(n)
	t.Cleanup(j.clear)
	return j
}

func (j *jam) grow(n int) {
	for range n {
		j.waiting.Go(func() { j.way(&j.lock) })
	}
}

// clear ends it. Clearing it again does nothing.
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
