// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command auto has no call of Start: it imports package auto, and the environment
// decides. It sets the global providers, with the exporters that the standard variables
// name, later than that package starts its monitor.
package main

import (
	"context"

	"github.com/otelgoroutine/go/auto"
	"github.com/otelgoroutine/go/e2e/program"
	"github.com/otelgoroutine/go/e2e/program/exporters"
)

func main() { program.Main(start, program.Deadlock) }

func start(ctx context.Context) ([]func(context.Context) error, error) {
	stops, err := exporters.SetGlobal(ctx)
	return append(stops, auto.Monitor().Shutdown), err
}
