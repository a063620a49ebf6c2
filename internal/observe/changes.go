// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"time"

	"github.com/otelgoroutine/go/internal/report"
)

// A Kind says what changed about a process.
type Kind string

// The kinds of changes.
const (
	Observed    Kind = "observed" // the first snapshot
	Unreachable Kind = "unreachable"
	Reachable   Kind = "reachable" // again
	Restarted   Kind = "restarted"
	Incomplete  Kind = "incomplete" // snapshots lack something
	Complete    Kind = "complete"   // again
	Judging     Kind = "judging"    // what can be judged
	Suspected   Kind = "suspected"  // a candidate
)

// A Change is one thing that changed about a process.
type Change struct {
	Kind      Kind
	Time      time.Time
	Away      time.Duration     // for how long the process was unreachable, if it is Reachable
	Candidate *report.Candidate // if the kind is Suspected
}

const (
	// maxSuspected bounds how many candidates are remembered for a process.
	maxSuspected = 1000
	// forgetAfter is after which time without a candidate it is a change again.
	forgetAfter = time.Hour
)

// Changes finds out what changes about one process from step to step. The zero value
// is ready for use.
type Changes struct {
	observed   bool
	restarts   int
	away       time.Time // since when the process is unreachable; zero if it is reachable
	incomplete bool
	cannot     string // which detectors cannot judge, and why
	judging    bool   // all detectors are
	suspected  map[suspect]time.Time
}

// A suspect is what a candidate is about.
type suspect struct{ detector, stack, state string }

// Next returns what has changed since the status before, if anything.
func (c *Changes) Next(s *Status, now time.Time) (all []Change) {
	add := func(k Kind) { all = append(all, Change{Kind: k, Time: now}) }
	if s.Unreachable() {
		if c.away.IsZero() {
			c.away = s.Since
			add(Unreachable)
		}
		return all
	}
	if s.Snapshot == nil {
		return nil
	}
	restarted := s.Restarts > c.restarts
	c.restarts = s.Restarts
	if !c.away.IsZero() && c.observed {
		all = append(all, Change{Kind: Reachable, Time: now, Away: now.Sub(c.away)})
	}
	c.away = time.Time{}
	if restarted {
		c.suspected = nil
		add(Restarted)
	}
	if c.change(s) && c.observed {
		add(Judging)
	}
	if !c.observed {
		c.observed = true
		add(Observed)
	}
	if incomplete := s.Err != nil; incomplete != c.incomplete {
		c.incomplete = incomplete
		add(map[bool]Kind{true: Incomplete, false: Complete}[incomplete])
	}
	return append(all, c.suspects(s, now)...)
}

// change records what can be judged, and reports whether that has changed: which
// detectors cannot judge and why, or that all judge now. That one of several
// detectors has snapshots enough is none.
func (c *Changes) change(s *Status) bool {
	seen := report.SightOf(s.Sight)
	missing, _ := seen.Split()
	cannot := ""
	for _, d := range missing.Detectors {
		cannot += d.Name + " " + d.Reason + "\n"
	}
	changed := cannot != c.cannot || seen.All() && !c.judging
	c.cannot, c.judging = cannot, seen.All()
	return changed
}

// suspects returns the candidates that are new.
func (c *Changes) suspects(s *Status, now time.Time) (all []Change) {
	if c.suspected == nil || len(c.suspected) > maxSuspected {
		c.suspected = make(map[suspect]time.Time)
	}
	for _, candidate := range report.SightOf(s.Sight).Candidates {
		about := suspect{candidate.Detector, candidate.StackID, candidate.State}
		if last, ok := c.suspected[about]; !ok || now.Sub(last) > forgetAfter {
			all = append(all, Change{Kind: Suspected, Time: now, Candidate: &candidate})
		}
		c.suspected[about] = now
	}
	return all
}
