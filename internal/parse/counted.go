package parse

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Counted is a number of goroutines with one stack, as a profile has them.
type Counted struct {
	Frames []goroutine.Frame // leaf first
	Count  int
	Labels []goroutine.Label // by key
}

// FromCounted makes a snapshot of stacks and their counts, with the states
// that follow from the frames. It knows no IDs.
func FromCounted(counted []Counted, source goroutine.Source, at time.Time, stacks *Stacks) *goroutine.Snapshot {
	stacks.next()
	s := &goroutine.Snapshot{Time: at, Source: source}
	type key struct {
		stack  *goroutine.Stack
		labels string
	}
	index := make(map[key]int, len(counted))
	for _, c := range counted {
		stack := stacks.Intern(c.Frames)
		k := key{stack, labelKey(c.Labels)}
		i, ok := index[k]
		if !ok {
			i = len(s.Groups)
			index[k] = i
			s.Groups = append(s.Groups, goroutine.Group{Stack: stack, State: stateOf(c.Frames), Labels: c.Labels})
		}
		s.Groups[i].Count += c.Count
	}
	finish(s)
	return s
}

func labelKey(labels []goroutine.Label) string {
	var k []byte
	for _, l := range labels {
		k = append(append(append(append(k, l.Key...), 0), l.Value...), 0)
	}
	return string(k)
}
