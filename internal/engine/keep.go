// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/words"
)

// lasts sets since when the condition of i holds, and the age of the finding. What
// a detector knows reaches back as far as its history. The condition has held for
// longer when the finding before reaches into that time, or when one of its
// goroutines has not moved since.
func (i *incident) lasts(before time.Time, v *view, now time.Time) {
	f := &i.finding
	began := now.Add(-f.Age)
	held := !i.since.IsZero() && (!began.After(before) || i.stays(v))
	if !held || began.Before(i.since) {
		i.since = began
	}
	if age := now.Sub(i.since); age > f.Age {
		f.Message = strings.Replace(f.Message, "for "+words.Span(f.Age), "for "+words.Span(age), 1)
		f.Age = age
	}
}

// stays reports whether one of the goroutines of i that stood before still does.
func (i *incident) stays(v *view) bool {
	if v == nil || i.stand == nil {
		return false
	}
	i.stand.follow(v)
	return i.stand.stays()
}

// follow looks where the goroutines of i are that was not found in this step. It
// reports whether they have left, and sets the finding to what is known now.
func (i *incident) follow(v *view, now time.Time) (over bool) {
	i.stand.follow(v)
	if i.stand.restarted(v) || i.stand.over(v) {
		return true
	}
	i.finding = i.last
	i.finding.Unjudged = i.stand.unjudged(v)
	i.standing = i.finding.Unjudged == "" && i.present(v) > 0 && i.stand.stays()
	i.refresh(v, now)
	return false
}

// present returns how many goroutines of i there are now: those at its places,
// without as many as its detector did not count there.
func (i *incident) present(v *view) int {
	if wide(&i.last) {
		if i.stand != nil && len(i.stand.listed) > 0 {
			return len(i.stand.listed) - i.stand.left() // of the others nothing is known
		}
		return v.Total + v.Missing
	}
	return max(0, v.count(i.spots)-i.uncounted)
}

// refresh gives the finding of i, which was not found in this step, numbers and
// sentences of the newest snapshot. Older ones say when they were true; those
// without numbers stay.
func (i *incident) refresh(v *view, now time.Time) {
	f, ago := &i.finding, words.Span(now.Sub(i.found))
	f.Count = i.present(v)
	f.GrowthPerMinute = max(0, float64(f.Count-i.last.Count)/now.Sub(i.found).Minutes())
	f.Participants = i.participants(v)
	f.Evidence = nil
	if i.standing {
		f.Age = now.Sub(i.since)
		f.Message = fmt.Sprintf("%s %s still %s: this has lasted for %s.",
			words.Plural(f.Count, "goroutine"), words.Verb(f.Count, "is", "are"), i.where(), words.Span(f.Age))
	} else {
		f.Message = fmt.Sprintf("Last found %s ago; %s %s %s now.",
			ago, words.Plural(f.Count, "goroutine"), words.Verb(f.Count, "is", "are"), i.where())
	}
	if i.stand != nil && len(i.stand.listed) > 0 {
		f.IDs = slices.DeleteFunc(slices.Clone(f.IDs), i.stand.hasLeft)
		f.Evidence = append(f.Evidence, i.stand.told())
	}
	f.Evidence = append(f.Evidence, fmt.Sprintf("Found %s ago: %s", ago, i.last.Message))
	for _, s := range i.last.Evidence {
		if len(f.Evidence) < detectors.MaxEvidence && !numbered(s) {
			f.Evidence = append(f.Evidence, s)
		}
	}
}

// participants returns the places of the finding with the numbers of the newest
// snapshot.
func (i *incident) participants(v *view) []detectors.Participant {
	all := slices.Clone(i.last.Participants)
	for k := range all {
		p := &all[k]
		p.Count = v.count([]spot{{p.Stack.ID, p.State}})
		if numbered(p.Note) {
			p.Note = ""
		}
		if i.stand != nil {
			p.IDs = slices.DeleteFunc(slices.Clone(p.IDs), i.stand.hasLeft)
		}
	}
	return all
}

// where says where the goroutines of i are.
func (i *incident) where() string {
	f := &i.last
	if wide(f) && i.stand == nil {
		return "in the process"
	}
	text := "at " + place(f.Stack.User())
	if f.State != "" {
		text += fmt.Sprintf(" in %s", f.State)
	}
	if n := len(i.spots) - 1; n > 0 {
		text += " and at " + words.Plural(n, "other place")
	}
	return text
}

// told says how many of the goroutines that the finding lists have left.
func (st *stand) told() string {
	n, all := st.left(), len(st.listed)
	switch {
	case n == 0 && all == 1:
		return "The goroutine listed then is not known to have left."
	case n == 0:
		return fmt.Sprintf("Of the %d goroutines listed then, none is known to have left.", all)
	}
	return fmt.Sprintf("Of the %s listed then, %d %s left.", words.Plural(all, "goroutine"), n, words.Verb(n, "has", "have"))
}

func (st *stand) hasLeft(id uint64) bool {
	return slices.ContainsFunc(st.listed, func(l listed) bool { return l.id == id && l.left })
}

// numbered reports whether a sentence has a number that may change: none that
// is part of a name, a line or an address.
func numbered(s string) bool { return number.MatchString(fixed.ReplaceAllString(s, "")) }

var (
	fixed  = regexp.MustCompile(`0x[0-9a-f]+|:[0-9]+\)`)
	number = regexp.MustCompile(`\b[0-9]`)
)

// ended sets the finding of i to what is true at its end.
func (i *incident) ended(message string, evidence ...string) {
	f := &i.finding
	f.Message, f.Evidence, f.Advice, f.Unjudged = message, evidence, "", ""
	f.GrowthPerMinute = 0
	if f.Count == 0 {
		f.Count = i.last.Count
	}
}

// left says that the goroutines of i have left.
func (i *incident) left(v *view) {
	st, at, n := i.stand, place(i.last.Stack.User()), i.last.Count
	if wide(&i.last) {
		n = len(st.listed) // those of them that were followed
	}
	if len(i.spots) > 1 {
		at += " and " + words.Plural(len(i.spots)-1, "other place")
	}
	now := v.count(st.spots)
	message := fmt.Sprintf("The %s have left %s.", words.Plural(n, "goroutine"), at)
	switch {
	case st.restarted(v):
		i.ended("The process was restarted: its goroutine IDs begin anew.")
		return
	case n == 1:
		message = fmt.Sprintf("The goroutine has left %s.", at)
	case slices.ContainsFunc(st.listed, func(l listed) bool { return l.back }):
		message = fmt.Sprintf("The goroutines that were stuck at %s have moved on.", at)
	case st.remaining(v) > 0:
		message = fmt.Sprintf("Nearly all of the %d goroutines have left %s.", n, at)
	}
	evidence := []string{fmt.Sprintf("%s %s there now; there were %d.", words.Plural(now, "goroutine"), words.Verb(now, "is", "are"), n)}
	if i.finding.Age > 0 {
		evidence = append(evidence, fmt.Sprintf("It lasted for at least %s.", words.Span(i.finding.Age)))
	}
	i.ended(message, evidence...)
}

// vanished says that i has not been found for some time.
func (i *incident) vanished(v *view, now time.Time) {
	at := "in the process"
	if !wide(&i.last) {
		at = "at " + place(i.last.Stack.User())
	}
	var evidence []string
	if v != nil {
		n := i.present(v)
		evidence = append(evidence, fmt.Sprintf("%s %s there now; there were %d when it was last found, %s ago.",
			words.Plural(n, "goroutine"), words.Verb(n, "is", "are"), i.last.Count, words.Span(now.Sub(i.found))))
	}
	i.ended(fmt.Sprintf("No longer found %s in %d snapshots.", at, absences), evidence...)
}

// vacant reports whether there is no goroutine at all at the places of i.
func (i *incident) vacant(v *view) bool {
	if v == nil || wide(&i.last) || v.Missing > 0 || v.sumsUp() {
		return false
	}
	return !slices.ContainsFunc(i.spots, func(s spot) bool { return len(v.groups().byStack[s.stack]) > 0 })
}
