package engine

import (
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
)

// exclusions are the entries of the user's list of known stacks, with what they have
// matched.
type exclusions []exclusion

type exclusion struct {
	detectors.KnownStack
	since time.Time // of the first snapshot that could tell; zero before
	used  time.Time // of the last snapshot in which it matched; zero if none
}

func exclusionsOf(list []detectors.KnownStack) exclusions {
	all := make(exclusions, len(list))
	for i, k := range list {
		all[i].KnownStack = k
	}
	return all
}

// may reports whether an entry may exclude a finding that is not excluded by its stack
// alone.
func (x exclusions) may(f *detectors.Finding) bool {
	return f.Confidence >= detectors.Medium && f.Stack.ID != goroutine.OtherStacks &&
		slices.ContainsFunc(x, func(k exclusion) bool { return k.about(f.Stack) })
}

// about reports whether an entry that the stack alone does not decide is about it.
func (k *exclusion) about(s *goroutine.Stack) bool {
	return !k.Unconditional() && (k.Match == nil || k.matches(s, false))
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

// exclude reports whether entries with conditions on creators or labels cover all
// goroutines of a finding, as far as a dump and a labelled profile have them. Snapshot
// s is the one judged.
func (e *Engine) exclude(f *detectors.Finding, dump, s *goroutine.Snapshot) bool {
	if !e.exclusions.may(f) {
		return false
	}
	made := creators(dump, f.IDs, groupsAt(dump, f))
	var labels [][]goroutine.Label
	if slices.ContainsFunc(e.exclusions, func(k exclusion) bool { return k.Label.Key != "" && k.about(f.Stack) }) {
		labels = e.labelsAt(f, s)
	}
	return e.exclusions.cover(f.Stack, made, labels, s.Time)
}

// excludedAlone does what [Engine.exclude] does where there are no inspections, as for
// a saved series: by the most frequent creator, as far as the snapshot itself has one.
func (e *Engine) excludedAlone(f *detectors.Finding, s *goroutine.Snapshot) bool {
	return e.inspector == nil && f.CreatedBy.Function != "" && e.exclusions.may(f) &&
		e.exclusions.cover(f.Stack, map[goroutine.Frame]int{f.CreatedBy: 1}, nil, s.Time)
}

// labelsAt returns the labels of the groups at the stack of a finding; nil if they
// cannot be had now.
func (e *Engine) labelsAt(f *detectors.Finding, s *goroutine.Snapshot) (all [][]goroutine.Label) {
	taken := e.inspector.Inspect(goroutine.SourceLabelled, s)
	if taken == nil {
		return nil
	}
	for i := range taken.Groups {
		if g := &taken.Groups[i]; g.Stack.ID == f.Stack.ID {
			all = append(all, g.Labels)
		}
	}
	return all
}

// cover reports whether one entry covers goroutines of a stack with each of these
// creators and labels, and notes that it was of use.
func (x exclusions) cover(s *goroutine.Stack, made map[goroutine.Frame]int, labels [][]goroutine.Label, now time.Time) bool {
	if labels == nil {
		labels = [][]goroutine.Label{nil}
	}
	for i := range x {
		k := &x[i]
		if k.about(s) && (k.Creator == "" || len(made) > 0) && k.coversAll(s, made, labels) {
			k.used = now
			return true
		}
	}
	return false
}

func (k *exclusion) coversAll(s *goroutine.Stack, made map[goroutine.Frame]int, labels [][]goroutine.Label) bool {
	for _, of := range labels {
		if k.Creator == "" && !k.Covers(s, "", of) {
			return false
		}
		for creator := range made {
			if k.Creator != "" && !k.Covers(s, creator.Function, of) {
				return false
			}
		}
	}
	return true
}

// examine notes which entries match something in a snapshot, as far as it can tell.
// A predicate of the user's that panics counts as one that matched.
func (x exclusions) examine(s *goroutine.Snapshot) {
	for i := range x {
		k := &x[i]
		if !k.used.IsZero() && s.Time.Sub(k.used) < usedFor || !k.Unconditional() {
			continue
		}
		if k.since.IsZero() {
			k.since = s.Time
		}
		if slices.ContainsFunc(s.Groups, func(g goroutine.Group) bool { return k.matches(g.Stack, true) }) {
			k.used = s.Time
		}
	}
}

// unused returns the names of the entries that have matched nothing for a day.
func (x exclusions) unused(now time.Time) (names []string) {
	for _, k := range x {
		last := k.used
		if last.IsZero() {
			last = k.since
		}
		if !last.IsZero() && now.Sub(last) >= unusedAfter {
			names = append(names, k.Name)
		}
	}
	return names
}
