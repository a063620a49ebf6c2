// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/trace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	exptrace "golang.org/x/exp/trace"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A scene is a program that is traced, by something other than its monitor.
type scene struct {
	options []otelgoroutine.Option
	source  goroutine.Source // of the snapshots
	after   func()           // checks what traces the program
}

// scenes are the programs that are traced all the time. What they start is not
// cleaned up: each runs in a process of its own.
var scenes = map[string]func(t *testing.T) scene{
	"a flight recorder, handed over": func(t *testing.T) scene {
		recorder, check := startRecorder(t)
		return scene{[]otelgoroutine.Option{otelgoroutine.WithFlightRecorder(recorder)}, goroutine.SourceRecorder, check}
	},
	"a flight recorder, not handed over": func(t *testing.T) scene {
		_, check := startRecorder(t)
		return scene{nil, goroutine.SourceText, check}
	},
	"a client of /debug/pprof/trace that has stopped reading": func(t *testing.T) scene {
		server := httptest.NewServer(http.HandlerFunc(pprof.Trace))
		response, err := http.Get(server.URL + "?seconds=3600")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		for range 32 << 10 { // more than the kernel buffers for the client
			trace.Log(t.Context(), "noise", strings.Repeat("x", 1000))
		}
		return scene{nil, goroutine.SourceText, func() { assert.True(t, trace.IsEnabled()) }}
	},
}

func startRecorder(t *testing.T) (recorder *trace.FlightRecorder, check func()) {
	t.Helper()
	recorder = trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	require.NoError(t, recorder.Start())
	return recorder, func() {
		var out bytes.Buffer
		require.Eventually(t, func() bool { // a snapshot may be taken from it right now
			out.Reset()
			_, err := recorder.WriteTo(&out)
			return err == nil
		}, time.Minute, time.Millisecond)
		readTrace(t, out.Bytes())
	}
}

// readTrace reads a recording to its end.
func readTrace(t *testing.T, data []byte) {
	t.Helper()
	r, err := exptrace.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	for err == nil {
		_, err = r.ReadEvent()
	}
	require.ErrorIs(t, err, io.EOF)
}

// TestVerdictsInATracedProcess has a deadlock and a leak in programs that are traced
// all the time. Both are found, and nothing hangs.
func TestVerdictsInATracedProcess(t *testing.T) {
	const inside = "OTELGOROUTINE_TEST_TRACED"
	if name := os.Getenv(inside); name != "" {
		judgeTraced(t, scenes[name](t))
		if !t.Failed() {
			os.Exit(0) // past the check for goroutines that were left behind
		}
		return
	}
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	for name := range scenes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := exec.Command(os.Args[0], "-test.run=^TestVerdictsInATracedProcess$", "-test.v")
			child.Env = append(os.Environ(), inside+"="+name, "TMPDIR="+t.TempDir()) // it ends without cleaning up
			out, err := child.CombinedOutput()
			require.NoError(t, err, string(out))
		})
	}
}

func judgeTraced(t *testing.T, s scene) {
	dir := t.TempDir()
	leak := detectors.DefaultLeakConfig()
	leak.MinAge, leak.MaxAge, leak.Window, leak.Warmup = time.Second, 8*time.Second, 6*time.Second, time.Second
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), append(s.options,
		otelgoroutine.WithInterval(otelgoroutine.MinInterval),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}),
		otelgoroutine.WithProfileDir(dir, 10),
		otelgoroutine.WithDetectors(
			detectors.NewDeadlock(detectors.DeadlockConfig{MinWait: time.Second, MinSnapshots: 3, MaxChance: 0.5}),
			detectors.NewLeak(leak)))...)
	require.NoError(t, err)
	a, b := &account{name: "a"}, &account{name: "b"}
	var met sync.WaitGroup
	met.Add(2)
	go a.send(b, &met)
	go b.send(a, &met)
	go func() {
		for {
			forget()
			time.Sleep(100 * time.Millisecond)
		}
	}()
	found := make(map[string]string)
	require.Eventually(t, func() bool {
		for _, f := range m.Findings() {
			found[f.Detector] = f.Stack.User().Function
		}
		return len(found) == 2
	}, 3*time.Minute, 50*time.Millisecond, "%v", found)
	assert.Contains(t, found["leak"], ".forget.func1")
	assert.Contains(t, found["deadlock"], "(*account).send")
	assert.Equal(t, s.source, m.Snapshot().Source)
	assert.NoError(t, m.Shutdown(t.Context()))
	s.after()

	recordings, err := filepath.Glob(filepath.Join(dir, "*.trace"))
	require.NoError(t, err)
	assert.Equal(t, s.source == goroutine.SourceRecorder, len(recordings) > 0)
	for _, path := range recordings {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		readTrace(t, data)
		assert.FileExists(t, strings.TrimSuffix(path, ".trace")+".pb.gz")
	}
}
