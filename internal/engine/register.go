// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// A spot is where goroutines of a finding wait, for comparing findings and
// snapshots: lines, labels and locks do not matter.
type spot struct {
	stack goroutine.StackID
	state goroutine.State // "" is any
}

// has reports whether goroutines with a stack and a state are at a spot. Sources
// tell apart the states of locks differently well, so all of those are one.
func (s spot) has(stack goroutine.StackID, state goroutine.State) bool {
	return s.stack == stack && (s.state == state || s.state == "" || state == "" || s.state.Lock() && state.Lock())
}

// wide reports whether f is about the whole process.
func wide(f *detectors.Finding) bool { return f.Stack.ID == goroutine.OtherStacks }

// spotsOf returns where the goroutines of f are: its own place first, then those
// of its participants for which counts is true, each once.
func spotsOf(f *detectors.Finding, counts func(detectors.Role) bool) (all []spot) {
	if !wide(f) {
		all = append(all, spot{f.Stack.ID, f.State})
	}
	for i := range f.Participants {
		p := &f.Participants[i]
		if s := (spot{p.Stack.ID, p.State}); counts(p.Role) && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

func anyRole(detectors.Role) bool { return true }

// counted reports whether the number of goroutines of a finding may include those
// in a role: companions have numbers of their own.
func counted(r detectors.Role) bool { return r != detectors.RoleCompanion }

// concerned reports whether goroutines in a role must have left before a fault is
// over: not those that merely stopped at about the same time, nor one that holds
// a lock, which may go on at its place when it has released it.
func concerned(r detectors.Role) bool {
	return r != detectors.RoleAffected && r != detectors.RoleHolder
}

// idsOf returns the goroutines that f lists, as itself or as participants for which
// counts is true: rising, each once.
func idsOf(f *detectors.Finding, counts func(detectors.Role) bool) []uint64 {
	ids := slices.Clone(f.IDs)
	for i := range f.Participants {
		if p := &f.Participants[i]; counts(p.Role) {
			ids = append(ids, p.IDs...)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// A register finds findings about the same goroutines, by their places and by the
// goroutines that they list.
type register struct {
	all     []*detectors.Finding
	byStack map[goroutine.StackID][]int
	byID    map[uint64][]int
}

func newRegister(all []*detectors.Finding) *register {
	r := &register{all, make(map[goroutine.StackID][]int), make(map[uint64][]int)}
	for i, f := range all {
		for _, s := range spotsOf(f, anyRole) {
			r.byStack[s.stack] = append(r.byStack[s.stack], i)
		}
		for _, id := range idsOf(f, anyRole) {
			r.byID[id] = append(r.byID[id], i)
		}
	}
	return r
}

// overlapping returns the findings that have a place or a goroutine in common with
// f, f itself included, in their order. A finding about the whole process has no
// place.
func (r *register) overlapping(f *detectors.Finding) (found []int) {
	if len(r.all) == 0 {
		return nil
	}
	for _, s := range spotsOf(f, anyRole) {
		for _, i := range r.byStack[s.stack] {
			if slices.ContainsFunc(spotsOf(r.all[i], anyRole), func(other spot) bool { return s.has(other.stack, other.state) }) {
				found = append(found, i)
			}
		}
	}
	if !wide(f) {
		for _, id := range idsOf(f, anyRole) {
			found = append(found, r.byID[id]...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
