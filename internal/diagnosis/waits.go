// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/words"
)

const (
	// farBeyond is how many times longer than any other wait at the same place a wait is
	// that stands out, and outlierShare the share of the goroutines there that may be so.
	farBeyond    = 10
	outlierShare = 4
	// leastOutlier is the shortest wait that stands out, and longSend a send that nothing
	// receives for so long that its receiver is most likely gone.
	leastOutlier = 10 * time.Minute
	longSend     = time.Hour
	// leastStuck is how many goroutines that wait long in one call for what other
	// goroutines should do are told about.
	leastStuck = 5
	longStuck  = 5 * time.Minute
	// leastApart is how many goroutines must have created those that send, or how many
	// different waits these must have, so that they are no fixed set that waits by design.
	leastApart = 3
)

// waits returns findings about goroutines that have waited for far longer than others at
// the same place, and about places at which goroutines have waited for long for what
// only other goroutines can do. Those of locks are left out.
func (d *dump) waits(locks []detectors.Finding) (all []detectors.Finding) {
	f := d.family()
	for _, p := range d.waitPlaces() {
		if len(all) == maxFindings {
			break
		}
		if explained := slices.ContainsFunc(locks, func(f detectors.Finding) bool {
			return about(&f, &detectors.Finding{Stack: p.group.Stack, State: p.group.State})
		}); explained {
			continue
		}
		p.family = f
		if f, ok := p.finding(); ok {
			d.noteStood(&f, p.group.Key())
			all = append(all, f)
		}
	}
	return all
}

// A waitPlace is the goroutines that wait at one place, the longest wait first.
type waitPlace struct {
	detectors.Explanation
	group  *goroutine.Group
	count  int
	waits  []parse.Wait
	family *family
	cut    bool // stacks are not whole
}

// waitPlaces returns the places at which the dump shows a wait.
func (d *dump) waitPlaces() []*waitPlace {
	at := make(map[goroutine.GroupKey]*waitPlace)
	var order []*waitPlace
	for i := range d.Groups {
		g := &d.Groups[i]
		if g.State.Lock() || d.known(g.Stack) || g.Stack.ID == goroutine.OtherStacks {
			continue
		}
		p := at[g.Key()]
		if p == nil {
			p = &waitPlace{group: g, Explanation: detectors.Explain(g.Stack, g.State)}
			at[g.Key()], order = p, append(order, p)
		}
		p.count += g.Count
		p.cut = p.cut || g.Cut
	}
	for _, w := range d.Waits {
		if p := at[w.Group]; p != nil {
			p.waits = append(p.waits, w)
		}
	}
	order = slices.DeleteFunc(order, func(p *waitPlace) bool { return len(p.waits) == 0 })
	for _, p := range order {
		slices.SortStableFunc(p.waits, func(a, b parse.Wait) int { return cmp.Compare(b.For, a.For) })
	}
	slices.SortStableFunc(order, func(a, b *waitPlace) int { return cmp.Compare(b.waits[0].For, a.waits[0].For) })
	return order
}

// judged reports whether waits in a state are compared: those that another goroutine must
// end.
func judged(s goroutine.State) bool {
	switch s {
	case goroutine.ChanSend, goroutine.ChanReceive, goroutine.Select, goroutine.WaitGroupWait, goroutine.CondWait:
		return true
	}
	return false
}

func (p *waitPlace) finding() (f detectors.Finding, ok bool) {
	g, first := p.group, p.waits[0]
	f = detectors.Finding{
		Detector: nameWait, Confidence: detectors.Info, Stack: g.Stack, State: g.State, Count: p.count, Age: first.For, CreatedBy: g.CreatedBy, Advice: p.Advice,
	}
	n := p.outliers()
	switch {
	case p.Waits == "" && !judged(g.State):
		return f, false
	case p.Waits != "" && first.For >= longStuck:
		p.tellStuck(&f)
		f.Confidence = p.ofResource()
	case n > 0 && (g.State == goroutine.ChanSend || p.Request || p.count-n >= leastStuck):
		p.tellOutliers(&f, n)
	case g.State == goroutine.ChanSend && first.For >= leastOutlier, p.longer(longStuck) >= leastStuck && p.worthTelling():
		p.tellStuck(&f)
		f.Confidence = p.ofOthers(&f)
	default:
		return f, false
	}
	if g.CreatedBy.Function != "" {
		note(&f, "Created by %s.", frameAt(g.CreatedBy))
	}
	if p.cut {
		f.Confidence = min(f.Confidence, detectors.Suspected)
		note(&f, "Stacks here are not whole in the dump.")
	}
	return f, true
}

// worthTelling reports whether a long wait of several goroutines is worth a line: they
// send, they wait for work that is under way, or they are requests. Idle workers receive.
func (p *waitPlace) worthTelling() bool {
	switch p.group.State {
	case goroutine.ChanSend, goroutine.WaitGroupWait:
		return true
	case goroutine.ChanReceive, goroutine.CondWait:
		return p.Request
	}
	return false
}

// ofResource returns the confidence where the stack names what is waited for. What is no
// request may wait for its turn in a batch, for a long query, for a poll or for a job; and a
// response body may be read with pauses.
func (p *waitPlace) ofResource() detectors.Confidence {
	n := p.longer(longStuck)
	switch {
	case !p.Bounded:
		return detectors.Info
	case p.Request, p.Inside && n >= leastStuck && !p.passed():
		return detectors.Medium
	}
	return detectors.Info
}

// ofOthers returns the confidence where only other goroutines can end a wait, with what
// the rest of the dump says about these.
func (p *waitPlace) ofOthers(f *detectors.Finding) detectors.Confidence {
	if p.longer(longStuck) < leastStuck {
		if p.group.State == goroutine.ChanSend {
			note(f, "A goroutine that makes values for others, as a generator does, waits so by design.")
		}
		return detectors.Info
	}
	switch p.group.State {
	case goroutine.WaitGroupWait:
		return p.ofGroup(f)
	case goroutine.ChanSend:
		return p.ofSend(f)
	case goroutine.ChanReceive, goroutine.CondWait:
		if p.family.parents(p) > 0 || streams(p.group.Stack) {
			return detectors.Info
		}
	}
	if p.Request {
		return detectors.Medium
	}
	return detectors.Info
}

// ofGroup: goroutines that wait for a WaitGroup wait for goroutines that they created, in
// most programs. While these live, the wait is theirs.
func (p *waitPlace) ofGroup(f *detectors.Finding) detectors.Confidence {
	switch {
	case p.family.parents(p) > 0:
		note(f, "Goroutines that they created are alive, and may have to call Done.")
		return detectors.Info
	case !p.Request && p.family.siblings(p):
		note(f, "Goroutines that were created beside them are alive, and may have to call Done.")
		return detectors.Info
	}
	if slices.ContainsFunc(p.waits, func(w parse.Wait) bool { return w.ID == 0 }) {
		return detectors.Info // without IDs, nothing tells which goroutines they created
	}
	note(f, "No goroutine that they created is in the dump: none of those is left to call Done.")
	return detectors.Medium
}

// ofSend: goroutines that send for several creators which have all gone on are most likely
// left behind; where others are past the same line, the channel may be a semaphore, and
// they may wait for their turn.
func (p *waitPlace) ofSend(f *detectors.Finding) detectors.Confidence {
	long := detectors.Medium
	if p.waits[0].For >= longSend {
		long = detectors.Suspected
	}
	switch n := p.family.apart(p); {
	case p.passed() && !p.Request:
		note(f, "Other goroutines are past this line. If the channel is a semaphore, they have its places, and these wait for their turn.")
		return detectors.Info
	case p.Request:
		return long
	case n >= leastApart:
		note(f, "They were created by %d goroutines, none of which is still in the function that created them.", n)
		return long
	case n > 0 && p.inOrder():
		note(f, "The later one of them was created, the shorter it has waited: they come and do not leave.")
		return long
	}
	return detectors.Info
}

// passed reports whether a goroutine is further down in the function that waits here.
func (p *waitPlace) passed() bool {
	at := p.group.Stack.User()
	return p.family.beyond(at)
}

// inOrder reports whether goroutines have waited the shorter the later they were created.
func (p *waitPlace) inOrder() bool {
	byID := slices.Clone(p.waits)
	slices.SortFunc(byID, func(a, b parse.Wait) int { return cmp.Compare(a.ID, b.ID) })
	different := 1
	for i := 1; i < len(byID); i++ {
		switch {
		case byID[i].For > byID[i-1].For, byID[i].ID == 0:
			return false
		case byID[i].For < byID[i-1].For:
			different++
		}
	}
	return different >= leastApart
}

// outliers returns how many goroutines have waited far longer than all others here.
func (p *waitPlace) outliers() int {
	n := 0
	for i, w := range p.waits {
		n += w.Count
		if n >= p.count || n > max(1, p.count/outlierShare) {
			return 0
		}
		next := time.Duration(0)
		if i+1 < len(p.waits) {
			next = p.waits[i+1].For
		}
		if w.For >= leastOutlier && w.For >= farBeyond*next {
			return n
		}
	}
	return 0
}

func (p *waitPlace) tellOutliers(f *detectors.Finding, n int) {
	rest, next := p.count-n, p.waitOf(n)
	others := "less than a minute"
	if next > 0 {
		others = "at most " + words.Span(next)
	}
	f.Count, f.IDs = n, p.ids(n)
	who := goroutines(n) + words.Verb(n, " has", " have") + " waited"
	switch {
	case len(f.IDs) < n:
	case n == 1:
		who = fmt.Sprintf("Goroutine %d has waited", f.IDs[0])
	default:
		who = fmt.Sprintf("Goroutines %s have waited", shortList(f.IDs))
	}
	f.Message = fmt.Sprintf("%s for %s in %s at %s, where %s %s waited for %s.",
		who, words.Span(p.waits[0].For), p.group.State, where(p.group.Stack), others2(rest), words.Verb(rest, "has", "have"), others)
	switch {
	case p.group.State == goroutine.ChanSend:
		f.Confidence = detectors.Suspected
	case p.Request && (p.group.State == goroutine.WaitGroupWait || p.group.State == goroutine.CondWait) && p.family.parents(p) == 0 && !streams(p.group.Stack):
		f.Confidence = detectors.Medium
	default:
		note(f, "A goroutine that has nothing to do waits for as long; whether this one has shows in what should wake it.")
	}
}

// waitOf returns the wait of the goroutine after the first n, the longest waits first; 0
// if it has none.
func (p *waitPlace) waitOf(n int) time.Duration {
	for _, w := range p.waits {
		if n -= w.Count; n < 0 {
			return w.For
		}
	}
	return 0
}

func others2(n int) string {
	if n == 1 {
		return "the other one"
	}
	return fmt.Sprintf("the other %d", n)
}

func (p *waitPlace) tellStuck(f *detectors.Finding) {
	n := p.longer(longStuck)
	f.Count, f.IDs = n, p.ids(n)
	f.Message = fmt.Sprintf("%s %s waited in %s at %s%s: %s.",
		goroutines(n), words.Verb(n, "has", "have"), p.group.State, where(p.group.Stack), longest(n, p.waits[0].For), missing(p.group.State))
	if p.Waits != "" {
		f.Message = fmt.Sprintf("%s %s waited %s at %s%s.", goroutines(n), words.Verb(n, "has", "have"), p.Waits, where(p.group.Stack), longest(n, p.waits[0].For))
	}
	switch {
	case p.Unread && n <= p.family.bodies: // each may be read
	case p.Unread:
		note(f, "A response body was not closed, or is read with pauses.")
	case p.Means != "":
		note(f, "%s", p.Means)
	}
	if p.Unread && p.family.bodies > 0 {
		note(f, "%s %s a response body at the moment.", goroutines(p.family.bodies), words.Verb(p.family.bodies, "reads", "read"))
	}
	if p.Request {
		note(f, "These are requests.")
	}
	if p.count > n {
		note(f, "%s more %s there for less.", goroutines(p.count-n), words.Verb(p.count-n, "is", "are"))
	}
	if first := p.waits[0]; first.ID != 0 && (len(p.waits) == 1 || p.waits[1].For < first.For) {
		note(f, "Goroutine %d was the first.", first.ID)
	}
}

// missing says what has not happened.
func missing(s goroutine.State) string {
	switch s {
	case goroutine.ChanSend:
		return "nothing has received"
	case goroutine.ChanReceive:
		return "nothing has sent or closed the channel"
	case goroutine.WaitGroupWait:
		return "the counter has not come to zero"
	case goroutine.CondWait:
		return "nothing has woken them"
	}
	return "none of the cases has come"
}

// longer returns how many goroutines have waited for at least a time, and at least 1: a
// send of ten minutes counts alone.
func (p *waitPlace) longer(than time.Duration) (n int) {
	for _, w := range p.waits {
		if w.For < than {
			break
		}
		n += w.Count
	}
	return max(n, 1)
}

// ids returns the IDs of the first n.
func (p *waitPlace) ids(n int) (ids []uint64) {
	for _, w := range p.waits[:min(n, len(p.waits), goroutine.MaxIDs)] {
		if w.ID != 0 {
			ids = append(ids, w.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
