package parse

import "github.com/otelgoroutine/go/goroutine"

// MaxGroups is how many groups a snapshot has at most. What comes after the
// largest is summed up by state, under the stack [goroutine.OtherStacks]. Groups
// that are blocked for ever come before larger ones that are not: each is a fault
// for certain, and would be taken for resolved when it is not seen.
const MaxGroups = 4096

// other is the stack of what was summed up.
var other = &goroutine.Stack{ID: goroutine.OtherStacks}

// finish orders the groups of a snapshot, bounds their number and counts the
// total. Groups that have [goroutine.OtherStacks] already are summed up with
// the rest.
func finish(s *goroutine.Snapshot) {
	s.Sort()
	kept := s.Groups[:0] // never overtakes what it is taken from
	var rest []goroutine.Group
	forever := min(blockedForever(s.Groups), MaxGroups)
	others := MaxGroups - forever
	for _, g := range s.Groups {
		room := &others
		if g.State.Never() {
			room = &forever
		}
		if g.Stack == other || *room == 0 {
			rest = append(rest, g)
			continue
		}
		kept = append(kept, g)
		*room--
	}
	if len(rest) > 0 {
		clear(s.Groups[len(kept):])
		s.Groups = append(kept, sumByState(rest)...)
		s.Sort()
	}
	s.Total = 0
	for i := range s.Groups {
		s.Total += s.Groups[i].Count
	}
}

// blockedForever returns how many groups have a stack and no end.
func blockedForever(groups []goroutine.Group) (n int) {
	for i := range groups {
		if groups[i].Stack != other && groups[i].State.Never() {
			n++
		}
	}
	return n
}

// sumByState sums groups up by state. What they knew of births and IDs is
// kept, since the birth of a goroutine does not depend on its stack.
func sumByState(rest []goroutine.Group) []goroutine.Group {
	index := make(map[goroutine.State]int)
	var sums []goroutine.Group
	for _, g := range rest {
		i, ok := index[g.State]
		if !ok {
			i = len(sums)
			index[g.State] = i
			sums = append(sums, goroutine.Group{Stack: other, State: g.State})
		}
		sums[i].Add(g.Count, g.IDs, g.Births)
	}
	return sums
}
