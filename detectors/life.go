// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// A life is what speaks for the goroutines of a rise being alive: for each of them
// waiting for something that comes, or may come.
type life struct {
	fed    []uint64 // IDs of goroutines that others woke in trace windows, and that returned
	timed  []uint64 // the same of those that the runtime woke
	timers bool     // by the code, they may wait for a timer
	peers  peers    // of their connections
	told   string   // what is known of these, as a sentence; empty if nothing is

	forsaken bool // they are handlers of requests whose clients have gone

	windows int  // since the rise began
	read    bool // the code where they wait was read, if they may wait for a timer at all
	most    int  // how many of them have a live peer at most; -1: not known
	sure    bool // what was not found is not there: the code was read, windows were seen, and peers are known
}

// maxLives is of how many rises a search asks what speaks for their being alive, at most,
// the largest populations first: that takes milliseconds for each in a process with
// thousands of stacks. Of the others, only what windows and states show is known.
const maxLives = 100

// findLife finds out what speaks for the goroutines of a rise being alive. It asks for
// the births at other places: see [places.Place.Births].
func (r *rise) findLife() life {
	l := life{
		fed:     r.wokenAndBack(func(w *Window) map[goroutine.GroupKey][]uint64 { return w.Fed }),
		timed:   r.wokenAndBack(func(w *Window) map[goroutine.GroupKey][]uint64 { return w.Timed }),
		windows: windowsSince(r.windows, r.since()),
		most:    -1,
	}
	if r.asked++; r.asked > maxLives {
		return l
	}
	l.timers, l.read = mayBeTimed(r.timers, r.place)
	alone := r.findPeers(&l)
	l.sure = l.read && alone && l.windows > 0
	return l
}

// findPeers finds out what is known of the peers of a rise, and reports whether it is
// known that enough of its goroutines have none.
func (r *rise) findPeers(l *life) (alone bool) {
	made := dials(r.place.Stack)
	if !made {
		l.peers, l.told = r.peers(r.place, r.now(), r.age)
	}
	if l.peers != peersUnknown {
		l.forsaken = l.peers == peersGone && r.place.Stack.Entry().Function == httpServe
		return l.peers == peersGone
	}
	if r.place.State == goroutine.IOWait {
		return false
	}
	if c := r.company(); c != nil {
		l.peers = peersConnected
		l.told = fmt.Sprintf("About as many goroutines have come to %s in the same time.", where(c.Stack))
		return false
	}
	if made {
		return true
	}
	l.most = min(r.peersAtMost(), r.total())
	return r.aloneBeside(l.most)
}

// maxPeers is the share of the goroutines of a rise that may have a live peer where the
// others are told to have none: less than half, because a connection may have two
// goroutines at a place.
const maxPeers = 0.45

// aloneBeside reports whether enough of the goroutines of a rise have no live peer if so
// many have one.
func (r *rise) aloneBeside(peers int) bool {
	return float64(peers) <= maxPeers*float64(r.total()) && r.total()-peers >= r.minRise
}

// living reports whether what was found makes it likely that the goroutines of the rise
// are alive.
//
// The handler of a request whose client has gone is no use, whatever wakes it.
func (l *life) living() bool {
	if l.forsaken {
		return false
	}
	return len(l.fed) > 0 || len(l.timed) > 0 || l.timers || l.peers == peersConnected || l.peers == peersSilent
}

// mayBeTimed reports whether goroutines at a place may wait for a timer, by their
// state and the code. Waiting for a lock, a condition or a receiver, they do not.
func mayBeTimed(timers func(*goroutine.Stack) (may, known bool), pl *places.Place) (may, known bool) {
	switch pl.State {
	case goroutine.Sleep:
		return true, true
	case goroutine.ChanReceive, goroutine.Select:
		if timers == nil {
			return false, false
		}
		return timers(pl.Stack)
	}
	return false, true
}

// peersAtMost returns how many goroutines of the rise have a live peer at most: how
// many goroutines that wait for the other end of a connection, or serve one of many
// streams of it, were born in the time of the rise and are still there.
func (r *rise) peersAtMost() (n int) {
	from, until := r.trial.from, r.trial.until
	for _, pl := range r.Places(places.ByStack) {
		born := pl.Born(from, until)
		if born > 0 && pl != r.place && (pl.State == goroutine.IOWait || sharesConnection(pl.Stack)) {
			n += born
		}
	}
	if sharesConnection(r.place.Stack) || r.place.Stack.Entry().Function == httpServe {
		n += r.total() // each may have a connection that nothing reads
	}
	return n
}

// company returns a place whose goroutines show that connections came with those of the
// rise and are still there; or nil. It is for arrivals in a rhythm, of which [peersOf]
// cannot tell that they are not by chance, and for readers that are started anew for
// each message.
func (r *rise) company() *places.Place {
	compared := 0
	for _, pl := range r.Places(places.ByStack) {
		if pl == r.place || !mayAccompany(r.place.Stack, pl) {
			continue
		}
		if compared++; compared > maxCompanions {
			return nil
		}
		if r.cameWith(pl) || r.grewWith(pl) {
			return pl
		}
	}
	return nil
}

// mayAccompany reports whether goroutines at a place may be those by which a connection
// of one with a stack shows. A response is in use if its body is read. Streams that share
// connections are accompanied by goroutines of their library.
func mayAccompany(s *goroutine.Stack, pl *places.Place) bool {
	switch {
	case keptByCaller(s):
		return false
	case ofResponse(s):
		return pl.State == goroutine.IOWait && pl.Stack.Has("net/http.(*bodyEOFSignal).Read")
	case sharesConnection(s):
		return pl.State == goroutine.IOWait && sharesConnection(pl.Stack) || runsQUIC(pl.Stack)
	}
	return pl.State == goroutine.IOWait
}

// runsQUIC reports whether a goroutine runs a connection of quic-go, which ends when its
// peer is silent for long.
func runsQUIC(s *goroutine.Stack) bool {
	entry := s.Entry().Function
	return strings.HasPrefix(entry, "github.com/quic-go/quic-go.(*") && strings.Contains(entry, ").run")
}

// maxStreams is how many streams of a rise a connection has at most where connections
// speak for them.
const maxStreams = 8

// cameWith reports whether about as many goroutines as at the place of the rise were born
// at another in the time of the rise, and are still there. A third more or fewer is about
// as many, and they must have come in each step: IDs left over from old batches of a P
// make goroutines look older. Those that read what has come are in IO wait again in one
// of the newest snapshots. Of streams, a connection may have some.
func (r *rise) cameWith(pl *places.Place) bool {
	s, sum, with := r.Newest(), 0, 0
	for i := 1; i < len(r.points); i++ {
		from, until := s.EpochAt(r.points[i-1].since), s.EpochAt(r.points[i].since)
		own, others := r.place.Born(from, until), pl.Lately(from, until)
		if own > 0 && others == 0 {
			return false
		}
		sum, with = sum+own, with+others
	}
	if with > 0 && sharesConnection(r.place.Stack) {
		with *= min(max(1, (sum+with/2)/with), maxStreams)
	}
	return sum > 0 && about(sum, with)
}

// grewWith reports whether the number of goroutines at another place has risen by about as
// much as at that of the rise, up to each point of it but one.
func (r *rise) grewWith(pl *places.Place) bool {
	first, astray := r.points[0].snapshot, 0
	for _, p := range r.points[1:] {
		own, others := r.place.Count(p.snapshot)-r.place.Count(first), pl.Count(p.snapshot)-pl.Count(first)
		if own <= 0 || !about(own, others) {
			astray++
		}
	}
	return astray <= 1
}

// about reports whether others differ from n by a third of n at most.
func about(n, others int) bool { return 3*max(n-others, others-n) <= n }

// dials reports whether a goroutine belongs to a response, a transaction or rows of a
// connection that the program itself has made, and must end them: that the other end of the
// connection is there says nothing.
func dials(s *goroutine.Stack) bool { return ofResponse(s) || keptByCaller(s) }

func ofResponse(s *goroutine.Stack) bool {
	return strings.HasPrefix(s.Entry().Function, "net/http.(*persistConn).")
}

func keptByCaller(s *goroutine.Stack) bool {
	entry := s.Entry().Function
	return entry == "database/sql.(*Tx).awaitDone" || entry == "database/sql.(*Rows).awaitDone"
}

// wokenAndBack returns the IDs of goroutines that were woken in a trace window since
// the growth began, and that have returned to the place. If at least half of the rise
// was born since it began, only goroutines born since the growth did are returned. A
// woken goroutine must have returned if the goroutines of its epoch are the same as
// before.
func (r *rise) wokenAndBack(woken func(*Window) map[goroutine.GroupKey][]uint64) (ids []uint64) {
	newborn, since := r.half(r.born), r.since()
	for i := range r.windows {
		w := &r.windows[i]
		before := r.At(w.Time)
		if before < r.first || w.Time.Before(since) {
			continue
		}
		for _, id := range r.place.Woken(woken(w)) {
			if r.Unchanged(id, before) && (!newborn || r.YoungerThan(since, id)) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// since returns when the growth began of which the rise is a part: when half as many
// goroutines were at the place as now, if their number has grown at the pace of the
// rise since then. A window tells of few goroutines, and of a growth that has gone on
// for long most are older than the rise.
func (r *rise) since() time.Time {
	half := max(r.first, r.place.HeldSince(r.place.Now()/2+1))
	t := r.Time(half)
	if !t.Before(r.start()) {
		return r.start()
	}
	pace := float64(r.total()) / r.length().Minutes()
	before := float64(r.place.Now()-r.place.Count(half)) / r.Ago(half).Minutes()
	if pace > 2*before || before > 2*pace {
		return r.start()
	}
	return t
}
