// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"math"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// starved returns a stand when handlers of requests wait where nothing is known of
// the time before, and something else tells that from rest: what they wait for,
// which no handler is meant to wait for that long; goroutines elsewhere on which
// they seem to depend and which stopped at the same time; or that as many
// goroutines used to come and go as stand now.
func (j *standJudge) starved(pl *places.Place) *stand {
	since := pl.StoodSince()
	if pl.Now() < j.MinWaiters || rested(pl, since) || !j.joined(pl, since) {
		return nil
	}
	st := &stand{Place: pl, since: since, chance: 1}
	r, _ := resourceAt(pl.Stack, pl.State)
	enough := pl.Count(j.begin) >= j.MinWaiters
	switch {
	case !handles(pl.Stack):
		st.connected = (r.scarce || r.answers && enough) && j.connected(pl, since)
		return st.provided(st.connected)
	case r.scarce:
		return st
	case r.answers:
		return st.provided(enough)
	}
	// With a worker that stopped, one request that has waited for MinWait and others
	// behind it are enough: where there are three requests a minute, the third comes late.
	st.cause = j.stopped(st)
	return st.provided(st.cause != nil || enough && j.unserved(st))
}

// unserved reports whether handlers of which nothing else is known wait for what no
// longer comes.
func (j *standJudge) unserved(st *stand) bool {
	st.missing = j.lacks(st.Place, st.since)
	if st.missing == 0 {
		st.abandoned = j.abandoned(st.Place)
	}
	if st.missing+st.abandoned > 0 {
		return true
	}
	if st.orphaned = j.orphaned(st.Place, st.since); !st.orphaned {
		st.unanswered = j.unanswered(st.Place, st.since)
	}
	return st.orphaned || st.unanswered > 0
}

// connected reports whether the goroutines at a place serve connections by a protocol
// that is not known: before a snapshot, those with the lowest IDs waited for data on one,
// most of the time, and half of all that were started for the same stand there. What
// waits for a few clients of many that do not read is backpressure.
func (j *standJudge) connected(pl *places.Place, since int) bool {
	return since >= rareMoving && 2*pl.Now() >= j.StartedWith(pl.Starter(), j.Last()) && !keepsRunning(pl.Stack) && j.mayBeRoot(pl) &&
		pl.Was(since, func(g *goroutine.Group) bool { return g.State == goroutine.IOWait && awaitsData(g.Stack) }) >= 0.6
}

// awaitsData matches goroutines that wait for data on a network connection.
var awaitsData = anyOf(has("net.(*conn).Read"), has("net.(*TCPConn).Read"), has("net.(*UnixConn).Read"), has("crypto/tls.(*Conn).Read"))

// abandoned returns how many handlers at a place, at least, have run beyond the limit of
// an http.TimeoutHandler, so that their clients have had an answer already. 0 when those
// are too few.
func (j *standJudge) abandoned(pl *places.Place) int {
	if !inTime(pl.Stack) {
		return 0
	}
	n := pl.Now()
	for _, other := range j.Places(places.ByStack) {
		if delegates(other.Stack) {
			n -= other.Now()
		}
	}
	if n < j.MinWaiters {
		return 0
	}
	return n
}

// reads matches goroutines that wait for data on a connection of their own, by a
// protocol that is not known. It leaves out what has no end by design: bodies of
// requests and responses, what is copied or subscribed to, and WebSockets.
var reads = all(
	has("net.(*conn).Read"),
	not(has("net/http.(*body).Read")), not(has("net/http.(*connReader).Read")), not(has("net/http.(*persistConn).Read")),
	not(has("io.copyBuffer")),
	not(prefix(blockingRedis...)), not(prefix("github.com/gomodule/redigo/redis.PubSubConn.", "github.com/gomodule/redigo/redis.(*conn).Receive")),
	not(has("github.com/jackc/pgx/v5/pgconn.(*PgConn).WaitForNotification")),
	not(prefix("github.com/gorilla/websocket.", "github.com/coder/websocket.", "nhooyr.io/websocket.", "github.com/gobwas/ws", "golang.org/x/net/websocket.")),
)

// unanswered returns how many handlers at a place, at least, wait for data on a
// connection that is not their client's, if that is most of them and they did not
// come with the start-up; otherwise 0. A handler that took over its connection, for a
// WebSocket or a tunnel, has no goroutine that watches the client any more: as many
// as there are of those handle a plain request.
func (j *standJudge) unanswered(pl *places.Place, since int) int {
	if pl.State != goroutine.IOWait || !reads(pl.Stack) || !j.settled(since) {
		return 0
	}
	n := pl.Now()
	if !answersOnce(pl.Stack) {
		for _, other := range j.Places(places.ByStack) {
			switch {
			case accompanies(other.Stack):
				n += other.Now()
			case handles(other.Stack) && !answersOnce(other.Stack):
				n -= other.Now()
			}
		}
	}
	if n < j.MinWaiters || 2*n < pl.Now() {
		return 0
	}
	return min(n, pl.Now())
}

// answersOnce matches handlers whose connection is not theirs alone, so that they
// cannot take it over; those of gRPC only where they are to give one answer.
var answersOnce = anyOf(
	entry("net/http.(*http2serverConn).runHandler", "net/http/internal/http2.(*serverConn).runHandler", "golang.org/x/net/http2.(*serverConn).runHandler"),
	has("google.golang.org/grpc.(*Server).processUnaryRPC"),
	entry("net/rpc.(*service).call", handledInTime),
)

// orphaned reports whether goroutines have waited for a WaitGroup for twice MinWait
// and are more than all goroutines together that could be what they wait for: those
// that are neither handlers nor connections, and not known to wait by design. A
// tunnel, or a request that is spread over others, has at least one of its own.
func (j *standJudge) orphaned(pl *places.Place, since int) bool {
	if pl.State != goroutine.WaitGroupWait || j.Running(since, j.MinWait/mostGaps) < 2*j.MinWait {
		return false
	}
	others := j.Snapshot.Total + j.Snapshot.Missing // those without a place among them
	for _, other := range j.Places(places.ByStack) {
		if serves(other.Stack) || accompanies(other.Stack) || j.Known(other.Stack) {
			others -= other.Now()
		}
	}
	return others < pl.Now()
}

// behindPool returns a stand when the goroutines at a place are all workers of a pool
// that left its usual place, and ever since many more requests are in flight than
// before: they may end, each by its own timeout, and are not served. It returns nil
// otherwise.
func (j *standJudge) behindPool(pl *places.Place) *stand {
	since := pl.StoodSince()
	if pl.Now() < 2 || since == 0 || handles(pl.Stack) || !j.mayBeRoot(pl) || !j.workersLeft(pl, since) {
		return nil
	}
	st := &stand{Place: pl, since: since, chance: 1, pool: true, behind: j.inFlight(j.Last())}
	for i := max(since, j.begin); i < j.Last(); i++ {
		st.behind = min(st.behind, j.inFlight(i))
	}
	for i := max(0, since-places.Whole); i < since; i++ {
		st.were = max(st.were, j.inFlight(i))
	}
	if st.behind < max(j.MinWaiters, pl.Now()) || st.behind < 3*(st.were+1) {
		return nil
	}
	return st
}

// inFlight returns how many requests were being handled in snapshot i.
func (j *standJudge) inFlight(i int) (n int) {
	groups := j.Snapshots[i].Groups
	for k := range groups {
		if handles(groups[k].Stack) {
			n += groups[k].Count
		}
	}
	return n
}

// joined reports whether the number of goroutines at a place rose since a
// snapshot, or to it. When every caller is stuck, that is but once.
func (j *standJudge) joined(pl *places.Place, since int) bool {
	return since > 0 || pl.Now() > pl.Count(0)
}

// filling is for how long, in multiples of MinWait, a queue may fill after its
// workers have stopped and before handlers wait to get into it.
const filling = 3

// stopped returns a place, elsewhere, whose goroutines stopped at about the time
// at which handlers began to stand: workers that used to wait for work elsewhere,
// or what the handlers have started and wait for. It returns nil when there is
// none.
func (j *standJudge) stopped(st *stand) (cause *places.Place) {
	earliest := j.From(j.Time(st.since).Add(-filling * j.MinWait))
	for _, pl := range j.Places(places.ByStack) {
		if !mayHang(pl.State) || !pl.Stood(j.begin) || earliest > 0 && pl.Stood(earliest-1) || cause != nil && pl.Now() <= cause.Now() {
			continue
		}
		since := pl.StoodSince()
		apart := j.Time(st.since).Sub(j.Time(since)) // a queue may fill in between
		if since == 0 || apart > filling*j.MinWait || -apart > 2*j.MinWait || handles(pl.Stack) || !j.mayBeRoot(pl) {
			continue
		}
		if (pl.Now() > 1 || since <= st.since+1) && j.workersLeft(pl, since) || j.startedBy(st, pl, since) {
			cause = pl
		}
	}
	return cause
}

// workersLeft reports whether the goroutines at a place are a worker, or all of
// several, that had been waiting elsewhere before a snapshot. A pool that goes idle is
// where it was before, and one that comes up was not there before.
func (j *standJudge) workersLeft(pl *places.Place, since int) bool {
	if pl.Now() != j.StartedWith(pl.Starter(), j.Last()) {
		return false
	}
	return pl.Now() == 1 && j.loopLeft(pl, since) || pl.Now() > 1 && j.old(pl, since) && pl.Share(since) <= mostVisits(pl.State) && j.usual(pl, since) != pl.Key
}

// mostVisits is how much of their time, at most, the workers of a pool have been at a
// place before that is not where they wait for work. A pool that is busy most of the time
// is hardly ever where it waits for work, until it has none.
func mostVisits(s goroutine.State) float64 {
	if idles(s) {
		return 0.05
	}
	return 0.5
}

// idles reports whether goroutines in state s may be waiting for work.
func idles(s goroutine.State) bool {
	return s == goroutine.ChanReceive || s == goroutine.Select || s == goroutine.CondWait
}

func (j *standJudge) usual(pl *places.Place, since int) goroutine.GroupKey {
	at, _ := pl.Usual(since)
	return at
}

// loopLeft reports whether a single goroutine left the place where it had been
// waiting before a snapshot. It proves less than a pool: it must have been there
// most of the time, and here, if ever, only in passing.
func (j *standJudge) loopLeft(pl *places.Place, since int) bool {
	if pl.Now() != 1 || since < j.MinSnapshots || !j.old(pl, since) {
		return false
	}
	usual, share := pl.Usual(since)
	idle := usual.State == goroutine.Sleep || places.WokenByGoroutines(usual.State) && !usual.State.Lock() && usual.State != goroutine.WaitGroupWait
	return idle && usual != pl.Key && share >= 0.6 && passes(pl, since)
}

// passes reports whether goroutines that were at a place before a snapshot were, in
// most steps, not there in the next one.
func passes(pl *places.Place, before int) bool {
	came, stayed := 0, 0
	for i := range before - 1 {
		if pl.Count(i) > 0 {
			came++
			if !pl.Left(i) {
				stayed++
			}
		}
	}
	return 2*stayed <= came
}

// runsProgram matches goroutines that wait for a child process, which may take its
// time.
var runsProgram = prefix("os/exec.(*Cmd).", "os.(*Process).")

// old reports whether all goroutines of a place are workers, and were there, anywhere,
// for twice MinWait before a snapshot. What a request starts for itself is as young
// as the request, and goroutines that start with a service are done with that by
// then.
func (j *standJudge) old(pl *places.Place, since int) bool {
	epoch := j.Newest().EpochAt(j.Time(since).Add(-2 * j.MinWait))
	return !keepsRunning(pl.Stack) && !runsProgram(pl.Stack) && pl.Born(epoch, len(j.Newest().Epochs)) == 0
}

// startedBy reports whether the goroutines at a place may be what handlers have
// started and wait for: as young as the stand, coming for as long as its goroutines
// do, at least half as many, and waiting for a resource.
func (j *standJudge) startedBy(st *stand, pl *places.Place, since int) bool {
	r, _ := resourceAt(pl.Stack, pl.State)
	if !r.scarce && !r.answers || 2*pl.Now() < st.Now() || pl.Share(since) > 0 {
		return false
	}
	_, joined := pl.Moves(since, j.Last())
	return joined > 1 && pl.Now() == pl.Born(j.Newest().EpochAt(j.Time(since).Add(-2*j.MinWait)), len(j.Newest().Epochs))
}

const (
	// steadySteps is how many steps before a standstill must show goroutines that
	// came and went, nearly all at a similar rate, and how many steps within it
	// must show some that came.
	steadySteps = 4
	// leastMissing is how many goroutines must be missing at least: the runtime
	// hands out IDs in advance, 16 for each P, so that small numbers mean nothing.
	leastMissing = 128
	// perRequest is how many goroutines come and go with a request at most, its own
	// among them.
	perRequest = 6
)

// lacks compares how many goroutines of the whole process came and went before
// handlers began to stand and since then. Requests that are too fast for any
// snapshot to show them still use up goroutine IDs: a server starts at least one
// goroutine for each. lacks returns how many are missing when so many fewer come and
// go that this is no chance, and the handlers that came instead make up a good part
// of them, at a rate that lasts; otherwise 0. Streams that come to a service
// whose requests go on replace nothing.
func (j *standJudge) lacks(pl *places.Place, since int) int {
	_, joined := pl.Moves(since, j.Last())
	begin := j.From(j.Time(since).Add(-hangReach / 6 * j.MinWait))
	if joined < steadySteps || !pl.Joined(j.Last()-1) && !pl.Joined(j.Last()-2) || since-begin <= steadySteps {
		return 0
	}
	before, steady := j.passing(begin, since-1)
	now, _ := j.passing(since, j.Last())
	seconds := j.Ago(since).Seconds()
	expected, passed := before*seconds, now*seconds
	missing, came := expected-passed, float64(pl.Now()-pl.Count(since))
	if !steady || missing < leastMissing || missing < 0.5*expected || missing < 10*math.Sqrt(expected) ||
		came < missing/perRequest || came > 1.5*missing {
		return 0
	}
	return int(missing)
}

// passing returns how many goroutines came and went per second from one snapshot to
// another, and whether they did so in nearly all steps.
func (j *standJudge) passing(from, until int) (rate float64, steady bool) {
	var rates []float64
	sum, seconds := 0, 0.0
	for i := from; i < until; i++ {
		_, gone, ok := j.CameAndWent(i, i+1)
		took := j.Time(i + 1).Sub(j.Time(i)).Seconds()
		if ok && took > 0 {
			sum, seconds = sum+gone, seconds+took
			rates = append(rates, float64(gone)/took)
		}
	}
	if seconds == 0 {
		return 0, false
	}
	rate = float64(sum) / seconds
	slices.Sort(rates)
	return rate, len(rates) >= steadySteps && rates[len(rates)/5] >= rate/3
}
