// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/otelgoroutine"
)

func newMonitor(t *testing.T) *otelgoroutine.Monitor {
	t.Helper()
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, inTime(m.Shutdown)) })
	return m
}

func TestThePageIsServedBesidePprof(t *testing.T) {
	a, err := startAdmin("127.0.0.1:0", newMonitor(t))
	require.NoError(t, err)
	for path, want := range map[string]string{
		pagePath: "<title>Goroutines</title>", "/": "<title>Goroutines</title>", "/debug/goroutines": "<title>Goroutines</title>",
		pagePath + "data.json": `"name":"example (settings of a demonstration)"`, livePath: "ok", "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile: total",
	} {
		response, err := http.Get(a.url(path))
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		response.Body.Close()
		assert.Equal(t, http.StatusOK, response.StatusCode, path)
		assert.Contains(t, string(body), want, path)
	}
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, inTime(a.stop))
}

// A busy port must not make the demonstration fail, unless that port was
// requested explicitly.
func TestABusyPort(t *testing.T) {
	usual, err := net.Listen("tcp", usualHTTP)
	if err == nil {
		defer usual.Close()
	} // an error means that another process has the port, which serves the test as well
	m := newMonitor(t)
	a, err := startAdmin("", m)
	require.NoError(t, err)
	assert.NotContains(t, a.url(""), usualHTTP)
	_, err = startAdmin(usualHTTP, m)
	assert.ErrorContains(t, err, "-http "+usualHTTP)
	require.NoError(t, inTime(a.stop))
}

func TestWithoutAPage(t *testing.T) {
	a, err := startAdmin(noHTTP, nil)
	require.NoError(t, err)
	assert.Empty(t, a.url(pagePath))
	require.NoError(t, inTime(a.stop))
}
