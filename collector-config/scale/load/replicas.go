// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/grpc"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// A ReplicasConfig says what replicas export, and where.
type ReplicasConfig struct {
	Endpoint string        // host:port of OTLP over gRPC, without TLS
	Replicas int           // how many
	Services int           // how many services they are replicas of
	Stacks   int           // stacks with series of their own
	Interval time.Duration // time between two exports of a replica
	Compress bool          // gzip; the SDK's default is none
	Films    []Film        // what they show; there must be one at least
}

// Replicas are services that export the library's telemetry: each has the SDK's
// providers and exporters, with connections of its own, and the library's
// instruments. Make them with [StartReplicas].
type Replicas struct {
	Wire Wire // what all connections carried

	config   ReplicasConfig
	replicas []*replica
	exports  atomic.Int64 // of metrics
	points   atomic.Int64 // of metrics, in all exports
	failed   atomic.Int64 // exports of metrics
	events   atomic.Int64 // sent and accepted
	lost     atomic.Int64 // events in exports that failed
	last     atomic.Pointer[error]

	stop context.CancelFunc
	work sync.WaitGroup
}

// StartReplicas starts replicas. Each exports for the first time at a moment of its
// own within the first interval. Close ends them.
func StartReplicas(ctx context.Context, c ReplicasConfig) (*Replicas, error) {
	ctx, cancel := context.WithCancel(ctx)
	all := &Replicas{config: c, stop: cancel}
	for i := range c.Replicas {
		r, err := all.newReplica(ctx, i)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("replica %d of %d: %w", i+1, c.Replicas, err), all.Close())
		}
		all.replicas = append(all.replicas, r)
	}
	for i, r := range all.replicas {
		all.work.Go(func() { r.run(ctx, c.Interval*time.Duration(i)/time.Duration(c.Replicas)) })
	}
	return all, nil
}

// Close ends the replicas and their connections. What cannot be sent within two
// seconds is dropped.
func (all *Replicas) Close() error {
	all.stop()
	all.work.Wait()
	errs := make([]error, len(all.replicas))
	var closing sync.WaitGroup
	for i, r := range all.replicas {
		closing.Go(func() { errs[i] = r.close() })
	}
	closing.Wait()
	return errors.Join(errs...)
}

// Sent is what replicas have sent.
type Sent struct {
	Exports, Points int64 // of metrics; points in all exports that were accepted
	Failed          int64 // exports of metrics
	Events, Lost    int64 // accepted, and in exports that failed
	Bytes           int64 // written to all connections
	Err             error // why the last export failed
}

// Sent returns what they have sent since the start.
func (all *Replicas) Sent() Sent {
	s := Sent{
		Exports: all.exports.Load(), Points: all.points.Load(), Failed: all.failed.Load(),
		Events: all.events.Load(), Lost: all.lost.Load(), Bytes: all.Wire.Written(),
	}
	if err := all.last.Load(); err != nil {
		s.Err = *err
	}
	return s
}

// Storm makes each replica report n new findings at once, each with a stack of 16
// KiB, and leaves them open. It returns when all are sent, or ctx ends.
func (all *Replicas) Storm(ctx context.Context, n int) error {
	errs := make([]error, len(all.replicas))
	var sending sync.WaitGroup
	for i, r := range all.replicas {
		sending.Go(func() { errs[i] = r.storm(ctx, i, n) })
	}
	sending.Wait()
	return errors.Join(errs...)
}

// A replica is one of them.
type replica struct {
	all       *Replicas
	film      *Film
	scene     int // of the film that is shown next
	telemetry *telemetry.Telemetry
	meters    *sdkmetric.MeterProvider
	reader    *sdkmetric.ManualReader
	exporter  sdkmetric.Exporter
	loggers   *sdklog.LoggerProvider
	scheduler atomic.Pointer[goroutine.Scheduler]
	created   int64
}

func (all *Replicas) newReplica(ctx context.Context, i int) (r *replica, err error) {
	c := all.config
	r = &replica{all: all, film: &c.Films[i%len(c.Films)], reader: sdkmetric.NewManualReader()}
	r.scheduler.Store(&goroutine.Scheduler{})
	if r.exporter, err = otlpmetricgrpc.New(ctx, all.metricOptions()...); err != nil {
		return nil, err
	}
	logs, err := otlploggrpc.New(ctx, all.logOptions()...)
	if err != nil {
		return nil, err
	}
	res := resourceOf(i, c.Services)
	r.meters = sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(r.reader))
	r.loggers = sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(&countedLogs{logs, all})))
	r.telemetry, err = telemetry.New(telemetry.Config{
		MeterProvider: r.meters, LoggerProvider: r.loggers, TopStacks: c.Stacks,
		Scheduler: func() goroutine.Scheduler { return *r.scheduler.Load() },
		Age:       func(time.Time) (time.Duration, bool) { return c.Interval / 8, false },
	})
	return r, err
}

// dial connects to the endpoint; the bytes are counted.
func (all *Replicas) dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return all.Wire.Conn(c), nil
}

func (all *Replicas) metricOptions() []otlpmetricgrpc.Option {
	options := []otlpmetricgrpc.Option{
		otlpmetricgrpc.WithEndpoint(all.config.Endpoint), otlpmetricgrpc.WithInsecure(),
		otlpmetricgrpc.WithDialOption(grpc.WithContextDialer(all.dial)),
	}
	if all.config.Compress {
		options = append(options, otlpmetricgrpc.WithCompressor("gzip"))
	}
	return options
}

func (all *Replicas) logOptions() []otlploggrpc.Option {
	options := []otlploggrpc.Option{
		otlploggrpc.WithEndpoint(all.config.Endpoint), otlploggrpc.WithInsecure(),
		otlploggrpc.WithDialOption(grpc.WithContextDialer(all.dial)),
	}
	if all.config.Compress {
		options = append(options, otlploggrpc.WithCompressor("gzip"))
	}
	return options
}

// resourceOf returns the resource of a replica, with the attributes that services
// in Kubernetes have.
func resourceOf(i, services int) *resource.Resource {
	service := fmt.Sprintf("shop-service-%d", i%max(services, 1))
	pod := fmt.Sprintf("%s-5d8f7c6b9-%05d", service, i)
	return resource.NewSchemaless(
		attribute.String("service.name", service),
		attribute.String("service.namespace", "shop"),
		attribute.String("service.version", "1.8.2"),
		attribute.String("service.instance.id", pod),
		attribute.String("deployment.environment.name", "production"),
		attribute.String("k8s.cluster.name", "eu-1"),
		attribute.String("k8s.namespace.name", "shop"),
		attribute.String("k8s.deployment.name", service),
		attribute.String("k8s.pod.name", pod),
		attribute.String("k8s.node.name", fmt.Sprintf("node-%d", i/30)),
		attribute.String("telemetry.sdk.name", "opentelemetry"),
		attribute.String("telemetry.sdk.language", "go"),
		attribute.String("telemetry.sdk.version", "1.47.0"),
	)
}

// run exports at every interval, first after a delay, until ctx ends.
func (r *replica) run(ctx context.Context, delay time.Duration) {
	pause(ctx, delay)
	ticker := time.NewTicker(r.all.config.Interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		r.export(ctx)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// export shows the next scene to the library's instruments and exports them.
func (r *replica) export(ctx context.Context) {
	r.show(ctx)
	var data metricdata.ResourceMetrics
	err := r.reader.Collect(ctx, &data)
	if err == nil {
		err = r.exporter.Export(ctx, &data)
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.all.failed.Add(1)
		r.all.last.Store(&err)
		return
	}
	r.all.exports.Add(1)
	r.all.points.Add(pointsOf(&data))
}

// show sets what the instruments observe.
func (r *replica) show(ctx context.Context) {
	scene := r.film.Scenes[r.scene%len(r.film.Scenes)]
	r.scene++
	r.created += int64(scene.Snapshot.Total)
	r.scheduler.Store(&goroutine.Scheduler{Waiting: int64(scene.Snapshot.Total), Running: 1, Created: r.created})
	r.telemetry.Publish(ctx, scene.Snapshot, scene.Snapshot)
	r.telemetry.SetDetectors(scene.Statuses, scene.Snapshot.Time)
}

// pointsOf returns how many data points there are. A point of a histogram is one.
func pointsOf(data *metricdata.ResourceMetrics) (n int64) {
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				n += int64(len(d.DataPoints))
			case metricdata.Gauge[float64]:
				n += int64(len(d.DataPoints))
			case metricdata.Histogram[float64]:
				n += int64(len(d.DataPoints))
			}
		}
	}
	return n
}

// storm reports n findings.
func (r *replica) storm(ctx context.Context, i, n int) error {
	now := time.Now()
	open := findings(i, n, now)
	for _, f := range open {
		r.telemetry.Emit(ctx, detectors.Event{Kind: detectors.Detected, Time: now, Finding: f}, telemetry.Files{})
	}
	r.telemetry.SetOpen(open, now)
	return r.loggers.ForceFlush(ctx)
}

// closeTime is how long a replica may take to send what is left.
const closeTime = 2 * time.Second

// close ends a replica. That something could not be sent any more is no error.
func (r *replica) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := r.telemetry.Close()
	_ = r.loggers.Shutdown(ctx)
	_ = r.meters.Shutdown(ctx)
	_ = r.exporter.Shutdown(ctx)
	return err
}

// countedLogs counts the events that were exported.
type countedLogs struct {
	sdklog.Exporter
	all *Replicas
}

// Export implements [sdklog.Exporter].
func (e *countedLogs) Export(ctx context.Context, records []sdklog.Record) error {
	err := e.Exporter.Export(ctx, records)
	if err != nil {
		e.all.lost.Add(int64(len(records)))
		e.all.last.Store(&err)
		return err
	}
	e.all.events.Add(int64(len(records)))
	return nil
}
