// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
)

func TestSeverityFollowsConfidence(t *testing.T) {
	got := make(map[detectors.Confidence]detectors.Severity)
	for _, c := range detectors.Confidences() {
		got[c] = c.Severity()
	}
	assert.Equal(t, map[detectors.Confidence]detectors.Severity{
		detectors.Info: detectors.SeverityInfo, detectors.Medium: detectors.SeverityWarn, detectors.Suspected: detectors.SeverityWarn,
		detectors.Confirmed: detectors.SeverityError, detectors.High: detectors.SeverityError, detectors.Certain: detectors.SeverityError,
	}, got)
}
