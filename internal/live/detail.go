// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
)

// A Detail is all that is known about one group.
type Detail struct {
	SchemaVersion string `json:"schema_version"`
	Number        int    `json:"number"`
	report.Stack         // of the latest snapshot, without label values

	History GroupHistory `json:"history"` // empty for small groups
}

// A GroupHistory has a row for each snapshot, oldest first.
type GroupHistory struct {
	Time  []time.Time `json:"time"`
	Count []int32     `json:"count"`
	Born  []int32     `json:"born"` // created since the previous snapshot
	Left  []int32     `json:"left"` // exited or moved on since the previous snapshot
}

// Detail returns the details of the group with this number, and false if there
// is no such group.
func (r *Recorder) Detail(number int) (*Detail, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.groups {
		if g.serial == number {
			return r.detail(g), true
		}
	}
	return nil, false
}

func (r *Recorder) detail(g *group) *Detail {
	d := &Detail{
		SchemaVersion: report.SchemaVersion, Number: g.serial,
		Stack:   report.StackOf(r.latest, merged(r.latest, g), report.Options{}),
		History: GroupHistory{Time: []time.Time{}, Count: []int32{}, Born: []int32{}, Left: []int32{}},
	}
	d.Frames, d.User = bothEnds(d.Frames, d.User)
	if g.series == nil {
		return d
	}
	samples := g.series.all()
	for _, p := range r.points.newest(len(samples)) {
		d.History.Time = append(d.History.Time, p.time)
	}
	d.History.Count = column(samples, func(s sample) int32 { return s.count })
	d.History.Born = column(samples, func(s sample) int32 { return s.born })
	d.History.Left = column(samples, func(s sample) int32 { return s.left })
	return d
}

// merged returns the groups of a snapshot that belong to g as one group,
// without label values. If all their goroutines are gone, its count is 0.
func merged(s *goroutine.Snapshot, g *group) *goroutine.Group {
	all := &goroutine.Group{Stack: g.stack, State: g.key.State}
	births := make([]int, len(s.Epochs))
	for i := range s.Groups {
		from := &s.Groups[i]
		if from.Key() != g.key {
			continue
		}
		all.Count += from.Count
		all.IDs = append(all.IDs, from.IDs...)
		all.CreatedBy = cmp.Or(all.CreatedBy, from.CreatedBy)
		all.Wait = max(all.Wait, from.Wait)
		for _, l := range from.Labels {
			if key := (goroutine.Label{Key: l.Key}); !slices.Contains(all.Labels, key) {
				all.Labels = append(all.Labels, key)
			}
		}
		for _, c := range from.Births {
			if c.Epoch < len(births) {
				births[c.Epoch] += c.Count
			}
		}
	}
	for epoch, n := range births {
		if n > 0 {
			all.Births = append(all.Births, goroutine.Cohort{Epoch: epoch, Count: n})
		}
	}
	slices.Sort(all.IDs)
	all.IDs = all.IDs[:min(len(all.IDs), goroutine.MaxIDs)]
	return all
}
