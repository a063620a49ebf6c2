package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	contrib "go.opentelemetry.io/contrib/instrumentation/runtime"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// What reads metrics, by the names it has in the tables.
const (
	readOurs    = "**our instruments**"
	readContrib = "contrib's runtime instrumentation"
	readGo      = "client_golang, Go collector"
	readGoAll   = "client_golang, all runtime metrics"
)

// readings is how many collections one sample is the mean of: each takes
// microseconds.
const readings = 200

// readingsFor returns what reads metrics, in the order in which they take
// turns. A monitor runs meanwhile; they wait until it rests.
func readingsFor(s scenario) ([]method, error) {
	own, err := startOwn(s.Size)
	if err != nil {
		return nil, err
	}
	runtime, failed := startContrib()
	plain, badPlain := newGatherer(collectors.NewGoCollector())
	all, badAll := newGatherer(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll)))
	methods := []method{
		{name: readOurs, look: own.collect},
		{name: readContrib, look: runtime.collect},
		{name: readGo, look: plain.gather},
		{name: readGoAll, look: all.gather},
	}
	for i := range methods {
		m := &methods[i]
		once := m.look
		m.times, m.before = readings, own.rests
		m.warm = func() error { _, err := once(); return err }
		m.look = func() (int, error) { return repeated(once) }
	}
	return methods, errors.Join(failed, badPlain, badAll)
}

// repeated looks as often as a sample needs.
func repeated(look func() (int, error)) (seen int, err error) {
	for range readings {
		if seen, err = look(); err != nil {
			return 0, err
		}
	}
	return seen, nil
}

// A collector collects from a meter provider.
type collector struct {
	reader *sdkmetric.ManualReader
	data   metricdata.ResourceMetrics
}

func newCollector() (*collector, *sdkmetric.MeterProvider) {
	c := &collector{reader: sdkmetric.NewManualReader()}
	return c, sdkmetric.NewMeterProvider(sdkmetric.WithReader(c.reader))
}

// collect returns how many series there are.
func (c *collector) collect() (int, error) {
	if err := c.reader.Collect(context.Background(), &c.data); err != nil {
		return 0, err
	}
	series := 0
	for _, scope := range c.data.ScopeMetrics {
		for _, m := range scope.Metrics {
			series += points(m.Data)
		}
	}
	return series, nil
}

func points(a metricdata.Aggregation) int {
	switch a := a.(type) {
	case metricdata.Sum[int64]:
		return len(a.DataPoints)
	case metricdata.Gauge[float64]:
		return len(a.DataPoints)
	case metricdata.Gauge[int64]:
		return len(a.DataPoints)
	case metricdata.Histogram[float64]:
		return len(a.DataPoints)
	}
	return 0
}

// startContrib lets contrib's instrumentation read the runtime every time.
func startContrib() (*collector, error) {
	c, provider := newCollector()
	return c, contrib.Start(contrib.WithMeterProvider(provider), contrib.WithMinimumReadMemStatsInterval(0))
}

// A gatherer is a Prometheus registry.
type gatherer struct{ registry *prometheus.Registry }

func newGatherer(c prometheus.Collector) (gatherer, error) {
	g := gatherer{prometheus.NewRegistry()}
	return g, g.registry.Register(c)
}

// gather returns how many series there are, a histogram being one.
func (g gatherer) gather() (int, error) {
	families, err := g.registry.Gather()
	series := 0
	for _, f := range families {
		series += len(f.Metric)
	}
	return series, err
}

// own is a monitor and what collects its metrics.
type own struct {
	*collector
	monitor  *otelgoroutine.Monitor
	interval time.Duration
}

// startOwn starts a monitor and waits until it has taken a snapshot of the
// regular kind, which shows all series: the first is a profile. Its interval is
// so long that one look is a small part of it.
func startOwn(goroutines int) (*own, error) {
	o := &own{interval: 400*time.Millisecond + time.Duration(goroutines)*8*time.Microsecond}
	c, provider := newCollector()
	o.collector = c
	var err error
	o.monitor, err = otelgoroutine.Start(provider,
		otelgoroutine.WithInterval(o.interval),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: 10 * time.Millisecond}))
	if err != nil {
		return nil, err
	}
	return o, o.await(func(s *goroutine.Snapshot) bool { return s.Source == goroutine.SourceTrace })
}

// rests waits for a time at which the monitor has been done with its last look
// for a while and will not begin the next one for a while.
func (o *own) rests() error {
	return o.await(func(s *goroutine.Snapshot) bool {
		age := time.Since(s.Time)
		return age >= o.interval/4 && age <= o.interval/2
	})
}

// await waits until the latest snapshot is as it should be.
func (o *own) await(good func(*goroutine.Snapshot) bool) error {
	const patience = 2 * time.Minute
	for began := time.Now(); time.Since(began) < patience; time.Sleep(o.interval / 50) {
		if s := o.monitor.Snapshot(); s != nil && good(s) {
			return nil
		}
	}
	return fmt.Errorf("the monitor has taken no snapshot every %v in %v", o.interval, patience)
}
