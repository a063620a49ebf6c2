// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	otelattribute "go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// A request that hangs has the labels of its trace, one that the user allows, and
// others.
const (
	hangingTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	hangingSpan  = "00f067aa0ba902b7"
	secretValue  = "secret-of-a-customer"
)

// hang starts n goroutines of one request, until the test ends.
func hang(t *testing.T, n int, labels ...string) {
	t.Helper()
	gate := make(chan struct{})
	var ready, ended sync.WaitGroup
	for range n {
		ready.Add(1)
		ended.Go(func() {
			pprof.Do(context.Background(), pprof.Labels(labels...), func(context.Context) { hangs(&ready, gate) })
		})
	}
	t.Cleanup(func() { close(gate); ended.Wait() })
	ready.Wait()
}

func hangs(ready *sync.WaitGroup, gate chan struct{}) {
	ready.Done()
	<-gate
}

// findsHangs reports the goroutines that hang.
func findsHangs() *detectors.Detector {
	return &detectors.Detector{Name: "hangs", Run: func(p *detectors.Pass) error {
		for i := range p.Snapshot.Groups {
			if g := &p.Snapshot.Groups[i]; strings.HasSuffix(g.Stack.User().Function, "otelgoroutine.hangs") {
				p.Report(detectors.Finding{Confidence: detectors.Suspected, Stack: g.Stack, State: g.State, Count: g.Count, IDs: g.IDs, Message: "They hang."})
			}
		}
		return nil
	}}
}

// first keeps the first record.
type first struct {
	memory
	once sync.Once
	got  chan sdklog.Record
}

func (f *first) OnEmit(_ context.Context, r *sdklog.Record) error {
	f.once.Do(func() { f.got <- r.Clone() })
	return nil
}

// A profileCounter counts labelled profiles.
type profileCounter struct {
	*capture.Capturer
	taken atomic.Int32
}

func (c *profileCounter) Labelled(keys []string, at func(goroutine.StackID) bool) (*goroutine.Snapshot, *capture.Skip) {
	c.taken.Add(1)
	return c.Capturer.Labelled(keys, at)
}

// An event names the trace of its goroutines and the labels that were allowed. Other
// labels appear nowhere. A dump shows labels if the program says so, as it does by
// default with Go 1.27, and a labelled profile always has them.
func TestAnEventNamesTheRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		godebug  string
		profiles int32
	}{"from a profile": {"tracebacklabels=0", 1}, "from a dump": {"tracebacklabels=1", 0}} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GODEBUG", tc.godebug)
			hang(t, 3, "customer", secretValue, "span_id", hangingSpan, "tenant", "a", "trace_id", hangingTrace)
			hang(t, 1, "customer", secretValue, "span_name", "GET /"+secretValue, "tenant", "b")
			logs, dir := &first{got: make(chan sdklog.Record, 1)}, t.TempDir()
			budget := Budget{CPU: 1, Pause: time.Second}
			real := &profileCounter{Capturer: capture.New(capture.Config{Budget: capture.Budget(budget)})}
			m, err := Start(provider(), withCapturer(real), WithBudget(budget), WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(logs))),
				WithDetectors(findsHangs()), WithFindingLabels("tenant", "tenant"), WithProfileDir(dir, 1))
			require.NoError(t, err)
			record := <-logs.got
			findings := m.Findings()
			var report bytes.Buffer
			require.NoError(t, m.WriteReport(&report))
			require.NoError(t, m.Shutdown(t.Context()))

			assert.Equal(t, tc.profiles, real.taken.Load(), "labelled profiles")
			assert.Equal(t, hangingTrace, record.TraceID().String())
			assert.Equal(t, hangingSpan, record.SpanID().String())
			attrs := make(map[string]otelattribute.Value)
			record.WalkAttributes(func(kv otelattribute.KeyValue) bool { attrs[string(kv.Key)] = kv.Value; return true })
			assert.Equal(t, []string{hangingTrace}, attrs["goroutine.trace.ids"].AsStringSlice())
			assert.Equal(t, []string{"a", "b"}, attrs["goroutine.finding.label.tenant"].AsStringSlice())
			require.Len(t, findings, 1)
			assert.Equal(t, []detectors.Trace{{TraceID: hangingTrace, SpanID: hangingSpan, Count: 3}}, findings[0].Traces)
			assert.Contains(t, report.String(), "Started in trace "+hangingTrace)
			assert.Contains(t, report.String(), `Label tenant="a"`)

			whole, err := json.Marshal(findings)
			require.NoError(t, err)
			for _, told := range []string{fmt.Sprint(attrs), record.Body().String(), report.String(), string(whole), savedProfile(t, dir)} {
				assert.NotEmpty(t, told)
				assert.NotContains(t, told, secretValue)
			}
		})
	}
}

// savedProfile is the text of the only profile in a directory.
func savedProfile(t *testing.T, dir string) string {
	t.Helper()
	names := namesIn(t, dir)
	require.Len(t, names, 1)
	data, err := os.ReadFile(filepath.Join(dir, names[0]))
	require.NoError(t, err)
	p, err := profile.ParseData(data)
	require.NoError(t, err)
	return p.String()
}

func TestKeysOfFindingLabels(t *testing.T) {
	for says, o := range map[string]Option{
		"WithFindingLabels: there are 0 keys; there must be 1 to 8":      WithFindingLabels(),
		"WithFindingLabels: there are 9 keys; there must be 1 to 8":      WithFindingLabels("a", "b", "c", "d", "e", "f", "g", "h", "i"),
		`WithFindingLabels: key "" has 0 bytes; it must have 1 to 64`:    WithFindingLabels("a", ""),
		"WithFindingLabels: key \"" + strings.Repeat("x", 65) + "\" has": WithFindingLabels(strings.Repeat("x", 65)),
	} {
		_, err := Start(provider(), o)
		assert.ErrorContains(t, err, says)
	}
}
