// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const (
	// unusedAfter is after how long an exclusion that matched nothing is unused: what
	// waits once a night is used.
	unusedAfter = 24 * time.Hour
	// usedFor is for how long an exclusion that has matched is not examined again.
	usedFor = time.Hour

	// decideAgain is for how long it is decided whether exclusions on creators and labels
	// cover a finding, and manyMore is the factor by which its number may rise meanwhile:
	// the goroutines that came since may be others.
	decideAgain = time.Hour
	manyMore    = 2
	// holdOn is for how long a finding whose number has risen by manyMore stays excluded
	// while the dump or the profile cannot be had that would decide it again: for several
	// attempts at it.
	holdOn = 10 * time.Minute
	// maxDecided is how many decisions are remembered, beyond those about what is found.
	maxDecided = 1000

	// labelSpacing is the least time between two attempts at a labelled profile about one
	// finding, in intervals, and at most maxLabelSpacing: that of goroutine dumps, which
	// the monitor's inspector keeps itself.
	labelSpacing    = 4
	maxLabelSpacing = time.Minute
)

// exclusions are the entries of the user's list of known stacks, with what they have
// matched.
type exclusions struct {
	all  []exclusion
	last time.Time // of the last snapshot examined
}

type exclusion struct {
	detectors.KnownStack
	since  time.Time     // of the first snapshot that could tell; zero before
	used   time.Time     // of the last snapshot in which it matched; zero if none
	untold time.Duration // since then: for how long no snapshot could tell
}

func exclusionsOf(list []detectors.KnownStack) exclusions {
	all := make([]exclusion, len(list))
	for i, k := range list {
		all[i].KnownStack = k
	}
	return exclusions{all: all}
}

// about returns the entries that may exclude a finding, and that its stack alone does
// not decide.
func (x *exclusions) about(f *detectors.Finding) (some []*exclusion) {
	if f.Confidence < detectors.Medium || wide(f) {
		return nil
	}
	for i := range x.all {
		if k := &x.all[i]; !k.Unconditional() && (k.Match == nil || k.matches(f.Stack, false)) {
			some = append(some, k)
		}
	}
	return some
}

// matches calls the user's predicate. One that panics gives what is safe.
func (k *exclusion) matches(s *goroutine.Stack, safe bool) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = safe
		}
	}()
	return k.Match(s)
}

// A decision says whether an exclusion on creators or labels covers a finding.
type decision struct {
	by    *exclusion // that covers it; nil if none does
	at    time.Time  // when that was decided; zero if it could not be
	count int        // how many goroutines there were then

	asked time.Time // since then: when a labelled profile was last asked for
	since time.Time // since when there have been too many goroutines for it; zero if there are not
}

// holds reports whether a decision need not be taken again.
func (d *decision) holds(f *detectors.Finding, now time.Time) bool {
	return !d.at.IsZero() && !d.outgrown(f) && now.Sub(d.at) < decideAgain
}

func (d *decision) outgrown(f *detectors.Finding) bool { return f.Count >= manyMore*max(1, d.count) }

// exclude returns which findings are covered by an exclusion on creators or labels, with
// the name of the entry. It decides about those of this step, and about those of open
// incidents that were not found in it.
func (e *Engine) exclude(c *closer, found []detectors.Finding) map[detectors.Identity]string {
	if !slices.ContainsFunc(e.exclusions.all, func(k exclusion) bool { return !k.Unconditional() }) {
		return nil
	}
	excluded, decided := make(map[detectors.Identity]string), make(map[detectors.Identity]decision)
	for _, f := range slices.Concat(found, e.tracker.findings()) {
		id := f.Identity()
		if _, ok := decided[id]; ok {
			continue
		}
		if about := e.exclusions.about(&f); len(about) > 0 {
			d := e.decide(c, &f, about)
			if decided[id] = d; d.by != nil {
				excluded[id] = d.by.Name
			}
		}
	}
	e.remember(decided, c.Time)
	return excluded
}

// remember keeps decisions, and those about what was not found this time for as long as
// they hold.
func (e *Engine) remember(decided map[detectors.Identity]decision, now time.Time) {
	for id, d := range e.decided {
		if _, ok := decided[id]; !ok && len(decided) < maxDecided && now.Sub(d.at) < decideAgain {
			decided[id] = d
		}
	}
	e.decided = decided
}

// decide decides whether one of some entries covers a finding. A decision that cannot
// be taken, because a dump or a labelled profile is refused, is tried again. Meanwhile
// an earlier one stays, unless there have long been too many goroutines for it.
func (e *Engine) decide(c *closer, f *detectors.Finding, about []*exclusion) decision {
	d := e.decided[f.Identity()]
	if e.inspector != nil && d.holds(f, c.Time) {
		return d
	}
	mayAsk := d.asked.IsZero() || c.Time.Sub(d.asked) >= min(labelSpacing*e.interval, maxLabelSpacing)
	by, unsure := c.covering(f, about, mayAsk)
	if by != nil {
		by.used = c.Time
	}
	if by != nil || len(unsure) == 0 {
		return decision{by: by, at: c.Time, count: f.Count}
	}
	if c.labelled.asked && mayAsk {
		d.asked = c.Time
	}
	switch {
	case d.by != nil && !slices.Contains(unsure, d.by):
		return decision{asked: d.asked} // it no longer covers the finding
	case !d.outgrown(f):
		d.since = time.Time{}
	case d.since.IsZero():
		d.since = c.Time
	case c.Time.Sub(d.since) >= holdOn:
		return decision{asked: d.asked}
	}
	return d
}

// A closer takes what a snapshot itself does not have: a goroutine dump and a labelled
// profile, each at most once in a step, and only when something needs it.
type closer struct {
	*goroutine.Snapshot
	inspector Inspector // nil: neither can be had

	text, labelled taken
}

// A taken is what was taken of a kind: nil if it was not asked for, or was refused.
type taken struct {
	*goroutine.Snapshot
	asked bool
}

func (c *closer) take(t *taken, kind goroutine.Source) *goroutine.Snapshot {
	if !t.asked && c.inspector != nil {
		t.asked = true
		if i := c.inspector.Inspect(kind, c.Snapshot); i != nil {
			t.Snapshot = i.Snapshot
		}
	}
	return t.Snapshot
}

// dump returns a goroutine dump, or nil. How often one is taken is the inspector's.
func (c *closer) dump() *goroutine.Snapshot { return c.take(&c.text, goroutine.SourceText) }

// labels returns the labels of the groups at a stack; ok is false if they cannot be had
// now. If mayAsk is false, a profile is taken only beside a dump, for entries that need
// both.
func (c *closer) labels(at *goroutine.Stack, mayAsk bool) (all [][]goroutine.Label, ok bool) {
	s := c.labelled.Snapshot
	if mayAsk || c.text.Snapshot != nil {
		s = c.take(&c.labelled, goroutine.SourceLabelled)
	}
	if s == nil {
		return nil, false
	}
	for i := range s.Groups {
		if g := &s.Groups[i]; g.Stack.ID == at.ID {
			all = append(all, g.Labels)
		}
	}
	return all, true
}

// creators returns the functions with the go statements that made the goroutines of a
// finding; ok is false if they cannot be had now. A snapshot that is a dump tells them
// itself, and without an inspector nothing else does. The IDs that a finding lists are
// those of its oldest goroutines: if it has others, all goroutines at its place count.
func (c *closer) creators(f *detectors.Finding) (functions []string, ok bool) {
	from := c.Snapshot
	if from.Source != goroutine.SourceText && c.inspector != nil {
		if from = c.dump(); from == nil {
			return nil, false
		}
	}
	here := groupsAt(from, f)
	made := creators(from, f.IDs, here)
	if f.Count > len(f.IDs) {
		maps.Copy(made, creators(from, nil, here))
	}
	for by := range made {
		functions = append(functions, by.Function)
	}
	return functions, true
}

// covering returns the first of some entries that covers all goroutines of a finding, as
// far as a dump and a labelled profile have them. If there is none, it returns those
// that cannot be decided without what could not be had. Of an entry that needs both,
// the creators are tried first.
func (c *closer) covering(f *detectors.Finding, about []*exclusion, mayAsk bool) (by *exclusion, unsure []*exclusion) {
	for _, k := range about {
		made, labels, ok := []string{""}, [][]goroutine.Label{nil}, true
		if k.Creator != "" {
			if made, ok = c.creators(f); ok && !k.madeAll(made) {
				continue // whatever the labels are
			}
		}
		if ok && k.Label.Key != "" {
			labels, ok = c.labels(f.Stack, mayAsk)
		}
		if !ok {
			unsure = append(unsure, k)
		} else if k.coversAll(made, labels) {
			return k, nil
		}
	}
	return nil, unsure
}

// madeAll reports whether these functions are all ones that an entry names as creators.
func (k *exclusion) madeAll(functions []string) bool {
	only := detectors.KnownStack{Creator: k.Creator}
	return len(functions) > 0 && !slices.ContainsFunc(functions, func(f string) bool { return !only.CoversOrigin(f, nil) })
}

// coversAll reports whether an entry covers goroutines with each of these creators and
// labels. That its Match covers their stack is known.
func (k *exclusion) coversAll(made []string, labels [][]goroutine.Label) bool {
	for _, creator := range made {
		for _, of := range labels {
			if !k.CoversOrigin(creator, of) {
				return false
			}
		}
	}
	return len(made) > 0 && len(labels) > 0
}

// examine notes which entries match something in a snapshot, and for how long snapshots
// have been unable to tell. A predicate of the user's that panics counts as one that
// matched.
func (x *exclusions) examine(s *goroutine.Snapshot) {
	var untold time.Duration
	tells := tellsAll(s)
	if !x.last.IsZero() && !tells {
		untold = max(0, s.Time.Sub(x.last))
	}
	x.last = s.Time
	for i := range x.all {
		k := &x.all[i]
		k.untold += untold
		if !k.used.IsZero() && s.Time.Sub(k.used) < usedFor || !k.Unconditional() {
			continue
		}
		if k.since.IsZero() && tells {
			k.since, k.untold = s.Time, 0
		}
		if slices.ContainsFunc(s.Groups, func(g goroutine.Group) bool { return k.matches(g.Stack, true) }) {
			k.used, k.untold = s.Time, 0
		}
	}
}

// tellsAll reports whether a snapshot has the whole stacks of all goroutines, so that
// what it does not show is not there.
func tellsAll(s *goroutine.Snapshot) bool {
	return s.Source != goroutine.SourceProfile && s.Source != goroutine.SourceLabelled && s.Missing == 0 &&
		!slices.ContainsFunc(s.Groups, func(g goroutine.Group) bool { return wideGroup(&g) })
}

// unused returns the names of the entries that have matched nothing in the snapshots of
// a day.
func (x *exclusions) unused(now time.Time) (names []string) {
	for i := range x.all {
		k := &x.all[i]
		last := k.used
		if last.IsZero() {
			last = k.since
		}
		if !last.IsZero() && now.Sub(last)-k.untold >= unusedAfter {
			names = append(names, k.Name)
		}
	}
	return names
}
