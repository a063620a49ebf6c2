// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/pairing"
	"github.com/otelgoroutine/go/internal/places"
)

const (
	// maxCompanions is how many places in IO wait are compared with a growth, those
	// with the most goroutines.
	maxCompanions = 16
	// peersKnown is one in how many goroutines of a growth may have a peer of which it
	// is not known whether it is alive.
	peersKnown = 4
	// youngest is how many of the newest snapshots do not count: goroutines that were
	// born in them may not have started their companions yet.
	youngest = 2
	// epochSlack is how many epochs apart goroutines that came together may be.
	epochSlack = 2
	// companionSightings is in how many snapshots handlers of a place must have had
	// companions: a companion outlives its handler by microseconds, and one snapshot may
	// show that.
	companionSightings = 2
)

// The functions of net/http by which a connection's goroutines are recognized.
const (
	httpServe      = "net/http.(*conn).serve"
	httpHandle     = "net/http.serverHandler.ServeHTTP"
	httpBackground = "net/http.(*connReader).backgroundRead"
)

// peersOf tells which of the goroutines that make up a growth at pl have a live
// peer: a companion that reads a connection, in IO wait, and ends when the peer
// goes. alive of them have theirs, and orphaned of them have lost it; both are lower
// bounds. known is false when that is not known of most. The series must have
// goroutine IDs.
//
// A handler of net/http's server for HTTP/1 has exactly one companion while its
// client is connected, once the request's body was read ([httpBackground]). If there
// are fewer of those than handlers, the others have lost theirs, and if there are
// more than there are handlers elsewhere, the rest belongs to pl: both are counts
// and not statistics. A handler that has taken over its connection has none, and so has
// one that did not read its request's body to the end. Handlers are therefore
// orphaned only where some had companions before; a place at which some requests
// have a body that is never read and others have not is told wrongly, unless the kernel
// contradicts: see [Pass.orphans].
//
// Elsewhere, companions are the goroutines at a place in IO wait that came together
// with those at pl. Unrelated ones are taken for companions with a probability
// of at most 1e-4 for each of up to 16 places, and 1e-2 where one function is written
// within one that is on the other's stack (see [pairing.Arrivals.Together]).
// Goroutines are then orphaned if companions of their time of birth were seen, and have
// gone, and no more of them than there are fewer companions now: a companion may have been
// followed by another, as where one is started for each message. Those of what an HTTP
// handler has started are not asked for that, since it may go on with its work after the
// response. Companions that came and went between two snapshots were not seen, and their
// goroutines are of unknown fate. So is everything that comes in the rhythm of a ticker.
//
// Streams of HTTP/2, gRPC and QUIC share connections: a reader says nothing about a
// stream, and they are of unknown fate, but for handlers at a server of whose
// connections none is left (see [streamsPeers]). So are goroutines in IO wait, which
// are readers themselves, unless they are handlers.
//
// It is expensive in a process with thousands of places: see [Pass.fatesAt].
func peersOf(s *places.Series, pl *places.Place) (alive, orphaned int, known bool) {
	switch {
	case servesStream(pl.Stack):
		return streamsPeers(s, pl)
	case sharesConnection(pl.Stack):
		return 0, 0, false
	case pl.Stack.Entry().Function == httpServe && pl.Stack.Has(httpHandle):
		return handlersPeers(s, pl)
	case pl.State == goroutine.IOWait:
		return 0, 0, false
	}
	return companionsOf(s, pl)
}

// A peerCount is what [peersOf] tells of a place.
type peerCount struct {
	alive, orphaned int
	known           bool
}

// fatesAt is [peersOf], asked once for each place and snapshot.
func (p *Pass) fatesAt(s *places.Series, pl *places.Place) peerCount {
	if p.shared == nil {
		p.shared = new(shared)
	}
	c, ok := p.shared.fates[pl]
	if !ok {
		c.alive, c.orphaned, c.known = peersOf(s, pl)
		if p.shared.fates == nil {
			p.shared.fates = make(map[*places.Place]peerCount)
		}
		p.shared.fates[pl] = c
	}
	return c
}

// mostKnown reports whether it is known of enough of n goroutines.
func mostKnown(n, alive, orphaned int) bool {
	return alive+orphaned > 0 && peersKnown*(n-alive-orphaned) <= n
}

// handlersPeers is [peersOf] for handlers of net/http. Where counts do not decide, what
// came together does: beside many handlers that took over their connection, such as
// those of WebSockets, or for these themselves, if they have a reader.
func handlersPeers(s *places.Series, pl *places.Place) (alive, orphaned int, known bool) {
	here, others, companions := handlersIn(s, pl, s.Last())
	alive, orphaned = min(here, max(0, companions-others)), max(0, here-companions)
	if mostKnown(here, alive, orphaned) && hadCompanions(s, pl) {
		return alive, orphaned, true
	}
	return companionsOf(s, pl)
}

// hadCompanions reports whether some handlers at pl are known to have had companions:
// there were more companions than handlers at other places.
func hadCompanions(s *places.Series, pl *places.Place) bool {
	seen := 0
	for i := s.Last(); i >= 0 && seen < companionSightings; i-- {
		if pl.Count(i) == 0 || s.StartedWith(httpBackground, i) == 0 {
			continue
		}
		if _, others, companions := handlersIn(s, pl, i); companions > others {
			seen++
		}
	}
	return seen >= companionSightings
}

// handlersIn returns how many handlers of net/http are at pl in snapshot i, how many
// goroutines of its connections may be in handlers at other places, and how many
// companions all of these have. What is between two requests counts as a handler.
func handlersIn(s *places.Series, pl *places.Place, i int) (here, others, companions int) {
	groups := s.Snapshots[i].Groups
	for k := range groups {
		switch g := &groups[k]; g.Stack.Entry().Function {
		case httpBackground:
			companions += g.Count
		case httpServe:
			if g.State != goroutine.IOWait || g.Stack.Has(httpHandle) {
				others += g.Count
			}
		}
	}
	here = pl.Count(i)
	return here, max(0, others-here), companions
}

// companionsOf is [peersOf] for goroutines that a library or the program starts
// beside a connection's reader.
func companionsOf(s *places.Series, pl *places.Place) (alive, orphaned int, known bool) {
	own := arrivalsAt(pl)
	left := maxCompanions
	for _, c := range s.Places(places.ByEnds) {
		if c.State != goroutine.IOWait || c.SameEnds(pl.Stack, pl.State) || sharesConnection(c.Stack) {
			continue
		}
		if left--; left < 0 {
			break
		}
		came := arrivalsAt(c)
		if !own.came.Together(&came.came, writtenWithin(pl.Stack, c.Stack) || writtenWithin(c.Stack, pl.Stack)) {
			continue
		}
		a, o := fates(own.now, came.now, came.came.Births.Came)
		if c.Stack.Entry().Function == httpBackground {
			o = 0 // it ends with each request, and what a request leaves behind may have work to do
		}
		o = min(o, max(0, pl.Now()-c.Now()))                // as where one is started for each message
		if total := own.total(); 2*max(a, alive) >= total { // others that have gone were not their readers
			alive, orphaned = max(a, alive), min(o, total-max(a, alive))
		} else if a+o > alive+orphaned {
			alive, orphaned = a, o
		}
	}
	return alive, orphaned, mostKnown(own.total(), alive, orphaned)
}

// An arrivals is how goroutines came to a place, including those that have left again as
// far as snapshots show them, and how many of them are there now, by time of birth.
type arrivals struct {
	came pairing.Arrivals
	now  []int
}

func (a *arrivals) total() (n int) {
	for _, k := range a.now {
		n += k
	}
	return n
}

func arrivalsAt(pl *places.Place) (a arrivals) {
	s := pl.Series
	ends := settledEpochs(s)
	now, most := pl.Births()
	a.now = now[:len(ends)]
	a.came.Births = pairing.Course{Came: most[:len(ends)], Ends: ends}
	counts, times := make([]int, len(s.Snapshots)), make([]time.Time, len(s.Snapshots))
	for i := range counts {
		counts[i], times[i] = pl.Count(i), s.Time(i)
	}
	a.came.Sights = pairing.Course{Came: counts, Ends: times}.Settled(youngest)
	a.came.IDs, _ = pl.IDs(s.Last())
	return a
}

// settledEpochs returns when each epoch of the newest snapshot ended, without those
// that are too young.
func settledEpochs(s *places.Series) (ends []time.Time) {
	settled := s.Time(max(0, s.Last()+1-youngest))
	for _, e := range s.Newest().Epochs {
		if !e.End.Before(settled) {
			break
		}
		ends = append(ends, e.End)
	}
	return ends
}

// fates returns how many goroutines, by epoch of birth, have a companion that is
// there now, and how many of the others one of those that were there and have gone.
// A companion may be born up to [epochSlack] epochs before or after: the runtime hands
// out IDs in batches, and a quiet process takes long to use one up.
func fates(here, now, most []int) (alive, orphaned int) {
	here, gone := slices.Clone(here), slices.Clone(most)
	for k := range gone {
		gone[k] -= now[k]
	}
	return matched(here, slices.Clone(now)), matched(here, gone)
}

// matched returns how many of here have one of others in about the same epoch, each
// another, and takes these away from both.
func matched(here, others []int) (n int) {
	for d := range epochSlack + 1 {
		n += pair(here, others[min(d, len(others)):])
		n += pair(here[min(d, len(here)):], others)
	}
	return n
}

// pair takes from both what they have in the same positions, and returns how many.
func pair(a, b []int) (n int) {
	for k := range min(len(a), len(b)) {
		m := min(a[k], b[k])
		a[k], b[k], n = a[k]-m, b[k]-m, n+m
	}
	return n
}

// writtenWithin reports whether goroutines with the stack inner run a function
// that is written within one on the stack outer, by the names that the compiler gives.
func writtenWithin(inner, outer *goroutine.Stack) bool {
	entry := inner.Entry().Function
	for _, f := range outer.Visible() {
		if rest, ok := strings.CutPrefix(entry, f.Function+"."); ok && !f.Standard() && strings.HasPrefix(rest, "func") {
			return true
		}
	}
	return false
}
