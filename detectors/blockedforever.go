package detectors

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// BlockedForeverConfig is the configuration of [NewBlockedForever]. The zero
// value of a field stands for its default.
type BlockedForeverConfig struct {
	// MinCount is how many goroutines must be blocked at one place. Default
	// 1: each of them is lost for certain.
	MinCount int
}

// NewBlockedForever returns the detector "blocked_forever": goroutines that
// nothing can ever wake, because they send to or receive from a nil channel,
// or wait in a select without cases. Confidence [Certain]; one look is enough.
//
// A select without cases in the goroutine of main.main is exempt: there it is
// the customary way to keep a program running. A library that parks
// a goroutine so on purpose, to keep a thread or to hold memory alive, is
// reported: exclude its stack if that is meant.
//
// The source must tell a nil channel from a real one. Sources without the
// runtime's own wait reasons do so by a line number in the runtime, which is
// known for Go 1.26 and 1.27; with other versions they see an ordinary channel
// and this detector nothing. An invalid configuration is reported by
// [Validate].
func NewBlockedForever(c BlockedForeverConfig) *Detector {
	c.MinCount = orDefault(c.MinCount, 1)
	var err error
	if c.MinCount < 0 {
		err = bad("BlockedForeverConfig.MinCount", c.MinCount, "0 and more")
	}
	return configured(err, &Detector{
		Name: "blocked_forever",
		Doc:  "Goroutines that nothing can ever wake: on a nil channel, or in a select without cases.",
		Run:  c.run,
	})
}

func (c BlockedForeverConfig) run(p *Pass) error {
	looks := append(p.History[:len(p.History):len(p.History)], p.Snapshot)
	find := placeFinder{known: p.Known, state: goroutine.State.Never, least: c.MinCount}
	var found findings
	for _, pl := range find.find(looks) {
		if pl.key.State == goroutine.SelectNoCases && pl.stack.Entry().Function == "main.main" {
			continue
		}
		found = append(found, lost(pl, looks))
	}
	found.report(p)
	return nil
}

// lost returns the finding for a place where goroutines are blocked forever.
func lost(pl *place, looks []*goroutine.Snapshot) Finding {
	last := len(looks) - 1
	first := last
	for first > 0 && pl.count(first-1) > 0 {
		first--
	}
	count, were := pl.count(last), pl.count(first)
	ids, _ := pl.ids(last)
	f := Finding{
		Confidence: Certain,
		Stack:      pl.stack,
		State:      pl.key.State,
		Count:      count,
		Age:        looks[last].Time.Sub(looks[first].Time),
		IDs:        ids,
		CreatedBy:  pl.createdBy(),
		Message: fmt.Sprintf("%s at %s %s blocked in %s, which nothing can ever end.",
			goroutines(count), where(pl.stack), verb(count, "is", "are"), pl.key.State),
	}
	f.note(why(pl.key.State))
	if f.Age > 0 {
		f.GrowthPerMinute = float64(count-were) / f.Age.Minutes()
		f.note(fmt.Sprintf("%s ago it was %d.", span(f.Age), were))
	}
	if born, ok := oldest(pl, looks[last]); ok {
		f.note(fmt.Sprintf("The oldest of them was born at least %s ago.", span(looks[last].Time.Sub(born))))
	}
	f.advise("see how the goroutine gets to this line, and what it was meant to wait for: a channel that was never made, or a field that is set later.")
	return f
}

func why(s goroutine.State) string {
	if s == goroutine.SelectNoCases {
		return "A select without cases waits forever by definition."
	}
	return "Sending to or receiving from a nil channel waits forever by definition."
}

// oldest returns a time before which the oldest goroutine at pl was born.
func oldest(pl *place, s *goroutine.Snapshot) (born time.Time, ok bool) {
	for _, g := range pl.groups[len(pl.groups)-1] {
		if t, known := s.Oldest(g); known && (!ok || t.Before(born)) {
			born, ok = t, true
		}
	}
	return born, ok
}
