// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// kept is a log processor that keeps the messages that it gets.
type kept struct {
	mu       sync.Mutex
	messages []string
}

func (k *kept) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (k *kept) Shutdown(context.Context) error                         { return nil }
func (k *kept) ForceFlush(context.Context) error                       { return nil }
func (k *kept) OnEmit(_ context.Context, r *sdklog.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.messages = append(k.messages, r.Body().AsString())
	return nil
}

// TestTheBridgeTellsNothingTwice has slog lead to the LoggerProvider through the bridge
// of OpenTelemetry, as many services have it.
func TestTheBridgeTellsNothingTwice(t *testing.T) {
	for name, wire := range map[string]func(*sdklog.LoggerProvider, *slog.Logger) []otelgoroutine.Option{
		"the bridge as the logger, beside the logger provider": func(lp *sdklog.LoggerProvider, bridge *slog.Logger) []otelgoroutine.Option {
			return []otelgoroutine.Option{otelgoroutine.WithLoggerProvider(lp), otelgoroutine.WithLogger(bridge.With("component", "goroutines"))}
		},
		"the bridge as the logger, alone": func(_ *sdklog.LoggerProvider, bridge *slog.Logger) []otelgoroutine.Option {
			return []otelgoroutine.Option{otelgoroutine.WithLogger(bridge)}
		},
		"the bridge as slog's default, beside the logger provider": func(lp *sdklog.LoggerProvider, bridge *slog.Logger) []otelgoroutine.Option {
			slog.SetDefault(bridge)
			return []otelgoroutine.Option{otelgoroutine.WithLoggerProvider(lp)}
		},
		"the bridge as slog's default, alone": func(_ *sdklog.LoggerProvider, bridge *slog.Logger) []otelgoroutine.Option {
			slog.SetDefault(bridge)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := slog.Default()
			t.Cleanup(func() { slog.SetDefault(before) })
			logs := new(kept)
			lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(logs))
			bridge := otelslog.NewLogger("shop", otelslog.WithLoggerProvider(lp))
			found := make(chan struct{})
			once := sync.OnceFunc(func() { close(found) })
			m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), append(wire(lp, bridge), otelgoroutine.WithDetectors(&detectors.Detector{
				Name: "always", Doc: "Always finds.", Run: func(p *detectors.Pass) error {
					p.Report(detectors.Finding{Confidence: detectors.High, Stack: p.Snapshot.Groups[0].Stack, Count: 1, Message: "There it is."})
					return nil
				}}))...)
			require.NoError(t, err)
			m.Subscribe(func(otelgoroutine.Update) { once() })
			<-found
			require.NoError(t, m.Shutdown(context.Background()), "it waits until all is delivered")
			assert.Equal(t, []string{"There it is. Confidence: high."}, logs.messages)
		})
	}
}
