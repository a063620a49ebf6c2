// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// A peers is what is known of the peers of the goroutines that make up a growth.
type peers int

const (
	peersUnknown   peers = iota
	peersConnected       // their peers are connected: a growth, as far as that shows
	peersSilent          // their peers are connected, and have sent nothing for long: a growth as well
	peersGone            // their peers have gone, and they have not: a leak
)

// peersAt says what is known of the peers of n goroutines that make up a growth at
// pl and have stayed for at least an age, and the sentence that says it as
// evidence; none when it is unknown.
//
// Companions decide where there are any (see [peersOf]), so that it is known of most
// of n. The kernel decides what companions cannot: goroutines in IO wait are readers
// or writers themselves, and are counted against connections whose peers have
// gone, or are silent. Which goroutine has which connection is not known, so that
// the numbers must fit: as many connections without peers as goroutines, within a
// quarter, besides those that handlers of HTTP may hold that wait for something else.
// If another place in IO wait has grown by about as much, and not together with pl, it
// is not known which of them lost its peers. A service with a protocol of its own
// may have connections that lose their peers, held by goroutines that wait for
// something else and, as many of them, goroutines with live peers in IO wait. These
// are then told instead of the former.
//
// If handlers of HTTP have no companions, and the kernel knows of no connections whose
// peers have gone but of enough that are open, they are of unknown fate: they have not
// read their requests' bodies. Where fewer are open, the others were closed: net/http
// closes a connection when a write of a chunked response fails, and the handler goes on.
// Handlers without companions are lost where the kernel tells nothing.
//
// It reads sockets only for goroutines in IO wait and for orphans.
func (p *Pass) peersAt(s *places.Series, pl *places.Place, n int, age time.Duration) (peers, string) {
	f := p.fatesAt(s, pl)
	younger := max(0, pl.Now()-n) // are not of the growth yet, and may all be alive
	alive, orphaned := max(0, f.alive-younger), min(f.orphaned, n)
	switch {
	case f.known && 2*alive >= n:
		return peersConnected, fmt.Sprintf("%d of them %s a peer that is connected: the goroutine that reads its connection is there.", alive, verb(alive, "has", "have"))
	case f.known && 2*orphaned >= n:
		return p.orphans(pl, orphaned)
	case f.known, pl.State != goroutine.IOWait:
		return peersUnknown, ""
	}
	return p.connections(s, pl, n, age)
}

// orphans is peersAt for goroutines whose companions have ended. Other goroutines than
// handlers of HTTP may have had their connection closed by their companion.
func (p *Pass) orphans(pl *places.Place, orphaned int) (peers, string) {
	told := fmt.Sprintf("The goroutines that read the connections of %d of them have ended.", orphaned)
	sockets, err := p.Sockets()
	if pl.Stack.Entry().Function != httpServe || err != nil {
		return peersGone, told
	}
	gone, open := sockets.Estimate(sockets.GoneFor(0)), sockets.Estimate(sockets.Open())
	switch {
	case 2*gone >= orphaned:
		return peersGone, told + fmt.Sprintf(" The kernel has %s whose peers have gone and that are still open here.", numberOf(sockets, gone))
	case 2*open <= orphaned:
		return peersGone, told + fmt.Sprintf(" No more than %s of the process can still have a peer.", numberOf(sockets, open))
	}
	return peersUnknown, ""
}

// connections is peersAt for goroutines in IO wait.
func (p *Pass) connections(s *places.Series, pl *places.Place, n int, age time.Duration) (peers, string) {
	sockets, err := p.Sockets()
	if err != nil {
		return peersUnknown, ""
	}
	gone, silent := sockets.Estimate(sockets.GoneFor(age)), sockets.Estimate(sockets.SilentFor(age))
	own := gone - readerless(s)
	switch {
	case 4*own >= 3*n && 4*own <= 5*n && rival(s, pl, n):
		return peersUnknown, ""
	case 4*own >= 3*n && 4*own <= 5*n:
		return peersGone, fmt.Sprintf("The peers of %s went at least %s ago, and this process has not closed them.", numberOf(sockets, gone), words.Span(age))
	case 4*silent >= 3*n:
		return peersSilent, fmt.Sprintf("The peers of %s are connected and have sent nothing for at least %s.", numberOf(sockets, silent), words.Span(age))
	}
	return peersUnknown, ""
}

// numberOf says how many connections there are, of which not all may have been read.
func numberOf(s *goroutine.Sockets, n int) string {
	if s.Share < 1 {
		return "about " + plural(n, "connection")
	}
	return plural(n, "connection")
}

// rival reports whether the number of goroutines at another place in IO wait has grown
// by half of n to twice n, and these have not come together with those at pl.
func rival(s *places.Series, pl *places.Place, n int) bool {
	own, compared := arrivalsAt(pl), 0
	for _, other := range s.Places(places.ByStack) {
		if other.State != goroutine.IOWait || other.Key == pl.Key || pl.Stacks() > 1 && pl.SameEnds(other.Stack, other.State) || other.Stack.Entry().Function == httpBackground {
			continue
		}
		if grown := other.Now() - other.Count(0); 2*grown < n || grown > 2*n {
			continue
		}
		if compared++; compared > maxCompanions {
			return true
		}
		if came := arrivalsAt(other); !own.came.Together(&came.came, false) {
			return true
		}
	}
	return false
}

// maxHandlers is of how many places of handlers, those with the most goroutines,
// it is asked whether they have companions.
const maxHandlers = 4

// readerless returns how many handlers of HTTP at most wait for something else than the
// network and have no companion: each may hold a connection whose peer has gone. The
// companions of net/http are counted; those of handlers that took over their connection
// are recognized by how they came (see [companionsOf]).
func readerless(s *places.Series) int {
	handlers, counted, came, asked := 0, 0, 0, 0
	for _, pl := range s.Places(places.ByStack) {
		switch pl.Stack.Entry().Function {
		case httpBackground:
			counted += pl.Now()
		case httpServe:
			if pl.State == goroutine.IOWait {
				continue
			}
			handlers += pl.Now()
			if asked < maxHandlers {
				alive, _, _ := companionsOf(s, pl)
				came, asked = came+alive, asked+1
			}
		}
	}
	return max(0, handlers-max(counted, came))
}
