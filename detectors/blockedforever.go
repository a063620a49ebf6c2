package detectors

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// BlockedForeverConfig is the configuration of [NewBlockedForever]. Start from
// [DefaultBlockedForeverConfig].
type BlockedForeverConfig struct {
	// MinCount is how many goroutines must be blocked at one place, at least 1.
	// Default 1: a single one is already a certain fault.
	MinCount int
}

// DefaultBlockedForeverConfig returns the defaults.
func DefaultBlockedForeverConfig() BlockedForeverConfig { return BlockedForeverConfig{MinCount: 1} }

func (c BlockedForeverConfig) checks() []check { return []check{atLeast("MinCount", c.MinCount, 1)} }

// NewBlockedForever returns the detector "blocked_forever": goroutines that
// nothing can ever wake, because they send to or receive from a nil channel,
// or wait in a select without cases. Confidence [Certain]; one snapshot is
// enough.
//
// A select without cases in the goroutine of main.main is exempt: there it is
// the customary way to keep a program running. A library that parks a goroutine
// this way on purpose, to keep a thread or to hold memory alive, is reported;
// exclude its stack if the wait is intended.
//
// The source must distinguish a nil channel from a real one. Sources without the
// runtime's own wait reasons do so by a line number in the runtime, which is
// known for Go 1.26 and 1.27. With other Go versions they report an ordinary
// channel, and this detector finds nothing.
func NewBlockedForever(c BlockedForeverConfig) *Detector {
	return configured(c, &Detector{
		Name:   "blocked_forever",
		Doc:    "Goroutines that nothing can ever wake: on a nil channel, or in a select without cases.",
		Yields: []string{"deadlock", "hang"},
		Run:    c.run,
	})
}

func (c BlockedForeverConfig) run(p *Pass) error {
	var all findings
	for _, pl := range judged(p.places(), places.ByStack, goroutine.State.Never, c.MinCount, p.Known) {
		if pl.State != goroutine.SelectNoCases || !keepsRunning(pl.Stack) {
			all = append(all, lost(pl))
		}
	}
	all.report(p)
	return nil
}

// lost returns the finding for a place where goroutines are blocked forever.
func lost(pl *places.Place) Finding {
	since := pl.HeldSince(1)
	f := found(Certain, pl, since)
	f.Stands = true
	f.Message = fmt.Sprintf("%s at %s %s blocked in %s, which nothing can ever end.",
		goroutines(f.Count), where(pl.Stack), verb(f.Count, "is", "are"), pl.State)
	f.note("%s waits forever by definition.", operation(pl.State))
	if f.Age > 0 && pl.Count(since) != f.Count {
		f.note("%s ago there %s %d.", words.Span(f.Age), verb(pl.Count(since), "was", "were"), pl.Count(since))
	}
	if born, ok := pl.Oldest(); ok {
		if age := pl.Series.Newest().Time.Sub(born); age >= time.Second {
			f.note("The oldest of them was born at least %s ago.", words.Span(age))
		}
	}
	f.Advice = "Find how the goroutine gets to this line and what it was meant to wait for: a channel that was never made, or a field that is set later."
	return f
}

func operation(s goroutine.State) string {
	if s == goroutine.SelectNoCases {
		return "A select without cases"
	}
	return "Sending to or receiving from a nil channel"
}
