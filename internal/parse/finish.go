// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// MaxGroups is the maximum number of groups in a snapshot. For each state there
// may be one more, under the stack [goroutine.OtherStacks], which sums up all
// other goroutines. Groups that are blocked forever are kept first, then the
// largest ones: each blocked group may be a fault, and a fault that is not seen
// would be taken for resolved.
const MaxGroups = 4096

// other is the stack of groups that sum up others.
var other = &goroutine.Stack{ID: goroutine.OtherStacks}

// finish orders the groups of a snapshot, bounds their number and computes the
// total. Groups that already have [goroutine.OtherStacks] are summed up with the
// rest.
func finish(s *goroutine.Snapshot) {
	s.Sort()
	kept := s.Groups[:0] // never overtakes the slice it reads from
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
	s.Groups = fitted(s.Groups)
	s.Total = 0
	for i := range s.Groups {
		s.Total += s.Groups[i].Count
	}
}

// fitted returns groups without much spare capacity. Histories keep dozens of
// snapshots, and Collectors those of thousands of processes.
func fitted(groups []goroutine.Group) []goroutine.Group {
	if cap(groups)-len(groups) <= len(groups)/8 {
		return groups
	}
	return slices.Clone(groups)
}

// blockedForever returns how many groups that have a stack are blocked forever.
func blockedForever(groups []goroutine.Group) (n int) {
	for i := range groups {
		if groups[i].Stack != other && groups[i].State.Never() {
			n++
		}
	}
	return n
}

// sumByState sums up groups by state, with their births and IDs.
func sumByState(rest []goroutine.Group) []goroutine.Group {
	var sums groups
	for _, g := range rest {
		sums.of(other, g.State, nil).Add(g.Count, g.IDs, g.Births)
	}
	return sums.list
}

// groups collects the groups of a snapshot. The zero value is empty.
type groups struct {
	index map[groupKey]int
	list  []goroutine.Group
}

type groupKey struct {
	stack  *goroutine.Stack
	state  goroutine.State
	labels string
}

// of returns the group with this stack, state and labels. It makes the group if
// there is none. The result is valid until the next call.
func (gs *groups) of(stack *goroutine.Stack, state goroutine.State, labels []goroutine.Label) *goroutine.Group {
	key := groupKey{stack, state, labelKey(labels)}
	i, ok := gs.index[key]
	if !ok {
		if gs.index == nil {
			gs.index = make(map[groupKey]int)
		}
		i = len(gs.list)
		gs.index[key] = i
		gs.list = append(gs.list, goroutine.Group{Stack: stack, State: state, Labels: labels})
	}
	return &gs.list[i]
}

func labelKey(labels []goroutine.Label) string {
	var k []byte
	for _, l := range labels {
		k = append(append(append(append(k, l.Key...), 0), l.Value...), 0)
	}
	return string(k)
}
