package report

import (
	"fmt"

	"github.com/otelgoroutine/go/goroutine"
)

// A Level is how much a check matters.
type Level string

// The levels, weakest first.
const (
	LevelOK   Level = "ok"
	LevelNote Level = "note" // unusual, or usual in some healthy programs: read on
	LevelWarn Level = "warn" // most likely a fault
)

// The thresholds of the health assessment, by custom: numbers of goroutines,
// and percentages of them.
const (
	manyGoroutines    = 1_000
	tooManyGoroutines = 10_000
	blockedPercent    = 80
	mutexPercent      = 30
	channelPercent    = 50
)

// Health is rules of thumb on one snapshot. They are no verdict: a server that
// waits for requests has most of its goroutines parked. What is sure is in the
// findings.
type Health struct {
	Level  Level   `json:"level"` // the worst of the checks
	Checks []Check `json:"checks"`
}

// A Check is one rule of thumb.
type Check struct {
	Name      string  `json:"name"`
	Level     Level   `json:"level"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"` // over it the level is not ok
	Message   string  `json:"message"`
}

func assess(s *goroutine.Snapshot) Health {
	counts := make(map[goroutine.Category]int)
	blocked := 0
	for state, n := range s.States() {
		counts[state.Category()] += n
		if state.Blocked() {
			blocked += n
		}
	}
	h := Health{Level: LevelOK, Checks: []Check{
		number(s.Total),
		share("blocked", blocked, s.Total, blockedPercent, LevelNote, "parked", "usual for a server that waits, not for one that works"),
		share("mutex", counts[goroutine.CategoryMutex], s.Total, mutexPercent, LevelWarn, "waiting for locks and the like", "points at contention or a deadlock"),
		share("channel", counts[goroutine.CategoryChannel], s.Total, channelPercent, LevelNote, "waiting on channels", "usual for idle workers and for leaks alike"),
	}}
	for _, c := range h.Checks {
		h.Level = worse(h.Level, c.Level)
	}
	return h
}

func worse(a, b Level) Level {
	if a == LevelWarn || b == LevelOK {
		return a
	}
	return b
}

func number(total int) Check {
	c := Check{Name: "goroutines", Level: LevelOK, Value: float64(total), Threshold: manyGoroutines,
		Message: fmt.Sprintf("%d goroutines, not over %d", total, manyGoroutines)}
	switch {
	case total > tooManyGoroutines:
		c.Level, c.Threshold = LevelWarn, tooManyGoroutines
		c.Message = fmt.Sprintf("%d goroutines, over %d: few programs mean to have so many", total, tooManyGoroutines)
	case total > manyGoroutines:
		c.Level = LevelNote
		c.Message = fmt.Sprintf("%d goroutines, over %d: usual under load, not at rest", total, manyGoroutines)
	}
	return c
}

func share(name string, n, total int, threshold float64, level Level, what, meaning string) Check {
	c := Check{Name: name, Level: LevelOK, Value: percent(n, total), Threshold: threshold}
	if c.Value > threshold {
		c.Level = level
		c.Message = fmt.Sprintf("%.1f%% are %s, over %.0f%%: %s", c.Value, what, threshold, meaning)
	} else {
		c.Message = fmt.Sprintf("%.1f%% are %s, not over %.0f%%", c.Value, what, threshold)
	}
	return c
}
