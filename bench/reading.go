// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

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
	provider, ours := newCollector()
	monitor, err := start(provider, s.Size)
	if err != nil {
		return nil, err
	}
	provider, others := newCollector() // contrib's, told to read the runtime every time
	err = contrib.Start(contrib.WithMeterProvider(provider), contrib.WithMinimumReadMemStatsInterval(0))
	var methods []method
	for _, reader := range []struct {
		name    string
		collect func() (series int, err error)
	}{
		{readOurs, ours},
		{readContrib, others},
		{readGo, gatherer(collectors.NewGoCollector())},
		{readGoAll, gatherer(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll)))},
	} {
		methods = append(methods, method{
			name: reader.name, times: readings, warmUps: 1, before: monitor.rests,
			take: func() (series int, err error) {
				for range readings {
					if series, err = reader.collect(); err != nil {
						return 0, err
					}
				}
				return series, nil
			},
		})
	}
	return methods, err
}

// newCollector returns a meter provider and what collects from it.
func newCollector() (*sdkmetric.MeterProvider, func() (series int, err error)) {
	reader := sdkmetric.NewManualReader()
	var data metricdata.ResourceMetrics
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), func() (series int, err error) {
		if err := reader.Collect(context.Background(), &data); err != nil {
			return 0, err
		}
		for _, scope := range data.ScopeMetrics {
			for _, m := range scope.Metrics {
				series += points(m.Data)
			}
		}
		return series, nil
	}
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

// gatherer returns what gathers from a Prometheus registry. A histogram counts
// as one series.
func gatherer(c prometheus.Collector) func() (series int, err error) {
	registry := prometheus.NewRegistry()
	bad := registry.Register(c)
	return func() (series int, err error) {
		families, err := registry.Gather()
		for _, f := range families {
			series += len(f.Metric)
		}
		return series, errors.Join(bad, err)
	}
}

// A monitor is ours, with an interval so long that one snapshot is a small part
// of it.
type monitor struct {
	*otelgoroutine.Monitor
	interval time.Duration
}

// start starts a monitor and waits until it has taken a snapshot of the regular
// kind, which shows all series: the first is a profile.
func start(provider *sdkmetric.MeterProvider, goroutines int) (*monitor, error) {
	m := &monitor{interval: 400*time.Millisecond + time.Duration(goroutines)*8*time.Microsecond}
	var err error
	m.Monitor, err = otelgoroutine.Start(provider, otelgoroutine.WithInterval(m.interval),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: 10 * time.Millisecond}))
	if err != nil {
		return nil, err
	}
	return m, m.await(func(s *goroutine.Snapshot) bool { return s.Source == goroutine.SourceTrace })
}

// rests waits for a time at which the monitor has been done with its last
// snapshot for a while and will not begin the next one for a while.
func (m *monitor) rests() error {
	return m.await(func(s *goroutine.Snapshot) bool {
		age := time.Since(s.Time)
		return age >= m.interval/4 && age <= m.interval/2
	})
}

// await waits until the latest snapshot is as it should be.
func (m *monitor) await(good func(*goroutine.Snapshot) bool) error {
	const patience = 2 * time.Minute
	for began := time.Now(); time.Since(began) < patience; time.Sleep(m.interval / 50) {
		if s := m.Snapshot(); s != nil && good(s) {
			return nil
		}
	}
	return fmt.Errorf("the monitor has taken no snapshot every %v in %v", m.interval, patience)
}
