// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
)

const (
	// MaxPoints is how many points [Monitor.History] returns at most.
	MaxPoints = 240
	// MaxPointAge is how far the history reaches back at most.
	MaxPointAge = 24 * time.Hour

	// wholePoints is how many of the newest points are never thinned out: half an
	// hour at the default interval.
	wholePoints = 120
	// settling is the time after the first snapshot that the trend in a report leaves
	// out, once the history is twice as long. A service that has just started has few
	// goroutines, so that any load would be strong growth for a day.
	settling = 2 * time.Minute
)

// A Point is what one snapshot counted.
type Point struct {
	Time   time.Time        // of the snapshot
	Source goroutine.Source // how it was taken
	Total  int              // number of goroutines

	// States is the number of goroutines in each state. The numbers add up to Total.
	States map[goroutine.State]int
}

// History returns what the snapshots of the recent past counted, oldest first: at most
// [MaxPoints] points, of at most the last 24 hours. The newest 120 are one snapshot
// each, half an hour at the default interval. Of older snapshots, the gaps between
// points grow with their age. The result may be modified. History takes no snapshot,
// and copying the points takes about a tenth of a millisecond. After
// [Monitor.Shutdown] the history stays as it was.
func (m *Monitor) History() []Point {
	if !m.made() {
		return nil
	}
	m.ask()
	points, _ := m.past.all()
	for i := range points {
		points[i].States = maps.Clone(points[i].States)
	}
	return points
}

// A past is a bounded series of points. The zero value is empty. It is safe for
// concurrent use.
type past struct {
	mu      sync.Mutex
	points  []Point   // oldest first
	started time.Time // of the first point
}

// add adds a snapshot. One that is not newer than the last is dropped.
func (p *past) add(s *goroutine.Snapshot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.points); n > 0 && !s.Time.After(p.points[n-1].Time) {
		return
	}
	if p.started.IsZero() {
		p.started = s.Time
	}
	kept := slices.DeleteFunc(p.points, func(q Point) bool { return s.Time.Sub(q.Time) > MaxPointAge })
	kept = append(kept, Point{Time: s.Time, Source: s.Source, Total: s.Total, States: s.States()})
	p.points = goroutine.Thin(kept, MaxPoints, wholePoints, func(q Point) time.Time { return q.Time })
}

// all returns the points, whose maps are shared, and the time of the first one ever.
func (p *past) all() (points []Point, started time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.points), p.started
}

// before returns the points of the trend in a report that describes the snapshot of
// this time: those before it, without the start of the service.
func (p *past) before(at time.Time) []report.Point {
	points, began := p.all()
	if at.Sub(began) >= 2*settling {
		began = began.Add(settling)
	}
	var trend []report.Point
	for _, q := range points {
		if q.Time.Before(began) || !q.Time.Before(at) {
			continue
		}
		counts := make(map[string]int, len(q.States))
		for state, n := range q.States {
			counts[string(state)] = n
		}
		trend = append(trend, report.Point{Time: q.Time, Source: string(q.Source), Total: q.Total, States: counts})
	}
	return trend
}
