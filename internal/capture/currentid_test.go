// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCurrentID(t *testing.T) {
	ids := make(chan uint64)
	go func() { ids <- currentID() }()
	other := <-ids
	assert.NotZero(t, other)
	assert.NotEqual(t, other, currentID())
	assert.Equal(t, currentID(), currentID())
}
