// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package places_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

var (
	atLoad  = detectortest.At(goroutine.IOWait, "main.read:1", "main.query:2", "main.list:3", "main.serve:4")
	atAlloc = detectortest.At(goroutine.Running, "main.alloc:5", "main.list:6", "main.serve:4")
	atShow  = detectortest.At(goroutine.Select, "main.show:7", "main.serve:4")
)

// placeAt returns the place of the newest snapshot with this innermost function.
func placeAt(t *testing.T, s *places.Series, function string) *places.Place {
	t.Helper()
	for _, p := range s.Places(places.ByStack) {
		if p.Stack.User().Function == function {
			return p
		}
	}
	require.FailNow(t, "no such place", function)
	return nil
}

// seriesOf takes n snapshots, each after a call of do.
func seriesOf(p *detectortest.Process, n int, do func(i int)) *places.Series {
	all := detectortest.Series(p, n, time.Minute, do)
	return places.New(all[:n-1], all[n-1])
}

func TestActivitySharesOuterFrames(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atLoad, 3)
	p.Go(atAlloc, 2)
	p.Go(atShow, 1)
	s := seriesOf(p, 2, nil)
	read := placeAt(t, s, "main.read")
	require.Equal(t, 4, read.Depth())
	for depth, want := range map[int]int{1: 6, 2: 5, 3: 3, 4: 3} {
		a := read.Activity(depth)
		assert.Equal(t, want, a.Count(0), depth)
		assert.Equal(t, want, a.Count(1), depth)
		assert.Equal(t, depth == 1, a.Has(placeAt(t, s, "main.show")), depth)
	}
	assert.Same(t, read.Activity(2), placeAt(t, s, "main.alloc").Activity(2), "places share it")
}

func TestActivityStands(t *testing.T) {
	p := detectortest.NewProcess(1)
	moving := p.Go(atLoad, 3)
	s := seriesOf(p, 6, func(i int) {
		switch i {
		case 1:
			p.Move(atAlloc, moving...) // still in it
		case 2:
			p.Exit(moving[0])
		case 4:
			p.Go(atAlloc, 1)
		}
	})
	a := placeAt(t, s, "main.alloc").Activity(2)
	assert.False(t, a.Left(0), "from place to place")
	assert.True(t, a.Left(1))
	assert.Equal(t, 2, a.StoodSince())
	assert.Equal(t, 1, a.Joined(3, 5))
	assert.Equal(t, 3, a.Joined(0, 5), "the two are at another place")
}

// TestActivityNoticesAReplacement has one that leaves while another of the same
// number comes.
func TestActivityNoticesAReplacement(t *testing.T) {
	p := detectortest.NewProcess(1)
	first := p.Go(atLoad, 1)
	other := p.Go(atKeptOut, 1)
	s := seriesOf(p, 2, func(i int) {
		if i == 1 {
			p.Move(atKeptOut, first...)
			p.Move(atLoad, other...)
		}
	})
	a := placeAt(t, s, "main.read").Activity(4)
	assert.True(t, a.Left(0))
	assert.Equal(t, 1, a.Joined(0, 1))
}

var atKeptOut = detectortest.At(goroutine.IOWait, "main.idle:9")

func TestActivityPassed(t *testing.T) {
	for name, tc := range map[string]struct {
		n            int // that come in the second snapshot
		stay         int // of those
		came, passed int
	}{
		"none":            {0, 0, 0, 0},
		"all pass":        {4, 0, 4, 4},
		"one stays":       {4, 1, 4, 3},
		"more than IDs":   {100, 0, 100, 100},
		"some of many":    {100, 30, 100, 70},
		"all of many":     {100, 100, 100, 0},
		"none of a few":   {5, 5, 5, 0},
		"as many as IDs":  {goroutine.MaxIDs - 2, 0, goroutine.MaxIDs - 2, goroutine.MaxIDs - 2},
		"two of the same": {2, 2, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := detectortest.NewProcess(1)
			p.Go(atLoad, 2) // were there before, and stay
			var came []uint64
			s := seriesOf(p, 4, func(i int) {
				switch i {
				case 1:
					came = p.Go(atLoad, tc.n)
				case 2:
					p.Exit(came[tc.stay:]...)
				}
			})
			a := placeAt(t, s, "main.read").Activity(3)
			c, passed := a.Passed(1, 3)
			assert.Equal(t, tc.came, c)
			assert.Equal(t, tc.passed, passed)
		})
	}
}

// TestActivityPassedByPlace has the goroutine of a connection, which does one thing
// after another.
func TestActivityPassedByPlace(t *testing.T) {
	p := detectortest.NewProcess(1)
	conn := p.Go(atShow, 1)
	s := seriesOf(p, 4, func(i int) {
		p.Move([]detectortest.Place{atShow, atLoad, atAlloc, atAlloc}[i], conn...)
	})
	a := placeAt(t, s, "main.alloc").Activity(1)
	came, passed := a.Passed(1, 2)
	assert.Equal(t, [2]int{1, 1}, [2]int{came, passed})
	came, passed = a.Passed(2, 3)
	assert.Equal(t, [2]int{1, 0}, [2]int{came, passed})
}

func TestActivityRested(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atLoad, 3)
	busy := p.Go(atLoad, 2)
	s := seriesOf(p, 4, func(i int) {
		p.Move([]detectortest.Place{atLoad, atAlloc}[i%2], busy...)
	})
	rested, listed := placeAt(t, s, "main.read").Activity(1).Rested(0, 2)
	assert.Equal(t, [2]int{3, 5}, [2]int{rested, listed})
}
