// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A service with metrics only has its findings in a log of its own. Here it has the
// levels and names of the events alone.
func ExampleWithLogger() {
	findings := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.LevelKey || a.Key == "event.name" {
				return a
			}
			return slog.Attr{}
		},
	}))
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(),
		otelgoroutine.WithDetectors(manyGoroutines()),
		otelgoroutine.WithLogger(findings))
	if err != nil {
		fmt.Println(err)
		return
	}
	awaitFindings(monitor)
	fmt.Println(monitor.Shutdown(context.Background())) // when all is delivered
	// Output:
	// level=INFO event.name=goroutine.surge.detected
	// <nil>
}

// A function forwards what was found, to a chat for example. It may take its time.
func ExampleWithEventFunc() {
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(),
		otelgoroutine.WithDetectors(manyGoroutines()),
		otelgoroutine.WithEventFunc(func(e detectors.Event) {
			if e.Kind == detectors.Detected {
				fmt.Println(e.Finding.Detector, e.Finding.Confidence)
			}
		}))
	if err != nil {
		fmt.Println(err)
		return
	}
	awaitFindings(monitor)
	fmt.Println(monitor.Shutdown(context.Background())) // when all is delivered
	// Output:
	// surge info
	// <nil>
}

// manyGoroutines reports a process with more than one goroutine.
func manyGoroutines() *detectors.Detector {
	c := detectors.DefaultSurgeConfig()
	c.Threshold = 1
	return detectors.NewSurge(c)
}
