// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// TestEntriesMatchRealStacks runs one of everything.
func TestEntriesMatchRealStacks(t *testing.T) {
	startEverything(t)
	var missing []string
	runParallel(t, func() {
		o, profiles := newObserver(t), capture.New(capture.Config{Budget: capture.Budget{CPU: 1, Pause: time.Second}})
		seen := make(map[string]bool)
		for deadline := time.Now().Add(20 * time.Second); ; {
			note(seen, o.snapshot())
			if s, _ := profiles.Take(); s != nil {
				note(seen, s) // the reader of a trace is always busy in a trace
			}
			if missing = unseen(t, seen); len(missing) == 0 || time.Now().After(deadline) {
				return
			}
		}
	})
	assert.Empty(t, missing, "no real stack has these: rename them, or take them off the list")
}

// note marks the entries that match a stack of s, and the functions on it.
func note(seen map[string]bool, s *goroutine.Snapshot) {
	list := detectors.KnownGood()
	for i := range s.Groups {
		stack := s.Groups[i].Stack
		for _, k := range list {
			if !k.Match(stack) {
				continue
			}
			seen[k.Name] = true
			for _, f := range stack.Frames {
				seen[f.Function] = true
			}
		}
	}
}

// unseen returns the entries and functions of the list that were not seen.
func unseen(t *testing.T, seen map[string]bool) (missing []string) {
	for _, k := range detectors.KnownGood() {
		if !seen[k.Name] && k.Name != "gRPC balancers" {
			missing = append(missing, k.Name)
		}
	}
	for _, function := range listed(t) {
		if !seen[function] && !elsewhere(function) && !slices.Contains(source, function) {
			missing = append(missing, function)
		}
	}
	return missing
}

// startEverything starts one of each kind of goroutine on the list, until the
// test is over.
func startEverything(t *testing.T) {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	t.Cleanup(func() { signal.Stop(interrupts) })
	require.NoError(t, trace.Start(discard{}))
	t.Cleanup(trace.Stop)
	monitor, err := otelgoroutine.Start(noop.NewMeterProvider(), otelgoroutine.WithInterval(time.Hour))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, monitor.Shutdown(context.Background())) })

	for _, f := range fleets {
		f.start(t)(0)
	}
	serveGRPC(t, grpc.NumStreamWorkers(2))
	alive := grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Hour})
	dialGRPC(t, serveGRPC(t), alive)
	newWire(t, serveGRPC(t), false).open(stream, "application/grpc", []byte("\x00\x00\x00\x00\x05half"), false)
	overGRPC, overHTTP := serveOTLP(t)
	newSDK(t, overGRPC, "", time.Hour)
	newSDK(t, "", overHTTP, time.Hour)
}

// runParallel runs f among more parallel tests than may run at a time.
func runParallel(t *testing.T, f func()) {
	atATime, err := strconv.Atoi(flag.Lookup("test.parallel").Value.String())
	require.NoError(t, err)
	t.Run("parallel", func(t *testing.T) {
		done := make(chan struct{})
		for i := range atATime + 1 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				<-done
			})
		}
		go func() {
			defer close(done)
			f()
		}()
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// onStack reports whether the name of a function on s begins so.
func onStack(s *goroutine.Stack, prefix string) bool {
	return slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool { return strings.HasPrefix(f.Function, prefix) })
}
