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
