package detectors

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// Peers is what is known of the peers of the goroutines that make up a growth.
type peers int

const (
	peersUnknown   peers = iota
	peersConnected       // their peers are connected: a growth, as far as that shows
	peersSilent          // their peers are connected, and have sent nothing for long: a growth as well
	peersGone            // their peers have gone, and they have not: a leak
)

// peersAt says what is known of the peers of n goroutines that make up a growth at
// pl and have stayed for at least an age, and the sentence that says it as
// evidence; why it is unknown, as a clause, when it is.
//
// Companions decide where there are any (see [peersOf]), so that it is known of most
// of n. The kernel decides what companions cannot: goroutines in IO wait are readers
// or writers themselves, and are counted against connections whose peers have
// gone, or are silent. Which goroutine has which connection is not known, so that
// the numbers must fit: a connection for every second goroutine at least, and
// no more than two for each. A second growth of the same size in the same time may be
// taken for this one: of connections that lose their peers, beside one of goroutines
// whose peers are alive. Both are then there to be found.
//
// If handlers of HTTP have no companions and the kernel knows of no connections whose
// peers have gone, they are of unknown fate: they have not read their requests'
// bodies. Handlers without companions are lost where the kernel tells nothing.
//
// It reads sockets only for goroutines in IO wait and for orphans.
func (p *Pass) peersAt(s *places.Series, pl *places.Place, n int, age time.Duration) (peers, string) {
	alive, orphaned, known := peersOf(s, pl)
	switch {
	case known && 2*alive >= n:
		return peersConnected, fmt.Sprintf("%d of them %s a peer that is connected: the goroutine that reads its connection is there.", alive, verb(alive, "has", "have"))
	case known && 2*orphaned >= n:
		return p.orphans(pl, orphaned)
	case known:
		return peersUnknown, fmt.Sprintf("of %d goroutines, %d have a peer that is connected and %d have lost theirs", n, alive, orphaned)
	case pl.State != goroutine.IOWait:
		return peersUnknown, "no goroutine that reads a connection belongs to them"
	}
	return p.connections(n, age)
}

// orphans is peersAt for goroutines whose companions have ended. Other goroutines than
// handlers of HTTP may have had their connection closed by their companion.
func (p *Pass) orphans(pl *places.Place, orphaned int) (peers, string) {
	told := fmt.Sprintf("The peers of %d of them have gone: the goroutines that read their connections have ended.", orphaned)
	sockets, err := p.Sockets()
	if pl.Stack.Entry().Function != httpServe || err != nil {
		return peersGone, told
	}
	gone := sockets.Estimate(sockets.GoneFor(0))
	if 2*gone < orphaned {
		return peersUnknown, fmt.Sprintf("%d handlers have no goroutine that reads their connection, but only %d connections have lost their peers", orphaned, gone)
	}
	return peersGone, told + fmt.Sprintf(" The kernel has %d connections whose peers have closed and that are still open here.", gone)
}

// connections is peersAt for goroutines in IO wait.
func (p *Pass) connections(n int, age time.Duration) (peers, string) {
	sockets, err := p.Sockets()
	if err != nil {
		return peersUnknown, err.Error()
	}
	fits := func(found int) bool { return 2*found >= n && found <= 2*n }
	gone, silent := sockets.Estimate(sockets.GoneFor(age)), sockets.Estimate(sockets.SilentFor(age))
	switch {
	case fits(gone):
		return peersGone, fmt.Sprintf("The peers of %d connections have closed them at least %s ago, and this process has not.", gone, words.Span(age))
	case 2*silent >= n:
		return peersSilent, fmt.Sprintf("The peers of %d connections are connected and have sent nothing for at least %s.", silent, words.Span(age))
	}
	return peersUnknown, fmt.Sprintf("of the connections, %d have lost their peers and %d are silent, which does not fit to %d goroutines", gone, silent, n)
}
