// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// A service that has a logger of log/slog, and whose metrics nothing reads, is told so.
func ExampleMonitor_SelfTest() {
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil))
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), otelgoroutine.WithLogger(logger))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Shutdown(context.Background())

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fmt.Println(monitor.SelfTest(ctx))
	// Output:
	// otelgoroutine: SelfTest: metrics: the MeterProvider is not enabled: it is a no-op, has no reader, is not set up yet, or was shut down
}

// When a request takes too long, the service saves what its goroutines are doing.
func ExampleMonitor_Capture() {
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), otelgoroutine.WithProfileDir(os.TempDir(), 10))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Shutdown(context.Background())

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := answer(ctx); err != nil {
		captured, err := monitor.Capture(ctx)
		if err != nil {
			fmt.Println(err) // no budget, too much load, or the monitor was shut down
			return
		}
		for _, f := range captured.Files {
			fmt.Println(f.Kind, f.Path)
		}
	}
	// Output:
}

// A profile from code, for go tool pprof.
func ExampleMonitor_WriteProfile() {
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Shutdown(context.Background())

	var profile bytes.Buffer
	if err := monitor.WriteProfile(&profile); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(profile.Len() > 0)
	// Output: true
}

// Each file goes to an object store, also where the file system is read-only.
func ExampleWithArchive() {
	upload := func(ctx context.Context, name string, content io.Reader) error { return ctx.Err() }
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(),
		otelgoroutine.WithPeriodicProfiles(time.Hour, 1),
		otelgoroutine.WithArchive(func(ctx context.Context, f otelgoroutine.File) error {
			content, err := f.Open()
			if err != nil {
				return err
			}
			defer content.Close()
			return upload(ctx, "checkout/"+f.Name, content)
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(monitor.Shutdown(context.Background()))
	// Output: <nil>
}

// The program chooses the signal: syscall.SIGUSR1, where there is one.
func ExampleWithCaptureSignals() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt)
	defer signal.Stop(signals)

	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(),
		otelgoroutine.WithProfileDir(os.TempDir(), 10),
		otelgoroutine.WithCaptureSignals(signals))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(monitor.Shutdown(context.Background()))
	// Output: <nil>
}
