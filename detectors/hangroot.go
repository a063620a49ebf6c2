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

// root returns the place whose goroutines got stuck first: one that stopped
// shortly before st, or st itself.
func (j *standJudge) root(st *stand) *stand {
	first := st
	if st.cause != nil {
		first = j.rooted(st.cause, st.cause.StoodSince())
	}
	if holders := j.holders(st); holders != nil {
		return holders
	}
	earliest := max(1, j.At(j.Time(st.since).Add(-2*j.MinWait)))
	for _, pl := range j.Places(places.ByStack) {
		if pl.Key == st.Key || !pl.Stood(min(first.since+1, j.Last())) || pl.Stood(earliest-1) || !j.mayBeRoot(pl) {
			continue
		}
		since := pl.StoodSince()
		if other := j.rooted(pl, since); j.tells(other, st.since) && other.before(first) {
			first = other
		}
	}
	return j.blockedPool(first)
}

// holders returns what holds or does that for which st waits, where a library shows
// it: the place with the most goroutines that none has left since st began to stand.
// It is nil where none is known.
func (j *standJudge) holders(st *stand) *stand {
	r, _ := resourceAt(st.Stack, st.State)
	if r.holders == nil {
		return nil
	}
	for _, pl := range j.Places(places.ByStack) { // the largest first
		if pl.Key != st.Key && mayHang(pl.State) && r.holders(pl.Stack) && pl.Stood(min(st.since+1, j.begin)) {
			return j.rooted(pl, pl.StoodSince())
		}
	}
	return nil
}

// rooted returns goroutines that may be what got stuck first.
func (j *standJudge) rooted(pl *places.Place, since int) *stand {
	st := &stand{Place: pl, since: since, chance: 1}
	r, _ := resourceAt(pl.Stack, pl.State)
	st.nested = r.holders != nil && r.scarce && r.holders(pl.Stack)
	st.pool = pl.Now() > 1 && !handles(pl.Stack) && j.workersLeft(pl, since)
	return st
}

// tells reports whether it says something about others, which stand since a
// snapshot, that the goroutines of st stopped. Workers may have stopped earlier, when
// a queue had to fill first. A handler that stands where none used to does, and so do
// workers that left their usual place, or a goroutine that waits for a known resource
// or for the outside where it used not to. Idle workers, accept loops, timers and the
// goroutines that keep a connection stand all the time, or may begin to at any time.
func (j *standJudge) tells(st *stand, crowd int) bool {
	near := j.Time(crowd).Sub(j.Time(st.since)) <= j.MinWait
	if handles(st.Stack) {
		return near && !rested(st.Place, st.since)
	}
	if st.pool || st.nested || j.loopLeft(st.Place, st.since) || j.busyPool(st.Place, st.since) {
		return true
	}
	r, known := resourceAt(st.Stack, st.State)
	if !near || !known && st.State != goroutine.Syscall && st.State != goroutine.IOWait {
		return false
	}
	return (r.scarce || j.settled(st.since)) && st.Share(st.since) <= 0.5 && !rested(st.Place, st.since)
}

// settled reports whether enough was seen before a snapshot to know that goroutines
// at a new place are not part of a start-up.
func (j *standJudge) settled(since int) bool {
	return since >= j.MinSnapshots && j.Time(since).Sub(j.Time(0)) >= 2*j.MinWait
}

// blockedPool returns a pool of workers that all wait to send or for a resource,
// which no idle pool does. They may have stood there in every snapshot, when the
// pool was saturated before. So it explains only handlers that wait for others, and
// where nothing else does.
func (j *standJudge) blockedPool(st *stand) *stand {
	if !handles(st.Stack) || st.State.Lock() || st.State == goroutine.IOWait || st.State == goroutine.Syscall {
		return st
	}
	for _, pl := range j.Places(places.ByStack) {
		if pl.Now() < 2 || pl.Now() != j.StartedWith(pl.Starter(), j.Last()) || !pl.Stood(min(st.since, j.begin)) || !j.mayBeRoot(pl) || handles(pl.Stack) {
			continue
		}
		if r, _ := resourceAt(pl.Stack, pl.State); r.scarce && !pl.State.Lock() && j.old(pl, st.since) {
			return &stand{Place: pl, since: pl.StoodSince(), chance: 1, pool: true}
		}
	}
	return st
}

// busyPool reports whether a place is where a pool of workers is most of the time,
// and all of them stand there now. The pool is not idle there: before a snapshot,
// some of them left in nearly every step.
func (j *standJudge) busyPool(pl *places.Place, since int) bool {
	left, _ := pl.Moves(0, since-1)
	return pl.Now() > 1 && pl.Now() == j.StartedWith(pl.Starter(), j.Last()) && pl.Starter() != pl.Stack.User().Function &&
		since > minMoving && 5*left >= 4*(since-1)
}

// mayBeRoot reports whether what others wait for may be the goroutines at a place.
// The clients of a server that is in the same process wait for it, and not the
// other way round: there are as many of them as requests.
func (j *standJudge) mayBeRoot(pl *places.Place) bool {
	if !mayHang(pl.State) || accompanies(pl.Stack) || accepts(pl.Stack) || j.Known(pl.Stack) || serves(pl.Stack) && !handles(pl.Stack) {
		return false // idle connections among them
	}
	if r, _ := resourceAt(pl.Stack, pl.State); r.name != "HTTP response" || handles(pl.Stack) {
		return true
	}
	requests := 0
	for _, other := range j.Places(places.ByStack) {
		if handles(other.Stack) {
			if other.Now() == pl.Now() {
				return false
			}
			requests += other.Now()
		}
	}
	return requests != pl.Now()
}

// accepts matches goroutines that wait for the next connection of a client.
var accepts = has("internal/poll.(*FD).Accept")

// rested reports whether goroutines used to stay at a place before a snapshot: in
// more than half of the steps none left.
func rested(pl *places.Place, since int) bool {
	n := 0
	for i := range since - 1 {
		if pl.Count(i) > 0 && !pl.Left(i) {
			n++
		}
	}
	return 2*n > since
}

// before reports whether st stopped before other. Within one step between
// snapshots, what they wait for decides: goroutines that wait for others in the
// process come after those. Then the oldest goroutine decides: workers are older
// than their callers, and the first request that got stuck is older than the next.
func (st *stand) before(other *stand) bool {
	a, b := st.rank(), other.rank()
	if apart := st.since - other.since; apart < -1 || apart > 1 || a == b && apart != 0 {
		return apart < 0
	}
	if a != b {
		return a < b
	}
	return st.oldest() < other.oldest()
}

// rank returns how directly the goroutines of st depend on others in the process:
// -1 when they are a whole pool of workers, whatever these wait for, or wait for
// themselves; 0 when nothing is known; 1 when others hold what they wait for; 2 when
// others do what they wait for, to the end.
func (st *stand) rank() int {
	switch r, _ := resourceAt(st.Stack, st.State); {
	case st.pool, st.nested:
		return -1
	case st.State == goroutine.WaitGroupWait, r.inside && !r.scarce, r.name == "Prometheus collector":
		return 2
	case r.inside:
		return 1
	}
	return 0
}

func (st *stand) oldest() uint64 {
	ids, _ := st.IDs(st.Series.Last())
	if len(ids) == 0 {
		return ^uint64(0)
	}
	return ids[0]
}

// finding returns the finding for a hang.
func (j *standJudge) finding(h *hang) Finding {
	root := h.root
	surest := slices.MinFunc(h.stands, func(a, b *stand) int { return cmp.Or(cmp.Compare(a.chance, b.chance), cmp.Compare(b.Now(), a.Now())) })
	crowd := slices.DeleteFunc(slices.Clone(h.stands), func(st *stand) bool { return st.Key == root.Key })
	slices.SortStableFunc(crowd, func(a, b *stand) int { return cmp.Compare(b.Now(), a.Now()) })
	// A loop in step with the snapshots is at its place in each of them.
	f := found(j.confidence(surest), root.Place, max(root.since, h.stands[0].since))
	f.Subject, f.Evidence, f.Stands = "", nil, true
	f.Count = h.inAll(surest)
	f.Message = message(root, crowd, f.Count, f.Age)
	f.Participants = participants(root, crowd)
	j.notePool(&f, root)
	j.noteResource(&f, append([]*stand{root}, crowd...))
	j.noteWhy(&f, surest)
	j.noteArrivals(&f, h)
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
// fault is left, unless nothing is known of the time before.
func (j *standJudge) confidence(st *stand) Confidence {
	lasting := j.Ago(st.since) >= 5*j.MinWait
	switch {
	case st.activity == nil && !lasting:
		return Medium
	case st.activity == nil || !lasting:
		return Suspected
	}
	return High
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
	if st.activity == nil {
		f.note("They handle requests, and none has moved on for %s.", words.Span(st.Series.Ago(st.since)))
		if st.missing > 0 {
			f.note("About %d goroutines that would have come and gone in this time, as before, are missing.", st.missing)
		}
		if c := st.cause; c != nil && c.Now() == j.StartedWith(c.Starter(), j.Last()) {
			f.note("About when they began to wait, all of the %s started with %s left their usual place for %s.", goroutines(c.Now()), c.Starter(), where(c.Stack))
		}
		return
	}
	f.note("Before, %d of %d goroutines on this call path moved on within %s; of the %d that came later and were followed for as long, none did.",
		st.passed, st.came, words.Span(st.within), st.stayed)
	f.note("The probability of this for work that goes on is %s.", oneIn(st.chance))
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
	if handles(st.Stack) || entry == st.Stack.User().Function {
		return
	}
	if n := j.StartedWith(entry, j.Last()); n == st.Now() && n > 1 {
		f.note("These are all %s started with %s.", goroutines(n), entry)
	} else if n > st.Now() {
		f.note("There %s %s started with %s in all.", verb(n, "is", "are"), goroutines(n), entry)
	}
}

// noteRequests notes which share of the requests that are being handled stands.
func (j *standJudge) noteRequests(f *Finding, h *hang) {
	all, standing := 0, 0
	for _, pl := range j.Places(places.ByStack) {
		if !handles(pl.Stack) {
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
