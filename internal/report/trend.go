// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// strongFactor and strongGrowth define strong growth. Both must be reached,
	// so that growth from one goroutine to three is not strong.
	strongFactor = 2
	strongGrowth = 10
)

// A Trend is how the number of goroutines changed over a series.
type Trend struct {
	From      int     `json:"from"`
	To        int     `json:"to"`
	Seconds   float64 `json:"duration_seconds"` // from the first snapshot to the last
	Factor    float64 `json:"factor"`           // To / From; 0 if From is 0
	PerMinute float64 `json:"growth_per_minute"`
	Strong    bool    `json:"strong"` // at least doubled, with at least ten more goroutines
	Points    []Point `json:"points"` // oldest first
}

// A Point is one snapshot of a series.
type Point struct {
	Time   time.Time      `json:"time"`
	Source string         `json:"source"`
	Total  int            `json:"total"`
	States map[string]int `json:"states"`
}

// trendOf returns nil for fewer than two points.
func trendOf(points []Point) *Trend {
	if len(points) < 2 {
		return nil
	}
	first, last := points[0], points[len(points)-1]
	t := &Trend{From: first.Total, To: last.Total, Seconds: last.Time.Sub(first.Time).Seconds(), Points: points}
	if t.From > 0 {
		t.Factor = float64(t.To) / float64(t.From)
	}
	if t.Seconds > 0 {
		t.PerMinute = float64(t.To-t.From) / t.Seconds * 60
	}
	t.Strong = t.To >= strongFactor*t.From && t.To-t.From >= strongGrowth
	return t
}

// lately returns the trend of the last part of the series, or nil if the series is not
// at least twice as long.
func (t *Trend) lately(part time.Duration) *Trend {
	last := t.Points[len(t.Points)-1].Time
	if last.Sub(t.Points[0].Time) < 2*part {
		return nil
	}
	begin := slices.IndexFunc(t.Points, func(p Point) bool { return last.Sub(p.Time) <= part })
	return trendOf(t.Points[begin:])
}

func pointsOf(series []*goroutine.Snapshot) []Point {
	points := make([]Point, len(series))
	for i, s := range series {
		p := Point{Time: s.Time, Source: string(s.Source), Total: s.Total, States: make(map[string]int)}
		for state, n := range s.States() {
			p.States[string(state)] += n
		}
		points[i] = p
	}
	return points
}
