// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// An entry is what a text shows as one stack: all stacks that look the same but for the
// go statement, with their locks and labels as far as they are shown.
type entry struct {
	*Stack
	creators []creator // most goroutines first
}

// A creator is a go statement and the number of its goroutines.
type creator struct {
	at    *Frame // nil: unknown
	count int
}

// entriesOf merges stacks. Those with the most goroutines come first, then those with the
// longest waits.
func entriesOf(stacks []Stack) []*entry {
	type place struct{ stack, state, lock string }
	index := make(map[place][]*entry, len(stacks)) // those at one place differ in lines or labels
	list := make([]*entry, 0, len(stacks))
	for i := range stacks {
		s := &stacks[i]
		at := place{s.ID, s.State, s.Lock}
		k := slices.IndexFunc(index[at], func(e *entry) bool { return e.shows(s) })
		if k < 0 {
			first := *s
			first.Count, first.Percent, first.IDs, first.Waits = 0, 0, nil, nil
			list = append(list, &entry{Stack: &first})
			k = len(index[at])
			index[at] = append(index[at], list[len(list)-1])
		}
		index[at][k].add(s)
	}
	for _, e := range list {
		slices.SortStableFunc(e.creators, func(a, b creator) int { return cmp.Compare(b.count, a.count) })
	}
	slices.SortStableFunc(list, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Waiting, a.Waiting))
	})
	return list
}

// shows reports whether a stack at the same place has the frames and labels of e.
func (e *entry) shows(s *Stack) bool {
	return slices.Equal(e.Frames, s.Frames) && slices.Equal(e.Labels, s.Labels)
}

func (e *entry) add(s *Stack) {
	e.Count += s.Count
	e.Percent += s.Percent
	e.Oldest, e.Waiting = max(e.Oldest, s.Oldest), max(e.Waiting, s.Waiting)
	e.IDs = goroutine.LowestIDs(e.IDs, s.IDs...)
	e.Waits = longest(append(e.Waits, s.Waits...))
	e.Cut = e.Cut || s.Cut
	same := func(c creator) bool {
		return c.at == nil && s.CreatedBy == nil || c.at != nil && s.CreatedBy != nil && *c.at == *s.CreatedBy
	}
	i := slices.IndexFunc(e.creators, same)
	if i < 0 {
		i = len(e.creators)
		e.creators = append(e.creators, creator{at: s.CreatedBy})
	}
	e.creators[i].count += s.Count
}

// longest sorts waits, the longest first, and keeps [goroutine.MaxIDs].
func longest(waits []Wait) []Wait {
	slices.SortStableFunc(waits, func(a, b Wait) int { return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.ID, b.ID)) })
	return waits[:min(len(waits), goroutine.MaxIDs)]
}

// write writes the entry below a line with its counts.
func (e *entry) write(p *printer, unfold bool) {
	if text := e.goroutines(p); text != "" {
		p.line(8, "      %s", text)
	}
	e.writeFrames(p, unfold)
	if e.Cut {
		p.line(8, "      %s", p.paint(RoleWarning, "frames are missing: the text of the dump is cut off or damaged here"))
	}
	e.writeCreators(p)
}

// describe returns the state, the ID, the lock and the labels.
func (s *Stack) describe(p *printer) string {
	text := p.paint(RoleState, s.State) + "  " + p.paint(RoleAside, s.ID)
	if s.Lock != "" {
		text += "  lock " + s.Lock
	}
	for _, l := range s.Labels {
		if l.Value == "" {
			text += fmt.Sprintf("  %s=…", l.Key)
		} else {
			text += fmt.Sprintf("  %s=%q", l.Key, l.Value)
		}
	}
	return text
}

// goroutines says which goroutines an entry has, for how long they have waited, and how
// old they are, as far as it is known.
func (e *entry) goroutines(p *printer) string {
	var parts []string
	switch {
	case len(e.Waits) > 0:
		parts = append(parts, "waiting "+e.waits(p))
	case e.Waiting > 0:
		parts = append(parts, "waiting up to "+p.paint(RoleTime, waitText(e.Waiting)))
	}
	if len(e.Waits) == 0 && len(e.IDs) > 0 {
		parts = append(parts, words.Verb(e.Count, "goroutine ", "goroutines ")+idList(e.IDs, e.Count-len(e.IDs)))
	}
	if e.Oldest >= 1 {
		parts = append(parts, "oldest at least "+p.paint(RoleTime, words.Span(span(e.Oldest))))
	}
	return strings.Join(parts, "; ")
}

// waits lists waits, the longest first, with the goroutines.
func (e *entry) waits(p *printer) string {
	var parts []string
	noun := "goroutine"
	for begin := 0; begin < len(e.Waits); {
		end := begin
		var ids []uint64
		for ; end < len(e.Waits) && e.Waits[end].Seconds == e.Waits[begin].Seconds; end++ {
			ids = append(ids, e.Waits[end].ID)
		}
		if begin == 0 {
			noun += words.Verb(len(ids), " ", "s ")
		}
		parts = append(parts, fmt.Sprintf("%s (%s%s)", p.paint(RoleTime, waitText(e.Waits[begin].Seconds)), noun, idList(ids, 0)))
		begin, noun = end, ""
	}
	text := strings.Join(parts, ", ")
	if more := e.Count - len(e.Waits); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// waitText formats a wait. The runtime counts whole minutes.
func waitText(seconds float64) string {
	if seconds < 60 {
		return "< 1 min"
	}
	if seconds < 120 {
		return "1 min"
	}
	return words.Span(span(seconds))
}

func idList(ids []uint64, more int) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.FormatUint(id, 10))
	}
	if more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}

// maxCreators is how many go statements of one entry are shown.
const maxCreators = 5

func (e *entry) writeCreators(p *printer) {
	for i := range e.creators[:min(len(e.creators), maxCreators)] {
		c := &e.creators[i]
		number := ""
		if len(e.creators) > 1 {
			number = fmt.Sprintf("%d ", c.count)
		}
		switch {
		case c.at != nil:
			p.line(8, "      %s%s %s", number, p.paint(RoleAside, "created by"), p.frame(c.at))
		case len(e.creators) > 1:
			p.line(8, "      %s%s", number, p.paint(RoleAside, "created by an unknown go statement"))
		}
	}
	if more := len(e.creators) - maxCreators; more > 0 {
		p.line(8, "      %s", p.paint(RoleAside, "created by "+words.Plural(more, "more go statement")))
	}
}
