// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
)

// A Finding is what a detector found.
type Finding struct {
	ID         string    `json:"id,omitempty"` // constant from its first snapshot to its end
	Detector   string    `json:"detector"`
	Confidence string    `json:"confidence"`
	Severity   string    `json:"severity"` // info, warn or error, as in the event
	Opened     time.Time `json:"opened,omitzero"`
	Message    string    `json:"message"`
	Evidence   []string  `json:"evidence,omitempty"`
	Advice     string    `json:"advice,omitempty"`   // what to do next
	Unjudged   string    `json:"unjudged,omitempty"` // why it cannot be judged at the moment

	State           string   `json:"state,omitempty"`
	StackID         string   `json:"stack_id,omitempty"`
	Stacks          []int    `json:"stack_numbers,omitempty"` // on the live page: the numbers of its stacks
	Count           int      `json:"count"`
	GrowthPerMinute float64  `json:"growth_per_minute,omitempty"`
	Age             float64  `json:"age_seconds,omitempty"` // minimum duration of the condition
	IDs             []uint64 `json:"goroutine_ids,omitempty"`
	At              *Frame   `json:"at,omitempty"` // the frame that names the place
	CreatedBy       *Frame   `json:"created_by,omitempty"`
	Frames          []Frame  `json:"frames,omitempty"` // leaf first; on the live page, its stacks contain them

	Labels []Label `json:"labels,omitempty"` // pprof labels of its goroutines that the user allowed
	Traces []Trace `json:"traces,omitempty"` // that the labels of its goroutines name

	Participants []Participant `json:"participants,omitempty"` // the places of a fault that has several, the cause first
}

// A Participant is one of the places of a finding.
type Participant struct {
	Role  string `json:"role"`           // cause, holder, waiter or affected
	Title string `json:"title"`          // the same for people
	Note  string `json:"note,omitempty"` // what it has to do with the fault

	State     string   `json:"state,omitempty"`
	StackID   string   `json:"stack_id,omitempty"`
	Stacks    []int    `json:"stack_numbers,omitempty"` // as of a finding
	Count     int      `json:"count"`
	IDs       []uint64 `json:"goroutine_ids,omitempty"`
	At        *Frame   `json:"at,omitempty"`
	CreatedBy *Frame   `json:"created_by,omitempty"`
	Frames    []Frame  `json:"frames,omitempty"` // as of a finding

	text string // as in [detectors.Participant.String]
}

// String describes the participant in one line, without a full stop.
func (p *Participant) String() string { return p.Title + ": " + p.text }

// Findings describes findings. It keeps their order.
func Findings(findings []detectors.Finding) []Finding {
	list := Briefly(findings)
	for i := range list {
		if s := findings[i].Stack; s != nil {
			list[i].Frames, _ = framesOf(s, false)
		}
		for k, p := range findings[i].Participants {
			if p.Stack != nil {
				list[i].Participants[k].Frames, _ = framesOf(p.Stack, false)
			}
		}
	}
	return list
}

// Briefly describes findings without their frames.
func Briefly(findings []detectors.Finding) []Finding {
	list := make([]Finding, len(findings))
	for i := range findings {
		list[i] = findingOf(&findings[i])
	}
	return list
}

func findingOf(f *detectors.Finding) Finding {
	r := Finding{
		ID: f.ID, Opened: f.Opened, Detector: f.Detector,
		Confidence: f.Confidence.String(), Severity: string(f.Confidence.Severity()),
		Message: f.Message, Evidence: slices.Clone(f.Evidence), Advice: f.Advice, Unjudged: f.Unjudged,
		State: string(f.State), Count: f.Count, GrowthPerMinute: finite(f.GrowthPerMinute), Age: seconds(f.Age),
		IDs: slices.Clone(f.IDs), CreatedBy: frameOf(f.CreatedBy),
	}
	if f.Stack != nil {
		r.StackID, r.At = string(f.Stack.ID), frameOf(f.Stack.User())
	}
	r.describeOrigin(f)
	for i := range f.Participants {
		r.Participants = append(r.Participants, participantOf(&f.Participants[i]))
	}
	return r
}

func participantOf(p *detectors.Participant) Participant {
	r := Participant{
		Role: string(p.Role), Title: p.Role.Title(), Note: p.Note,
		State: string(p.State), Count: p.Count, IDs: slices.Clone(p.IDs), CreatedBy: frameOf(p.CreatedBy),
		text: p.String(),
	}
	if p.Stack != nil {
		r.StackID, r.At = string(p.Stack.ID), frameOf(p.Stack.User())
	}
	return r
}

// finite replaces numbers that JSON cannot represent.
func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// An Event says what happened to a finding, or that findings are not reported
// individually.
type Event struct {
	Time       time.Time `json:"time"`
	Kind       string    `json:"kind"` // detected, repeated, resolved or suppressed
	FindingID  string    `json:"finding_id,omitempty"`
	Detector   string    `json:"detector,omitempty"`
	Confidence string    `json:"confidence,omitempty"`
	Severity   string    `json:"severity"` // info, warn or error
	Count      int       `json:"count"`    // number of goroutines; number of findings if the kind is suppressed
	Message    string    `json:"message"`
}

// EventOf describes an event.
func EventOf(e detectors.Event) Event {
	f := &e.Finding
	r := Event{
		Time: e.Time, Kind: e.Kind.String(), FindingID: f.ID, Detector: f.Detector,
		Severity: string(detectors.SeverityInfo), Count: f.Count, Message: f.Message,
	}
	switch {
	case e.Kind == detectors.Suppressed && e.Suppressed == 0:
		return Event{Time: e.Time, Kind: r.Kind, Severity: r.Severity, Message: "All open findings are reported one by one again."}
	case e.Kind == detectors.Suppressed:
		return Event{Time: e.Time, Kind: r.Kind, Severity: string(detectors.SeverityWarn), Count: e.Suppressed,
			Message: fmt.Sprintf("%d open findings are not reported one by one.", e.Suppressed)}
	case e.Kind != detectors.Resolved:
		r.Severity = string(f.Confidence.Severity())
	}
	r.Confidence = f.Confidence.String()
	return r
}
