// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// PeersAt tells which of the goroutines at a place have a live peer, and how many
// there are.
func PeersAt(history []*goroutine.Snapshot, newest *goroutine.Snapshot, stack goroutine.StackID, state goroutine.State) (n, alive, orphaned int, known bool) {
	s := places.New(history, newest)
	for _, pl := range s.Places(places.ByStack) {
		if pl.Stack.ID == stack && pl.State == state {
			alive, orphaned, known = peersOf(s, pl)
			return pl.Now(), alive, orphaned, known
		}
	}
	return 0, 0, 0, false
}

// A LockVerdict is what a dump says about one of its queues.
type LockVerdict struct {
	Dead   bool
	Kind   string // of the fault, if it is dead
	Holder uint64 // the most likely one; 0: none
	Sole   bool   // no other may be it
}

var causeNames = [...]string{unknownCause: "", lockOrder: "lock order", lockedTwice: "locked twice", upgraded: "upgraded",
	recursiveRead: "recursive read", tangled: "tangled", lostUnlock: "lost unlock", heldWaiting: "held while waiting"}

// JudgeLocks returns what a dump or a trace says about each of its queues, if all
// goroutines in them have stood for long.
func JudgeLocks(dump *goroutine.Snapshot) []LockVerdict {
	d := DeadlockConfig{}.newLockDump(&Pass{Inspections: map[goroutine.Source]*goroutine.Snapshot{dump.Source: dump}}, dump.Source, nil)
	verdicts := make([]LockVerdict, len(d.queues))
	for i := range verdicts {
		f := &fault{dump: d, dead: !d.queues[i].alive}
		f.holds, f.cycle = d.chain(i)
		v := LockVerdict{Dead: f.dead, Kind: causeNames[f.cause()]}
		if h, sole := d.holder(i); h != nil {
			v.Holder, v.Sole = h.ID, sole
		}
		verdicts[i] = v
	}
	return verdicts
}

// Peers returns what a pass says of the peers of n goroutines at a place that have
// stayed for an age, and the sentence or the reason.
func Peers(p *Pass, stack goroutine.StackID, state goroutine.State, n int, age time.Duration) (what, why string) {
	s := p.places()
	for _, pl := range s.Places(places.ByStack) {
		if pl.Stack.ID == stack && pl.State == state {
			is, why := p.peersAt(s, pl, n, age)
			return [...]string{peersUnknown: "unknown", peersConnected: "connected", peersSilent: "silent", peersGone: "gone"}[is], why
		}
	}
	return "no such place", ""
}
