// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// Nothing is certain about goroutines of which frames are missing.
func TestNothingIsCertainWithoutTheWholeStack(t *testing.T) {
	other := goroutine.NewStack([]goroutine.Frame{{Function: "main.other"}})
	holds := &detectors.Detector{Name: "holds", Run: func(p *detectors.Pass) error {
		p.Report(detectors.Finding{
			Confidence: detectors.High, Stack: other, State: goroutine.MutexLock, Count: 1, Message: "Held.",
			Participants: []detectors.Participant{{Stack: other}, {Stack: worker}},
		})
		return nil
	}}
	for name, tc := range map[string]struct {
		detector *detectors.Detector
		cut      bool
		want     detectors.Confidence
	}{
		"whole":            {finds(detectors.Certain, ""), false, detectors.Certain},
		"cut":              {finds(detectors.Certain, ""), true, detectors.Suspected},
		"weaker":           {finds(detectors.Medium, ""), true, detectors.Medium},
		"a participant is": {holds, true, detectors.Suspected},
		"none of them is":  {holds, false, detectors.High},
	} {
		t.Run(name, func(t *testing.T) {
			s := parked(0, 3)
			s.Groups[0].Cut = tc.cut
			require.Same(t, worker, s.Groups[0].Stack)
			r := New(Config{Detectors: []*detectors.Detector{tc.detector}}).Step(s)
			require.Len(t, r.Findings, 1)
			assert.Equal(t, tc.want, r.Findings[0].Confidence)
			if tc.cut {
				assert.Contains(t, r.Findings[0].Evidence, cutEvidence)
			} else {
				assert.NotContains(t, r.Findings[0].Evidence, cutEvidence)
			}
		})
	}
}
