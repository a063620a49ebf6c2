// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// HangConfig is the configuration of [NewHang]. Start from [DefaultHangConfig].
type HangConfig struct {
	// MinWait is how long no goroutine must have moved on. Default 60 s: clients
	// give up earlier. Above 0, at most [MaxHistory].
	MinWait time.Duration

	// MinSnapshots is the minimum number of snapshots in which no goroutine must
	// have moved on, 2 to 8. Default 4: with fewer, one slow moment would be
	// enough.
	MinSnapshots int

	// MaxChance is the maximum probability that work that goes on as before
	// produces the same snapshots, above 0 and at most 1. Default one in a million,
	// as for [DeadlockConfig].
	//
	// Let M goroutines have come here before, E of which moved on within MinWait, and
	// let J have come since, none of which has. If nothing has changed, it does not
	// depend on the order whether a goroutine moves on; the probability that the last
	// J are all among those that do not is C(M,E)/C(M+J,E). When twenty came and all
	// of them moved on, the default is reached when eight stand.
	MaxChance float64

	// MinShare is the minimum share of the goroutines that came here before which
	// moved on within MinWait, 0 to 1. Default 0.9: where more stay, staying is
	// normal, as for streams and long polls.
	MinShare float64

	// MinWaiters is how many request handlers must wait where nothing is known of the
	// time before; at least 1. Default 3.
	MinWaiters int
}

// DefaultHangConfig returns the defaults.
func DefaultHangConfig() HangConfig {
	return HangConfig{MinWait: time.Minute, MinSnapshots: 4, MaxChance: 1e-6, MinShare: 0.9, MinWaiters: 3}
}

const (
	// hangReach is how far back snapshots are needed, in multiples of MinWait: two
	// hours by default. A hang stays open for as long as the time before it is
	// known.
	hangReach = 120
	// minMoving is in how many snapshots goroutines must have been seen to pass; or
	// in rareMoving, over at least minMoving times MinWait, where older snapshots
	// have been thinned out. A single burst, as when clients connect, is no work
	// that goes on.
	minMoving  = 4
	rareMoving = 2
	// maxStands is how many places are judged in a pass, largest first. It bounds
	// the time of a pass.
	maxStands = 16
	// mostGaps is how many gaps between snapshots must make up MinWait at least. So
	// a pause of the process, which is a single gap, is no standstill.
	mostGaps = 2
	// suspicion is in how many times less than MinWait a hang is suspected, so that
	// more snapshots are wanted.
	suspicion = 4
)

func (c HangConfig) checks() []check {
	return []check{
		above0("MinWait", c.MinWait),
		inARow("MinSnapshots", c.MinSnapshots),
		{"MaxChance", c.MaxChance, c.MaxChance > 0 && c.MaxChance <= 1, "above 0 and at most 1"},
		share("MinShare", c.MinShare),
		atLeast("MinWaiters", c.MinWaiters, 1),
	}
}

// NewHang returns the detector "hang": work that used to move on at a place has
// stopped. Confidence [Suspected], [High] after five times MinWait; where nothing is
// known of the time before, [Medium] and then [Suspected].
//
// Even then it is High, after five times MinWait, if at least MinWaiters requests wait
// behind all workers of a pool, these wait to send on a channel, and what received from
// it has ended: a goroutine of the same package that was there before, went away at
// about the time at which they stopped, and was not replaced. Where it is not known
// what received, it takes thirty times MinWait. A pool that waits for anything else,
// such as a slow dependency, a lock, or a time, remains Suspected.
//
// Streams, long polls and idle workers stand still as well. What tells an outage
// from rest is what the same work did before. The detector follows the goroutines
// that share a call path, from the entry function to the place or to a caller of
// it, whatever they wait for. It fires when, for at least MinWait and
// MinSnapshots snapshots, none of them has left and nine in ten stand at one
// place each, if those that came before moved on: at least MinShare of them within
// MinWait, seen in at least four snapshots, and hardly any stood for MinWait; and
// enough have come since and stayed for that to be no chance (MaxChance). Where they
// wait for something outside of the process, which may just be slow, it takes twice
// MinWait.
//
// Requests that are too fast for any snapshot to show them leave no such history.
// For handlers of requests, at least MinWaiters and not all of which were there from
// the first snapshot on, the detector also fires when
//
//   - they wait for a lock, to send on a channel, for a file lock, or for something of
//     which a library has only so many, such as a connection of a pool, which no
//     stream does at rest;
//   - they wait for an answer of another service or a database;
//   - at about the time at which they began to wait, or up to three times MinWait
//     before, while a queue fills, a worker or all workers of a pool left the place
//     where they used to wait for work, and stand elsewhere; or what the handlers have
//     started waits for something of this list;
//   - all workers of a pool left that place and stand, and ever since three times as
//     many requests are in flight as ever before, even if each of them ends by a
//     timeout;
//   - they wait for a connection of a pool, and for twice MinWait no snapshot showed
//     a goroutine that may have been using one, even if each of them ends by a
//     timeout;
//   - they wait for data on a network connection that is not their client's, for
//     twice MinWait, and did not come with the start of the service;
//   - they run within an http.TimeoutHandler, and it has given up on enough of them;
//   - they wait for a WaitGroup, for twice MinWait, and are more than all goroutines
//     that could call its Done;
//   - far fewer goroutines of the process come and go than before, and as many
//     handlers stand instead: a server starts at least one goroutine for each
//     request, which uses up an ID. That needs about two requests a second.
//
// The first two also hold for goroutines that used to wait for data on a network
// connection, as those of a server with a protocol of its own do, when at least half of
// all that were started with the same function stand at a place.
//
// A time in which the process could not run does not count
// ([goroutine.Snapshot.Late]), and a gap between two snapshots counts for at most
// half of MinWait. Before it fires, it asks for a trace window, for which it waits
// until twice MinWait. It does not fire when the window shows that another goroutine
// woke one of those that stand, or that something came for one in IO wait: a
// connection that is always busy is at the same place in every snapshot.
//
// Places that stopped at about the same time are one finding. Its stack is that
// of the goroutines that got stuck first, as far as that shows: a pool of workers,
// a loop that left its place, what a library shows to hold or to do what others wait
// for, a handler that waits for something else. Otherwise it is that of the queue
// itself. [HangConfig.MaxChance] describes the probability.
//
// Consumers and workers, which take one job after another, stand as still when there
// are no more jobs. What shows that something is wanted of them is goroutines that go on
// being started and come to stand there as well, or requests that wait.
//
// False negatives: consumers and workers that hang in a receive, a select, a condition or
// IO while no request waits for them; requests of which none was ever seen in
// a snapshot, that wait for nothing of this list; a hang of such requests that stood before the first snapshot;
// requests that end by a timeout, unless they wait for a pool; jobs of a queue that are
// too fast for snapshots; some goroutines of a call path that hang while others of it
// pass; a second hang at a place within two hours of the first; and, for several
// minutes, one that follows minutes without any request.
//
// False positives: a change of regime without a fault, such as a handler that
// from some moment on serves only streams; a lock or all connections of a pool that are
// held on purpose for more than MinWait, or twice MinWait, while requests wait for them;
// the first requests to another service that
// takes more than twice MinWait for each; workers that begin their first long job at
// the time at which the first streams come; the first streams whose handlers read
// each from a connection that stays silent; handlers that go on beyond their
// http.TimeoutHandler by design; backpressure for MinWait on half of the connections of
// a protocol that is not known; and, without trace windows, connections
// that become busy all the time and wait for nothing but IO.
func NewHang(c HangConfig) *Detector {
	return configured(c, &Detector{
		Name:   "hang",
		Doc:    "Work that used to move on at a place has stopped.\n\nIt compares goroutines with those that did the same before: those passed, these stand.",
		Needs:  Needs{IDs: true, History: min(hangReach*c.MinWait, MaxHistory)},
		Yields: []string{"deadlock"},
		Run:    c.run,
	})
}

func (c HangConfig) run(p *Pass) error {
	s := p.places()
	j := c.judgeOf(p, s)
	var all []*stand
	switch {
	case j.begin >= 0:
		all = j.stands()
	case s.Begin(c.MinWait, c.MinSnapshots) >= 0:
		p.abstain(ReasonShortHistory, "the process could not run until a moment ago, or no snapshot could be taken")
	default:
		p.tooShort(s, c.MinSnapshots, c.MinWait, "")
	}
	for _, g := range j.grouped(j.servers(all)) {
		p.Report(j.finding(g))
	}
	if len(all) == 0 && c.suspects(p, s) {
		p.attend()
	}
	return nil
}

// suspects reports whether a hang may just have begun: by the same rules, but for
// a shorter time.
func (c HangConfig) suspects(p *Pass, s *places.Series) bool {
	c.MinWait, c.MinSnapshots, c.MaxChance = c.MinWait/suspicion, 2, math.Sqrt(c.MaxChance)
	j := c.judgeOf(p, s)
	return j.begin >= 0 && slices.ContainsFunc(j.candidates(), func(pl *places.Place) bool { return j.judge(pl) != nil })
}

// judgeOf returns the judge of a pass. Its begin is -1 when there are too few
// snapshots.
func (c HangConfig) judgeOf(p *Pass, s *places.Series) *standJudge {
	begin := s.BeginRunning(c.MinWait, c.MinSnapshots, c.MinWait/mostGaps)
	return &standJudge{HangConfig: c, Pass: p, Series: s, begin: begin, stood: make(map[*places.Activity][2]int)}
}

// A standJudge judges the places of one pass.
type standJudge struct {
	HangConfig
	*Pass
	*places.Series
	begin int // the snapshot since which none must have moved on

	stood map[*places.Activity][2]int // see standing
}

// stands returns the places at which goroutines hang.
func (j *standJudge) stands() (all []*stand) {
	hangs := func(st *stand) bool { return st != nil && !j.served(st) && !j.early(st) }
	candidates := j.candidates()
	for _, pl := range candidates {
		if st := j.judge(pl); hangs(st) {
			all = append(all, st)
		}
	}
	if len(all) > 0 {
		return all
	}
	for _, pl := range candidates {
		if st := j.behindPool(pl); hangs(st) {
			return []*stand{st}
		}
	}
	if st := j.exhausted(); st != nil {
		return []*stand{st}
	}
	return nil
}

// candidates returns the places from which none left since begin and that other
// goroutines reached before: not those that were there from the first snapshot
// on.
func (j *standJudge) candidates() (all []*places.Place) {
	for _, pl := range j.Places(places.ByStack) {
		// The tests are in the order of their cost.
		if len(all) == maxStands {
			break
		}
		if !mayHang(pl.State) || !pl.Stood(j.begin) || pl.Unchanged() || j.Known(pl.Stack) || accompanies(pl.Stack) || delegates(pl.Stack) {
			continue
		}
		if pl.StoodSince() > 0 || handles(pl.Stack) {
			all = append(all, pl)
		}
	}
	return all
}

// mayHang reports whether a goroutine in state s may be part of a hang. Those on
// nil channels are for "blocked_forever"; one that sleeps wakes up.
func mayHang(s goroutine.State) bool {
	return (s.Blocked() || s == goroutine.Syscall) && !s.Never() && s != goroutine.Sleep && s != goroutine.Coroutine
}

// accompanies matches goroutines that wait while another one handles a request:
// they stand whenever it does.
var accompanies = entry("net/http.(*connReader).backgroundRead")

// A stand is a place at which goroutines hang.
type stand struct {
	*places.Place
	activity   *places.Activity // whose history was compared; nil when none was
	since      int              // the snapshot since which none has moved on
	cause      *places.Place    // what stopped elsewhere at that time and tells this from rest; may be nil
	pool       bool             // they are all of a pool of workers that left its usual place
	receiver   *formerReceiver  // what received from a pool and has ended; may be nil
	nested     bool             // they hold what they wait for
	behind     int              // how many requests are in flight behind a pool, at least; 0 when that does not tell
	were       int              // how many there were at most before
	exhausted  *exhaustion      // they come and go, and never get what they wait for; may be nil
	orphaned   bool             // fewer goroutines are left that they could wait for than wait
	connected  bool             // they serve connections by a protocol that is not known
	abandoned  int              // how many have run beyond a time limit, at least
	unanswered int              // how many wait for data on a connection that is not their client's, at least
	missing    int              // how many goroutines came and went as long before, and do not now; 0 when that was not compared

	came, passed int           // before: M and E
	stayed       int           // since: J
	within       time.Duration // in which they moved on, or did not
	chance       float64       // 1 when nothing is known of the time before
	windows      int           // trace windows since then in which none was woken
}

// provided returns st if a condition holds, and otherwise nil.
func (st *stand) provided(holds bool) *stand {
	if holds {
		return st
	}
	return nil
}

// judge returns a stand when goroutines hang at a place, and otherwise nil.
func (j *standJudge) judge(pl *places.Place) *stand {
	var last *places.Activity
	for depth := pl.Depth(); depth > 0; depth-- {
		a := pl.Activity(depth)
		if a == last {
			continue
		}
		if st := j.turnedOver(pl, a); st != nil {
			return st
		}
		last = a
	}
	return j.starved(pl)
}

// early reports whether a stand must last for longer to be a hang.
func (j *standJudge) early(st *stand) bool {
	if !outside(st.Stack, st.State) || j.Running(st.since, j.MinWait/mostGaps) >= 2*j.MinWait {
		return false
	}
	j.attend()
	return true
}

// outside reports whether goroutines wait for something outside of the process,
// which may be slow for more than a minute and answer nevertheless.
func outside(s *goroutine.Stack, state goroutine.State) bool {
	r, _ := resourceAt(s, state)
	return r.answers || !r.scarce && (state == goroutine.IOWait || state == goroutine.Syscall)
}

// turnedOver compares the goroutines of an activity with those that were in it
// before. It returns nil when they do not hang, or when nothing is known.
func (j *standJudge) turnedOver(pl *places.Place, a *places.Activity) *stand {
	since := a.StoodSince()
	if since > j.begin || since <= rareMoving {
		return nil
	}
	st := &stand{Place: pl, activity: a, since: max(since, pl.StoodSince()), within: j.gap(since)}
	until := min(j.begin, j.At(j.Newest().Time.Add(-j.gap(since))))
	if until < since || j.stoodBefore(pl, since) {
		return nil
	}
	standing, moving := j.standing(a, until)
	if 9*moving > standing {
		return nil
	}
	st.stayed = min(standing, a.Joined(since-1, until))
	if j.mayRest(pl, since) {
		st.stayed = min(st.stayed, j.wanted(pl, since, until))
	}
	// Where snapshots are dense, goroutines that handle one request after another
	// are seen to move on; those that handle one each are seen anywhere.
	for _, dense := range []int{j.MinSnapshots - 1, 1} {
		if j.movedOn(st, since, dense) && st.chance <= j.MaxChance && !j.rests(a, since) {
			return st
		}
	}
	return nil
}

// mayRest reports whether goroutines that are no requests may have come to a place
// because they have nothing to do: consumers that take one message after another have
// all moved on until the last message, and then stand. Among such goroutines, only those
// count that have been started since (see wanted).
func (j *standJudge) mayRest(pl *places.Place, since int) bool {
	r, _ := resourceAt(pl.Stack, pl.State)
	if handles(pl.Stack) || r.scarce || r.answers {
		return false
	}
	if idles(pl.State) {
		return !j.connected(pl, since) // between requests, these wait for data
	}
	return pl.State == goroutine.IOWait || pl.State == goroutine.Syscall
}

// wanted returns how many goroutines were started after snapshot since, stand at a place,
// and were in it by snapshot until; or 0 when none was started later: something is still
// wanted of those that are started again and again. A consumer that starts a goroutine to
// wait for the next message starts one more when it has handled the last.
func (j *standJudge) wanted(pl *places.Place, since, until int) int {
	e := j.Newest()
	if late := e.EpochAt(j.Time(until)); pl.Born(late, len(e.Epochs)) > 0 {
		return pl.Born(e.EpochAt(j.Time(since)), late)
	}
	return 0
}

// movedOn counts, in st, the goroutines that came before a snapshot, and those of
// them that moved on within the time gap, as seen in at least dense snapshots. It
// reports whether nearly all did, and for some time.
func (j *standJudge) movedOn(st *stand, since, dense int) bool {
	var moving []int
	st.came, st.passed = 0, 0
	for i := 1; i < since; i++ {
		later := min(since, j.At(j.Time(i).Add(j.gap(since))))
		if later-i < dense {
			continue
		}
		came, passed := st.activity.Passed(i, later)
		st.came, st.passed = st.came+came, st.passed+passed
		if passed > 0 {
			moving = append(moving, i)
		}
	}
	st.chance = allStay(st.came, st.passed, st.stayed)
	n := len(moving)
	lasting := n >= minMoving || n >= rareMoving && j.Time(moving[n-1]).Sub(j.Time(moving[0])) >= minMoving*j.MinWait
	return lasting && float64(st.passed) >= j.MinShare*float64(st.came)
}

// gap is the time within which goroutines that came before must have moved on to
// count as such: those of a standstill must have stayed for as long. It grows with
// the standstill, because older snapshots are further apart.
func (j *standJudge) gap(since int) time.Duration { return max(j.MinWait, j.Ago(since)/2) }

// allStay returns the probability that of came+stayed goroutines, of which passed
// pass, the last that came are all among those that stay.
func allStay(came, passed, stayed int) float64 {
	log := 0.0
	for k := range passed {
		log += math.Log(float64(came-k)) - math.Log(float64(came+stayed-k))
	}
	return math.Exp(log)
}

// standing returns how many goroutines of an activity in a snapshot were at
// places that none has left since, and how many were elsewhere. It leaves out
// places where goroutines stood when others of the activity still moved on: streams
// beside requests.
func (j *standJudge) standing(a *places.Activity, since int) (n, moving int) {
	if known, ok := j.stood[a]; ok {
		return known[0], known[1]
	}
	rest := 0
	for _, pl := range j.Places(places.ByStack) {
		switch {
		case !a.Has(pl):
		case j.stoodBefore(pl, a.StoodSince()):
			rest += pl.Count(since)
		case mayHang(pl.State) && pl.StoodSince() <= since:
			n += pl.Count(since)
		}
	}
	moving = max(0, a.Count(since)-n-rest)
	j.stood[a] = [2]int{n, moving}
	return n, moving
}

// stoodBefore reports whether goroutines had been at a place for MinWait before a
// snapshot, and are there still.
func (j *standJudge) stoodBefore(pl *places.Place, since int) bool {
	i := j.At(j.Time(since).Add(-j.MinWait))
	return i >= 0 && pl.Count(i) > 0 && pl.AnyStoodSince(i)
}

// rests reports whether it was normal, before a snapshot, to be in an activity
// for MinWait, and in MinSnapshots: of the goroutines that were listed, more than
// one in ten were. The goroutine of a connection may be in two snapshots with one
// request in each, but hardly in four.
func (j *standJudge) rests(a *places.Activity, since int) bool {
	rested, listed := 0, 0
	for i := range since {
		later := max(j.From(j.Time(i).Add(j.MinWait)), i+j.MinSnapshots-1)
		if later >= since {
			break
		}
		r, l := a.Rested(i, later)
		rested, listed = rested+r, listed+l
	}
	return 10*rested > listed
}

// served reports whether a trace window shows that the goroutines of a stand move
// between snapshots, as those of busy connections do: another goroutine woke one
// of them, or something came for one that waits for IO. If there is no window
// since the stand began, served asks for one, and waits for it for a while.
func (j *standJudge) served(st *stand) bool {
	waiting, _ := st.IDs(j.Last())
	begun := j.Time(st.since)
	for _, w := range j.Windows {
		if w.Time.Before(begun) {
			continue
		}
		if slices.ContainsFunc(st.Woken(w.Fed), func(id uint64) bool { return slices.Contains(waiting, id) }) {
			return true
		}
		st.windows++
	}
	if w := j.Inspections[goroutine.SourceWindow]; w != nil && !w.Time.Before(begun) {
		woken, _ := wakers(w, st.Place)
		return st.State == goroutine.IOWait && woken > 0
	}
	if j.Ask(goroutine.SourceWindow) && st.windows == 0 && j.Ago(st.since) < 2*j.MinWait {
		j.abstain(ReasonInspection, "it suspects a hang and waits for a trace window")
		j.attend()
		return true
	}
	return false
}

// servers leaves out the clients of servers in the same process, unless nothing
// else stands.
func (j *standJudge) servers(all []*stand) []*stand {
	if rest := slices.DeleteFunc(slices.Clone(all), func(st *stand) bool { return !j.mayBeRoot(st.Place) }); len(rest) > 0 {
		return rest
	}
	return all
}

// A hang is stands that belong together, and what got stuck first.
type hang struct {
	root   *stand
	stands []*stand // first one first
}

// grouped divides stands by what they have in common: the activity, what got stuck
// first, or the time at which they stopped, which is within MinWait of that of the
// first.
func (j *standJudge) grouped(all []*stand) (groups []*hang) {
	slices.SortStableFunc(all, func(a, b *stand) int {
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.oldest(), b.oldest()))
	})
	for _, st := range all {
		i := slices.IndexFunc(groups, func(h *hang) bool {
			return st.activity != nil && st.activity == h.stands[0].activity || j.Time(st.since).Sub(j.Time(h.stands[0].since)) <= j.MinWait
		})
		root := st
		if i < 0 && st.exhausted == nil {
			root = j.root(st)
			i = slices.IndexFunc(groups, func(h *hang) bool { return h.root.Key == root.Key })
		}
		if i < 0 {
			groups = append(groups, &hang{root: root})
			i = len(groups) - 1
		}
		groups[i].stands = append(groups[i].stands, st)
	}
	return groups
}
