package report

import (
	"fmt"

	"github.com/otelgoroutine/go/goroutine"
)

// A Level is how unusual a number is.
type Level string

// The levels, weakest first.
const (
	LevelOK   Level = "ok"
	LevelNote Level = "note" // usual in some healthy programs
	LevelWarn Level = "warn" // unusual in healthy programs
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

// Health is observations on one snapshot by rules of thumb. Faults are in the
// findings: an idle server has most of its goroutines blocked and no fault.
type Health struct {
	Level  Level   `json:"level"` // the highest of the checks
	Checks []Check `json:"checks"`
}

// A Check compares one number with a customary threshold.
type Check struct {
	Name      string  `json:"name"`
	Level     Level   `json:"level"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"` // the level is ok up to here
	Message   string  `json:"message"`
}

// Over returns the checks over their thresholds.
func (h Health) Over() []Check {
	var over []Check
	for _, c := range h.Checks {
		if c.Level != LevelOK {
			over = append(over, c)
		}
	}
	return over
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
		share("blocked", blocked, s.Total, blockedPercent, LevelNote, "blocked", "usual for a server at rest"),
		share("mutex", counts[goroutine.CategoryMutex], s.Total, mutexPercent, LevelWarn, "waiting for locks", "usual under contention only"),
		share("channel", counts[goroutine.CategoryChannel], s.Total, channelPercent, LevelNote, "waiting on channels", "usual for idle workers"),
	}}
	for _, c := range h.Over() {
		if h.Level != LevelWarn {
			h.Level = c.Level
		}
	}
	return h
}

func number(total int) Check {
	c := Check{Name: "goroutines", Level: LevelOK, Value: float64(total), Threshold: manyGoroutines}
	meaning := ""
	switch {
	case total > tooManyGoroutines:
		c.Level, c.Threshold, meaning = LevelWarn, tooManyGoroutines, "usual for servers with many connections"
	case total > manyGoroutines:
		c.Level, meaning = LevelNote, "usual under load"
	}
	c.Message = c.compare(fmt.Sprintf("%d goroutines", total), fmt.Sprintf("%.0f", c.Threshold), meaning)
	return c
}

func share(name string, n, total int, threshold float64, over Level, what, meaning string) Check {
	c := Check{Name: name, Level: LevelOK, Value: percent(n, total), Threshold: threshold}
	if c.Value > threshold {
		c.Level = over
	}
	c.Message = c.compare(fmt.Sprintf("%.1f%% are %s", c.Value, what), fmt.Sprintf("%.0f%%", threshold), meaning)
	return c
}

func (c *Check) compare(value, threshold, meaning string) string {
	if c.Level == LevelOK {
		return value + ", not over " + threshold
	}
	return value + ", over " + threshold + ": " + meaning
}
