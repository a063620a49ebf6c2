package parse

import "github.com/otelgoroutine/go/goroutine"

// MaxGroups is how many groups a snapshot has at most. What comes after the
// largest is summed up by state, under the stack [goroutine.OtherStacks].
const MaxGroups = 4096

// other is the stack of what was summed up.
var other = &goroutine.Stack{ID: goroutine.OtherStacks}

// finish orders the groups of a snapshot, bounds their number and counts the
// total.
func finish(s *goroutine.Snapshot) {
	s.Sort()
	if len(s.Groups) > MaxGroups {
		s.Groups = append(s.Groups[:MaxGroups:MaxGroups], sumByState(s.Groups[MaxGroups:])...)
		s.Sort()
	}
	s.Total = 0
	for i := range s.Groups {
		s.Total += s.Groups[i].Count
	}
}

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
		sums[i].Count += g.Count
	}
	return sums
}
