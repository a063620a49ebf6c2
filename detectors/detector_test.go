// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

func TestDefault(t *testing.T) {
	all := detectors.Default()
	assert.NoError(t, detectors.Validate(all))
	var names []string
	for _, d := range all {
		names = append(names, d.Name)
		assert.NotEmpty(t, d.Doc)
	}
	assert.Equal(t, []string{"hang", "leak", "growth", "deadlock", "blocked_forever", "pileup", "surge", "contention", "stall"}, names)
	assert.NotSame(t, all[0], detectors.Default()[0], "users may change theirs before use")
}

// TestScaled finds in seconds what the defaults find in minutes.
func TestScaled(t *testing.T) {
	all, scaled := detectors.Default(), detectors.Scaled(0.01)
	assert.NoError(t, detectors.Validate(scaled))
	for i, d := range scaled {
		assert.Equal(t, all[i].Name, d.Name)
		assert.Equal(t, all[i].Needs.History/100, d.Needs.History)
	}
}

func TestValidateNamesEveryMistake(t *testing.T) {
	run := func(*detectors.Pass) error { return nil }
	err := detectors.Validate([]*detectors.Detector{
		nil,
		{Name: "Bad", Run: run},
		{Name: "no_run"},
		{Name: "far", Run: run, Needs: detectors.Needs{History: 25 * time.Hour}},
		{Name: "far", Run: run, Needs: detectors.Needs{History: -1}},
		deadlockWith(func(c *detectors.DeadlockConfig) { c.MinSnapshots = 1 }),
	})
	for _, want := range []string{
		"detector 0 is nil", `detector 1 ("Bad"): the name must be`, `detector 2 ("no_run"): it has no Run function`,
		`detector 3 ("far"): Needs.History is 25h0m0s`, `detector 4 ("far"): Needs.History is -1ns`,
		`detector 4 ("far"): the name is taken`, `detector 5 ("deadlock"): DeadlockConfig.MinSnapshots is 1; must be 2 to 8`,
	} {
		assert.ErrorContains(t, err, want)
	}
	assert.NoError(t, detectors.Validate(nil))
}

func TestConfidences(t *testing.T) {
	var names []string
	for _, c := range detectors.Confidences() {
		names = append(names, c.String())
	}
	assert.Equal(t, []string{"info", "medium", "suspected", "confirmed", "high", "certain"}, names)
	assert.Equal(t, "confidence(0)", detectors.Confidence(0).String())
	assert.Equal(t, "confidence(7)", detectors.Confidence(7).String())
}

func TestIdentity(t *testing.T) {
	f := detectors.Finding{Detector: "leak", State: goroutine.Select, Subject: "x"}
	assert.Equal(t, detectors.Identity{Detector: "leak", State: goroutine.Select, Subject: "x"}, f.Identity())
	f.Stack = goroutine.NewStack([]goroutine.Frame{{Function: "main.f", Line: 1}})
	other := f
	other.Stack = goroutine.NewStack([]goroutine.Frame{{Function: "main.f", Line: 2}})
	assert.Equal(t, f.Identity(), other.Identity(), "lines are no part of it")
}
