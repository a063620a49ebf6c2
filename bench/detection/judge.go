// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/watch"
)

// A result is what is to be thought of one run of a scenario.
type result struct {
	Name    string
	Class   corpus.Class
	Faulty  bool
	Beyond  string // why the fault cannot be found by watching
	Proof   bool   // the leak proof can find it
	Found   bool
	By      watch.Finding   // what found it first
	After   time.Duration   // from the first fault to By
	Others  []watch.Finding // faulty: what else was found; sound: all that was found
	Trouble string          // why this run says nothing
	Warns   bool            // sound: a warning is no mistake
	Course  course          // faulty: what was told from the fault on
	Growth  growth          // what was told of goroutines that grow in number
	Seen    *observation
}

// A course is what was told while a fault stood.
type course struct {
	Wanted    bool // this fault is to be told soon
	Soon      bool // it was: at the right place, as sure as wanted, within the limit
	Root      bool // what was told within the limit names the root
	Told      bool // it was told as sure as wanted, soon or late
	After     time.Duration
	Events    int // warnings and errors
	Incidents int // that those are about
	Ends      int // events that say that the fault has ended
	Thinned   int // the same, had there been fewer snapshots
}

// A growth is what was told of goroutines that grow in number, at the right place
// and as sure as wanted: in a sound program, as information.
type growth struct {
	Wanted        *corpus.Growth
	Told          bool
	Named, InTime bool // what was told first names what grows, and came in time
	After         time.Duration
}

// growthOf returns what was told of a growth. Times are from the first fault on.
func growthOf(s *corpus.Scenario, seen *observation) growth {
	g := growth{Wanted: s.Grows}
	if g.Wanted == nil {
		return g
	}
	for _, f := range seen.Events {
		if f.At < seen.FirstFault || s.Faulty && !(hits(s, &f) && f.AtLeast(g.Wanted.Confidence)) ||
			!s.Faulty && (f.AtLeast("medium") || !s.Names(f.Text)) {
			continue
		}
		g.Told, g.Named, g.After = true, s.Names(f.Text), f.At-seen.FirstFault
		g.InTime = !s.Faulty || seen.real(g.After) <= g.Wanted.Within
		return g
	}
	return g
}

// longestRest is for how many minutes no work of a sound program may move.
const longestRest = 5

// soon is the limit for faults that stop a service, in minutes.
const soon = 3

// mostEvents is how many warnings and errors one fault is to have in 80 minutes.
const mostEvents = 4

// once reports whether a fault was told as one incident, by few events, and not
// as ended.
func (c *course) once() bool {
	return c.Events <= mostEvents && c.Incidents <= 1 && c.Ends == 0 && c.Thinned == 0
}

// courseOf returns what was told of a fault. Times are from the standstill on,
// or from the first fault in programs that tell no standstill.
func courseOf(s *corpus.Scenario, seen *observation) course {
	c := course{Wanted: s.Soon != "", Thinned: len(seen.Thinned)}
	since := max(seen.FirstFault, seen.Standstill)
	incidents := make(map[string]bool)
	for _, f := range seen.Events {
		if f.At < seen.FirstFault || !f.AtLeast("medium") {
			continue
		}
		c.Events++
		incidents[f.ID] = true
		if c.Wanted && hits(s, &f) {
			c.add(s, &f, max(0, f.At-since), soon*seen.Minute)
		}
	}
	c.Incidents = len(incidents)
	for _, f := range seen.Ends {
		c.Ends += one(f.At > since && incidents[f.ID] && !seen.passed(f.At) && (!moves(s) || hits(s, &f)))
	}
	return c
}

// moves reports whether the goroutines of a fault do move, only too slowly: what is
// told of some of them besides is over when these have left.
func moves(s *corpus.Scenario) bool {
	return !slices.ContainsFunc(s.Expect, func(x corpus.Expectation) bool { return x.Detector != "contention" && x.Detector != "surge" })
}

// add takes an event at the right place into account.
func (c *course) add(s *corpus.Scenario, f *watch.Finding, after, limit time.Duration) {
	within := after <= limit
	c.Root = c.Root || within && s.Names(f.Text)
	if !c.Told && f.AtLeast(s.Soon) {
		c.Told, c.After, c.Soon = true, after, within
	}
}

// judge compares what was observed with what is true.
func judge(s *corpus.Scenario, seen *observation, err error, proof bool) result {
	r := result{Name: s.Name, Class: s.Class, Faulty: s.Faulty, Beyond: s.Beyond, Proof: s.Proof, Warns: s.Warns, Seen: seen}
	if err != nil {
		r.Trouble = err.Error()
		return r
	}
	for _, f := range append(slices.Clone(seen.Events), seen.Open...) {
		switch {
		case !hits(s, &f):
			if !slices.ContainsFunc(r.Others, func(o watch.Finding) bool { return same(&o, &f) }) {
				r.Others = append(r.Others, f)
			}
		case !r.Found:
			r.Found, r.By, r.After = true, f, max(0, f.At-seen.FirstFault)
		}
	}
	if s.Faulty {
		r.Course = courseOf(s, seen)
	}
	r.Growth = growthOf(s, seen)
	r.Trouble = untrue(s, seen)
	if proof && s.Proof {
		r.Beyond = ""
	}
	return r
}

// hits reports whether f is the fault of s. A fault that stops a service, and one
// that makes goroutines grow in number, may be told at any function that waits in
// an expected one: a library's, for example.
// Where a leak or a deadlock is expected, a hang is right as well: the other
// detectors yield to it.
func hits(s *corpus.Scenario, f *watch.Finding) bool {
	return slices.ContainsFunc(s.Expect, func(x corpus.Expectation) bool {
		yields := f.Detector == "hang" && (x.Detector == "leak" || x.Detector == "deadlock")
		return (x.Detector == f.Detector || yields) &&
			(x.Matches(f.Function) || (s.Soon != "" || s.Grows != nil) && slices.ContainsFunc(f.Frames, x.Matches))
	})
}

func same(a, b *watch.Finding) bool {
	return a.Detector == b.Detector && a.Function == b.Function && a.Confidence == b.Confidence
}

// untrue says why a run was not what its scenario says, or nothing.
func untrue(s *corpus.Scenario, seen *observation) string {
	switch {
	case s.Faulty && seen.Faults == 0:
		return "the fault did not happen"
	case !s.Faulty && seen.Served == 0:
		return "it did no work"
	case !s.Faulty && seen.Faults > 0:
		return "a fault happened in a sound program"
	}
	if seen.Standstill > 0 {
		still := seen.Lasted - seen.Standstill
		switch {
		case s.Faulty && still < soon*seen.Minute:
			return "its work went on"
		case !s.Faulty && !s.Warns && still > longestRest*seen.Minute:
			return "the work of a sound program stopped"
		}
	}
	enough := func(x corpus.Expectation) bool { return seen.Standing >= x.Least }
	if s.Faulty && !slices.ContainsFunc(s.Expect, enough) {
		return fmt.Sprintf("only %d goroutines stood where the fault leaves them", seen.Standing)
	}
	return ""
}

// strict are the classes whose sound programs must not even be warned about.
var strict = []corpus.Class{
	"hang", "alive and growing", "waits for ever on purpose", "connections that are not closed",
	"timers that are not stopped", "orphans of clients",
}

// A rank is how bad a finding on a sound program is.
type rank int

const (
	harmless rank = iota // info
	lower                // medium and suspected of a detector other than leak and deadlock
	severe               // what must not be
)

// rank is how bad a finding is, if the program is sound.
func (r *result) rank(f *watch.Finding) rank {
	standing := f.Detector == "leak" || f.Detector == "deadlock" || f.Detector == "hang"
	switch {
	case f.Confidence == "info":
		return harmless
	case f.IsError(), !r.Warns && (standing || slices.Contains(strict, r.Class)):
		return severe
	}
	return lower
}

func (r *result) worst() (worst rank) {
	for i := range r.Others {
		worst = max(worst, r.rank(&r.Others[i]))
	}
	return worst
}

// short is a line of progress.
func (r *result) short() string {
	switch {
	case r.Trouble != "":
		return "TROUBLE: " + r.Trouble
	case r.Found:
		return fmt.Sprintf("found by %s (%s) after %s", r.By.Detector, r.By.Confidence, r.After.Round(100*time.Millisecond))
	case r.Faulty && r.Beyond != "":
		return "not found, as expected"
	case r.Faulty:
		return "MISSED"
	case r.worst() == severe:
		i := slices.IndexFunc(r.Others, func(f watch.Finding) bool { return r.rank(&f) == severe })
		return "FALSE ALARM: " + r.Others[i].Message
	case len(r.Others) > 0:
		return fmt.Sprintf("sound; %s (%s)", r.Others[0].Detector, r.Others[0].Confidence)
	}
	return "sound"
}
