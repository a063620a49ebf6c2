// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/source"
)

// filterFlags are the flags that choose which goroutines a report or a diff shows.
type filterFlags struct {
	states    []string
	functions []string
	labels    []string
	minWait   time.Duration
	ids       []string

	parsed filter
}

func (f *filterFlags) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.states, "state", nil, "show only goroutines in one of these states, such as \"chan receive\"")
	flags.StringArrayVar(&f.functions, "function", nil, "show only goroutines with a function on the stack that matches this regular expression; several must all match")
	flags.StringArrayVar(&f.labels, "label", nil, "show only goroutines with this label: key=value, or key for any value; several must all match")
	flags.DurationVar(&f.minWait, "min-wait", 0, "show only goroutines that have waited this long according to a goroutine dump, in whole minutes")
	flags.StringSliceVar(&f.ids, "goroutine", nil, "show only goroutines with one of these IDs")
}

// maxIDs is how many values --goroutine takes, and maxPatterns how many --function and
// --label take.
const (
	maxIDs      = 10_000
	maxPatterns = 100
)

// check reads the flags.
func (f *filterFlags) check() error {
	p := &f.parsed
	if len(f.functions) > maxPatterns || len(f.labels) > maxPatterns || len(f.ids) > maxIDs {
		return fmt.Errorf("too many filters: at most %d functions, %d labels and %d goroutines are accepted", maxPatterns, maxPatterns, maxIDs)
	}
	for _, text := range f.functions {
		e, err := regexp.Compile(text)
		if err != nil {
			return fmt.Errorf("--function %q is no regular expression: %w", text, err)
		}
		p.functions = append(p.functions, e)
	}
	for _, text := range f.labels {
		key, value, exact := strings.Cut(text, "=")
		if key == "" {
			return fmt.Errorf("--label %q has no key; it must be key=value or key", text)
		}
		p.labels = append(p.labels, label{key, value, exact})
	}
	if f.minWait != 0 && f.minWait < time.Minute {
		return fmt.Errorf("--min-wait %v is too short; it must be at least 1m, because a goroutine dump shows whole minutes", f.minWait)
	}
	p.states, p.minWait = f.states, f.minWait
	for _, text := range f.ids {
		id, err := strconv.ParseUint(strings.TrimSpace(text), 10, 64)
		if err != nil || id == 0 {
			return fmt.Errorf("--goroutine %q is no ID; it must be a number such as 42", text)
		}
		p.ids = append(p.ids, id)
	}
	slices.Sort(p.ids)
	p.ids = slices.Compact(p.ids)
	return nil
}

// prepare makes a reader keep the labels that the filter needs. The values are hidden
// again when it was applied.
func (f *filterFlags) prepare(r *source.Reader) {
	if len(f.parsed.labels) == 0 {
		return
	}
	f.parsed.hide = r.Labels.Hide
	if r.Labels.Hide { // values of other labels must not tell goroutines apart
		r.Labels.All, r.Labels.Hide = false, false
	}
	for _, l := range f.parsed.labels {
		if !r.Labels.All && !slices.Contains(r.Labels.Keys, l.key) {
			r.Labels.Keys = append(slices.Clip(r.Labels.Keys), l.key)
		}
	}
}

// A filter chooses goroutines: those for which each of its conditions holds.
type filter struct {
	states    []string
	functions []*regexp.Regexp
	labels    []label
	minWait   time.Duration
	ids       []uint64 // sorted
	hide      bool     // label values

	matched map[*regexp.Regexp]map[string]bool // by the name of a function
	found   map[uint64]bool                    // IDs that a snapshot has
}

type label struct {
	key, value string
	exact      bool // value counts
}

func (f *filter) none() bool {
	return len(f.states)+len(f.functions)+len(f.labels)+len(f.ids) == 0 && f.minWait == 0
}

// conditions describes the filter.
func (f *filter) conditions() (list []string) {
	if len(f.states) > 0 {
		list = append(list, "state "+oneOf(f.states))
	}
	for _, e := range f.functions {
		list = append(list, fmt.Sprintf("function matches %q", e))
	}
	for _, l := range f.labels {
		switch {
		case !l.exact:
			list = append(list, "label "+l.key)
		case f.hide:
			list = append(list, "label "+l.key+"=…")
		default:
			list = append(list, fmt.Sprintf("label %s=%q", l.key, l.value))
		}
	}
	if f.minWait > 0 {
		list = append(list, "waited at least "+short.Replace(f.minWait.String()))
	}
	if n := len(f.ids); n > 0 {
		var ids []string
		for _, id := range f.ids[:min(n, goroutine.MaxIDs)] {
			ids = append(ids, strconv.FormatUint(id, 10))
		}
		if n > len(ids) {
			ids = append(ids, fmt.Sprintf("%d more", n-len(ids)))
		}
		list = append(list, "goroutine "+oneOf(ids))
	}
	return list
}

// knownStates are the states that a filter knows without an input.
var knownStates = []string{
	"running", "runnable", "syscall", "waiting",
	"chan receive", "chan receive (nil chan)", "chan send", "chan send (nil chan)", "select", "select (no cases)",
	"sync.Mutex.Lock", "sync.RWMutex.Lock", "sync.RWMutex.RLock", "sync.WaitGroup.Wait", "sync.Cond.Wait", "semacquire",
	"IO wait", "sleep", "coroutine",
}

// applicable returns an error if the last snapshots of a series lack what the filter asks
// for.
func (f *filter) applicable(series *source.Series) error {
	s := series.Snapshots[len(series.Snapshots)-1]
	present := slices.Clone(knownStates)
	labelled := false
	for i := range s.Groups {
		g := &s.Groups[i]
		labelled = labelled || len(g.Labels) > 0
		if !slices.Contains(present, string(g.State)) {
			present = append(present, string(g.State))
		}
	}
	for i, state := range f.states {
		k := slices.IndexFunc(present, func(known string) bool { return strings.EqualFold(known, state) })
		if k < 0 {
			return unknownValue("--state", state, present)
		}
		f.states[i] = present[k]
	}
	switch {
	case len(f.ids) > 0 && !s.HasIDs():
		return errors.New("--goroutine: the input has no goroutine IDs; traces and goroutine dumps have them (--endpoint trace or dump)")
	case f.minWait > 0 && s.Source != goroutine.SourceText:
		return errors.New("--min-wait: the input has no waits; only goroutine dumps have them (--endpoint dump)")
	case len(f.labels) > 0 && !labelled:
		return errors.New("--label: no goroutine of the input has such a label; only profiles have labels (--endpoint profile)")
	}
	return nil
}

// apply returns a snapshot with the goroutines that the filter chooses. m has the members
// of s.
func (f *filter) apply(s *goroutine.Snapshot, m *members) *goroutine.Snapshot {
	if f.found == nil {
		f.found = make(map[uint64]bool)
	}
	chosen := *s
	chosen.Groups, chosen.Total = nil, 0
	for i := range s.Groups {
		g := s.Groups[i]
		var all []member
		if f.single() {
			all = m.take(&g)
			for _, a := range all {
				f.found[a.id] = true
			}
		}
		if !f.group(&g) {
			continue
		}
		if f.single() {
			g = f.part(s, &g, all)
		}
		if f.hide {
			g.Labels = slices.Clone(g.Labels)
			for k := range g.Labels {
				g.Labels[k].Value = ""
			}
		}
		if g.Count > 0 {
			chosen.Groups = append(chosen.Groups, g)
			chosen.Total += g.Count
		}
	}
	chosen.Sort()
	return &chosen
}

// group reports whether a group meets the conditions that are the same for all its
// goroutines.
func (f *filter) group(g *goroutine.Group) bool {
	if len(f.states) > 0 && !slices.Contains(f.states, string(g.State)) {
		return false
	}
	for _, l := range f.labels {
		has := func(have goroutine.Label) bool { return have.Key == l.key && (!l.exact || have.Value == l.value) }
		if !slices.ContainsFunc(g.Labels, has) {
			return false
		}
	}
	for _, e := range f.functions {
		if !slices.ContainsFunc(g.Stack.Frames, func(frame goroutine.Frame) bool { return f.match(e, frame.Function) }) {
			return false
		}
	}
	return true
}

func (f *filter) match(e *regexp.Regexp, function string) bool {
	if f.matched == nil {
		f.matched = make(map[*regexp.Regexp]map[string]bool)
	}
	if f.matched[e] == nil {
		f.matched[e] = make(map[string]bool)
	}
	matches, known := f.matched[e][function]
	if !known {
		matches = e.MatchString(function)
		f.matched[e][function] = matches
	}
	return matches
}

// single reports whether the filter has conditions on single goroutines.
func (f *filter) single() bool { return f.minWait > 0 || len(f.ids) > 0 }

// keeps reports whether a goroutine meets the conditions on single ones.
func (f *filter) keeps(a member) bool {
	if len(f.ids) > 0 {
		if _, found := slices.BinarySearch(f.ids, a.id); !found {
			return false
		}
	}
	return a.wait >= f.minWait
}

// part returns the part of a group that the filter keeps.
func (f *filter) part(s *goroutine.Snapshot, g *goroutine.Group, all []member) goroutine.Group {
	kept := *g
	if len(all) == 0 && len(f.ids) == 0 && g.Wait >= f.minWait { // a header stands for all of them
		return kept
	}
	kept.Count, kept.IDs, kept.Births, kept.Wait = 0, nil, nil, 0
	for _, a := range all {
		if !f.keeps(a) {
			continue
		}
		epoch := slices.IndexFunc(s.Epochs, func(e goroutine.Epoch) bool { return a.id <= e.LastID })
		kept.Add(1, []uint64{a.id}, []goroutine.Cohort{{Epoch: max(0, epoch), Count: 1, Digest: goroutine.DigestID(a.id)}})
		kept.Wait = max(kept.Wait, a.wait)
	}
	return kept
}

// notFound returns the IDs that the filter asks for and that no snapshot has.
func (f *filter) notFound() (missing []string) {
	for _, id := range f.ids {
		if !f.found[id] && len(missing) < goroutine.MaxIDs {
			missing = append(missing, strconv.FormatUint(id, 10))
		}
	}
	return missing
}

// A filtered series is what a report shows of a series.
type filtered struct {
	snapshots []*goroutine.Snapshot
	filter    *report.Filter      // nil: nothing was left out
	whole     *goroutine.Snapshot // the last one, with all goroutines
	notes     []string
	waits     func(*goroutine.Snapshot, *goroutine.Group) []report.Wait
}

// choose applies the filter to a series.
func (f *filter) choose(series *source.Series) filtered {
	last := series.Snapshots[len(series.Snapshots)-1]
	known := make(map[*goroutine.Snapshot]*members, len(series.Snapshots))
	c := filtered{snapshots: slices.Clone(series.Snapshots), waits: func(s *goroutine.Snapshot, g *goroutine.Group) []report.Wait {
		return known[s].longestWaits(g, f.keeps)
	}}
	for i, s := range series.Snapshots {
		ends := i == 0 || s == last // a report shows their stacks
		if f.none() && !ends {
			continue
		}
		m := membersOf(series.Details[s])
		if !f.none() {
			c.snapshots[i] = f.apply(s, m)
		}
		if ends {
			known[c.snapshots[i]] = m
		}
	}
	if f.none() {
		return c
	}
	c.filter, c.whole = &report.Filter{Conditions: f.conditions()}, last
	if missing := f.notFound(); len(missing) > 0 {
		c.notes = append(c.notes, "no goroutine "+oneOf(missing)+" is known by its ID: there is none, or it is one of so many at one stack that only some are listed")
	}
	return c
}
