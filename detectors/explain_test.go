// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
)

func TestExplain(t *testing.T) {
	stack := func(functions ...string) *goroutine.Stack {
		var frames []goroutine.Frame
		for _, f := range functions {
			frames = append(frames, goroutine.Frame{Function: f})
		}
		return goroutine.NewStack(frames)
	}
	pool := Explain(stack("database/sql.(*DB).conn", "database/sql.(*DB).QueryContext", "main.list", "net/http.serverHandler.ServeHTTP", "net/http.(*conn).serve"), goroutine.Select)
	assert.Equal(t, "for a connection of a database/sql pool", pool.Waits)
	assert.NotEmpty(t, pool.Means)
	assert.Contains(t, pool.Advice, "Rows")
	assert.True(t, pool.Request)
	assert.True(t, pool.Bounded)
	assert.False(t, pool.Outside)

	answer := Explain(stack("net/http.(*persistConn).roundTrip", "main.call"), goroutine.Select)
	assert.True(t, answer.Outside)
	assert.False(t, answer.Request)

	assert.Equal(t, Explanation{Advice: adviceToWake(goroutine.ChanSend)}, Explain(stack("main.f"), goroutine.ChanSend))
	assert.Equal(t, Explanation{Advice: adviceLock}, Explain(stack("main.f"), goroutine.MutexLock))
	assert.Equal(t, Explanation{Advice: adviceToWake(goroutine.ChanSend)}, Explain(goroutine.NewStack(nil), goroutine.ChanSend))
}
