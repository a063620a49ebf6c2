// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// A Status says whether a detector is judging the process. That it reports
// nothing means that there is nothing to report only while it is judging.
type Status struct {
	Detector string
	Judging  bool
	Reason   Reason // why it is not judging; empty while it is
	Detail   string // the same for people, as a clause without a full stop; empty while it is judging

	// JudgingAt is the earliest time at which a detector whose history is too short
	// ([ReasonShortHistory]) can judge, if snapshots keep coming. It is zero when that is
	// not known, and after the newest snapshot otherwise.
	JudgingAt time.Time

	// Since is the time of the snapshot since which Judging and Reason have been
	// the same. It is zero before the first snapshot.
	Since time.Time

	// Candidates are what the detector suspects without a verdict yet, as of the
	// newest snapshot; at most 10. They must not be modified.
	Candidates []Candidate
}

// StateJudging is the state of a detector that is judging.
const StateJudging = "judging"

// State returns the value of the attribute goroutine.detector.state: "judging",
// or the reason why the detector is not.
func (s Status) State() string {
	if s.Judging {
		return StateJudging
	}
	return string(s.Reason)
}

// A Reason says why a detector is not judging. The set is closed.
type Reason string

// The reasons. A detector itself may give the first three; see [Pass.Abstain].
const (
	ReasonShortHistory Reason = "short_history" // there are too few snapshots yet, or they do not reach back far enough
	ReasonNoIDs        Reason = "no_ids"        // snapshots have no goroutine IDs
	ReasonInspection   Reason = "inspection"    // it suspects a fault, and waits for a closer inspection before it reports one
	ReasonError        Reason = "error"         // the detector failed; the error was reported
	ReasonNoSnapshot   Reason = "no_snapshot"   // no snapshot was taken for more than three intervals
	ReasonNoListener   Reason = "no_listener"   // nothing is captured, because no telemetry is heard
	ReasonStopped      Reason = "stopped"       // the monitor was shut down, or the process has ended
	ReasonOther        Reason = "other"         // the detector gave a reason of its own
)

// Reasons returns all reasons.
func Reasons() []Reason {
	return []Reason{ReasonShortHistory, ReasonNoIDs, ReasonInspection, ReasonError, ReasonNoSnapshot, ReasonNoListener, ReasonStopped, ReasonOther}
}

// maxDetail bounds Status.Detail, in bytes: it may quote an error of a detector
// that is not ours.
const maxDetail = 300

// NotJudging returns the status of a detector that is not judging. A reason that
// is not one of [Reasons] becomes [ReasonOther]. A detail of more than 300 bytes
// or with line breaks is shortened.
func NotJudging(detector string, r Reason, detail string) Status {
	if !slices.Contains(Reasons(), r) {
		r = ReasonOther
	}
	detail, _, _ = strings.Cut(detail, "\n")
	if len(detail) > maxDetail {
		detail = strings.ToValidUTF8(detail[:maxDetail], "") + "…"
	}
	return Status{Detector: detector, Reason: r, Detail: detail}
}

// abstain calls Abstain, which a pass that was built by hand lacks.
func (p *Pass) abstain(r Reason, detail string) {
	if p.Abstain != nil {
		p.Abstain(r, detail)
	}
}

// attend calls Attend, which a pass that was built by hand lacks.
func (p *Pass) attend() {
	if p.Attend != nil {
		p.Attend()
	}
}

// abstainUntil calls AbstainUntil, which a pass that was built by hand lacks.
func (p *Pass) abstainUntil(at time.Time, detail string) {
	if p.AbstainUntil != nil {
		p.AbstainUntil(at, detail)
	}
}

// tooShort abstains because the snapshots of s are fewer than given, or do not
// reach back for the time need. without says what is judged nevertheless; it
// may be empty.
func (p *Pass) tooShort(s *places.Series, snapshots int, need time.Duration, without string) {
	n, reach := len(s.Snapshots), s.Ago(0)
	detail := fmt.Sprintf("%d snapshots over at least %s are needed; there is 1", snapshots, words.Span(need))
	if n > 1 {
		detail = fmt.Sprintf("%d snapshots over at least %s are needed; there are %d over %s", snapshots, words.Span(need), n, words.Span(reach))
	}
	if n >= snapshots && reach >= need {
		detail += ", too far apart"
	}
	p.abstainUntil(judgingAt(s, 0, snapshots, need), detail+without)
}

// judgingAt returns when the snapshots from first on will be as many as given, over the
// time need, if they keep coming as they have; zero when they already are, or when that
// is not known.
func judgingAt(s *places.Series, first, snapshots int, need time.Duration) time.Time {
	at, n := s.Time(first).Add(need), len(s.Snapshots)-first
	if n > 1 && n < snapshots {
		gap := s.Ago(first) / time.Duration(n-1)
		if enough := s.Newest().Time.Add(time.Duration(snapshots-n) * gap); enough.After(at) {
			at = enough
		}
	}
	if !at.After(s.Newest().Time) {
		return time.Time{}
	}
	return at
}
