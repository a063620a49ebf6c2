// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
)

const (
	// patience is how many intervals may pass between two snapshots: three in a quiet
	// process, and one for a snapshot that is late.
	patience = 4
	// blindest is the share of a run, one in so many, in which a monitor may be blind.
	blindest = 10
	// undecided is for how long, in the time of a service, a detector may wait at the
	// end for a closer inspection of what it suspects.
	undecided = 5 * time.Minute
)

// A sight is what the monitor of a process could see, in the time of the service. The
// zero sight saw nothing.
type sight struct {
	Lasted    time.Duration
	Snapshots int
	Blind     time.Duration // for how long the newest snapshot was more than patience intervals old
	Unjudged  []string      // the detectors that were not judging at the end, and why
}

// trouble says why the silence of a monitor means nothing.
func (s *sight) trouble() string {
	switch {
	case s.Snapshots == 0:
		return "no snapshot was taken"
	case s.Blind*blindest > s.Lasted:
		return fmt.Sprintf("no snapshot was taken in time for %v of %v, and %d in all", s.Blind.Round(time.Second), s.Lasted.Round(time.Second), s.Snapshots)
	case len(s.Unjudged) > 0:
		return "not judging at the end: " + strings.Join(s.Unjudged, "; ")
	}
	return ""
}

// pass notes that a time has passed since a snapshot, or the start.
func (s *sight) pass(gap, interval time.Duration) {
	s.Lasted += gap
	s.Blind += max(0, gap-patience*interval)
}

// unjudged lists the detectors that are not judging, and why: neighbours with one reason
// together. One that only waits for an inspection is not listed if it has not been doing
// so for long.
func unjudged(all []detectors.Status, now time.Time, long time.Duration) (list []string) {
	before := ""
	for _, d := range all {
		if d.Judging || d.Reason == detectors.ReasonInspection && now.Sub(d.Since) < long {
			continue
		}
		why := fmt.Sprintf(" (%s: %s)", d.Reason, d.Detail)
		name := d.Detector
		if why == before {
			last := len(list) - 1
			name = strings.TrimSuffix(list[last], why) + ", " + name
			list = list[:last]
		}
		list, before = append(list, name+why), why
	}
	return list
}
