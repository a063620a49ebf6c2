// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
)

func TestKindString(t *testing.T) {
	assert.Equal(t, "detected repeated resolved suppressed",
		fmt.Sprintf("%v %v %v %v", detectors.Detected, detectors.Repeated, detectors.Resolved, detectors.Suppressed))
	assert.Equal(t, "kind(0)", detectors.Kind(0).String())
}
