// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// A fake is a source that behaves as a test configures it.
type fake struct {
	as   goroutine.Source
	does func() (*goroutine.Snapshot, error)
	cost result // returned together with the snapshot
	took int
}

func (f *fake) name() goroutine.Source { return f.as }
func (f *fake) take(*allowance) (result, error) {
	f.took++
	r := f.cost
	var err error
	r.Snapshot, err = f.does()
	return r, err
}

func works(as goroutine.Source) *fake {
	return &fake{as: as, does: func() (*goroutine.Snapshot, error) {
		return &goroutine.Snapshot{Source: as, Time: time.Now()}, nil
	}}
}

func fails(as goroutine.Source, err error) *fake {
	return &fake{as: as, does: func() (*goroutine.Snapshot, error) { return nil, err }}
}

func capturerOf(sources ...source) *Capturer {
	return &Capturer{
		governor: NewGovernor(Budget{CPU: 1, Pause: time.Second}, time.Now().Add(-time.Hour)),
		tracing:  true,
		regular:  sources,
		retired:  make(map[goroutine.Source]bool),
		resting:  make(rests),
	}
}

func TestTheFirstSnapshotLeavesTheFlightRecorderAlone(t *testing.T) {
	traced, profiled := works(goroutine.SourceTrace), works(goroutine.SourceProfile)
	c := capturerOf(traced, profiled)
	s, skips := c.Take()
	require.NotNil(t, s)
	assert.Empty(t, skips)
	assert.Equal(t, goroutine.SourceProfile, s.Source)
	for range 3 {
		s, _ = c.Early()
		require.NotNil(t, s)
		assert.Equal(t, goroutine.SourceProfile, s.Source, "the program is still starting")
	}
	assert.Zero(t, traced.took)
	s, _ = c.Take()
	assert.Equal(t, goroutine.SourceTrace, s.Source)
	s, _ = c.Early()
	assert.Equal(t, goroutine.SourceTrace, s.Source)
}

func TestAnEarlySnapshotLeavesTheBudgetOfTheNext(t *testing.T) {
	profiled := works(goroutine.SourceProfile)
	c := capturerOf(profiled)
	c.Take()
	c.governor = NewGovernor(Budget{Pause: time.Second}, time.Now())
	cost, _ := c.governor.Predict(goroutine.SourceProfile, 0)
	c.governor.credit = 2*(cost+c.governor.follow) - 1
	s, skips := c.Early()
	assert.Nil(t, s)
	assert.Empty(t, skips, "nothing that was due is missing")
	c.governor.credit++
	s, _ = c.Early()
	assert.NotNil(t, s)
	assert.Equal(t, 2, profiled.took)
}

func TestTheNextSourceTakesOver(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		reason  Reason
		retired bool
	}{
		{"slot taken", &Refusal{Reason: ReasonBusy, Err: errors.New("x")}, ReasonBusy, false},
		{"unknown version", &Refusal{Reason: ReasonVersion, Forever: true, Err: errors.New("x")}, ReasonVersion, true},
		{"any error", errors.New("x"), ReasonError, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			broken, good := fails(goroutine.SourceTrace, tt.err), works(goroutine.SourceProfile)
			c := capturerOf(broken, good)
			c.started = true
			s, skips := c.Take()
			require.NotNil(t, s)
			assert.Equal(t, goroutine.SourceProfile, s.Source)
			require.Len(t, skips, 1)
			assert.Equal(t, tt.reason, skips[0].Reason)
			c.Take()
			want := 2
			if tt.retired {
				want = 1
			}
			assert.Equal(t, want, broken.took)
		})
	}
}

func TestAPanicOfASourceIsARefusal(t *testing.T) {
	c := capturerOf(&fake{as: goroutine.SourceTrace, does: func() (*goroutine.Snapshot, error) { panic("boom") }}, works(goroutine.SourceProfile))
	c.started = true
	s, skips := c.Take()
	require.NotNil(t, s)
	assert.ErrorContains(t, skips[0].Refusal, "boom")
}

// A cheaper source must not spend the budget that the better one is waiting for.
func TestWaitingForTheBudgetIsNotAReasonToFallBack(t *testing.T) {
	traced, profiled := works(goroutine.SourceTrace), works(goroutine.SourceProfile)
	c := capturerOf(traced, profiled)
	c.started = true
	c.governor = NewGovernor(Budget{CPU: 0.000001, Pause: time.Second}, time.Now())
	c.governor.Spent(goroutine.SourceTrace, 1, time.Minute, time.Now())
	s, skips := c.Take()
	assert.Nil(t, s)
	require.Len(t, skips, 1)
	assert.Equal(t, ReasonBudget, skips[0].Reason)
	assert.Zero(t, profiled.took)
}

func TestAFailureIsPaidFor(t *testing.T) {
	slow := &fake{as: goroutine.SourceProfile, does: func() (*goroutine.Snapshot, error) {
		for began := time.Now(); time.Since(began) < time.Millisecond; {
		}
		return nil, errors.New("x")
	}}
	c := capturerOf(slow)
	c.started = true
	c.governor = NewGovernor(Budget{Pause: time.Second}, time.Now())
	_, skips := c.Take()
	require.Len(t, skips, 1)
	assert.Equal(t, ReasonError, skips[0].Reason)
	assert.Less(t, c.governor.credit, loan)
}

// Waiting costs nothing. The cost of being traced is charged although no clock
// here measures it, whether or not a snapshot resulted.
func TestWhatASourceTellsOfItsCostIsCharged(t *testing.T) {
	for name, err := range map[string]error{"success": nil, "failure": errors.New("x")} {
		t.Run(name, func(t *testing.T) {
			c := capturerOf(&fake{as: goroutine.SourceLabelled, cost: result{idle: time.Hour, traced: 3 * time.Second, stop: time.Second}, does: func() (*goroutine.Snapshot, error) {
				return new(goroutine.Snapshot), err
			}})
			c.started = true
			c.safety.decided = true
			c.governor = NewGovernor(Budget{Pause: time.Second}, time.Now())
			c.governor.rates[goroutine.SourceLabelled] = rate{pause: time.Nanosecond}
			s, _ := c.Take()
			assert.Equal(t, err == nil, s != nil, "no snapshot beside an error")
			assert.Equal(t, 3*time.Second-loan, c.governor.debt-c.governor.credit)
			assert.Greater(t, c.governor.rates[goroutine.SourceLabelled].pause, time.Nanosecond)
		})
	}
}

// What the garbage collector does for a leak proof, it does on threads of its own.
func TestALeakProofIsChargedTheTimeThatPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := capturerOf()
		c.governor = NewGovernor(Budget{Pause: time.Second}, time.Now())
		_, skip := c.run(&fake{as: goroutine.SourceProof, does: func() (*goroutine.Snapshot, error) {
			time.Sleep(2 * time.Second)
			return new(goroutine.Snapshot), nil
		}})
		require.Nil(t, skip)
		assert.Equal(t, 2*time.Second-loan, c.governor.debt)
		assert.False(t, c.governor.Starved(time.Now()))
	})
}

// A snapshot beyond the regular ones leaves enough for a window, and for a dump where
// one would be allowed; and none is taken on a host that has no time for it.
func TestWhatIsToSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := capturerOf(works(goroutine.SourceTrace))
		c.started, c.window = true, new(windowSource)
		c.governor = NewGovernor(budget, time.Now())
		n := runtime.NumGoroutine()
		trace, _ := c.governor.Predict(goroutine.SourceTrace, n)
		dump, _ := c.governor.Predict(goroutine.SourceText, n)
		const span = 250 * time.Millisecond
		assert.Equal(t, 2*trace+25*time.Millisecond+dump, c.reserve(span, n))
		c.governor.credit = trace
		assert.False(t, c.Spare(span), "that is for the next one")
		time.Sleep(time.Minute)
		assert.True(t, c.Spare(span))

		c.governor.Took(time.Minute, time.Millisecond, time.Now())
		assert.False(t, c.Spare(span), "the host delays captures")
		time.Sleep(delaySpan)
		assert.True(t, c.Spare(span))

		c.governor.budget.Pause, c.tracing = 0, false
		assert.Zero(t, c.reserve(span, n), "neither would be allowed")
	})
}

func TestCounts(t *testing.T) {
	_, created := new(Capturer).Counts()
	gate := make(chan struct{})
	go func() { <-gate }()
	now, since := new(Capturer).Counts()
	close(gate)
	assert.Greater(t, now, int64(1))
	assert.Greater(t, created, int64(0))
	assert.Greater(t, since, created)
}
