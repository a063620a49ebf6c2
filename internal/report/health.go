// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"

	"github.com/otelgoroutine/go/detectors"
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

// The customary thresholds of the health assessment: numbers of goroutines and
// percentages of them.
const (
	manyGoroutines    = 1_000
	tooManyGoroutines = 10_000
	blockedPercent    = 80
	mutexPercent      = 30
	channelPercent    = 50
)

// Health is a set of observations on one snapshot, made by rules of thumb. They
// are not faults, which are reported as findings: an idle server has most of
// its goroutines blocked and no fault.
type Health struct {
	Level  Level   `json:"level"` // the highest level of the checks
	Checks []Check `json:"checks"`
}

// A Check compares one number with a customary threshold.
type Check struct {
	Name      string  `json:"name"`
	Level     Level   `json:"level"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"` // the level is ok up to this value
	Message   string  `json:"message"`
}

// Over returns the checks that are over their thresholds.
func (h Health) Over() []Check {
	var over []Check
	for _, c := range h.Checks {
		if c.Level != LevelOK {
			over = append(over, c)
		}
	}
	return over
}

// assess compares the numbers of a snapshot. A check that findings speak about refers to
// them: what is usual elsewhere does not matter then.
func assess(s *goroutine.Snapshot, findings []detectors.Finding) Health {
	blocked, locks, channels := 0, 0, 0
	for state, n := range s.States() {
		if state.Blocked() {
			blocked += n
		}
		if state.Lock() {
			locks += n
		}
		if state.Category() == goroutine.CategoryChannel {
			channels += n
		}
	}
	h := Health{Level: LevelOK, Checks: []Check{
		number(s.Total),
		share("blocked", blocked, s.Total, blockedPercent, LevelNote, "blocked", "usual for a server at rest"),
		share("mutex", locks, s.Total, mutexPercent, LevelWarn, "waiting for locks", "usual under contention only"),
		share("channel", channels, s.Total, channelPercent, LevelNote, "waiting on channels", "usual for idle workers"),
	}}
	h.refer(s.Total, findings)
	for _, c := range h.Over() {
		if h.Level != LevelWarn {
			h.Level = c.Level
		}
	}
	return h
}

// refer replaces what is said to be usual in the checks that a finding speaks about: about
// goroutines in such a state, or about a tenth of all of them.
func (h *Health) refer(total int, findings []detectors.Finding) {
	told := make(map[string]bool)
	for i := range findings {
		f := &findings[i]
		if f.Confidence < detectors.Medium {
			continue
		}
		told["goroutines"] = told["goroutines"] || f.Count*10 >= total
		tell := func(state goroutine.State) {
			told["mutex"] = told["mutex"] || state.Lock()
			told["channel"] = told["channel"] || state.Category() == goroutine.CategoryChannel
			told["blocked"] = told["blocked"] || state != "" && state.Blocked()
		}
		tell(f.State)
		for _, p := range f.Participants {
			tell(p.State)
		}
	}
	for i := range h.Checks {
		if c := &h.Checks[i]; c.Level != LevelOK && told[c.Name] {
			number, _, _ := strings.Cut(c.Message, ": ")
			c.Message = number + ": see Findings"
		}
	}
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
