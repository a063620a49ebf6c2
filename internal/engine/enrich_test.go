// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

func dumpOf(groups ...goroutine.Group) *Inspection {
	return &Inspection{Snapshot: &goroutine.Snapshot{Source: goroutine.SourceText, Groups: groups}}
}

// TestWhatCreatedThem goes by the goroutines that a finding lists, and by where
// they wait when the dump lists none of these.
func TestWhatCreatedThem(t *testing.T) {
	serve := goroutine.Frame{Function: "main.serve", File: "/src/server.go", Line: 41}
	retry := goroutine.Frame{Function: "main.retry", File: "/src/retry.go", Line: 7}
	here := goroutine.NewStack([]goroutine.Frame{{Function: "main.send"}})
	elsewhere := goroutine.NewStack([]goroutine.Frame{{Function: "main.send"}, {Function: "main.other"}})
	group := func(at *goroutine.Stack, state goroutine.State, by goroutine.Frame, count int, ids ...uint64) goroutine.Group {
		return goroutine.Group{Stack: at, State: state, CreatedBy: by, Count: count, IDs: ids}
	}
	for name, tt := range map[string]struct {
		count  int
		ids    []uint64
		groups []goroutine.Group
		by     goroutine.Frame
		says   []string
	}{
		"where they wait": {5, nil, []goroutine.Group{group(here, goroutine.ChanSend, serve, 5, 1, 2)}, serve,
			[]string{"They were created by main.serve (server.go:41)."}},
		"one": {1, nil, []goroutine.Group{group(here, goroutine.ChanSend, serve, 1, 1)}, serve,
			[]string{"It was created by main.serve (server.go:41)."}},
		"another state": {5, nil, []goroutine.Group{group(here, goroutine.Select, serve, 5, 1, 2)}, goroutine.Frame{}, nil},
		"another stack": {5, []uint64{7}, []goroutine.Group{group(elsewhere, goroutine.ChanSend, serve, 5, 1, 2)}, goroutine.Frame{}, nil},
		"its own among others at its stack": {2, []uint64{3, 4}, []goroutine.Group{
			group(here, goroutine.ChanSend, serve, 9, 1, 2), group(here, goroutine.ChanSend, retry, 2, 3, 4)}, retry,
			[]string{"They were created by main.retry (retry.go:7)."}},
		"at another of its stacks": {9, []uint64{3, 4}, []goroutine.Group{group(elsewhere, goroutine.ChanSend, retry, 2, 3, 4)}, retry,
			[]string{"They were created by main.retry (retry.go:7)."}},
		"woken since": {2, []uint64{3, 4}, []goroutine.Group{group(elsewhere, goroutine.Running, retry, 2, 3, 4)}, retry,
			[]string{"They were created by main.retry (retry.go:7)."}},
		"several": {9, nil, []goroutine.Group{
			group(here, goroutine.ChanSend, serve, 3, 1), group(here, goroutine.ChanSend, retry, 6, 3)}, retry,
			[]string{"They were created by main.retry (retry.go:7) and at one other place."}},
		"the main goroutine": {1, []uint64{1}, []goroutine.Group{group(here, goroutine.ChanSend, goroutine.Frame{}, 1, 1)}, goroutine.Frame{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := detectors.Finding{Stack: here, State: goroutine.ChanSend, Count: tt.count, IDs: tt.ids}
			enrichmentOf(dumpOf(tt.groups...).Snapshot, &f).addTo(&f, start)
			assert.Equal(t, tt.by, f.CreatedBy)
			assert.Equal(t, tt.says, f.Evidence)
		})
	}
}

// TestWhatADumpTellsHasRoom fills the evidence: what a dump tells takes the
// place of what was said last.
func TestWhatADumpTellsHasRoom(t *testing.T) {
	said := func(n int) (s []string) {
		for i := range n {
			s = append(s, fmt.Sprintf("%d.", i+1))
		}
		return s
	}
	for _, tt := range []struct {
		before, added, after []string
	}{
		{nil, []string{"A."}, []string{"A."}},
		{said(1), nil, said(1)},
		{said(1), []string{"A.", "B."}, []string{"1.", "A.", "B."}},
		{said(3), []string{"A.", "B.", "C.", "D.", "E."}, []string{"1.", "2.", "3.", "A.", "B.", "C.", "D.", "E."}},
		{said(8), []string{"A.", "B."}, []string{"1.", "2.", "3.", "4.", "5.", "6.", "A.", "B."}},
		{said(8), []string{"A.", "B.", "C.", "D.", "E."}, []string{"1.", "2.", "3.", "4.", "A.", "B.", "C.", "D."}},
	} {
		f := detectors.Finding{Evidence: tt.before, Advice: "Wait."}
		enrichment{evidence: tt.added}.addTo(&f, start)
		assert.Equal(t, tt.after, f.Evidence)
		assert.Equal(t, "Wait.", f.Advice)
	}
}

// TestWhatADumpMeasuredSaysWhen: a wait of three minutes is not one of three minutes
// a quarter of an hour later.
func TestWhatADumpMeasuredSaysWhen(t *testing.T) {
	at := goroutine.NewStack([]goroutine.Frame{{Function: "main.debit"}})
	f := detectors.Finding{Stack: at, State: goroutine.MutexLock, Count: 2, CreatedBy: goroutine.Frame{Function: "main.main"}}
	e := enrichmentOf(dumpOf(goroutine.Group{Stack: at, State: goroutine.MutexLock, Count: 2, Lock: 0xc0, Wait: 3 * time.Minute}).Snapshot, &f)
	e.at = start
	e.addTo(&f, start)
	assert.Equal(t, []string{"By the runtime's own clock, the longest wait is 3 min."}, f.Evidence)
	f.Evidence = nil
	e.addTo(&f, start.Add(15*time.Minute))
	assert.Equal(t, []string{
		"In a goroutine dump 15 min ago: By the runtime's own clock, the longest wait is 3 min.",
	}, f.Evidence)
}

// TestTheCreatorIsToldOfEachPlace has a finding that may not be a fault, of two
// places; the third is not in the dump.
func TestTheCreatorIsToldOfEachPlace(t *testing.T) {
	frame := func(f string) goroutine.Frame { return goroutine.Frame{Function: f, File: "/src/main.go", Line: 1} }
	pool, handler := goroutine.NewStack([]goroutine.Frame{frame("main.work")}), goroutine.NewStack([]goroutine.Frame{frame("main.handle")})
	dump := dumpOf(
		goroutine.Group{Stack: pool, State: goroutine.ChanSend, CreatedBy: frame("main.newPool"), Count: 1, IDs: []uint64{1}},
		goroutine.Group{Stack: handler, State: goroutine.ChanSend, CreatedBy: frame("main.serve"), Count: 1, IDs: []uint64{7}})
	f := detectors.Finding{Confidence: detectors.Medium, Stack: pool, State: goroutine.ChanSend, Count: 2, IDs: []uint64{1}, Participants: []detectors.Participant{
		{Role: detectors.RoleCause, Stack: pool, State: goroutine.ChanSend, Count: 1, IDs: []uint64{1}},
		{Role: detectors.RoleWaiter, Stack: handler, State: goroutine.ChanSend, Count: 1, IDs: []uint64{7}},
		{Role: detectors.RoleWaiter, Stack: handler, State: goroutine.Select, Count: 1, IDs: []uint64{9}},
	}}
	shared := f.Participants
	assert.True(t, worthADump(&f))
	enrichmentOf(dump.Snapshot, &f).addTo(&f, start)
	assert.Equal(t, "main.newPool", f.Participants[0].CreatedBy.Function)
	assert.Equal(t, "main.serve", f.Participants[1].CreatedBy.Function)
	assert.Empty(t, f.Participants[2].CreatedBy.Function)
	assert.Empty(t, shared[0].CreatedBy.Function, "what the detector reported is its own")
}
