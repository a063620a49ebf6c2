// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxCompany is how many findings, those with the most goroutines, are compared
	// with each other in one step: 276 pairs.
	maxCompany = 24
	// maxPairs is how many pairs are remembered; no others are compared while it is
	// reached. keepPair is for how many steps one is remembered without being seen.
	maxPairs, keepPair = 1000, 100
	// maxCompared is how many pairs are compared in one step; the others later.
	maxCompared = 64
	// askAgain is how many steps a pair that is not one growth is not compared again.
	askAgain = 8
)

// A company finds findings that tell of one growth: places whose goroutines come
// together and stay, or wait in one call. It remembers what it has found, so that
// an incident does not fall apart when the history no longer proves it.
type company struct {
	steps    uint64
	compared int // pairs in this step
	pairs    map[pair]verdict
	leads    map[detectors.Identity]uint64 // findings that others are part of, and the step when last
}

// A pair is two findings, the one with more goroutines first when they were
// compared.
type pair [2]detectors.Identity

// A verdict is what is known of a pair.
type verdict struct {
	one         bool
	asked, seen uint64 // steps
}

func newCompany() *company {
	return &company{pairs: make(map[pair]verdict), leads: make(map[detectors.Identity]uint64)}
}

// step begins a step, and forgets what has not been seen for long.
func (c *company) step() {
	c.steps++
	c.compared = 0
	for p, v := range c.pairs {
		if c.steps-v.seen > keepPair {
			delete(c.pairs, p)
		}
	}
	for i, seen := range c.leads {
		if c.steps-seen > keepPair {
			delete(c.leads, i)
		}
	}
}

// merge returns findings with those that tell of the same growth as another made
// part of it.
func (c *company) merge(all []detectors.Finding, y yielding, v *view) []detectors.Finding {
	pointers, host := make([]*detectors.Finding, len(all)), make([]int, len(all))
	for i := range all {
		pointers[i], host[i] = &all[i], i
	}
	c.hosts(pointers, host, y, v)
	return collect(all, host, accompany)
}

// hosts makes findings that are faults of their own in host, which is as in
// [yielding.hosts], part of the one that leads their growth.
func (c *company) hosts(all []*detectors.Finding, host []int, y yielding, v *view) {
	own := candidates(all, host)
	if len(own) < 2 {
		return
	}
	of := c.groups(all, own, v)
	for n := range own {
		if of[n] == n {
			c.lead(all, host, members(own, of, n), y)
		}
	}
	for i := range host {
		host[i] = host[host[i]] // parts of a part
	}
}

// candidates returns the findings that may be about a growth: faults of their own
// at places, whose goroutines stand; those with the most goroutines.
func candidates(all []*detectors.Finding, host []int) (own []int) {
	for i, f := range all {
		if host[i] == i && f.Stands && !wide(f) {
			own = append(own, i)
		}
	}
	slices.SortStableFunc(own, func(i, k int) int { return cmp.Compare(all[k].Count, all[i].Count) })
	return own[:min(len(own), maxCompany)]
}

func members(own, of []int, group int) (all []int) {
	for n, i := range own {
		if of[n] == group {
			all = append(all, i)
		}
	}
	return all
}

// lead makes all of a group part of the one that leads it.
func (c *company) lead(all []*detectors.Finding, host, group []int, y yielding) {
	if len(group) < 2 {
		return
	}
	first := group[0]
	for _, i := range group[1:] {
		if c.before(all[i], all[first], y) {
			first = i
		}
	}
	for _, i := range group {
		host[i] = first
		delete(c.leads, all[i].Identity())
	}
	c.leads[all[first].Identity()] = c.steps
}

// groups returns for each of own the position in it of the first that tells of the
// same growth.
func (c *company) groups(all []*detectors.Finding, own []int, v *view) []int {
	of := make([]int, len(own))
	came := &growths{view: v}
	for n, i := range own {
		came.findings = append(came.findings, all[i])
		of[n] = n
	}
	for n, i := range own {
		for m, k := range own[:n] {
			if of[m] != of[n] && mayBeOne(all[i], all[k]) && c.one(all[k], all[i], came) {
				joined, into := max(of[m], of[n]), min(of[m], of[n])
				for j := range of {
					if of[j] == joined {
						of[j] = into
					}
				}
			}
		}
	}
	return of
}

// mayBeOne reports whether two findings may tell of one growth. Queues for two
// locks are two faults, even if every request waits for both.
func mayBeOne(f, g *detectors.Finding) bool {
	return (f.Subject == "" || g.Subject == "") && !(f.State.Lock() && g.State.Lock())
}

// one reports whether two findings tell of one growth, and remembers it.
func (c *company) one(f, g *detectors.Finding, came *growths) bool {
	p := pair{f.Identity(), g.Identity()}
	v, known := c.pairs[p]
	if !known {
		if turned, ok := c.pairs[pair{p[1], p[0]}]; ok {
			p, v, known = pair{p[1], p[0]}, turned, true
		}
	}
	due := !v.one && (!known || c.steps-v.asked >= askAgain)
	if !known && (len(c.pairs) >= maxPairs || c.compared >= maxCompared) {
		return false
	}
	if due && c.compared < maxCompared {
		c.compared++
		v.one, v.asked = oneCall(f, g) || came.together(f, g), c.steps
	}
	v.seen = c.steps
	c.pairs[p] = v
	return v.one
}

// before reports whether f leads g: because it explains more, has led before, does
// not merely wait for others to end, made the others, or is older.
func (c *company) before(f, g *detectors.Finding, y yielding) bool {
	if f.Detector != g.Detector && (y.reaches(f.Detector, g.Detector) || y.reaches(g.Detector, f.Detector)) {
		return y.reaches(g.Detector, f.Detector)
	}
	if a, b := c.led(f), c.led(g); a != b {
		return a
	}
	if a, b := f.State == goroutine.WaitGroupWait, g.State == goroutine.WaitGroupWait; a != b {
		return b
	}
	if a, b := made(f, g), made(g, f); a != b {
		return a
	}
	return older(f, g)
}

func (c *company) led(f *detectors.Finding) bool {
	_, ok := c.leads[f.Identity()]
	return ok
}

// older reports whether most of the goroutines that f lists are older than those
// that g lists, pair by pair.
func older(f, g *detectors.Finding) bool {
	n, both := 0, min(len(f.IDs), len(g.IDs))
	for i := range both {
		if f.IDs[i] < g.IDs[i] {
			n++
		}
	}
	return 2*n > both
}

// accompany adds to f the places of a finding that tells of the same growth, and
// says so. Each place has a number of goroutines of its own; that of f stays.
func accompany(f, part *detectors.Finding) {
	f.Confidence = max(f.Confidence, part.Confidence)
	f.Advice = cmp.Or(f.Advice, part.Advice)
	own := f.Participants
	if len(own) == 0 {
		own = []detectors.Participant{alone(f, detectors.RoleCause)}
	}
	added := slices.Clone(part.Participants)
	if len(added) == 0 {
		added = []detectors.Participant{alone(part, detectors.RoleCompanion)}
	}
	for i := range added {
		added[i].Role = detectors.RoleCompanion
	}
	added = without(added, own)
	if len(added) == 0 {
		return
	}
	say(f, inCompany(f) == 0, sentenceOf(f, part, &added[0]))
	all := slices.Concat(own, added)
	f.Participants = all[:min(len(all), detectors.MaxParticipants)]
}

// without returns the participants that are at places where none of others is.
func without(all, others []detectors.Participant) []detectors.Participant {
	return slices.DeleteFunc(all, func(p detectors.Participant) bool {
		return slices.ContainsFunc(others, func(q detectors.Participant) bool { return samePlace(&p, &q) })
	})
}

// inCompany returns how many companions f has.
func inCompany(f *detectors.Finding) (n int) {
	for i := range f.Participants {
		if p := &f.Participants[i]; p.Role == detectors.RoleCompanion {
			n += p.Count
		}
	}
	return n
}

func sentenceOf(f, part *detectors.Finding, p *detectors.Participant) string {
	if oneCall(f, part) {
		return fmt.Sprintf("Others wait in the same call: %s.", p)
	}
	return fmt.Sprintf("Others come together with them and stay: %s.", p)
}

// say adds a sentence to the evidence of f: instead of the last one if it must be
// said and there is no room.
func say(f *detectors.Finding, must bool, sentence string) {
	n := len(f.Evidence)
	if n >= detectors.MaxEvidence && !must {
		return
	}
	f.Evidence = append(slices.Clone(f.Evidence[:min(n, detectors.MaxEvidence-1)]), sentence)
}
