// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package observe is what the programs of the test have in common: a monitor,
// planted faults, and a record of what became of them.
package observe

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A Result is what a program prints at its end. Times are in seconds since its
// start.
type Result struct {
	Go        string
	Survived  float64
	Snapshots map[goroutine.Source]int
	IDs       int // snapshots with the IDs of goroutines
	Skips     map[string]int
	Detected  map[string]float64 // when the planted fault of a detector was told
	Resolved  map[string]float64 // when it was told to be gone, although it never is
	Told      []string           // by otel.Handle
}

// options are the flags of the programs.
type options struct {
	atLeast, atMost time.Duration
	scale           float64
	leak            bool
	traces          int
}

func readFlags() (o options) {
	flag.DurationVar(&o.atLeast, "for", 5*time.Second, "how long to run at least")
	flag.DurationVar(&o.atMost, "limit", time.Minute, "how long to wait for what is expected")
	flag.Float64Var(&o.scale, "scale", 1, "of the times of the detectors")
	flag.BoolVar(&o.leak, "leak", false, "wait for the leak to be found too")
	flag.IntVar(&o.traces, "traces", 0, "execution traces to wait for")
	flag.Parse()
	return o
}

// Beside runs works over and over, each on goroutines that also wait for one
// another, beside a monitor with the shortest interval and otherwise default
// options, and prints a [Result].
func Beside(works ...func()) {
	o, began := readFlags(), time.Now()
	r := &record{began: began, result: Result{
		Snapshots: make(map[goroutine.Source]int), Skips: make(map[string]int),
		Detected: make(map[string]float64), Resolved: make(map[string]float64),
	}}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(r.told))
	m, err := start(o, r)
	exitOn(err)
	plantDeadlock()
	ctx, cancel := context.WithCancel(context.Background())
	for _, work := range works {
		for range 2 {
			go pass(ctx, work)
		}
	}
	go leak(ctx, o.scale)
	for time.Since(began) < o.atLeast || !r.complete(o) && time.Since(began) < o.atMost {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	exitOn(m.Shutdown(context.Background()))
	exitOn(r.print())
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func start(o options, r *record) (*otelgoroutine.Monitor, error) {
	opts := []otelgoroutine.Option{
		otelgoroutine.WithInterval(otelgoroutine.MinInterval),
		otelgoroutine.WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(r))),
	}
	if o.scale != 1 {
		opts = append(opts, otelgoroutine.WithDetectors(detectors.Scaled(o.scale)...))
	}
	m, err := otelgoroutine.Start(metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())), opts...)
	if err == nil {
		m.Subscribe(r.update)
	}
	return m, err
}

// pass works and blocks, so that there are events to trace.
func pass(ctx context.Context, work func()) {
	tokens := make(chan struct{})
	go func() {
		defer close(tokens)
		for ctx.Err() == nil {
			work()
			tokens <- struct{}{}
			time.Sleep(time.Millisecond)
		}
	}()
	for range tokens {
		work()
	}
}

// A record is what happened so far. It is a log processor, so that it gets the
// events that a service would send.
type record struct {
	began  time.Time
	mu     sync.Mutex
	result Result
}

func (r *record) told(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Told = append(r.result.Told, err.Error())
}

func (r *record) update(u otelgoroutine.Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range u.Skips {
		r.result.Skips[string(s.Source)+" "+s.Reason]++
	}
	if u.Snapshot != nil {
		r.result.Snapshots[u.Snapshot.Source]++
		if u.Snapshot.HasIDs() {
			r.result.IDs++
		}
	}
}

// Enabled implements [sdklog.Processor].
func (r *record) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// OnEmit implements [sdklog.Processor].
func (r *record) OnEmit(_ context.Context, event *sdklog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := strings.TrimPrefix(event.EventName(), "goroutine.")
	detector, kind, _ := strings.Cut(name, ".")
	times := r.result.Detected
	if kind == "resolved" {
		times = r.result.Resolved
	}
	if _, ok := times[detector]; !ok && strings.Contains(event.Body().AsString(), "observe."+planted) {
		times[detector] = time.Since(r.began).Seconds()
	}
	return nil
}

// Shutdown implements [sdklog.Processor].
func (r *record) Shutdown(context.Context) error { return nil }

// ForceFlush implements [sdklog.Processor].
func (r *record) ForceFlush(context.Context) error { return nil }

// complete reports whether all that is waited for has happened.
func (r *record) complete(o options) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.result.Detected["deadlock"] > 0 && (!o.leak || r.result.Detected["leak"] > 0)
	return told && r.result.Snapshots[goroutine.SourceTrace] >= o.traces
}

func (r *record) print() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Go = runtime.Version()
	r.result.Survived = time.Since(r.began).Seconds()
	return json.NewEncoder(os.Stdout).Encode(r.result)
}
