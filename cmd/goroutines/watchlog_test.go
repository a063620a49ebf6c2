// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/export"
	"github.com/otelgoroutine/go/cmd/goroutines/internal/view"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/otlptest"
)

// A counted handler counts requests.
type counted struct {
	http.Handler
	n atomic.Int64
}

func (c *counted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.n.Add(1)
	c.Handler.ServeHTTP(w, r)
}

// pages serves the profiles of this process, and traces with a handler.
func pages(trace http.HandlerFunc) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/trace", trace)
	return mux
}

// Without a screen there is no line for a snapshot that changes nothing.
func TestWatchTellsChangesOnly(t *testing.T) {
	process := &counted{Handler: pages(pprof.Trace)}
	server := httptest.NewServer(process)
	defer server.Close()
	_, out := watchUntil(t, func(string) bool { return process.n.Load() > 12 }, "-interval", "100ms", server.URL)
	assert.Equal(t, 1, strings.Count(out, " goroutines; "), "%s", out)
	assert.NotContains(t, out, "restarted")
}

// A process of Go 1.22 has no traces that can be used: what cannot be judged is named,
// with the reason.
func TestWatchSaysWhatItCannotJudge(t *testing.T) {
	process := &counted{Handler: pages(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "go 1.22 trace\x00\x00\x00rest") })}
	server := httptest.NewServer(process)
	defer server.Close()
	_, out := watchUntil(t, func(string) bool { return process.n.Load() > 6 }, "-interval", "100ms", server.URL)
	assert.Contains(t, out, "; cannot judge: hang, leak, growth, deadlock, contention, stall (snapshots have no goroutine IDs (no trace: it is not supported in this Go version))")
	assert.Contains(t, out, "; no trace: its traces have the format of go 1.22; it must be go 1.23")
	assert.Equal(t, 1, strings.Count(out, "no trace: its traces"), "told once")
	assert.NotContains(t, out, "all 9 detectors")

	_, out = watchUntil(t, func(out string) bool { return strings.Contains(out, "\n") }, "-interval", "100ms", "-format", "json", server.URL)
	var r view.Record
	require.NoError(t, json.NewDecoder(strings.NewReader(out)).Decode(&r))
	assert.Equal(t, []any{"observed", "1", server.URL + "/debug/pprof/", 9}, []any{r.Kind, r.Schema, r.Target, len(r.Sight.Detectors)})
	assert.NotEqual(t, view.OK, r.Condition)
	assert.Positive(t, r.Goroutines)
}

// runWatch runs watch until its standard error satisfies seen.
func runWatch(t *testing.T, seen func(string) bool, args ...string) (status int, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	var stderr buffer
	go func() {
		for ctx.Err() == nil && !seen(stderr.String()) {
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
	}()
	status = run(ctx, append([]string{"watch"}, args...), strings.NewReader(""), io.Discard, &stderr)
	require.True(t, seen(stderr.String()), stderr.String())
	return status, stderr.String()
}

// A Collector that refuses everything is told once, whatever the number of processes
// and intervals, and once more when it takes things again.
func TestWatchTellsOTLPErrorsOnce(t *testing.T) {
	addr, _ := start(t)
	other, _ := start(t)
	var received otlptest.Recorder
	receiver := otlptest.Handler(&received)
	var refusals atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusals.Add(1) <= 20 {
			http.Error(w, "no such tenant", http.StatusBadRequest)
			return
		}
		receiver.ServeHTTP(w, r)
	}))
	defer collector.Close()
	status, errs := runWatch(t, func(errs string) bool { return strings.Contains(errs, "metrics are sent again") },
		"-interval", "100ms", "-otlp", collector.URL, "-otlp-protocol", "http/protobuf", addr, other)
	assert.Equal(t, 1, strings.Count(errs, "metrics are not sent: "), errs)
	assert.LessOrEqual(t, strings.Count(errs, "goroutines: --otlp "+collector.URL+": events are not sent: "), 1, errs)
	assert.Regexp(t, `(?m)^goroutines: --otlp http://\S+: metrics are not sent: .*400.*; it is tried again$`, errs)
	assert.Regexp(t, `(?m)^goroutines: --otlp http://\S+: metrics are sent again after \S+ s$`, errs)
	assert.Contains(t, []int{statusOK, statusBad}, status)
}

// Events that a Collector refused are counted.
func TestLostEventsAreTold(t *testing.T) {
	var errs bytes.Buffer
	w := &watching{flags: &watchFlags{otlp: "host:1"}, errs: &errs, log: newChangeLog(io.Discard, false)}
	w.exported(export.State{Signal: export.Events, Err: errors.New("rpc error:\n  no")})
	w.exported(export.State{Signal: export.Events, After: time.Minute, Lost: 2})
	w.exported(export.State{Signal: export.Events, After: time.Hour, Lost: 1})
	w.exported(export.State{Signal: export.Metrics, After: time.Hour})
	w.log = nil
	w.exported(export.State{Signal: export.Metrics, Err: errors.New("the screen shows it")})
	assert.Equal(t, `goroutines: --otlp host:1: events are not sent: rpc error: no; it is tried again
goroutines: --otlp host:1: events are sent again after 60 s; 2 were lost
goroutines: --otlp host:1: events are sent again after 60 min; 1 was lost
goroutines: --otlp host:1: metrics are sent again after 60 min
`, errs.String())
}

// Every ten minutes, a watch without a screen says that it goes on. It ends when its
// output is gone.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out buffer
		l := newChangeLog(&out, false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour-time.Second)
		defer cancel()
		statuses := func() []observe.Status { return []observe.Status{{Name: "a"}, {Name: "b"}} }
		require.NoError(t, l.run(ctx, statuses))
		assert.Equal(t, 5, strings.Count(out.String(), "  2 processes: 2 not judged yet\n"), out.String())

		gone := newChangeLog(failing{}, false)
		gone.step(&observe.Step{Status: observe.Status{Name: "a", Snapshot: &goroutine.Snapshot{Total: 1}}})
		gone.step(&observe.Step{Status: observe.Status{Name: "b", Snapshot: &goroutine.Snapshot{Total: 1}}})
		assert.EqualError(t, gone.run(t.Context(), statuses), "writing: no space left")
	})
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// watchOnTerminal runs the command on a terminal until its output satisfies seen, does
// something to it, and returns what was written before it ended and how it ended.
func watchOnTerminal(t *testing.T, seen func(string) bool, end func(*exec.Cmd, *os.File), env []string, args ...string) (out string, err error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], append([]string{"watch"}, args...)...)
	races := filepath.Join(t.TempDir(), "race")
	c.Env = append(append(os.Environ(), beTheCommand+"=1", "GORACE=exitcode=0 log_path="+races), env...)
	terminal, err := pty.StartWithSize(c, &pty.Winsize{Cols: 80, Rows: 30})
	require.NoError(t, err)
	defer terminal.Close()
	var shown buffer
	var read sync.WaitGroup
	read.Go(func() { io.Copy(&shown, terminal) })
	require.Eventually(t, func() bool { return seen(shown.String()) }, 2*time.Minute, 20*time.Millisecond)
	end(c, terminal)
	err = c.Wait()
	read.Wait()
	reports, _ := filepath.Glob(races + ".*")
	for _, name := range reports {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, race := range strings.Split(string(data), "WARNING: DATA RACE")[1:] {
			assert.Contains(t, race, "muesli/cancelreader", "bubbletea closes its reader while it reads, which is not ours")
		}
	}
	return shown.String(), err
}

// However a watch ends, the terminal is as it was before: the main screen with its
// cursor. A process that does not answer holds up nothing.
func TestWatchLeavesTheTerminalSound(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	seen := func(out string) bool { return strings.Contains(out, "first snapshot") }
	for name, end := range map[string]func(*exec.Cmd, *os.File){
		"Ctrl-C":  func(_ *exec.Cmd, terminal *os.File) { terminal.WriteString("\x03") },
		"q":       func(_ *exec.Cmd, terminal *os.File) { terminal.WriteString("q") },
		"SIGINT":  func(c *exec.Cmd, _ *os.File) { c.Process.Signal(syscall.SIGINT) },
		"SIGTERM": func(c *exec.Cmd, _ *os.File) { c.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := watchOnTerminal(t, seen, end, []string{"TERM=xterm-256color"}, "-timeout", "10m", silent.URL, silent.URL+"/b")
			require.NoError(t, err, out)
			assert.Greater(t, strings.LastIndex(out, "\x1b[?1049l"), strings.LastIndex(out, "\x1b[?1049h"), "the main screen")
			assert.Greater(t, strings.LastIndex(out, "\x1b[?25h"), strings.LastIndex(out, "\x1b[?25l"), "the cursor")
		})
	}
}

// A terminal that cannot be painted gets lines, and so does any with --format.
func TestWatchOnADumbTerminal(t *testing.T) {
	addr, _ := start(t)
	seen := func(out string) bool { return strings.Contains(out, "blocked_forever") }
	end := func(c *exec.Cmd, _ *os.File) { c.Process.Signal(syscall.SIGINT) }
	out, err := watchOnTerminal(t, seen, end, []string{"TERM=dumb"}, "-interval", "200ms", addr)
	require.NoError(t, err)
	assert.NotContains(t, out, "\x1b")
	out, err = watchOnTerminal(t, seen, end, []string{"TERM=xterm-256color"}, "-interval", "200ms", "-format", "text", addr)
	require.NoError(t, err)
	assert.NotContains(t, out, "\x1b")
}
