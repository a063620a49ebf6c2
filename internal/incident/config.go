package incident

import (
	"math"
	"time"
)

// Config bounds what a [Tracker] reports and remembers. A field that is not
// positive stands for its default.
type Config struct {
	// Absences is after how many checks in a row without its finding an
	// incident is resolved. Default 3: a goroutine that is about to be
	// scheduled, or a proof that flaps, is missing in one or two.
	Absences int

	// RepeatEvery is after what time an incident is repeated that has not got
	// worse. Default one hour: often enough for whoever comes on call, seldom
	// enough not to be filtered out.
	RepeatEvery time.Duration

	// Growth is by what factor the count must have grown since it was last
	// reported for the incident to be repeated at once. Default 2.
	Growth int

	// Cooldown is for how long after its end an incident that comes back is
	// the same one, and how far apart it is reported as open at least: what
	// flaps is told once per Cooldown. Default 10 min.
	Cooldown time.Duration

	// MaxReported is how many incidents are reported one by one at a time.
	// Default 10: nobody reads an eleventh. An incident keeps its turn until
	// Cooldown after its end, so that many short ones do not take turns.
	MaxReported int

	// SummaryEvery is how far apart summaries of the others are at least.
	// Default 10 min.
	SummaryEvery time.Duration

	// MaxTracked is how many incidents are remembered at most. Default 1,000,
	// which takes less than a megabyte next to what their stacks take, and
	// those are shared with the snapshots.
	MaxTracked int
}

func (c Config) withDefaults() Config {
	return Config{
		Absences:     positive(c.Absences, 3),
		RepeatEvery:  positive(c.RepeatEvery, time.Hour),
		Growth:       max(2, c.Growth),
		Cooldown:     positive(c.Cooldown, 10*time.Minute),
		MaxReported:  positive(c.MaxReported, 10),
		SummaryEvery: positive(c.SummaryEvery, 10*time.Minute),
		MaxTracked:   positive(c.MaxTracked, 1000),
	}
}

func positive[T int | time.Duration](v, def T) T {
	if v > 0 {
		return v
	}
	return def
}

// Bound returns how many events a tracker emits at most within a time,
// whatever it is given, when no count exceeds maxCount.
//
// An incident that is reported holds one of MaxReported turns from then until
// Cooldown after its end. Within any Cooldown a turn therefore sees at most
// one opening or reopening, and at most one end for each: 2·(time/Cooldown+1).
// It is repeated for the time that has passed at most time/RepeatEvery times.
// It is repeated for growth at most log_Growth(maxCount) times, and for
// confidence once per level above the first, because both only count above
// what was reported before; a turn that a new incident takes begins anew.
// Summaries add time/SummaryEvery+1.
func (c Config) Bound(elapsed time.Duration, maxCount int) int {
	c = c.withDefaults()
	openings := int(elapsed/c.Cooldown) + 1
	worse := int(math.Log(float64(max(1, maxCount)))/math.Log(float64(c.Growth))) + levels - 1
	perTurn := openings*(2+worse) + int(elapsed/c.RepeatEvery)
	return c.MaxReported*perTurn + int(elapsed/c.SummaryEvery) + 1
}

// levels is how many levels of confidence there are.
const levels = 6
