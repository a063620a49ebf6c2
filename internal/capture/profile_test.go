// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/parse"
)

// TestAProcessThatGrowsIsRefused creates more goroutines than the buffer has room
// for, as a service does when it starts its workers. That is not an error.
func TestAProcessThatGrowsIsRefused(t *testing.T) {
	p := &profileSource{stacks: parse.NewStacks()}
	tries := 0
	_, err := p.fill(nil, func(records []runtime.StackRecord) (int, bool) {
		tries++
		return 2 * len(records), false
	})
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, ReasonLoad, refusal.Reason)
	assert.True(t, refusal.waits())
	assert.Equal(t, profileTries, tries)
	assert.Less(t, len(p.records), 20*runtime.NumGoroutine()+1000, "the buffer has a bound")
}
