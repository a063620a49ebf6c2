// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// spin uses at least this much CPU time of its thread, where that can be told.
func spin(work time.Duration) {
	clock, ok := cpuClock()
	began := time.Now()
	for used := time.Duration(0); used < work; {
		if now, _ := cpuClock(); ok {
			used = now - clock
		} else {
			used = time.Since(began)
		}
	}
}

func TestWorkIsMeasured(t *testing.T) {
	const work = 20 * time.Millisecond
	began := time.Now()
	used := CPUTime(func() { spin(work) })
	assert.GreaterOrEqual(t, used, work)
	assert.LessOrEqual(t, used, time.Since(began))
}

func TestWaitingCostsNothing(t *testing.T) {
	const wait = 300 * time.Millisecond
	if clock, ok := cpuClock(); !ok || clock == 0 {
		t.Skip("this system does not tell CPU times")
	}
	for name, wait := range map[string]func(){
		"sleep": func() { time.Sleep(wait) },
		"channel": func() {
			woken := make(chan struct{})
			time.AfterFunc(wait, func() { close(woken) })
			<-woken
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := measure(wait)
			assert.GreaterOrEqual(t, u.wall, 300*time.Millisecond)
			assert.Less(t, u.cpu, 100*time.Millisecond)
		})
	}
}

func TestAPanicGoesThrough(t *testing.T) {
	assert.PanicsWithValue(t, "boom", func() { CPUTime(func() { panic("boom") }) })
}

// A pause of any kind that a capture falls into is time that passed, which is all
// that the capturer sees of it: SIGSTOP, a throttled container, a host that gives
// the CPU to others.
func TestAPauseInACaptureIsNotPaidFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pause := time.Duration(0)
		slow := &fake{as: goroutine.SourceTrace, does: func() (*goroutine.Snapshot, error) {
			time.Sleep(pause)
			return &goroutine.Snapshot{Source: goroutine.SourceTrace, Time: time.Now()}, nil
		}}
		c := capturerOf(slow)
		c.started = true
		c.governor = NewGovernor(budget, time.Now())
		for _, pause = range []time.Duration{0, 25 * time.Second, time.Second, time.Second, time.Hour, 0} {
			s, skips := c.Take()
			require.NotNil(t, s, "%v", skips)
			assert.Equal(t, pause, s.Duration)
			assert.Equal(t, pause, s.Late.Round(time.Second), "the snapshot tells of it")
			assert.Equal(t, pause > 0, c.governor.Starved(time.Now()))
			time.Sleep(interval)
		}
		assert.Zero(t, c.governor.debt)
	})
}

// BenchmarkCPUTime is what it costs to measure.
func BenchmarkCPUTime(b *testing.B) {
	for b.Loop() {
		CPUTime(func() {})
	}
}
