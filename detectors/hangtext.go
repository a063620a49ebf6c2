// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// finding returns the finding for a hang.
func (j *standJudge) finding(h *hang) Finding {
	root := h.root
	surest := slices.MinFunc(h.stands, func(a, b *stand) int { return cmp.Or(cmp.Compare(a.chance, b.chance), cmp.Compare(b.Now(), a.Now())) })
	crowd := slices.DeleteFunc(slices.Clone(h.stands), func(st *stand) bool { return st.Key == root.Key })
	slices.SortStableFunc(crowd, func(a, b *stand) int { return cmp.Compare(b.Now(), a.Now()) })
	// A loop in step with the snapshots is at its place in each of them.
	root.receiver = j.receiverOf(root)
	f := found(j.confidence(h, surest), root.Place, max(root.since, h.stands[0].since))
	f.Subject, f.Evidence, f.Stands = "", nil, root.exhausted == nil
	f.Count = h.inAll(surest)
	f.Message = message(root, crowd, f.Count, f.Age)
	f.Participants = participants(root, crowd)
	j.notePool(&f, root)
	j.noteResource(&f, append([]*stand{root}, crowd...))
	j.noteWhy(&f, surest)
	f.noteReceiver(root.receiver)
	j.noteServer(&f, h)
	if root.exhausted == nil {
		j.noteArrivals(&f, h)
	}
	j.noteRequests(&f, h)
	if surest.windows > 0 {
		f.note("In %s no goroutine woke any of them.", plural(surest.windows, "trace window"))
	}
	f.Advice = cmp.Or(f.Advice, adviceToResume(root.State), adviceToWake(root.State))
	return f
}

// noteResource notes what has run out, at the first of stands for which that is
// known, and advises on what is usually forgotten. What the root waits for outside
// of the process comes first.
func (j *standJudge) noteResource(f *Finding, all []*stand) {
	for i, st := range all {
		r, ok := resourceAt(st.Stack, st.State)
		if i == 0 && !ok {
			f.Advice = adviceToResume(st.State)
		}
		if st.nested {
			f.note("They hold what they wait for.")
		}
		if ok {
			f.note("%s", r.out)
			f.Advice = cmp.Or(f.Advice, r.forgotten)
			return
		}
	}
}

// participants returns the places of a hang, the root first. It is nil when there
// is but one.
func participants(root *stand, crowd []*stand) (all []Participant) {
	if len(crowd) == 0 {
		return nil
	}
	all = append(all, root.as(RoleCause))
	for _, st := range crowd[:min(len(crowd), MaxParticipants-1)] {
		role := RoleAffected
		if handles(st.Stack) || st.rank() > 0 {
			role = RoleWaiter
		}
		all = append(all, st.as(role))
	}
	return all
}

// as returns st as a participant.
func (st *stand) as(role Role) Participant {
	ids, _ := st.IDs(st.Series.Last())
	return Participant{
		Role: role, Stack: st.Stack, State: st.State, Count: st.Now(),
		IDs: slices.Clone(ids), CreatedBy: st.CreatedBy(), Note: st.remark(),
	}
}

// inAll returns how many goroutines are part of a hang: those at the places of
// stands, and all of the activity of the surest.
func (h *hang) inAll(surest *stand) (n int) {
	if surest.activity != nil {
		n = surest.activity.Count(surest.Series.Last())
	}
	seen := make(map[goroutine.GroupKey]bool)
	for _, st := range append([]*stand{h.root}, h.stands...) {
		if !seen[st.Key] && (surest.activity == nil || !surest.activity.Has(st.Place)) {
			n += st.Now()
		}
		seen[st.Key] = true
	}
	return n
}

// confidence rises with time: after five times MinWait hardly anything but a
// fault is left. Where nothing is known of the time before, that takes more (see
// proven).
func (j *standJudge) confidence(h *hang, surest *stand) Confidence {
	lasts := j.Ago(surest.since) >= lasting*j.MinWait
	switch {
	case lasts && surest.activity != nil || j.proven(h):
		return High
	case lasts || surest.activity != nil:
		return Suspected
	}
	return Medium
}

// remark says what is known of st beyond its state, as a clause; it may be empty.
func (st *stand) remark() string {
	switch r, ok := resourceAt(st.Stack, st.State); {
	case st.nested:
		return "they hold what they wait for"
	case st.pool:
		return "all goroutines started with " + st.Starter()
	case ok && !st.State.Lock():
		return "waiting " + r.what
	}
	return ""
}

// site describes where the program calls what st waits in: beyond the frames of
// libraries of resources, which are the same for all of their callers.
func (st *stand) site() string {
	if _, ok := resourceAt(st.Stack, st.State); ok {
		for i, f := range st.Stack.Frames {
			if !f.Standard() && !slices.ContainsFunc(resourcePackages, func(p string) bool { return strings.HasPrefix(f.Function, p) }) {
				return where(&goroutine.Stack{Frames: st.Stack.Frames[i:]})
			}
		}
	}
	return where(st.Stack)
}

func message(root *stand, crowd []*stand, all int, age time.Duration) string {
	n := root.Now()
	if root.exhausted != nil {
		return fmt.Sprintf("%s at %s %s waiting %s, each until its own time limit; no goroutine was seen to use one for %s.",
			goroutines(n), root.site(), verb(n, "is", "are"), waitsFor(root), words.Span(age))
	}
	if len(crowd) == 0 {
		return fmt.Sprintf("%s at %s %s waiting %s; none moved on for %s.",
			goroutines(n), root.site(), verb(n, "is", "are"), waitsFor(root), words.Span(age))
	}
	waiting := all - n
	return fmt.Sprintf("%s at %s stopped first and %s been waiting %s for %s; %s %s behind, most of them at %s, waiting %s.",
		goroutines(n), root.site(), verb(n, "has", "have"), waitsFor(root), words.Span(age),
		goroutines(waiting), verb(waiting, "is", "are"), crowd[0].site(), waitsFor(crowd[0]))
}

func waitsFor(st *stand) string {
	if r, ok := resourceAt(st.Stack, st.State); ok {
		return r.what
	}
	return fmt.Sprintf("in %s", st.State)
}

// noteWhy notes what tells the stand from rest.
func (j *standJudge) noteWhy(f *Finding, st *stand) {
	if st.behind > 0 {
		f.note("They are a pool that left its usual place. Since then at least %d requests are in flight; before, there were at most %d.", st.behind, st.were)
		return
	}
	if e := st.exhausted; e != nil {
		f.note("In %d of %d snapshots at least %s waited for it and no goroutine could have been using it: none waited for an answer or ran, and no request was elsewhere, apart from those that stand or are about to try again.",
			e.clean, e.all, plural(e.least, "request"))
		return
	}
	if st.activity == nil {
		f.note("They %s, and none has moved on for %s.", st.serves(), words.Span(st.Series.Ago(st.since)))
		if st.abandoned > 0 {
			f.note("An http.TimeoutHandler has given up on at least %d of them, and answered their clients.", st.abandoned)
		}
		if st.missing > 0 {
			f.note("About %d goroutines that would have come and gone in this time, as before, are missing.", st.missing)
		}
		if st.unanswered > 0 {
			f.note("They wait for data on connections that are not those of their clients, which wait for a response.")
		}
		if st.orphaned {
			f.note("More wait than there are other goroutines that could call Done: for some of them there is none.")
		}
		if c := st.cause; c != nil && c.Now() == j.StartedWith(c.Starter(), j.Last()) {
			f.note("When they began to wait, %s started with %s left %s usual place for %s.",
				verb(c.Now(), "the goroutine", fmt.Sprintf("all %d goroutines", c.Now())), c.Starter(), verb(c.Now(), "its", "their"), where(c.Stack))
		}
		return
	}
	f.note("Before, %d of %d goroutines on this call path moved on within %s; of the %d that came later and were followed for as long, none did.",
		st.passed, st.came, words.Span(st.within), st.stayed)
	f.note("The probability of this for work that goes on is %s.", oneIn(st.chance))
}

// serves says what the goroutines of st are for, as a clause without a subject.
func (st *stand) serves() string {
	if st.connected {
		return "used to wait for data on network connections"
	}
	return "handle requests"
}

// noteServer notes, where goroutines that wait for others are all that is known, others
// that stand, too, and may be what they wait for. Workers with a method of the same type
// as one on the stack of the queue may stand where they always wait, for a signal that
// was lost. Others moved before and wait for an answer from outside: those that run in
// step with the snapshots were seen there before, by chance, so that nothing more is
// known. Of several, such as the stages of a pipeline, it notes the one that depends
// least on others.
func (j *standJudge) noteServer(f *Finding, h *hang) {
	root := h.root
	if root.exhausted != nil || !places.WokenByGoroutines(root.State) || root.State.Lock() || !handles(root.Stack) && root.rank() < 1 {
		return
	}
	var server *stand
	for _, pl := range j.Places(places.ByStack) {
		if pl.Key == root.Key || handles(pl.Stack) || !j.mayBeRoot(pl) || !pl.Stood(j.begin) || !j.old(pl, max(1, root.since)) {
			continue
		}
		all := pl.Now() == j.StartedWith(pl.Starter(), j.Last())
		if st := (&stand{Place: pl}); all && (server == nil || st.rank() < server.rank()) &&
			slices.ContainsFunc(h.stands, func(st *stand) bool { return mayServe(pl, st.Stack) }) {
			server = st
		}
	}
	if server != nil {
		n := server.Now()
		f.note("%s started with %s %s, too, at %s, waiting %s, and may be what they wait for.",
			verb(n, "The goroutine", fmt.Sprintf("All %d goroutines", n)), server.Starter(), verb(n, "stands", "stand"), where(server.Stack), waitsFor(server))
	}
}

// mayServe reports whether goroutines at a place are workers of a type with a method on a
// stack, or wait for an answer from outside and moved before.
func mayServe(pl *places.Place, s *goroutine.Stack) bool {
	if r := receiver(pl.Starter()); r != "" && slices.Contains(receivers(s), r) {
		return true
	}
	r, _ := resourceAt(pl.Stack, pl.State)
	return r.answers && pl.StoodSince() > 0
}

// receivers returns the types with methods on a stack that are not of the standard
// library.
func receivers(s *goroutine.Stack) (all []string) {
	for _, f := range s.Frames {
		if r := receiver(f.Function); r != "" && !f.Standard() {
			all = append(all, r)
		}
	}
	return all
}

// receiver returns the type that a function is a method of, with its package; empty
// when it is none of a pointer.
func receiver(function string) string {
	i := strings.Index(function, ").")
	if i < 0 || !strings.Contains(function[:i], ".(*") {
		return ""
	}
	return function[:i]
}

// noteArrivals notes whether others still come.
func (j *standJudge) noteArrivals(f *Finding, h *hang) {
	more := 0
	for _, st := range h.stands {
		more += st.Now() - st.Count(j.begin)
	}
	if more > 0 {
		f.note("%s joined within the last %s.", goroutines(more), words.Span(j.Ago(j.begin)))
	} else {
		f.note("No more have come for %s.", words.Span(j.Ago(j.begin)))
	}
}

// notePool notes that the goroutines of a stand are all of a pool of workers.
func (j *standJudge) notePool(f *Finding, st *stand) {
	entry := st.Starter()
	if handles(st.Stack) || entry == st.Stack.User().Function && !st.pool {
		return
	}
	if n := j.StartedWith(entry, j.Last()); n == st.Now() && n > 1 {
		f.note("These are all %s started with %s.", goroutines(n), entry)
	}
}

// noteRequests notes which share of the requests that are being handled stands.
func (j *standJudge) noteRequests(f *Finding, h *hang) {
	all, standing := 0, 0
	for _, pl := range j.Places(places.ByStack) {
		if !handles(pl.Stack) || delegates(pl.Stack) {
			continue
		}
		all += pl.Now()
		if slices.ContainsFunc(h.stands, func(st *stand) bool { return st.Key == pl.Key || st.activity != nil && st.activity.Has(pl) }) {
			standing += pl.Now()
		}
	}
	if standing > 0 {
		f.note("%d of the %s that the process is handling stand there.", standing, plural(all, "request"))
	}
}

// adviceToResume says what to do about goroutines in state s that wait for
// something outside of the process; empty for other states.
func adviceToResume(s goroutine.State) string {
	switch s {
	case goroutine.IOWait:
		return "Check the other end of the connection, and set a deadline for reading and writing."
	case goroutine.Syscall:
		return "Check what the system call waits for: a file system, a child process, or C code."
	}
	return ""
}
