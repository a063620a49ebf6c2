// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinetest

import (
	"context"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/noop"
)

// silent is a LoggerProvider that hears every event and tells nothing: the test tells
// what was found, at its end.
type silent struct{ noop.LoggerProvider }

// Logger returns a logger that is enabled.
func (silent) Logger(string, ...log.LoggerOption) log.Logger { return silentLogger{} }

type silentLogger struct{ noop.Logger }

// Enabled returns true, so that events do not go elsewhere.
func (silentLogger) Enabled(context.Context, log.EnabledParameters) bool { return true }
