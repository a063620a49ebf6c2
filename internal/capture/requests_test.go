// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A dump on a suspicion has the labels that were chosen, if the program shows labels. A
// dump that is a regular snapshot has none: it is shown and saved.
func TestLabelsOfADump(t *testing.T) {
	parkLabelled(t, 3, "tenant", "a", "user", "alice")
	parkLabelled(t, 1)
	for godebug, n := range map[string]int{"tracebacklabels=1": 3, "tracebacklabels=0": 0} {
		t.Setenv("GODEBUG", godebug)
		c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, Labels: tenant})
		s, skip := c.Text()
		require.Nil(t, skip)
		require.Len(t, s.Labelled, n)
		assert.Equal(t, n > 0, s.Labelled != nil)
		for _, g := range s.Labelled {
			assert.Equal(t, []goroutine.Label{{Key: "tenant", Value: "a"}}, g.Labels)
		}
		series := newTextSeries(parse.NewStacks(), new(goroutine.Births))
		series.labels = tenant
		r, err := series.take(nil)
		require.NoError(t, err)
		assert.Nil(t, r.Labelled)
		without := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}})
		s, skip = without.Text()
		require.Nil(t, skip)
		assert.Nil(t, s.Labelled)
	}
}

// The labels of goroutines at other places are not read.
func TestLabelsAtSomeStacks(t *testing.T) {
	parkLabelled(t, 3, "tenant", "a")
	for _, wanted := range []bool{true, false} {
		s, skip := labelledCapturer().Labelled(tenant, func(goroutine.StackID) bool { return wanted })
		require.Nil(t, skip)
		assert.Equal(t, wanted, byLabels(s)["tenant=a"] == 3)
	}
}
