// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"context"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// labelledCapturer returns a capturer with plenty of credit.
func labelledCapturer() *Capturer {
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}})
	c.governor.credit = time.Hour
	return c
}

var tenant = []string{"tenant"}

// parkLabelled starts n goroutines with some labels, until the test ends.
func parkLabelled(t *testing.T, n int, labels ...string) {
	t.Helper()
	gate := make(chan struct{})
	var started, ended sync.WaitGroup
	for range n {
		started.Add(1)
		ended.Go(func() {
			pprof.Do(t.Context(), pprof.Labels(labels...), func(context.Context) {
				parkedHere(&started, gate)
			})
		})
	}
	t.Cleanup(func() { close(gate); ended.Wait() })
	started.Wait()
}

// byLabels counts the goroutines of this test by their labels.
func byLabels(s *goroutine.Snapshot) map[string]int {
	counts := make(map[string]int)
	for i := range s.Groups {
		if strings.HasSuffix(s.Groups[i].Stack.User().Function, ".parkedHere") {
			var key []string
			for _, l := range s.Groups[i].Labels {
				key = append(key, l.Key+"="+l.Value)
			}
			counts[strings.Join(key, " ")] += s.Groups[i].Count
		}
	}
	return counts
}

func TestLabelsThatWereChosen(t *testing.T) {
	parkLabelled(t, 3, "tenant", "a", "user", "alice", "shard", "1")
	parkLabelled(t, 4, "tenant", "a", "user", "bob", "shard", "2")
	parkLabelled(t, 5, "tenant", "b", "user", "carol")
	parkLabelled(t, 6)
	for _, tt := range []struct {
		name string
		keys []string
		want map[string]int
	}{
		{"one key", []string{"tenant"}, map[string]int{"tenant=a": 7, "tenant=b": 5, "": 6}},
		{"two keys, in their order", []string{"tenant", "shard"}, map[string]int{"shard=1 tenant=a": 3, "shard=2 tenant=a": 4, "tenant=b": 5, "": 6}},
		{"a key that no goroutine has", []string{"region"}, map[string]int{"": 18}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			s, skip := labelledCapturer().Labelled(tt.keys, nil)
			require.Nil(t, skip)
			requireTotal(t, s, before)
			assert.Equal(t, goroutine.SourceLabelled, s.Source)
			assert.Equal(t, tt.want, byLabels(s))
			assert.Zero(t, s.Missing)
			assert.False(t, s.HasIDs())
			assert.Positive(t, s.Duration)
		})
	}
}

// requireTotal checks that a snapshot has between before and the current number of
// goroutines. The goroutines of earlier tests may be ending.
func requireTotal(t *testing.T, s *goroutine.Snapshot, before int) {
	t.Helper()
	require.LessOrEqual(t, s.Total, before)
	require.GreaterOrEqual(t, s.Total, runtime.NumGoroutine())
}

func TestLabelValuesAreBounded(t *testing.T) {
	parkLabelled(t, 1, "tenant", strings.Repeat("x", 1<<20))
	s, skip := labelledCapturer().Labelled(tenant, nil)
	require.Nil(t, skip)
	assert.Equal(t, map[string]int{"tenant=" + strings.Repeat("x", parse.MaxLabelBytes): 1}, byLabels(s))
}

func TestLabelledWaitsForItsBudget(t *testing.T) {
	c := labelledCapturer()
	c.governor.credit = -time.Hour
	s, skip := c.Labelled(tenant, nil)
	assert.Nil(t, s)
	require.NotNil(t, skip)
	assert.Equal(t, goroutine.SourceLabelled, skip.Source)
	assert.Equal(t, ReasonBudget, skip.Reason)
}

func TestTheProfilesBufferIsKeptAndBounded(t *testing.T) {
	c := labelledCapturer()
	for range 2 {
		s, skip := c.Labelled(tenant, nil)
		require.Nil(t, skip)
		assert.Positive(t, s.Bytes)
		assert.Empty(t, c.labelledBy(tenant).buf.data, "the next profile begins anew")
	}
	assert.LessOrEqual(t, cap(c.labelledBy(tenant).buf.data), keepTrace)
}
