package report

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// strongFactor and strongGrowth mark strong growth: both must be reached,
	// so that growth from one goroutine to three is not strong.
	strongFactor = 2
	strongGrowth = 10
)

// A Trend is how the number of goroutines changed over a series.
type Trend struct {
	From      int     `json:"from"`
	To        int     `json:"to"`
	Seconds   float64 `json:"duration_seconds"` // from the first snapshot to the last
	Factor    float64 `json:"factor"`           // To / From; 0 when From is 0
	PerMinute float64 `json:"growth_per_minute"`
	Strong    bool    `json:"strong"` // at least doubled, and at least ten more
	Points    []Point `json:"points"` // oldest first
}

// A Point is one snapshot of a series.
type Point struct {
	Time   time.Time      `json:"time"`
	Source string         `json:"source"`
	Total  int            `json:"total"`
	States map[string]int `json:"states"`
}

// trendOf returns nil for fewer than two snapshots.
func trendOf(series []*goroutine.Snapshot) *Trend {
	if len(series) < 2 {
		return nil
	}
	first, last := series[0], series[len(series)-1]
	t := &Trend{From: first.Total, To: last.Total, Seconds: last.Time.Sub(first.Time).Seconds()}
	if t.From > 0 {
		t.Factor = float64(t.To) / float64(t.From)
	}
	if t.Seconds > 0 {
		t.PerMinute = float64(t.To-t.From) / t.Seconds * 60
	}
	t.Strong = t.To >= strongFactor*t.From && t.To-t.From >= strongGrowth
	for _, s := range series {
		p := Point{Time: s.Time, Source: string(s.Source), Total: s.Total, States: make(map[string]int)}
		for state, n := range s.States() {
			p.States[string(state)] += n
		}
		t.Points = append(t.Points, p)
	}
	return t
}
