// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"slices"

	"github.com/otelgoroutine/go/detectors"
)

// maxTold is how many sentences of a finding go into the one that it becomes
// a part of: what it says, and why.
const maxTold = 3

// A yielding says for each detector to which others its findings yield. It has no
// circles.
type yielding map[string][]string

// yieldingOf returns what a set of detectors says. Of a circle, what the last of
// them says does not count.
func yieldingOf(ds []*detectors.Detector) yielding {
	y := make(yielding)
	for _, d := range ds {
		for _, to := range d.Yields {
			if to != d.Name && !y.reaches(to, d.Name) {
				y[d.Name] = append(y[d.Name], to)
			}
		}
	}
	return y
}

func (y yielding) reaches(from, to string) bool {
	return from == to || slices.ContainsFunc(y[from], func(next string) bool { return y.reaches(next, to) })
}

// to reports whether findings of a detector become part of those of another.
func (y yielding) to(weaker, stronger string) bool { return slices.Contains(y[weaker], stronger) }

// hosts returns, for each finding, the index of the one that it becomes a part of:
// its own when it is a fault of its own.
func (y yielding) hosts(all []*detectors.Finding, v *view) []int {
	host := make([]int, len(all))
	for i := range all {
		host[i] = i
	}
	if len(y) == 0 || len(all) < 2 {
		return host
	}
	r := newRegister(all)
	for i, f := range all {
		if len(y[f.Detector]) > 0 {
			host[i] = y.host(r, i, v)
		}
	}
	for i := range host {
		for host[i] != host[host[i]] { // ends: there are no circles
			host[i] = host[host[i]]
		}
	}
	return host
}

// host returns the strongest finding that finding i yields to, or i.
func (y yielding) host(r *register, i int, v *view) int {
	f := r.all[i]
	if wide(f) {
		return y.hostOfWide(r, i, v)
	}
	best := i
	for _, k := range r.overlapping(f) {
		if y.to(f.Detector, r.all[k].Detector) && !wide(r.all[k]) && (best == i || y.stronger(r.all[k], r.all[best])) {
			best = k
		}
	}
	return best
}

func (y yielding) stronger(a, b *detectors.Finding) bool {
	if a.Detector != b.Detector {
		if y.to(b.Detector, a.Detector) || y.to(a.Detector, b.Detector) {
			return y.to(b.Detector, a.Detector)
		}
	}
	return cmp.Or(cmp.Compare(a.Confidence, b.Confidence), cmp.Compare(a.Count, b.Count)) > 0
}

// hostOfWide returns the finding that explains most of finding i, which is about
// the whole process, or i when all that it yields to together explain less than
// half of it.
func (y yielding) hostOfWide(r *register, i int, v *view) int {
	f, best, most := r.all[i], i, 0
	if v == nil {
		return i
	}
	var spots []spot
	for k, other := range r.all {
		if !y.to(f.Detector, other.Detector) || wide(other) {
			continue
		}
		own := spotsOf(other, anyRole)
		spots = append(spots, own...)
		if n, _ := v.explains(f, own); n > most {
			best, most = k, n
		}
	}
	if n, of := v.explains(f, spots); most > 0 && 2*n >= of {
		return best
	}
	return i
}

// merge returns findings with those that yield to others made part of these.
func (y yielding) merge(all []detectors.Finding, v *view) []detectors.Finding {
	pointers := make([]*detectors.Finding, len(all))
	for i := range all {
		pointers[i] = &all[i]
	}
	return collect(all, y.hosts(pointers, v), absorb)
}

// collect returns the findings that are their own hosts, with the others joined to
// these.
func collect(all []detectors.Finding, host []int, join func(whole, part *detectors.Finding)) (merged []detectors.Finding) {
	for i, h := range host {
		if h != i {
			join(&all[h], &all[i])
		}
	}
	for i, h := range host {
		if h == i {
			merged = append(merged, all[i])
		}
	}
	return merged
}

// absorb adds to f what part, which yields to it, says about the same goroutines:
// places, sentences, and that one of them is more certain. The number of
// goroutines stays the one that f tells.
func absorb(f, part *detectors.Finding) {
	f.Confidence = max(f.Confidence, part.Confidence)
	f.Advice = cmp.Or(f.Advice, part.Advice)
	if f.CreatedBy.Function == "" && !wide(part) && f.Stack.ID == part.Stack.ID {
		f.CreatedBy = part.CreatedBy
	}
	said := append([]string{part.Message}, part.Evidence...)
	if !wide(part) {
		before := len(f.Participants)
		if f.Participants = together(f, part); len(f.Participants) == before && before > 0 {
			said = part.Evidence // the message would tell the participants once more
		}
	}
	f.Evidence = slices.Clone(f.Evidence[:min(len(f.Evidence), detectors.MaxEvidence-1)])
	for _, s := range said[:min(len(said), maxTold)] {
		if len(f.Evidence) < detectors.MaxEvidence && s != f.Message && !slices.Contains(f.Evidence, s) {
			f.Evidence = append(f.Evidence, s)
		}
	}
}

// together returns the places of two findings, the cause first. When they are at
// one place, there are none but those that f has.
func together(f, part *detectors.Finding) []detectors.Participant {
	own := f.Participants
	if len(own) == 0 {
		own = []detectors.Participant{alone(f, detectors.RoleCause)}
	}
	added := slices.Clone(part.Participants)
	if len(added) == 0 {
		added = []detectors.Participant{alone(part, detectors.RoleAffected)}
	}
	added = without(added, own)
	if len(added) == 0 {
		return f.Participants
	}
	all := slices.Concat(own, added)
	if later := all[len(own):]; slices.ContainsFunc(later, isCause) {
		if len(f.Participants) == 0 {
			all[0].Role = detectors.RoleWaiter // what got stuck first is known now
		} else {
			demote(later)
		}
	}
	slices.SortStableFunc(all, func(a, b detectors.Participant) int { return causeFirst(isCause(a), isCause(b)) })
	return all[:min(len(all), detectors.MaxParticipants)]
}

// demote makes causes affected: the finding that explains more has named one.
func demote(all []detectors.Participant) {
	for i := range all {
		if isCause(all[i]) {
			all[i].Role = detectors.RoleAffected
		}
	}
}

// alone returns the one place of a finding.
func alone(f *detectors.Finding, r detectors.Role) detectors.Participant {
	return detectors.Participant{
		Role: r, Stack: f.Stack, State: f.State, Subject: f.Subject,
		Count: f.Count, IDs: f.IDs, CreatedBy: f.CreatedBy,
	}
}

// samePlace reports whether two participants are at one place and do not wait for
// different locks there.
func samePlace(p, q *detectors.Participant) bool {
	return spot{p.Stack.ID, p.State}.has(q.Stack.ID, q.State) && (p.Subject == q.Subject || p.Subject == "" || q.Subject == "")
}

func isCause(p detectors.Participant) bool { return p.Role == detectors.RoleCause }

func causeFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
