// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/words"
)

// A Sight says what the findings cover: which detectors are judging, which are
// not and why, and how old the newest snapshot is.
type Sight struct {
	Age       float64          `json:"snapshot_age_seconds"` // of the newest snapshot; before the first, time since the start
	Judging   int              `json:"judging"`              // number of detectors that are judging
	Detectors []DetectorStatus `json:"detectors"`

	Candidates []Candidate `json:"candidates,omitempty"` // what is under suspicion without a verdict yet
	Skips      []Skip      `json:"skips,omitempty"`      // captures that did not happen in the last interval
	Summary    string      `json:"summary"`              // in sentences, without the candidates

	taken bool
}

// A DetectorStatus says whether a detector is judging.
type DetectorStatus struct {
	Name    string    `json:"name"`
	Judging bool      `json:"judging"`
	Reason  string    `json:"reason,omitempty"` // why it is not, as in goroutine.detector.state
	Detail  string    `json:"detail,omitempty"` // the same for people
	Since   time.Time `json:"since,omitzero"`   // the snapshot since which it has been so

	JudgingAt time.Time `json:"judging_at,omitzero"` // the earliest time at which it can judge, if only its history is too short
}

// SightOf describes a status.
func SightOf(s sight.Status) *Sight {
	r := &Sight{Age: max(0, s.Age.Round(time.Millisecond).Seconds()), Detectors: make([]DetectorStatus, 0, len(s.Detectors)), taken: !s.Time.IsZero()}
	for _, d := range s.Detectors {
		if d.Judging {
			r.Judging++
		}
		r.Detectors = append(r.Detectors, DetectorStatus{d.Detector, d.Judging, string(d.Reason), d.Detail, d.Since, d.JudgingAt})
	}
	r.Candidates = candidatesOf(s.Detectors)
	for _, k := range s.Skips {
		r.Skips = append(r.Skips, Skip{string(k.Source), k.Reason})
	}
	r.Summary = r.Line()
	return r
}

// Line returns s in a few sentences.
func (s *Sight) Line() string {
	line := s.judging()
	if gaps := s.Gaps(); len(gaps) > 0 {
		line += " Not judging: " + strings.Join(gaps, "; ") + "."
	}
	return line + " " + s.Newest()
}

// Gaps returns a clause for each reason why detectors are not judging, with the
// names of the detectors.
func (s *Sight) Gaps() (gaps []string) {
	var told []string
	for _, d := range s.Detectors {
		if d.Judging || slices.Contains(told, d.Detail) {
			continue
		}
		told = append(told, d.Detail)
		var names []string
		for _, other := range s.Detectors {
			if !other.Judging && other.Detail == d.Detail {
				names = append(names, other.Name)
			}
		}
		gaps = append(gaps, fmt.Sprintf("%s (%s)", strings.Join(names, ", "), d.Detail))
	}
	return gaps
}

// Split returns the detectors that are not judging in two parts: those that cannot
// judge the process as it is observed, and those that only need more snapshots.
func (s *Sight) Split() (cannot, waiting *Sight) {
	cannot, waiting = &Sight{}, &Sight{}
	for _, d := range s.Detectors {
		switch {
		case d.Judging:
		case d.Reason == string(detectors.ReasonShortHistory), d.Reason == string(detectors.ReasonInspection):
			waiting.Detectors = append(waiting.Detectors, d)
		default:
			cannot.Detectors = append(cannot.Detectors, d)
		}
	}
	return cannot, waiting
}

// Names returns the names of the detectors.
func (s *Sight) Names() (names []string) {
	for _, d := range s.Detectors {
		names = append(names, d.Name)
	}
	return names
}

// judging says how many detectors are judging.
func (s *Sight) judging() string {
	n := len(s.Detectors)
	switch {
	case n == 0:
		return "No detector is used."
	case n == 1:
		return fmt.Sprintf("Judging: %d of 1 detector.", s.Judging)
	case s.Judging == n:
		return fmt.Sprintf("Judging: all %d detectors.", n)
	case s.Judging == 0:
		return fmt.Sprintf("Judging: none of %d detectors.", n)
	}
	return fmt.Sprintf("Judging: %d of %d detectors.", s.Judging, n)
}

// Newest says how old the newest snapshot is.
func (s *Sight) Newest() string {
	if !s.taken {
		return "There is no snapshot yet."
	}
	return fmt.Sprintf("Newest snapshot %s old.", words.Span(span(s.Age)))
}

// All reports whether all detectors are judging, so that finding nothing means
// that there is nothing to find. It is false if there are no detectors.
func (s *Sight) All() bool { return s.Judging > 0 && s.Judging == len(s.Detectors) }

// Count returns the number of findings in words, with how many detectors it is
// from unless that is all.
func (s *Sight) Count(findings int) string {
	text := fmt.Sprintf("%d findings", findings)
	switch {
	case findings == 1:
		text = "1 finding"
	case findings == 0:
		text = "no findings"
	}
	switch {
	case s.All():
		return text
	case findings+s.Judging == 0:
		return "no detector is judging"
	}
	return fmt.Sprintf("%s from %d of %d detectors", text, s.Judging, len(s.Detectors))
}

// None says what it means that there are no findings. A nil Sight knows nothing
// about the detectors.
func (s *Sight) None() string {
	switch {
	case s == nil:
		return "none"
	case len(s.Detectors) == 0:
		return "unknown: no detector is used"
	case s.All():
		return "none"
	case s.Judging == 0:
		return "unknown: no detector is judging"
	}
	return fmt.Sprintf("none from %d of %d detectors; the others are not judging", s.Judging, len(s.Detectors))
}

// write writes in one line what the findings cover.
func (s *Sight) write(p *printer) {
	if s == nil {
		return
	}
	text := s.judging() + " " + s.Newest()
	if p.style != nil && !s.All() {
		text = p.paint(RoleWarning, s.judging()) + " " + s.Newest()
	}
	p.line(4, "  %s", text)
}

// writeGaps writes a line for each reason why detectors are not judging.
func (s *Sight) writeGaps(p *printer) {
	if s == nil {
		return
	}
	for _, gap := range s.Gaps() {
		p.line(4, "  Not judging: %s", gap)
	}
}
