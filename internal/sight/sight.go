// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package sight knows what the detectors of one process can judge at the moment,
// and why those that cannot do not. It turns the statuses of the last step of an
// engine into statuses of now: a monitor whose snapshots stop, because each is
// refused or one hangs, is blind although its detectors were judging.
package sight

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// Missed is after how many intervals without a snapshot no detector counts as
// judging, unless the process is known to be quiet. One is the rule, a second passes
// when a snapshot is skipped, and the third leaves room for one that is late.
const Missed = 3

// A Skip is a capture that did not happen. Reason is a value of the attribute
// goroutine.snapshot.skip_reason.
type Skip struct {
	Source goroutine.Source
	Reason string
}

// A Status is what can be judged at one moment.
type Status struct {
	Time      time.Time        // of the newest snapshot; zero before the first
	Source    goroutine.Source // of the newest snapshot
	Age       time.Duration    // of the newest snapshot; before the first, time since the start
	Detectors []detectors.Status
	Skips     []Skip // captures that did not happen in the last interval
}

// A Sight follows one process. One goroutine calls its other methods; Status
// and Age are safe for concurrent use at any time. A nil Sight has no detectors.
type Sight struct {
	interval time.Duration
	now      atomic.Pointer[state]
}

// A state is never modified once it is stored.
type state struct {
	Status           // Age is the age at the moment from
	from   time.Time // its reading of the monotonic clock counts, not the wall clock
	quiet  time.Time // when the process was last known to be as in the newest snapshot; not before from
	paused bool
}

// New returns the sight of a process that is observed at an interval from now
// on, without a snapshot. An interval of 0 means that snapshots never get too
// old, as those of files.
func New(interval time.Duration, ds []*detectors.Detector, now time.Time) *Sight {
	st := state{from: now, quiet: now}
	for _, d := range ds {
		st.Detectors = append(st.Detectors, detectors.NotJudging(d.Name, detectors.ReasonShortHistory, "there is no snapshot yet"))
	}
	s := &Sight{interval: interval}
	s.now.Store(&st)
	return s
}

// Saw records a snapshot, the statuses of the detectors after it and the
// captures that did not happen since the one before.
func (s *Sight) Saw(snapshot *goroutine.Snapshot, statuses []detectors.Status, skips []Skip, now time.Time) {
	st := &state{Status: Status{
		Time: snapshot.Time, Source: snapshot.Source, Age: max(0, now.Sub(snapshot.Time)),
		Detectors: slices.Clone(statuses), Skips: slices.Clone(skips),
	}, from: now, quiet: now}
	st.explainMissingIDs()
	st.promise(s.interval > 0)
	s.now.Store(st)
}

// Glimpsed records a snapshot that no detector judged. Statuses stay as they are.
func (s *Sight) Glimpsed(snapshot *goroutine.Snapshot, now time.Time) {
	st := *s.now.Load()
	st.Time, st.Source, st.Age = snapshot.Time, snapshot.Source, max(0, now.Sub(snapshot.Time))
	st.from, st.quiet = now, now
	s.now.Store(&st)
}

// explainMissingIDs says why there are no goroutine IDs, if a source that has
// them was passed over for a source without.
func (s *Status) explainMissingIDs() {
	i := slices.IndexFunc(s.Skips, func(k Skip) bool { return k.Source == goroutine.SourceTrace })
	if i < 0 {
		return
	}
	for k := range s.Detectors {
		if d := &s.Detectors[k]; d.Reason == detectors.ReasonNoIDs {
			d.Detail += " (no trace: " + s.Skips[i].why() + ")"
		}
	}
}

// promise says when detectors whose history is too short can judge. While no observation
// goes on, they never can.
func (s *Status) promise(goesOn bool) {
	for k := range s.Detectors {
		switch d := &s.Detectors[k]; {
		case !goesOn:
			d.JudgingAt = time.Time{}
		case !d.JudgingAt.IsZero():
			d.Detail += "; possible from " + words.Clock(d.JudgingAt.Add(time.Second-1).Truncate(time.Second))
		}
	}
}

// Skipped records an interval without a snapshot. Statuses stay as they are
// until the newest snapshot is too old.
func (s *Sight) Skipped(skips []Skip) {
	st := *s.now.Load()
	st.Skips = slices.Clone(skips)
	s.now.Store(&st)
}

// Quiet records that no snapshot is needed yet, because nothing has happened in the
// process since the newest. What detectors judged stays true, whatever its age.
func (s *Sight) Quiet(now time.Time) {
	st := *s.now.Load()
	st.quiet = now
	s.now.Store(&st)
}

// Pause records that nothing is captured for a reason, until the next snapshot.
func (s *Sight) Pause(r detectors.Reason, detail string, now time.Time) {
	st := *s.now.Load()
	if st.paused {
		return
	}
	st.paused = true
	st.Detectors = all(st.Detectors, r, detail, now)
	s.now.Store(&st)
}

// Age returns the age of the newest snapshot or, before the first, the time
// since the start. stale reports whether it is too old to judge by.
func (s *Sight) Age(now time.Time) (age time.Duration, stale bool) {
	if s == nil {
		return 0, false
	}
	return s.age(s.now.Load(), now)
}

func (s *Sight) age(st *state, now time.Time) (age time.Duration, stale bool) {
	age = st.Age + max(0, now.Sub(st.from))
	known := age - max(0, st.quiet.Sub(st.from)) // how old what is known is
	return age, s.interval > 0 && known > Missed*s.interval && !st.paused
}

// Status returns what can be judged now. The result is the caller's.
func (s *Sight) Status(now time.Time) Status {
	if s == nil {
		return Status{}
	}
	st := s.now.Load()
	r := st.Status
	r.Skips = slices.Clone(st.Skips)
	age, stale := s.age(st, now)
	r.Age = age
	if stale {
		r.Detectors = all(st.Detectors, detectors.ReasonNoSnapshot, r.whyStale(), now.Add(-age))
	} else {
		r.Detectors = slices.Clone(st.Detectors)
	}
	return r
}

// Current returns the statuses of the detectors as of the last call of Saw or
// Pause, however old that is. They must not be modified.
func (s *Sight) Current() []detectors.Status {
	if s == nil {
		return nil
	}
	return s.now.Load().Detectors
}

// Of returns the status of a process or a file after one snapshot, without an
// observation that goes on.
func Of(snapshot *goroutine.Snapshot, statuses []detectors.Status, now time.Time) Status {
	s := New(0, nil, now)
	s.Saw(snapshot, statuses, nil, now)
	return s.Status(now)
}

// Stopped returns the status with no detector judging, because the observation
// has ended.
func (s Status) Stopped() Status {
	s.Detectors = all(s.Detectors, detectors.ReasonStopped, "the monitor was shut down", s.Time)
	return s
}

func (s *Status) whyStale() string {
	detail := fmt.Sprintf("the last snapshot was taken %s ago", words.Span(s.Age))
	if s.Time.IsZero() {
		detail = fmt.Sprintf("no snapshot was taken since the start %s ago", words.Span(s.Age))
	}
	var whys []string
	for _, k := range s.Skips {
		if why := fmt.Sprintf("%s: %s", strings.ReplaceAll(string(k.Source), "_", " "), k.why()); !slices.Contains(whys, why) {
			whys = append(whys, why)
		}
	}
	if len(whys) > 0 {
		detail += " (" + strings.Join(whys, "; ") + ")"
	}
	return detail
}

// all returns a status with a reason for each detector.
func all(of []detectors.Status, r detectors.Reason, detail string, since time.Time) []detectors.Status {
	list := make([]detectors.Status, len(of))
	for i, d := range of {
		list[i] = detectors.NotJudging(d.Detector, r, detail)
		list[i].Since = since
	}
	return list
}

// whys says what a reason to skip a capture means. The keys are those of
// internal/capture, which this package must not import: watch uses it for other
// processes.
var whys = map[string]string{
	"cpu_budget":          "its CPU time exceeds the budget so far",
	"pause_budget":        "the stop of the world would exceed the budget",
	"overload":            "too many goroutines are ready to run",
	"slot_taken":          "another execution trace is running",
	"unsupported_version": "it is not supported in this Go version",
	"too_large":           "more was written than can be kept",
	"memory_limit":        "it could take too much of the memory limit",
	"not_running":         "the flight recorder is not running",
	"unsafe":              "it could end the process",
	"deadline":            "it took too long and was ended",
	"hung":                "an earlier capture has not returned",
	"error":               "an error, which was reported",
}

func (k Skip) why() string {
	if why, ok := whys[k.Reason]; ok {
		return why
	}
	return k.Reason
}
