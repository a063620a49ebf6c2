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
	Seen    *observation
}

// judge compares what was observed with what is true.
func judge(s *corpus.Scenario, seen *observation, err error, proof bool) result {
	r := result{Name: s.Name, Class: s.Class, Faulty: s.Faulty, Beyond: s.Beyond, Proof: s.Proof, Seen: seen}
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
	r.Trouble = untrue(s, seen)
	if proof && s.Proof {
		r.Beyond = ""
	}
	return r
}

// hits reports whether f is the fault of s.
func hits(s *corpus.Scenario, f *watch.Finding) bool {
	return slices.ContainsFunc(s.Expect, func(x corpus.Expectation) bool {
		return x.Detector == f.Detector && x.Matches(f.Function)
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
	enough := func(x corpus.Expectation) bool { return seen.Standing >= x.Least }
	if s.Faulty && !slices.ContainsFunc(s.Expect, enough) {
		return fmt.Sprintf("only %d goroutines stood where the fault leaves them", seen.Standing)
	}
	return ""
}

// A rank is how bad a finding on a sound program is.
type rank int

const (
	harmless rank = iota // info
	lower                // medium and suspected of a detector other than leak and deadlock
	severe               // what must not be
)

func rankOf(f *watch.Finding) rank {
	if f.Confidence == "info" {
		return harmless
	}
	if f.Detector == "leak" || f.Detector == "deadlock" || f.Confidence != "medium" && f.Confidence != "suspected" {
		return severe
	}
	return lower
}

func (r *result) worst() (worst rank) {
	for i := range r.Others {
		worst = max(worst, rankOf(&r.Others[i]))
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
		return "FALSE ALARM: " + r.Others[0].Message
	case len(r.Others) > 0:
		return fmt.Sprintf("sound; %s (%s)", r.Others[0].Detector, r.Others[0].Confidence)
	}
	return "sound"
}
