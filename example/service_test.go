// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServiceAnswersUnderLoad(t *testing.T) {
	s, err := startService(t.Context(), "steady")
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.stop()) }()
	for _, test := range []struct {
		method, path string
		status       int
		body         string
	}{
		{http.MethodPost, "/order", http.StatusOK, `^15\n$`},
		{http.MethodGet, "/stock", http.StatusOK, `^[1-9]\d*\n$`},
		{http.MethodGet, "/warehouse", http.StatusOK, `^plenty\n$`},
		{http.MethodPost, "/transfer", http.StatusNotFound, ``}, // without faults, nothing can deadlock
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, test.path, nil)
		w := httptest.NewRecorder()
		s.mux.ServeHTTP(w, r)
		assert.Equal(t, test.status, w.Code, test.path)
		assert.Regexp(t, test.body, w.Body.String())
	}
	require.Eventually(t, func() bool { return s.requests.Load() >= 100 }, 2*time.Minute, time.Millisecond)
}

func TestALightLoadIsOneCaller(t *testing.T) {
	s, err := startService(t.Context(), "light")
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.stop()) }()
	require.Eventually(t, func() bool { return s.requests.Load() >= 3 }, 30*time.Second, time.Millisecond)
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	assert.Equal(t, 1, strings.Count(string(stacks), ".(*service).keepCalling("))
	assert.NotContains(t, string(stacks), ".(*service).keepBursting(")
}

func TestTidesComeAndGo(t *testing.T) {
	assert.Zero(t, onTide(0))
	highest, falls := 0, 0
	for m := time.Duration(0); m <= 24*time.Minute; m += 15 * time.Second {
		now, next := onTide(m), onTide(m+15*time.Second)
		highest = max(highest, now)
		if next < now {
			falls++
		}
	}
	assert.InDelta(t, mostOnTide, highest, 2)
	assert.Greater(t, falls, 30, "waves go down as well as up")
	assert.Zero(t, onTide(24*time.Minute))
}
