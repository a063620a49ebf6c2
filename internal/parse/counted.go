package parse

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Counted is a number of goroutines with one stack and equal labels, as a
// profile has them.
type Counted struct {
	Frames []goroutine.Frame // leaf first
	Count  int
	Labels []goroutine.Label // by key
}

// FromCounted returns the snapshot of these goroutines, with the states that
// follow from the frames and without IDs.
func FromCounted(counted []Counted, source goroutine.Source, at time.Time, stacks *Stacks) *goroutine.Snapshot {
	stacks.next()
	gs := groups{index: make(map[groupKey]int, len(counted))}
	for _, c := range counted {
		gs.of(stacks.Intern(c.Frames), stateOf(c.Frames), c.Labels).Count += c.Count
	}
	s := &goroutine.Snapshot{Time: at, Source: source, Groups: gs.list}
	finish(s)
	return s
}
