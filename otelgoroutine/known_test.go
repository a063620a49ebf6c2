package otelgoroutine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// A list that rots is told, once.
func TestAnExclusionThatMatchesNothingIsToldOnce(t *testing.T) {
	entry := func(name, function string) detectors.KnownStack {
		return detectors.KnownStack{Name: name, Reason: "a test", Match: func(s *goroutine.Stack) bool { return s.Has(function) }}
	}
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			m, err := Start(provider(), withCapturer(parked(1)), WithInterval(time.Hour), WithKnownStacks(
				entry("workers", "main.worker"), entry("gone", "main.gone"),
				detectors.KnownStack{Name: "by creator", Reason: "a test", Creator: "main.gone"}))
			require.NoError(t, err)
			time.Sleep(60 * time.Hour)
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 1)
	assert.EqualError(t, errs[0], `otelgoroutine: WithKnownStacks: "gone" has matched no goroutine for a day; remove it if it is out of date`)
}

func TestTheKeysOfExcludedLabels(t *testing.T) {
	label := func(key string) detectors.KnownStack {
		return detectors.KnownStack{Label: goroutine.Label{Key: key}}
	}
	assert.Equal(t, []string{"job", "tenant"}, excludedLabels([]detectors.KnownStack{label("tenant"), label(""), label("job"), label("tenant")}))
	assert.Empty(t, excludedLabels(nil))
}

// The time between leak proofs scales with the interval, up to ten minutes.
func TestTheSpacingOfProofsScales(t *testing.T) {
	assert.Equal(t, 10*time.Minute, proofSpacing(15*time.Second))
	assert.Equal(t, 10*time.Minute, proofSpacing(time.Minute))
	assert.Equal(t, 6*time.Second, proofSpacing(150*time.Millisecond))
}
