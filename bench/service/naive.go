package main

import (
	"bytes"
	"context"
	"runtime/pprof"
	"sync/atomic"
	"time"

	"github.com/DataDog/gostackparse"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// The metrics of the naive monitor.
const (
	naiveCount = "naive.goroutine.count"
	naiveLooks = "naive.looks"
)

// naive is the monitor that blog posts recommend: once in a while it takes a
// goroutine dump, parses it and counts the goroutines by state.
type naive struct {
	counts atomic.Pointer[map[string]int64] // of the last look, by state
	looks  metric.Int64Counter
}

func newNaive(mp metric.MeterProvider) (*naive, error) {
	n := &naive{}
	n.counts.Store(&map[string]int64{})
	meter := mp.Meter("naive")
	var err error
	if n.looks, err = meter.Int64Counter(naiveLooks); err != nil {
		return nil, err
	}
	_, err = meter.Int64ObservableUpDownCounter(naiveCount, metric.WithInt64Callback(
		func(_ context.Context, o metric.Int64Observer) error {
			for state, count := range *n.counts.Load() {
				o.Observe(count, metric.WithAttributes(attribute.String("state", state)))
			}
			return nil
		}))
	return n, err
}

// startNaive looks at once and then every interval. What it returns ends that.
func startNaive(mp metric.MeterProvider) (shutdown func(context.Context) error, err error) {
	n, err := newNaive(mp)
	if err != nil {
		return nil, err
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			n.look()
			select {
			case <-ticker.C:
			case <-stop:
				return
			}
		}
	}()
	return func(context.Context) error {
		close(stop)
		<-done
		return nil
	}, nil
}

// look counts what can be parsed. Neither pprof nor the parser calls it an
// error that a long dump is cut off.
func (n *naive) look() {
	var dump bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&dump, 2); err != nil {
		return // a buffer takes everything
	}
	goroutines, _ := gostackparse.Parse(&dump)
	counts := make(map[string]int64)
	for _, g := range goroutines {
		counts[g.State]++
	}
	n.counts.Store(&counts)
	n.looks.Add(context.Background(), 1)
}
