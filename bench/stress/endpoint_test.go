// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package stress

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/internal/otlptest"
)

// silent listens, accepts and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return l.Addr().String()
}

// receive serves OTLP over gRPC until the test ends.
func receive(t *testing.T, sink otlptest.Sink) string {
	t.Helper()
	server, err := otlptest.Start(sink)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop()) })
	return server.Addr()
}

// unanswered takes requests and never answers one.
type unanswered struct{}

func (unanswered) Metrics(ctx context.Context, _ pmetric.Metrics) error { return never(ctx) }
func (unanswered) Logs(ctx context.Context, _ plog.Logs) error          { return never(ctx) }

func never(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
