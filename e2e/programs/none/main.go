// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command none has no telemetry at all. It calls nothing but Start; slog is as the
// standard library sets it up.
package main

import (
	"context"

	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() { program.Main(start, program.Deadlock) }

func start(context.Context) (stops []func(context.Context) error, err error) {
	monitor, err := otelgoroutine.Start(nil, program.Options()...)
	if err != nil {
		return nil, err
	}
	return append(stops, monitor.Shutdown), nil
}
