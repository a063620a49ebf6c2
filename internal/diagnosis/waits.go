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
)

// waits returns findings about goroutines that have waited for far longer than others at
// the same place, and about places at which goroutines have waited for long for what
// only other goroutines can do. Those of locks are left out.
func (d *dump) waits(locks []detectors.Finding) (all []detectors.Finding) {
	for _, p := range d.waitPlaces() {
		if len(all) == maxFindings {
			break
		}
		if explained := slices.ContainsFunc(locks, func(f detectors.Finding) bool {
			return about(&f, &detectors.Finding{Stack: p.group.Stack, State: p.group.State})
		}); explained {
			continue
		}
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
	group *goroutine.Group
	count int
	waits []parse.Wait
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
		Detector: nameWait, Confidence: detectors.Medium, Stack: g.Stack, State: g.State, Count: p.count, Age: first.For, CreatedBy: g.CreatedBy, Advice: p.Advice,
	}
	n := p.outliers()
	switch {
	case p.Waits == "" && !judged(g.State):
		return f, false
	case p.Waits != "" && first.For >= longStuck:
		p.tellStuck(&f)
	case n > 0:
		p.tellOutliers(&f, n)
	case g.State == goroutine.ChanSend && first.For >= leastOutlier,
		p.longer(longStuck) >= leastStuck && p.suspicious():
		p.tellStuck(&f)
	default:
		return f, false
	}
	if g.CreatedBy.Function != "" {
		note(&f, "Created by %s.", frameAt(g.CreatedBy))
	}
	return f, true
}

// suspicious reports whether a long wait of several goroutines is more than that of idle
// workers: they send, they wait for work that is under way, or they are requests.
func (p *waitPlace) suspicious() bool {
	switch p.group.State {
	case goroutine.ChanSend, goroutine.WaitGroupWait, goroutine.CondWait:
		return true
	}
	return p.Request
}

// outliers returns how many goroutines have waited far longer than all others here.
func (p *waitPlace) outliers() int {
	for i := range min(len(p.waits), max(1, p.count/outlierShare)) {
		next := time.Duration(0)
		if i+1 < len(p.waits) {
			next = p.waits[i+1].For
		}
		if w := p.waits[i].For; i+1 < p.count && w >= leastOutlier && w >= farBeyond*next {
			return i + 1
		}
	}
	return 0
}

func (p *waitPlace) tellOutliers(f *detectors.Finding, n int) {
	rest, next := p.count-n, time.Duration(0)
	if n < len(p.waits) {
		next = p.waits[n].For
	}
	others := "less than a minute"
	if next > 0 {
		others = "at most " + words.Span(next)
	}
	f.Count, f.IDs = n, p.ids(n)
	who := fmt.Sprintf("Goroutine %d has waited", p.waits[0].ID)
	if n > 1 {
		who = fmt.Sprintf("Goroutines %s have waited", shortList(f.IDs))
	}
	f.Message = fmt.Sprintf("%s for %s in %s at %s, where %s %s waited for %s.",
		who, words.Span(p.waits[0].For), p.group.State, where(p.group.Stack), others2(rest), words.Verb(rest, "has", "have"), others)
	if p.group.State == goroutine.ChanSend {
		f.Confidence = detectors.Suspected
	}
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
	f.Message = fmt.Sprintf("%s %s waited in %s at %s%s: nothing %s.",
		goroutines(n), words.Verb(n, "has", "have"), p.group.State, where(p.group.Stack), longest(n, p.waits[0].For), missing(p.group.State))
	switch {
	case p.Waits != "":
		f.Message = fmt.Sprintf("%s %s waited %s at %s%s.", goroutines(n), words.Verb(n, "has", "have"), p.Waits, where(p.group.Stack), longest(n, p.waits[0].For))
		if !p.Bounded && n < leastStuck && p.waits[0].For < leastOutlier {
			f.Confidence = detectors.Info
		}
	case p.group.State == goroutine.ChanSend && p.waits[0].For >= longSend:
		f.Confidence = detectors.Suspected
	}
	if p.Means != "" {
		note(f, "%s", p.Means)
	}
	if p.Request {
		note(f, "These are requests, which should not wait for so long.")
	}
	if p.count > n {
		note(f, "%s more %s there for less.", goroutines(p.count-n), words.Verb(p.count-n, "is", "are"))
	}
	if len(p.waits) == 1 || p.waits[1].For < p.waits[0].For {
		note(f, "Goroutine %d was the first.", p.waits[0].ID)
	}
}

// missing says what no goroutine did.
func missing(s goroutine.State) string {
	switch s {
	case goroutine.ChanSend:
		return "receives"
	case goroutine.ChanReceive:
		return "sends or closes the channel"
	case goroutine.WaitGroupWait:
		return "brings the counter to zero"
	case goroutine.CondWait:
		return "signals"
	}
	return "serves any of its cases"
}

// longer returns how many goroutines have waited for at least a time.
func (p *waitPlace) longer(than time.Duration) (n int) {
	for n < len(p.waits) && p.waits[n].For >= than {
		n++
	}
	if n == 0 { // a send of ten minutes counts alone
		return 1
	}
	return n
}

// ids returns the IDs of the first n.
func (p *waitPlace) ids(n int) (ids []uint64) {
	for _, w := range p.waits[:min(n, len(p.waits), goroutine.MaxIDs)] {
		ids = append(ids, w.ID)
	}
	slices.Sort(ids)
	return ids
}
