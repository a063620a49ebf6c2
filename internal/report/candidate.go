// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/detectors"
)

// A Candidate is what a detector suspects before a verdict is possible.
type Candidate struct {
	Detector        string    `json:"detector"`
	Severity        string    `json:"severity"` // always info
	Message         string    `json:"message"`  // the same as the fields, in words
	State           string    `json:"state,omitempty"`
	StackID         string    `json:"stack_id,omitempty"`
	At              *Frame    `json:"at,omitempty"` // the frame that names the place
	Count           int       `json:"count"`
	GrowthPerMinute float64   `json:"growth_per_minute,omitempty"`
	Age             float64   `json:"age_seconds,omitempty"` // minimum duration of the condition
	Exits           int       `json:"exits"`
	VerdictAt       time.Time `json:"verdict_at,omitzero"` // the earliest time of a verdict; not set if that is not known
	Missing         string    `json:"missing,omitempty"`   // what else is missing for a verdict
}

// candidatesOf describes the candidates of all detectors, in their order.
func candidatesOf(statuses []detectors.Status) (all []Candidate) {
	for _, s := range statuses {
		for _, c := range s.Candidates {
			all = append(all, Candidate{
				Detector: s.Detector, Severity: string(detectors.Info.Severity()), Message: c.String(),
				State: string(c.State), StackID: string(c.Stack.ID), At: frameOf(c.Stack.User()),
				Count: c.Count, GrowthPerMinute: finite(c.GrowthPerMinute), Age: seconds(c.Age), Exits: c.Exits,
				VerdictAt: c.VerdictAt, Missing: c.Missing,
			})
		}
	}
	return all
}

// String returns c in one line.
func (c *Candidate) String() string { return fmt.Sprintf("%s: %s", c.Detector, c.Message) }

// writeCandidates writes what is under suspicion.
func (s *Sight) writeCandidates(p *printer) {
	if s == nil || len(s.Candidates) == 0 {
		return
	}
	p.line(4, "  Under suspicion, no verdict yet:")
	for i := range s.Candidates {
		p.line(6, "    %s", &s.Candidates[i])
	}
}
