// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Work does one thing that the library does for a living, over 10,000
// goroutines, and prints what it allocated. The guard builds it with counters
// for every statement of the library and reads them when it has ended.
//
//	work JOB
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/coverage"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A job is prepared, and then done a number of times. What one time allocates
// and executes is divided by its units.
type job struct {
	prepare func() (do func() error, err error)
	times   int
	units   int
}

var jobs = map[string]job{
	"snapshot":  {snapshot, 5, size},
	"trace":     {decodeTrace, 5, size},
	"profile":   {parseProfile, 5, size},
	"dump":      {parseDump, 2, size},
	"detectors": {judge, judgements, stacks},
	"collect":   {collect, 1000, 1}, // so that a little work of the monitor between them does not show
}

const judgements = 40

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "work:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments, expected the name of a job", len(args))
	}
	j, ok := jobs[args[0]]
	if !ok {
		return fmt.Errorf("no job %q", args[0])
	}
	if err := park(); err != nil {
		return err
	}
	do, err := j.prepare()
	if err != nil {
		return err
	}
	if err := do(); err != nil { // the first time fills the buffers
		return err
	}
	runtime.GC()
	debug.SetGCPercent(-1) // a collection adds events to a trace
	if err := coverage.ClearCounters(); err != nil {
		return fmt.Errorf("not built with -cover -covermode=atomic: %w", err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range j.times {
		if err := do(); err != nil {
			return err
		}
	}
	runtime.ReadMemStats(&after)
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"units":       float64(j.times * j.units),
		"allocations": float64(after.Mallocs - before.Mallocs),
		"bytes":       float64(after.TotalAlloc - before.TotalAlloc),
	})
}

// snapshot is a whole one, as the monitor takes it.
func snapshot() (func() error, error) {
	c := capture.New(capture.Config{Budget: capture.Budget{CPU: 1000, Pause: time.Hour}, Tracing: true})
	do := func() error {
		const tries = 10 // one is put off while others wait for a processor
		for range tries {
			time.Sleep(100 * time.Millisecond) // earns the budget
			if s, _ := c.Take(); s != nil {
				return nil
			}
		}
		return fmt.Errorf("no snapshot in %d tries", tries)
	}
	return do, do() // the first one is a profile
}

const (
	size   = 10_000 // goroutines
	stacks = 200    // distinct ones
	depth  = 14     // frames, and seven
)

// park starts the goroutines of the snapshots and returns when they wait, for
// good.
func park() error {
	gate := make(chan struct{})
	for i := range size {
		go lab.Step(i%stacks)(i%stacks/4, depth, func() { <-gate })
	}
	return lab.AwaitParked()
}

func decodeTrace() (func() error, error) {
	var data bytes.Buffer
	if err := lab.Record(&data); err != nil {
		return nil, err
	}
	d := parse.NewTraceDecoder(nil, nil)
	return func() error {
		_, err := d.Decode(data.Bytes(), time.Now())
		return err
	}, nil
}

func parseProfile() (func() error, error) {
	var data bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&data, 0); err != nil {
		return nil, err
	}
	known := parse.NewStacks()
	return func() error {
		_, err := parse.Profile(data.Bytes(), time.Now(), known, parse.Labels{})
		return err
	}, nil
}

func parseDump() (func() error, error) {
	data := make([]byte, 64<<20)
	data = data[:runtime.Stack(data, true)]
	known, births := parse.NewStacks(), new(goroutine.Births)
	return func() error {
		_, err := parse.Text(bytes.NewReader(data), time.Now(), known, births)
		return err
	}, nil
}

// judge runs the default detectors over snapshots of a process in which some
// goroutines stand and some come and go.
func judge() (func() error, error) {
	e := engine.New(engine.Config{Detectors: detectors.Default()})
	const full = 72 // the history is full before the first that counts
	series := snapshots(full + 1 + judgements)
	next := func() error {
		r := e.Step(series[0])
		series = series[1:]
		for _, v := range r.Verdicts {
			if v.Err != nil {
				return v.Err
			}
		}
		return nil
	}
	for range full {
		if err := next(); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// snapshots returns n snapshots of a simulated process.
func snapshots(n int) []*goroutine.Snapshot {
	p := detectortest.NewProcess(2)
	places := make([]detectortest.Place, stacks)
	for i := range places {
		places[i] = detectortest.At("chan receive", "runtime.gopark", "runtime.chanrecv", "runtime.chanrecv1",
			fmt.Sprintf("example.com/service.wait%d:%d", i, i+1), "example.com/service.start:7")
		p.Go(places[i], size/stacks/2)
	}
	series := make([]*goroutine.Snapshot, n)
	for i := range series {
		for _, at := range places {
			p.GoFor(at, time.Minute)
		}
		p.Advance(15 * time.Second)
		series[i] = p.Snapshot()
	}
	return series
}

// collect is what a reader of the metrics does at every export.
func collect() (func() error, error) {
	reader := metric.NewManualReader()
	m, err := otelgoroutine.Start(metric.NewMeterProvider(metric.WithReader(reader)), otelgoroutine.WithInterval(otelgoroutine.MaxInterval))
	if err != nil {
		return nil, err
	}
	for m.Snapshot() == nil {
		time.Sleep(time.Millisecond)
	}
	var data metricdata.ResourceMetrics
	return func() error { return reader.Collect(context.Background(), &data) }, nil
}
