// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command autoexport has the exporters that the standard variables name, for metrics
// and logs, and sets the global providers. Start uses these.
package main

import (
	"context"

	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/e2e/program/exporters"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() { program.Main(start, program.Deadlock) }

func start(ctx context.Context) ([]func(context.Context) error, error) {
	stops, err := exporters.SetGlobal(ctx)
	if err != nil {
		return stops, err
	}
	monitor, err := otelgoroutine.Start(nil, program.Options()...)
	if err != nil {
		return stops, err
	}
	return append(stops, monitor.Shutdown), nil
}
