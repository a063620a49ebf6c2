// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
)

// A member is a goroutine of a group.
type member struct {
	id   uint64
	wait time.Duration // in whole minutes; 0: less, or unknown
}

// members knows single goroutines of a snapshot by group, as far as the input tells them.
// A group has no more than 10 IDs of its own; a goroutine dump has more in its details.
type members struct {
	waits    map[uint64]time.Duration // of the goroutines of which the dump shows one
	detailed map[groupRef][]member
	waiting  map[goroutine.GroupKey][]member // those that are not in detailed
}

// groupRef identifies a group of a goroutine dump.
type groupRef struct {
	stack   *goroutine.Stack
	state   goroutine.State
	created goroutine.Frame
	lock    uint64
}

func refOf(g *goroutine.Group) groupRef { return groupRef{g.Stack, g.State, g.CreatedBy, g.Lock} }

// membersOf returns the members in a dump, or none if details is nil.
func membersOf(details *parse.Details) *members {
	m := &members{waits: make(map[uint64]time.Duration), detailed: make(map[groupRef][]member), waiting: make(map[goroutine.GroupKey][]member)}
	if details == nil {
		return m
	}
	known := make(map[uint64]bool, len(details.Goroutines))
	for i := range details.Goroutines {
		d := &details.Goroutines[i]
		if known[d.ID] || d.ID == 0 { // a header of several goroutines has no ID
			continue
		}
		known[d.ID] = true
		ref := groupRef{d.Stack, d.State, d.CreatedBy, d.Lock}
		m.detailed[ref] = append(m.detailed[ref], member{d.ID, d.Wait})
	}
	for _, w := range details.Waits {
		if w.ID == 0 {
			continue
		}
		m.waits[w.ID] = w.For
		if !known[w.ID] {
			m.waiting[w.Group] = append(m.waiting[w.Group], member{w.ID, w.For})
		}
	}
	return m
}

// listed returns the members of which it is certain that they are in a group.
func (m *members) listed(g *goroutine.Group) []member {
	list := slices.Clip(m.detailed[refOf(g)])
	for _, id := range g.IDs {
		if !slices.ContainsFunc(list, func(a member) bool { return a.id == id }) {
			list = append(list, member{id, m.waits[id]})
		}
	}
	return list
}

// take returns the members of a group. If groups share a key, it takes those of which
// only the key is known for the first group. Call it once for each group.
func (m *members) take(g *goroutine.Group) []member {
	list := m.listed(g)
	var rest []member
	for _, a := range m.waiting[g.Key()] {
		switch {
		case slices.Contains(g.IDs, a.id):
		case len(list) < g.Count:
			list = append(list, a)
		default:
			rest = append(rest, a)
		}
	}
	m.waiting[g.Key()] = rest
	return list
}

// longestWaits returns the waits of a group's goroutines for a report, if the dump shows
// waits.
func (m *members) longestWaits(g *goroutine.Group, keep func(member) bool) (list []report.Wait) {
	if len(m.waits) == 0 || !g.State.Blocked() && g.Wait == 0 {
		return nil
	}
	for _, a := range m.listed(g) {
		if keep(a) {
			list = append(list, report.Wait{ID: a.id, Seconds: a.wait.Seconds()})
		}
	}
	return list
}
