// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Targets that hang leave a quarter of the slots to those that answer.
func TestSlots(t *testing.T) {
	s := newSlots(8)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	take := func(of state, n int) (giveBack []func()) {
		for range n {
			g := s.take(t.Context(), of)
			require.NotNil(t, g)
			giveBack = append(giveBack, g)
		}
		return giveBack
	}
	fresh, failing, sound := take(pending, 4), take(unreachable, 2), take(observed, 2)
	assert.Len(t, s.all, 8)
	for of := range states {
		assert.Nil(t, takeOnce(s, ended, state(of)), "there are eight: %s", states[of])
	}
	sound[0]()
	assert.Nil(t, takeOnce(s, ended, pending))
	assert.Nil(t, takeOnce(s, ended, unreachable))
	again := take(incomplete, 1)
	fresh[0]()
	assert.Nil(t, takeOnce(s, ended, unreachable))
	fresh = append(fresh[1:], take(pending, 1)...)
	for _, giveBack := range append(append(append(fresh, failing...), again...), sound[1]) {
		giveBack()
	}
	assert.Empty(t, s.all)
	assert.Empty(t, s.fresh)
	assert.Empty(t, s.failing)

	one := newSlots(1)
	giveBack := one.take(t.Context(), unreachable)
	require.NotNil(t, giveBack)
	assert.Nil(t, takeOnce(one, ended, observed))
	assert.Nil(t, takeOnce(one, ended, pending))
	giveBack()
	assert.NotNil(t, one.take(t.Context(), observed))
}

// takeOnce takes a slot with a context that has ended. If there were room, it would
// have it about every second time.
func takeOnce(s *slots, ended context.Context, of state) func() {
	for range 64 {
		if giveBack := s.take(ended, of); giveBack != nil {
			return giveBack
		}
	}
	return nil
}
