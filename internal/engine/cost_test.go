// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// BenchmarkKept follows a hundred incidents that stand and are not found any more,
// in snapshots with two thousand places.
func BenchmarkKept(b *testing.B) {
	snapshot := &goroutine.Snapshot{Time: start, Total: 20_000, Epochs: []goroutine.Epoch{{LastID: 40_000, End: start}}}
	var found []detectors.Finding
	for i := range 2000 {
		f := finding(fmt.Sprint("main.f", i), 10)
		var ids []uint64
		for k := range 10 {
			ids = append(ids, uint64(10*i+k+1))
		}
		snapshot.Groups = append(snapshot.Groups, goroutine.Group{Stack: f.Stack, State: f.State, Count: 10, IDs: ids, Births: []goroutine.Cohort{{Count: 10}}})
		if i < 100 {
			f.IDs, f.Stands = ids, true
			found = append(found, f)
		}
	}
	tr := newTracker(yielding{"leak": {"hang"}})
	tr.step(&pass{findings: found, view: &view{Snapshot: snapshot}, now: start})
	now := start
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(15 * time.Second)
		next := *snapshot
		next.Time = now
		tr.step(&pass{view: &view{Snapshot: &next}, now: now})
	}
}

// BenchmarkCompany compares as many growths as are compared, all of them anew, in
// a full history of snapshots with two thousand places.
func BenchmarkCompany(b *testing.B) {
	var findings []*detectors.Finding
	var host []int
	var past []*goroutine.Snapshot
	for k := range maxKept {
		s := &goroutine.Snapshot{Time: start.Add(time.Duration(k) * 15 * time.Second)}
		for e := range k + 1 {
			s.Epochs = append(s.Epochs, goroutine.Epoch{LastID: uint64(1000 * (e + 1)), End: start.Add(time.Duration(e) * 15 * time.Second)})
		}
		past = append(past, s)
	}
	for i := range 2000 {
		f := finding(fmt.Sprint("main.f", i), 10)
		f.Stands = true
		for k, s := range past {
			g := goroutine.Group{Stack: f.Stack, State: f.State}
			for e := range k + 1 {
				g.Add(1+(i*e)%3, []uint64{uint64(1000*e + i)}, []goroutine.Cohort{{Epoch: e, Count: 1 + (i*e)%3}})
			}
			s.Groups = append(s.Groups, g)
		}
		if i < maxCompany {
			findings, host = append(findings, &f), append(host, i)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		last := len(past) - 1
		newCompany().hosts(findings, host, nil, &view{Snapshot: past[last], past: past[:last]})
	}
}
