// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

var lockStack = goroutine.NewStack([]goroutine.Frame{{Function: "sync.(*Mutex).Lock"}, {Function: "main.transfer", File: "/src/main.go", Line: 9}})

// stuck is a capturer that always sees goroutines waiting for a lock.
func stuck() *script {
	return &script{take: func(int) (*goroutine.Snapshot, []capture.Skip) {
		return &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceTrace, Total: 5,
			Groups: []goroutine.Group{{Stack: lockStack, State: goroutine.MutexLock, Count: 5}}}, nil
	}}
}

// locked reports a deadlock in every snapshot.
func locked() *detectors.Detector {
	return &detectors.Detector{Name: "locked", Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Evidence: []string{"It is stuck."}})
		return nil
	}}
}

func dumpOf(groups ...goroutine.Group) func() *goroutine.Snapshot {
	return func() *goroutine.Snapshot {
		return &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceText, Groups: groups}
	}
}

func TestADumpTellsWhichLockAndWhatCreatedThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := stuck()
		creator := goroutine.Frame{Function: "main.serve", File: "/src/main.go", Line: 3}
		c.text = dumpOf(
			goroutine.Group{Stack: lockStack, State: goroutine.MutexLock, Count: 4, Lock: 0xc000012340, CreatedBy: creator, Wait: 3 * time.Minute},
			goroutine.Group{Stack: lockStack, State: goroutine.MutexLock, Count: 1, Lock: 0xc000056780, CreatedBy: creator, Wait: time.Minute},
			goroutine.Group{Stack: goroutine.NewStack(nil), State: goroutine.MutexLock, Count: 9, Lock: 0xbad})
		var logs memory
		m, err := Start(provider(), withCapturer(c), WithDetectors(locked()), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err)
		time.Sleep(time.Hour - time.Minute)
		require.Len(t, m.Findings(), 1)
		assert.Equal(t, creator, m.Findings()[0].CreatedBy)
		assert.Equal(t, []string{
			"It is stuck.",
			"They were created by main.serve (main.go:3).",
			"In a goroutine dump 59 min ago: By the runtime's own clock, the longest wait is 3 min.",
		}, m.Findings()[0].Evidence)
		assert.Equal(t, "main.serve", attribute(t, &logs, "goroutine.creator.function.name"), "the first event has it")
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Equal(t, 1, c.texts, "one dump for one finding")
	})
}

// TestATraceTakesThePlaceOfADump has dumps that are refused from the second on.
func TestATraceTakesThePlaceOfADump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := stuck()
		dump := dumpOf()
		c.text = func() *goroutine.Snapshot {
			c.text = nil
			return dump()
		}
		c.locks = func() *goroutine.Snapshot {
			return &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceLocks, Locks: []goroutine.LockQueue{{Count: 5}}}
		}
		var traced []int // queues of the newest trace, by step; -1: none
		asks := &detectors.Detector{Name: "asks", Run: func(p *detectors.Pass) error {
			if !p.Ask(goroutine.SourceText) {
				p.Ask(goroutine.SourceLocks)
			}
			if s := p.Inspections[goroutine.SourceLocks]; s == nil {
				traced = append(traced, -1)
			} else {
				traced = append(traced, len(s.Locks))
			}
			return nil
		}}
		m, err := Start(provider(), withCapturer(c), WithDetectors(asks))
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Equal(t, -1, traced[0], "a dump is expected")
		assert.Equal(t, 1, traced[len(traced)-1])
	})
}

func TestWithoutADumpAFindingStaysAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		m, err := Start(provider(), withCapturer(stuck()), WithDetectors(locked()), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Len(t, m.Findings(), 1)
		assert.Equal(t, []string{"It is stuck."}, m.Findings()[0].Evidence)
		assert.Len(t, logs.names(), 1)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// reports is a detector that finds f at the first group of every snapshot.
func reports(f detectors.Finding) *detectors.Detector {
	return &detectors.Detector{Name: "reports", Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		f := f
		f.State, f.Count = g.State, g.Count
		if f.Stack == nil {
			f.Stack = g.Stack
		}
		p.Report(f)
		return nil
	}}
}

func TestWhatIsWorthADump(t *testing.T) {
	creator := goroutine.Frame{Function: "main.serve"}
	for name, tt := range map[string]struct {
		finding detectors.Finding
		dumps   int
	}{
		"not a fault":       {detectors.Finding{Confidence: detectors.Info}, 0},
		"not sure":          {detectors.Finding{Confidence: detectors.Medium}, 1},
		"a suspicion":       {detectors.Finding{Confidence: detectors.Suspected}, 1},
		"certain":           {detectors.Finding{Confidence: detectors.Certain}, 1},
		"the creator known": {detectors.Finding{Confidence: detectors.Certain, CreatedBy: creator}, 0},
		"the whole process": {detectors.Finding{Confidence: detectors.Certain, Stack: &goroutine.Stack{ID: goroutine.OtherStacks}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := parked(3)
				c.text = dumpOf()
				m, err := Start(provider(), withCapturer(c), WithDetectors(reports(tt.finding)))
				require.NoError(t, err)
				time.Sleep(time.Hour)
				require.NoError(t, m.Shutdown(t.Context()))
				assert.Equal(t, tt.dumps, c.texts)
			})
		})
	}
}

func TestADumpThatIsRefusedIsNotAskedForWithEverySnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		m, err := Start(provider(), withCapturer(c), WithDetectors(always()))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Equal(t, 61, c.texts, "at 0, 1, … 60 minutes, and not every 15 s")
	})
}

func TestDumpsAreFarApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := stuck()
		c.text = dumpOf()
		// A finding with another subject in every snapshot is a new one each time.
		changing := &detectors.Detector{Name: "changing", Run: func(p *detectors.Pass) error {
			g := p.Snapshot.Groups[0]
			p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Subject: p.Snapshot.Time.String()})
			return nil
		}}
		m, err := Start(provider(), withCapturer(c), WithDetectors(changing))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, 61, c.texts, "at 0, 1, … 60 minutes")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}
