// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
)

// leak stands in for the detector of this name.
var leak = &detectors.Detector{Name: "leak", Doc: "Nothing.", Run: func(*detectors.Pass) error { return nil }}

// suspectedPlaces returns the candidates at the last step, whatever the time is now:
// a simulated process has a clock of its own.
func suspectedPlaces(t *Target) (all []string) {
	for _, c := range t.sight.Current()[0].Candidates {
		all = append(all, c.String())
	}
	return all
}

// Goroutines that leaked before the watch began do not make a process ok.
func TestStandingSendersAreSuspected(t *testing.T) {
	for name, c := range map[string]struct {
		place detectortest.Place
		n     int
		then  func(f *fake, ids []uint64)
		want  bool
	}{
		"a leak of before":    {place: crowded, n: 1099, want: true},
		"with requests":       {place: crowded, n: 1099, want: true, then: func(f *fake, _ []uint64) { f.Exit(f.Go(crowded, 3)...) }},
		"few":                 {place: crowded, n: leastStanding - 1},
		"idle workers":        {place: waiting, n: 1099},
		"one was received":    {place: crowded, n: 1099, then: func(f *fake, ids []uint64) { f.Exit(ids[0]) }},
		"senders that change": {place: crowded, n: 200, then: func(f *fake, ids []uint64) { f.Exit(ids...); f.Go(crowded, 200) }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(waiting, 3)
			ids := f.Go(c.place, c.n)
			target, _ := newTestTarget(f, nil, leak)
			observe(t, target, 40)
			assert.Empty(t, suspectedPlaces(target), "not before ten minutes")
			if c.then != nil {
				c.then(f, ids)
			}
			observe(t, target, 1)
			got := suspectedPlaces(target)
			if !c.want {
				assert.Empty(t, got)
				return
			}
			assert.Equal(t, []string{"main.send (main.go:9): 1099 goroutines, no exits; they have been there since before the watch began, and their number does not grow"}, got)
			f.restart(crowded, 500)
			observe(t, target, 20)
			assert.Equal(t, 1, target.Status().Restarts)
			assert.Empty(t, suspectedPlaces(target), "another process")
		})
	}
}

// What is excluded, or a finding already, is not suspected.
func TestStandingSendersThatAreKnown(t *testing.T) {
	f := newFake(crowded, 500)
	target, _ := newTestTarget(f, nil, leak, crowd)
	observe(t, target, 60)
	require.Len(t, target.Status().Open, 1)
	assert.Empty(t, suspectedPlaces(target))

	known, err := detectors.Exclusion{Name: "mine", Reason: "a test", Function: "main.send"}.Known()
	require.NoError(t, err)
	target, _ = newTestTarget(newFake(crowded, 500), nil, leak)
	target.Exclude([]detectors.KnownStack{known})
	observe(t, target, 60)
	assert.Empty(t, suspectedPlaces(target))

	f = newFake(crowded, 500)
	target, _ = newTestTarget(f, nil, leak)
	f.withoutIDs()
	observe(t, target, 60)
	assert.Empty(t, suspectedPlaces(target), "profiles do not tell goroutines apart")
}
