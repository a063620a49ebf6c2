// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/trace"
	"sync"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A service calls Start once, after it has set up its OpenTelemetry providers,
// and shuts the monitor down before them.
func Example() {
	// A real service gives the one a periodic reader and the other a batch
	// processor, each with an OTLP exporter.
	meters := sdkmetric.NewMeterProvider()
	logs := sdklog.NewLoggerProvider()

	monitor, err := otelgoroutine.Start(meters, otelgoroutine.WithLoggerProvider(logs))
	if err != nil {
		fmt.Println(err)
		return
	}

	// Here the service does its work.

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	fmt.Println(errors.Join(monitor.Shutdown(ctx), logs.Shutdown(ctx), meters.Shutdown(ctx)))
	// Output: <nil>
}

// What Start registers is collected like every other metric of the service.
func ExampleStart() {
	reader := sdkmetric.NewManualReader() // a real service has a periodic reader
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Shutdown(context.Background())

	for _, name := range []string{"goroutine.count", "goroutine.stack.goroutine.count"} {
		m := awaitMetric(reader, name) // the first snapshot is taken right after Start
		fmt.Println(m.Name, m.Unit)
	}
	// Output:
	// goroutine.count {goroutine}
	// goroutine.stack.goroutine.count {goroutine}
}

// Bad values are errors that name the option, the value and what is accepted,
// all of them at once. Nothing is left running.
func ExampleStart_badOptions() {
	_, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(),
		otelgoroutine.WithInterval(time.Millisecond),
		otelgoroutine.WithTopStacks(-1))
	fmt.Println(err)
	// Output:
	// otelgoroutine: WithInterval(1ms): the interval must be 100ms to 1h0m0s
	// otelgoroutine: WithTopStacks(-1): the number must be 1 to 400
}

// A second monitor on the same meter provider would double every sum.
func ExampleStart_twice() {
	meters := sdkmetric.NewMeterProvider()
	monitor, err := otelgoroutine.Start(meters)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = otelgoroutine.Start(meters)
	fmt.Println(errors.Is(err, otelgoroutine.ErrStarted))
	fmt.Println(monitor.Shutdown(context.Background()))

	monitor, err = otelgoroutine.Start(meters) // the first one is shut down
	fmt.Println(err)
	fmt.Println(monitor.Shutdown(context.Background()))
	// Output:
	// true
	// <nil>
	// <nil>
	// <nil>
}

// The service adds a detector of its own to the built-in ones. It reports every
// place where at least three goroutines wait for a channel.
func ExampleWithDetectors() {
	queues := &detectors.Detector{
		Name: "queue",
		Doc:  "Goroutines queue up at a channel.",
		Run: func(p *detectors.Pass) error {
			for _, g := range p.Snapshot.Groups {
				if g.State != goroutine.ChanReceive || g.Count < 3 || p.Known(g.Stack) {
					continue
				}
				p.Report(detectors.Finding{
					Confidence: detectors.Suspected,
					Stack:      g.Stack,
					State:      g.State,
					Count:      g.Count,
					Message:    fmt.Sprintf("%d goroutines wait for one channel.", g.Count),
				})
			}
			return nil
		},
	}
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(),
		otelgoroutine.WithInterval(otelgoroutine.MinInterval), // for the demonstration: 15 s is fine
		otelgoroutine.WithDetectors(append(detectors.Default(), queues)...))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Shutdown(context.Background())

	done := make(chan struct{})
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() { <-done })
	}
	for _, f := range awaitFindings(monitor) {
		fmt.Println(f.Detector, f.Confidence, f.State)
		fmt.Println(f.Message)
	}
	close(done)
	waiting.Wait()
	// Output:
	// queue suspected chan receive
	// 3 goroutines wait for one channel.
}

// A program with a flight recorder hands it over. Snapshots then come from its
// recording, which is saved with every finding.
func ExampleWithFlightRecorder() {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 30 * time.Second, MaxBytes: 16 << 20})
	if err := recorder.Start(); err != nil {
		fmt.Println(err)
		return
	}
	defer recorder.Stop()

	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(),
		otelgoroutine.WithFlightRecorder(recorder),
		otelgoroutine.WithProfileDir(os.TempDir(), 10))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(monitor.Shutdown(context.Background())) // before the recorder is stopped
	// Output: <nil>
}

// A status page lists what is wrong at the moment.
func ExampleMonitor_Findings() {
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Shutdown(context.Background())

	status := func(w http.ResponseWriter, _ *http.Request) {
		findings := monitor.Findings()
		fmt.Fprintf(w, "%d findings open\n", len(findings))
		for _, f := range findings {
			fmt.Fprintf(w, "%s (%s): %s\n", f.Detector, f.Confidence, f.Message)
		}
	}

	w := httptest.NewRecorder()
	status(w, httptest.NewRequest(http.MethodGet, "/status", nil))
	fmt.Print(w.Body)
	// Output: 0 findings open
}

// When a service does not answer, the report says what its goroutines are doing.
func ExampleMonitor_WriteReport() {
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Shutdown(context.Background())

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := answer(ctx); err != nil {
		if err := monitor.WriteReport(os.Stderr); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
}

// Events that were sent are with the logger provider. So shut it down after the
// monitor, and the meter provider likewise.
func ExampleMonitor_Shutdown() {
	meters, logs := sdkmetric.NewMeterProvider(), sdklog.NewLoggerProvider()
	monitor, err := otelgoroutine.Start(meters, otelgoroutine.WithLoggerProvider(logs))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, shutdown := range []func(context.Context) error{monitor.Shutdown, logs.Shutdown, meters.Shutdown} {
		fmt.Println(shutdown(ctx))
	}
	// Output:
	// <nil>
	// <nil>
	// <nil>
}

// answer stands for a request to the service.
func answer(ctx context.Context) error { return ctx.Err() }

// awaitMetric collects until there is a metric of that name.
func awaitMetric(reader sdkmetric.Reader, name string) metricdata.Metrics {
	for {
		var collected metricdata.ResourceMetrics
		if err := reader.Collect(context.Background(), &collected); err != nil {
			panic(err)
		}
		for _, scope := range collected.ScopeMetrics {
			for _, m := range scope.Metrics {
				if m.Name == name {
					return m
				}
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// awaitFindings waits until the monitor has found something.
func awaitFindings(monitor *otelgoroutine.Monitor) []detectors.Finding {
	for len(monitor.Findings()) == 0 {
		time.Sleep(time.Millisecond)
	}
	return monitor.Findings()
}
