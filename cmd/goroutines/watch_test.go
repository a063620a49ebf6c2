// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// buffer is a bytes.Buffer that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.mu.Lock(); defer b.mu.Unlock(); return b.b.Write(p) }
func (b *buffer) String() string              { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// watchUntil runs watch until its output satisfies seen.
func watchUntil(t *testing.T, seen func(string) bool, args ...string) (status int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	var stdout, stderr buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		status = run(ctx, append([]string{"watch"}, args...), strings.NewReader(""), &stdout, &stderr)
	}()
	for ctx.Err() == nil && !seen(stdout.String()) {
		select {
		case <-done:
			cancel()
		case <-time.After(20 * time.Millisecond):
		}
	}
	require.True(t, seen(stdout.String()), "%s\n%s", stdout.String(), stderr.String())
	cancel()
	<-done
	assert.Empty(t, stderr.String())
	return status, stdout.String()
}

// TestWatchOutlivesTheProcess kills the process and starts another one at the
// same address.
func TestWatchOutlivesTheProcess(t *testing.T) {
	addr, stop := start(t)
	var once, twice sync.Once
	_, out := watchUntil(t, func(out string) bool {
		if strings.Contains(out, "blocked_forever detected") {
			once.Do(stop)
		}
		if strings.Contains(out, "connection refused") {
			twice.Do(func() { start(t, "-addr", addr, "-leaks", "0") })
		}
		return strings.Count(out, "blocked_forever detected") == 2 && strings.Contains(out, "restarted 1 time")
	}, "-interval", "200ms", addr)
	assert.Contains(t, out, "blocked_forever resolved")
	assert.Regexp(t, `\d+ goroutines; \d findings? from \d of 9 detectors`, out)
	assert.NotContains(t, out, "\x1b", "no colours")
}

func TestWatchFindsLeaksAndDeadlocks(t *testing.T) {
	addr, _ := start(t, "-leaks", "40")
	// On a busy machine the hang can be told first; the deadlock is then told as more of the
	// same incident.
	deadlock := regexp.MustCompile("deadlock detected|(?s:hang detected.*deadlock repeated)")
	status, out := watchUntil(t, func(out string) bool {
		return strings.Contains(out, "leak detected") && deadlock.MatchString(out)
	}, "-interval", "200ms", "-time-scale", "0.002", "-fail-on", "suspected", addr)
	assert.Equal(t, statusFindings, status)
	assert.Contains(t, out, "main.leaked")
	assert.Contains(t, out, "7 goroutines wait for it at main.locked")
}

func TestWatchExports(t *testing.T) {
	addr, _ := start(t)
	var overGRPC, overHTTP otlptest.Recorder
	server, err := otlptest.Start(&overGRPC)
	require.NoError(t, err)
	defer func() { assert.NoError(t, server.Stop()) }()
	web := httptest.NewServer(otlptest.Handler(&overHTTP))
	defer web.Close()

	for protocol, c := range map[string]struct {
		endpoint string
		received *otlptest.Recorder
	}{
		"grpc": {server.Addr(), &overGRPC}, "http/protobuf": {web.URL, &overHTTP},
	} {
		complete := func(string) bool {
			names := c.received.MetricNames()
			return slices.Contains(names, telemetry.MetricCount) && slices.Contains(names, telemetry.MetricStackCount) &&
				slices.Contains(names, telemetry.MetricFindingOpen) && len(c.received.Events("goroutine.blocked_forever.detected")) > 0
		}
		watchUntil(t, complete, "-interval", "200ms", "-otlp", c.endpoint, "-otlp-protocol", protocol, "-service-name", "checkout", addr)
		resource := c.received.Resource()
		assert.Equal(t, "checkout", resource["service.name"], protocol)
		assert.Equal(t, addr, resource["service.instance.id"], protocol)
		assert.NotContains(t, c.received.MetricNames(), telemetry.MetricSchedulerCount, "only the process itself can ask its scheduler")
	}
}

var colour = regexp.MustCompile(`\x1b\[[0-9;]*3[0-9][0-9;]*m`)

// TestWatchOnATerminal runs the command on a terminal and quits it with a key.
func TestWatchOnATerminal(t *testing.T) {
	addr, _ := start(t)
	for _, noColor := range []bool{false, true} {
		c := exec.CommandContext(t.Context(), os.Args[0], "watch", "-interval", "200ms", addr, "127.0.0.1:1")
		c.Env = append(os.Environ(), "TERM=xterm-256color", beTheCommand+"=1")
		if noColor {
			c.Env = append(c.Env, "NO_COLOR=1")
		}
		terminal, err := pty.StartWithSize(c, &pty.Winsize{Cols: 110, Rows: 30})
		require.NoError(t, err)
		var shown buffer
		read := make(chan struct{})
		go func() { defer close(read); io.Copy(&shown, terminal) }()
		require.Eventually(t, func() bool {
			text := ansi.Strip(shown.String())
			return strings.Contains(text, "main.worker") && strings.Contains(text, "cannot be reached") && strings.Contains(text, "█")
		}, 2*time.Minute, 20*time.Millisecond)
		_, err = terminal.WriteString("q")
		require.NoError(t, err)
		require.NoError(t, c.Wait())
		terminal.Close()
		<-read
		assert.Equal(t, !noColor, colour.MatchString(shown.String()))
	}
}
