// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// traced gives the next snapshots of f traces with rising generations from first on.
func (f *fake) traced(first uint64) {
	f.generation = first - 1
	f.next = func() (*goroutine.Snapshot, error) {
		f.generation++
		f.Advance(15 * time.Second)
		return f.snapshot(), nil
	}
}

// The generations of traces decide, not the goroutines in them: their IDs and entry
// functions are of no use if there are few.
func TestGenerationsTellRestarts(t *testing.T) {
	refused := fmt.Errorf("http://host: %w", syscall.ECONNREFUSED)
	for name, c := range map[string]struct {
		change   func(*fake)
		attempts int // that fail before
		evidence string
	}{
		"the next trace":                    {change: func(f *fake) { f.traced(8) }},
		"traces by others":                  {change: func(f *fake) { f.traced(900) }},
		"other goroutines":                  {change: func(f *fake) { f.restart(waiting, 2); f.traced(8) }},
		"the first trace":                   {change: func(f *fake) { f.traced(1) }, evidence: "the generations of its traces are counted from the beginning again"},
		"other goroutines, the first trace": {change: func(f *fake) { f.restart(waiting, 2); f.traced(1) }, evidence: "the generations of its traces are counted from the beginning again"},
		"refused by a proxy":                {attempts: 3, change: func(f *fake) { f.traced(8) }},
		"refused, and a trace of its own":   {attempts: 1, change: func(f *fake) { f.traced(400) }, evidence: "it refused connections in between"},
		"refused, and the first trace":      {attempts: 1, change: func(f *fake) { f.traced(1) }, evidence: "the generations of its traces are counted from the beginning again"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(crowded, 20)
			f.traced(3)
			target, events := newTestTarget(f, nil, crowd)
			observe(t, target, 5)
			require.Zero(t, target.Status().Restarts)
			f.fails(refused)
			observe(t, target, c.attempts)
			*events = nil
			c.change(f)
			observe(t, target, 1)
			s := target.Status()
			assert.Equal(t, c.evidence, s.Evidence)
			if c.evidence == "" {
				assert.Zero(t, s.Restarts)
				assert.Empty(t, *events)
				return
			}
			assert.Equal(t, 1, s.Restarts)
			assert.Equal(t, "http://host: crowd resolved", (*events)[0])
			observe(t, target, 5)
			assert.Equal(t, 1, target.Status().Restarts, "it is one restart")
		})
	}
}

// Profiles between traces, as while another trace is running, do not hide a restart.
func TestProfilesBetweenTraces(t *testing.T) {
	f := newFake(crowded, 20)
	f.traced(3)
	target, _ := newTestTarget(f, nil, crowd)
	observe(t, target, 2)
	f.withoutIDs()
	observe(t, target, 2)
	f.traced(6)
	observe(t, target, 1)
	assert.Zero(t, target.Status().Restarts)
	f.withoutIDs()
	observe(t, target, 2)
	f.traced(2)
	observe(t, target, 1)
	assert.Equal(t, 1, target.Status().Restarts)
}

// A process without traces says why, and is asked again: at once while another trace is
// running, otherwise every ten minutes.
func TestTracesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(crowded, 20)
		f.withoutIDs()
		f.noTrace = "unsupported_version"
		target, _ := newTestTarget(f, nil, crowd)
		began := f.retries
		for range 4 * 60 {
			observe(t, target, 1)
			time.Sleep(15 * time.Second)
		}
		assert.Equal(t, 5, f.retries-began, "in an hour")
		assert.Equal(t, "why: unsupported_version", target.Status().NoTrace)

		f.noTrace, f.retries, f.taken = slotTaken, 0, 0
		observe(t, target, 1)
		assert.Equal(t, 1+slotTries, f.taken)
		assert.Equal(t, 1+slotTries, f.retries)
		take := f.next
		f.next = func() (*goroutine.Snapshot, error) {
			f.noTrace = ""
			f.traced(4)
			return f.next()
		}
		observe(t, target, 1)
		assert.Empty(t, target.Status().NoTrace)
		assert.True(t, target.Status().Snapshot.HasIDs())

		f.noTrace, f.next = slotTaken, take
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		before := target.Status().Taken
		target.Observe(ctx)
		assert.Equal(t, before, target.Status().Taken)
	})
}

func TestWhy(t *testing.T) {
	for text, want := range map[string]string{
		"http://host/debug/pprof/trace?seconds=0.005: connection refused: nothing listens": "connection refused: nothing listens",
		"GET http://host/debug/pprof/goroutine: 404 Not Found":                             "404 Not Found",
		"http://other/: not found": "http://other/: not found",
		"http://host/debug/pprof/": "http://host/debug/pprof/",
		"out of order":             "out of order",
	} {
		s := Status{Name: "http://host/debug/pprof/", Err: errors.New(text)}
		assert.Equal(t, want, s.Why())
	}
	assert.Empty(t, (&Status{}).Why())
}
