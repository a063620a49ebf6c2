// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestAllStay compares with C(came,passed)/C(came+stayed,passed).
func TestAllStay(t *testing.T) {
	assert.InEpsilon(t, 1/3108105.0, allStay(20, 20, 8), 1e-9)
	assert.InEpsilon(t, 1/888030.0, allStay(20, 20, 7), 1e-9)
	assert.InEpsilon(t, 45.0/495, allStay(10, 8, 2), 1e-9) // C(10,8)/C(12,8)
	assert.Equal(t, 1.0, allStay(5, 0, 100), "none ever passed")
	assert.Equal(t, 1.0, allStay(5, 5, 0), "none has come since")
	assert.Equal(t, 1.0, allStay(0, 0, 0))
}
