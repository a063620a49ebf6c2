// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Program runs one concurrency fault of the Go distribution under the real
// monitor, and answers with what was found and what is true. The faults are not
// here: the program in the directory above lays them over this one when it
// builds it.
package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/bench/detection/internal/watch"
	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() {
	lab.Child(carryOut)
	fmt.Fprintln(os.Stderr, "program: go run -C bench ./detection/goroot starts this")
	os.Exit(2)
}

// order is what this process is to do.
var order watch.Order

func carryOut(o watch.Order) (any, error) {
	order = o
	os.Stdout = os.Stderr // some of the faults print
	if order.Name == "" {
		return slices.Sorted(maps.Keys(faults)), nil
	}
	f, ok := faults[order.Name]
	if !ok {
		return nil, fmt.Errorf("no fault %q", order.Name)
	}
	return observe(f)
}

// warmUp is how long the monitor sees a sound program, at the scale of its
// times.
const warmUp = 5 * time.Minute

// observe lets the fault happen under the monitor.
func observe(f func()) (*watch.Observation, error) {
	told := &watch.Log{Began: time.Now()}
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), told.Options(order.Scale, order.Proof)...)
	if err != nil {
		return nil, err
	}
	time.Sleep(scaled(warmUp))
	go f()
	if !order.Once {
		provoke(f)
	}
	watch.For(order.Duration)
	seen := &watch.Observation{Findings: told.Findings()}
	if err := monitor.Shutdown(context.Background()); err != nil {
		return nil, err
	}
	seen.Leaked, err = watch.Leaked()
	return seen, err
}

func scaled(d time.Duration) time.Duration { return time.Duration(order.Scale * float64(d)) }

const (
	// pace is the time between two requests that meet the fault.
	pace = time.Minute
	// most is how many goroutines a fault may leave behind before no more
	// requests come.
	most = 20_000
)

// provoke lets the fault happen again and again.
func provoke(f func()) {
	time.AfterFunc(scaled(pace), func() {
		if runtime.NumGoroutine() < most {
			go f()
		}
		provoke(f)
	})
}

// What the faults' files call.

var faults = make(map[string]func())

func register(name string, f func()) { faults[name] = f }

// yieldCount is how often a fault lets others go first.
const yieldCount = 10

// noProfile stands for the leak profile that each fault writes at its end: it
// is asked for once, at the end of the process.
type noProfile struct{}

func (noProfile) WriteTo(io.Writer, int) error { return nil }

func lookup(func(string) *pprof.Profile) noProfile { return noProfile{} }

// instances is how many instances of its fault a program starts, of the n that
// it starts on its own to hit it once: a request starts a few.
func instances(n int) int {
	if order.Once {
		return n
	}
	return min(n, 4)
}

// The faults are laid over; without them nothing calls these.
var _ = []any{register, lookup, instances, yieldCount}
