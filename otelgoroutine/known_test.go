// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"fmt"
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
	assert.EqualError(t, errs[0], `otelgoroutine: WithKnownStacks: "gone" has matched no goroutine in any snapshot for a day; remove it if it is out of date`)
}

// A long list that rots is one complaint, and leaves room for those about other things.
func TestExclusionsThatMatchNothingAreToldTogether(t *testing.T) {
	var list []detectors.KnownStack
	for i := range 300 {
		list = append(list, detectors.KnownStack{Name: fmt.Sprint("gone ", i), Reason: "a test", Match: func(s *goroutine.Stack) bool { return s.Has("main.gone") }})
	}
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			fails := &detectors.Detector{Name: "fails", Run: func(p *detectors.Pass) error {
				if time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) > 40*time.Hour { // since the start of the bubble
					return errors.New("later")
				}
				return nil
			}}
			m, err := Start(provider(), withCapturer(parked(1)), WithInterval(time.Hour), WithKnownStacks(list...), WithDetectors(fails))
			require.NoError(t, err)
			time.Sleep(60 * time.Hour)
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 2)
	assert.ErrorContains(t, errs[0], `WithKnownStacks: 300 entries have matched no goroutine in any snapshot for a day: "gone 0", "gone 1", `)
	assert.ErrorContains(t, errs[0], `"gone 9" and 290 more; remove those that are out of date`)
	assert.ErrorContains(t, errs[1], "later")
}

// What rots later is told a day later, together as well; how often is bounded.
func TestExclusionsThatRotLater(t *testing.T) {
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			o := &observer{complaints: new(complaints)}
			unused := []string{"a"}
			for hour := range 100 * 24 {
				unused = append(unused, fmt.Sprint(hour))
				o.rot(unused)
				time.Sleep(time.Hour)
			}
		})
	})
	require.Len(t, errs, maxRots)
	assert.ErrorContains(t, errs[0], `2 entries have matched no goroutine in any snapshot for a day: "a", "0"; remove`)
	assert.ErrorContains(t, errs[1], `24 entries have matched no goroutine in any snapshot for a day: "1", `)
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
