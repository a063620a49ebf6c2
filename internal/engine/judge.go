// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxFindings is how many findings one detector may report in one pass.
	// Further findings are dropped and counted in the error.
	maxFindings = 100
	// maxCandidates is how many places one detector may name in one pass without a
	// verdict; see detectors.Pass.Candidate.
	maxCandidates = 10
	// maxMissing bounds detectors.Candidate.Missing, in bytes.
	maxMissing = 200
	// maxAsked is the maximum number of inspections that a detector may ask for;
	// there are fewer sources.
	maxAsked = 10
)

// A Verdict is the result of one detector for one snapshot.
type Verdict struct {
	Detector string
	Ran      bool  // false when the snapshot lacks what the detector needs
	Err      error // what went wrong; nil when all is well
	findings []detectors.Finding
	asked    []goroutine.Source // the closer inspections asked for, each once
	attends  bool               // asked for more snapshots
	status   detectors.Status
}

// unjudged says why it means nothing that the detector found nothing, as a clause;
// "" when it means that there is nothing.
func (v *Verdict) unjudged() string {
	if v.Err != nil {
		return "its detector failed" // and may have missed findings
	}
	if v.status.Judging {
		return ""
	}
	return cmp.Or(v.status.Detail, string(v.status.Reason))
}

// judge runs d over the snapshot of base. A panic of the detector comes back as
// an error; findings reported before an error or a panic are kept.
func (e *Engine) judge(d *detectors.Detector, base *detectors.Pass) Verdict {
	v := Verdict{Detector: d.Name, status: detectors.Status{Detector: d.Name, Judging: true}}
	p, ok := base.For(d.Needs)
	if !ok {
		v.status = detectors.NotJudging(d.Name, detectors.ReasonNoIDs, "snapshots have no goroutine IDs")
		return v
	}
	v.Ran = true
	p.Ask = func(s goroutine.Source) bool {
		if !slices.Contains(v.asked, s) && len(v.asked) < maxAsked {
			v.asked = append(v.asked, s)
		}
		return e.inspector != nil && e.inspector.Expect(s)
	}
	p.Attend = func() { v.attends = true }
	p.Abstain = func(r detectors.Reason, detail string) {
		if v.status.Judging {
			v.status = detectors.NotJudging(d.Name, r, detail)
		}
	}
	p.AbstainUntil = func(at time.Time, detail string) {
		if v.status.Judging {
			v.status = detectors.NotJudging(d.Name, detectors.ReasonShortHistory, detail)
			v.status.JudgingAt = future(at, p.Snapshot.Time)
		}
	}
	var candidates []detectors.Candidate
	p.Candidate = func(c detectors.Candidate) {
		c.VerdictAt = future(c.VerdictAt, p.Snapshot.Time)
		candidates = withCandidate(candidates, c)
	}
	var errs []error
	dropped := 0
	p.Report = func(f detectors.Finding) {
		switch {
		case f.Stack == nil:
			errs = append(errs, errors.New("a finding without a stack was reported"))
		case len(v.findings) >= maxFindings:
			dropped++
		default:
			v.findings = append(v.findings, bounded(d, f))
		}
	}
	errs = append(errs, guarded(d, p))
	if dropped > 0 {
		errs = append(errs, fmt.Errorf("%d findings over the limit of %d were dropped", dropped, maxFindings))
	}
	if err := errors.Join(errs...); err != nil {
		v.Err = fmt.Errorf("detector %q: %w", d.Name, err)
		v.status = detectors.NotJudging(d.Name, detectors.ReasonError, err.Error())
	}
	v.status.Candidates = candidates
	return v
}

// future returns a time that is promised, unless it has passed: then nothing is known.
func future(at, now time.Time) time.Time {
	if !at.After(now) {
		return time.Time{}
	}
	return at
}

// withCandidate returns all with c, if it keeps the contract and there is room.
func withCandidate(all []detectors.Candidate, c detectors.Candidate) []detectors.Candidate {
	if c.Stack == nil || c.Count < 1 {
		return all
	}
	c.Missing, _, _ = strings.Cut(c.Missing, "\n")
	c.Missing = strings.ToValidUTF8(c.Missing[:min(len(c.Missing), maxMissing)], "")
	same := func(other detectors.Candidate) bool { return other.Stack.ID == c.Stack.ID && other.State == c.State }
	if i := slices.IndexFunc(all, same); i >= 0 {
		all[i] = c
		return all
	}
	if len(all) >= maxCandidates {
		return all
	}
	return append(all, c)
}

func guarded(d *detectors.Detector, p *detectors.Pass) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return d.Run(p)
}

// bounded makes f keep the contract, whatever the detector reported.
func bounded(d *detectors.Detector, f detectors.Finding) detectors.Finding {
	f.Detector = d.Name
	if f.Confidence < detectors.Info || f.Confidence > detectors.Certain {
		f.Confidence = detectors.Info
	}
	f.IDs = f.IDs[:min(len(f.IDs), goroutine.MaxIDs)]
	f.Evidence = f.Evidence[:min(len(f.Evidence), detectors.MaxEvidence)]
	f.Labels = f.Labels[:min(len(f.Labels), detectors.MaxLabels)]
	f.Traces = f.Traces[:min(len(f.Traces), detectors.MaxTraces)]
	f.Participants = slices.DeleteFunc(slices.Clone(f.Participants), func(p detectors.Participant) bool { return p.Stack == nil })
	f.Participants = f.Participants[:min(len(f.Participants), detectors.MaxParticipants)]
	for i := range f.Participants {
		p := &f.Participants[i]
		p.IDs = p.IDs[:min(len(p.IDs), goroutine.MaxIDs)]
	}
	return f
}
