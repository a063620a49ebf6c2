// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// While the server stands still, requests keep coming; each of them has waited
// since it was due, whether there was a connection for it or not. The server
// goes on a while after the last was due, however slow the machine.
func TestLatencyCountsFromWhenARequestWasDue(t *testing.T) {
	const rate, during, while = 1000, 200 * time.Millisecond, 100 * time.Millisecond
	goes := make(chan struct{})
	first := sync.OnceFunc(func() { time.AfterFunc(during+while, func() { close(goes) }) })
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { first(); <-goes }))
	defer server.Close()
	g := newGenerator(server.Listener.Addr().String(), 1)
	defer g.close()
	l, err := g.steady(t.Context(), rate, during)
	require.NoError(t, err)
	assert.Zero(t, l.errors, "%v", l.err)
	assert.Equal(t, int(rate*during.Seconds()), l.requests)
	assert.Greater(t, l.requests, steadyConnections)
	assert.GreaterOrEqual(t, l.p50, while*99/100, "with the histogram's precision")
}

func TestFailedRequestsAreCounted(t *testing.T) {
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			http.Error(w, "not today", http.StatusServiceUnavailable)
		}
	}))
	g := newGenerator(server.Listener.Addr().String(), 1)
	defer g.close()
	l, err := g.saturate(t.Context(), shortTime)
	require.NoError(t, err)
	assert.Equal(t, 1, l.errors)
	assert.ErrorContains(t, l.err, "status 503: not today")

	server.Close()
	l, err = g.steady(t.Context(), 100, shortTime)
	require.NoError(t, err)
	assert.Equal(t, 10, l.errors, "there is no server, and nothing is tried again")
	assert.Equal(t, 10, l.requests)
}

func TestTheMix(t *testing.T) {
	var puts, lists, gets int
	for _, r := range newGenerator("h", 1).mix {
		switch {
		case r.body != nil:
			puts++
		case len(r.uri) > len("http://h/items") && r.uri[len("http://h/items")] == '?':
			lists++
		default:
			gets++
		}
	}
	assert.InDelta(t, 0.05, float64(puts)/mixLength, 0.02)
	assert.InDelta(t, 0.10, float64(lists)/mixLength, 0.02)
	assert.Equal(t, mixLength, puts+lists+gets)
	assert.Equal(t, newGenerator("h", 1).mix, newGenerator("h", 1).mix, "the seed decides it")
	assert.NotEqual(t, newGenerator("h", 1).mix, newGenerator("h", 2).mix)
}
