package diagnosis

import (
	"fmt"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/words"
)

// leaks returns what the runtime's leak proof says: the marks "(leaked)" in a dump, or
// all goroutines of a profile of leaked ones.
func (d *dump) leaks(details *parse.Details) (all []detectors.Finding) {
	for i := range d.Groups {
		g := &d.Groups[i]
		n := 0
		switch {
		case d.Source == goroutine.SourceProof:
			n = g.Count
		case details != nil:
			n = min(details.Leaked[g.Key()], g.Count)
			details.Leaked[g.Key()] -= n // groups may share a key
		}
		if n == 0 || len(all) == maxFindings || d.known(g.Stack) {
			continue
		}
		f := detectors.Finding{
			Detector: nameLeak, Confidence: detectors.Confirmed, Stack: g.Stack, State: g.State, Count: n, Age: g.Wait,
			CreatedBy: g.CreatedBy, Advice: toWake(g.State),
		}
		if n == g.Count {
			f.IDs = g.IDs
		}
		f.Message = fmt.Sprintf("%s at %s (%s) %s leaked: the runtime proved that nothing can reach what %s for.",
			goroutines(n), where(g.Stack), g.State, words.Verb(n, "is", "are"), words.Verb(n, "it waits", "they wait"))
		if g.CreatedBy.Function != "" {
			note(&f, "%s created by %s.", words.Verb(n, "It was", "They were"), frameAt(g.CreatedBy))
		}
		if g.Wait > 0 {
			note(&f, "The longest wait is %s.", words.Span(g.Wait))
		}
		all = append(all, f)
	}
	return all
}

// toWake says what to look for when goroutines in a state are never woken.
func toWake(s goroutine.State) string {
	switch s {
	case goroutine.ChanSend:
		return "Find what should receive here, and the path on which it returns without doing so: an error, a timeout, the first result of several. A buffer for each send, or a select with a context, ends the wait."
	case goroutine.ChanReceive:
		return "Find what should send or close here, and the path on which it returns without doing so."
	case goroutine.Select:
		return "Find what should end this select, a context or a channel, and the path on which that is never cancelled or closed."
	case goroutine.CondWait:
		return "Find what should signal, and check whether the signal can come before the wait."
	case goroutine.WaitGroupWait:
		return "Check that each Add has its Done, also on errors and panics."
	}
	if s.Lock() {
		return adviceLock
	}
	return "Find what should wake the goroutines here."
}
