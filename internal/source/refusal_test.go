// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"runtime/trace"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tracePage serves a trace of this process, as net/http/pprof does.
func tracePage(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		http.Error(w, "Could not enable tracing: "+err.Error(), http.StatusInternalServerError)
		return
	}
	trace.Stop()
	w.Write(b.Bytes())
}

// The generations of the traces of one process rise, also when another trace is taken
// in between. A new process has a lower one.
func TestGenerationsRise(t *testing.T) {
	server := &pprofServer{pages: map[string]http.HandlerFunc{"trace": tracePage, "goroutine": body(page("profile"))}}
	remote, _ := remoteOf(t, server.ServeHTTP, nil)
	assert.Zero(t, remote.Generation())
	last := uint64(0)
	for range 4 {
		_, err := remote.Take(t.Context())
		require.NoError(t, err)
		assert.Greater(t, remote.Generation(), last)
		last = remote.Generation()
		var other bytes.Buffer
		require.NoError(t, trace.Start(&other))
		trace.Stop()
	}
	server.pages["trace"] = body(page("trace"))
	_, err := remote.Take(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, remote.Generation(), "the first trace of its process")
	remote.Forget()
	assert.Zero(t, remote.Generation())
}

// What a process answers in place of a trace is the reason why there is none, and
// Retry asks again.
func TestNoTrace(t *testing.T) {
	old := func(version string) http.HandlerFunc {
		return body([]byte("go 1." + version + " trace\x00\x00\x00rest"))
	}
	for name, c := range map[string]struct {
		page           http.HandlerFunc
		change         func(*Reader)
		reason, detail string
	}{
		"a trace":         {page: tracePage},
		"another trace":   {page: status(500, "Could not enable tracing: tracing is already enabled\n"), reason: "slot_taken", detail: "another execution trace is running"},
		"Go 1.22":         {page: old("22"), reason: "unsupported_version", detail: "its traces have the format of go 1.22; it must be go 1.23, go 1.25 or go 1.26; --endpoint dump has IDs, but stops the process"},
		"a later Go":      {page: old("31"), reason: "unsupported_version", detail: "its traces have the format of go 1.31; it must be go 1.23, go 1.25 or go 1.26; --endpoint dump has IDs, but stops the process"},
		"no such page":    {reason: "error", detail: "404 Not Found"},
		"something else":  {page: body([]byte("<html>sign in")), reason: "error", detail: string(kindHTML)},
		"labels":          {page: tracePage, change: func(r *Reader) { r.Labels = allLabels }, reason: "error", detail: "--labels and --values need profiles, which have labels and no goroutine IDs"},
		"--endpoint":      {page: tracePage, change: func(r *Reader) { r.Endpoint = Profile }, reason: "error", detail: "--endpoint profile is set"},
		"--endpoint dump": {page: tracePage, change: func(r *Reader) { r.Endpoint = Dump }, reason: "error", detail: "--endpoint dump is set"},
	} {
		t.Run(name, func(t *testing.T) {
			server := &pprofServer{pages: map[string]http.HandlerFunc{"trace": c.page, "goroutine": body(page("profile"))}}
			remote, _ := remoteOf(t, server.ServeHTTP, c.change)
			_, err := remote.Take(t.Context())
			require.NoError(t, err)
			reason, detail := remote.NoTrace()
			assert.Equal(t, c.reason, reason)
			assert.True(t, strings.HasPrefix(detail, c.detail), detail)
			assert.Equal(t, c.detail == "", detail == "")

			server.requests()
			server.pages["trace"] = tracePage
			remote.Retry()
			s, err := remote.Take(t.Context())
			require.NoError(t, err)
			if c.change == nil {
				reason, _ = remote.NoTrace()
				assert.Empty(t, reason)
				assert.True(t, s.HasIDs())
				assert.Equal(t, []string{"trace"}, server.requests())
			}
		})
	}
}

// In the first trace, goroutines have not yet run, and one was preempted: their
// stacks show other entry functions than in the second, one of the same process
// (testdata/entries, Go 1.26.8).
func TestEntriesThatChange(t *testing.T) {
	server := &pprofServer{pages: map[string]http.HandlerFunc{}}
	remote, _ := remoteOf(t, server.ServeHTTP, nil)
	take := func(name string) {
		data, err := os.ReadFile(filepath.Join("testdata", "entries", name))
		require.NoError(t, err)
		server.pages["trace"] = body(data)
	}
	take("unrun.trace")
	before, err := remote.Take(t.Context())
	require.NoError(t, err)
	take("run.trace")
	after, err := remote.Take(t.Context())
	require.NoError(t, err)
	entries := make(map[uint64]string)
	changed := 0
	for i := range before.Groups {
		for _, id := range before.Groups[i].IDs {
			entries[id] = before.Groups[i].Stack.Entry().Function
		}
	}
	for i := range after.Groups {
		for _, id := range after.Groups[i].IDs {
			if now := after.Groups[i].Stack.Entry().Function; entries[id] != "" && now != "" && entries[id] != now {
				changed++
			}
		}
	}
	assert.NotZero(t, changed, "the fixture shows the case")
	assert.True(t, Continues(before, after))
}
