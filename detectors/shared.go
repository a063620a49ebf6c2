// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// shared is what the passes over one snapshot share: the model of all snapshots
// and, if some have no goroutine IDs, the model of those that have; and what is known of
// the peers of goroutines.
type shared struct {
	series []*places.Series
	fates  map[*places.Place]peerCount
}

// places returns the model of the snapshots of p.
func (p *Pass) places() *places.Series { return p.series(p.History) }

// placesWithIDs returns the model of those snapshots of p that have goroutine
// IDs. Snapshot must be one of them.
func (p *Pass) placesWithIDs() *places.Series { return p.series(places.WithIDs(p.History)) }

// series returns the model of history and Snapshot. It is built once. Copies of
// a pass from NewPass share it; a pass made without NewPass has its own.
func (p *Pass) series(history []*goroutine.Snapshot) *places.Series {
	if p.shared == nil {
		p.shared = new(shared)
	}
	for _, s := range p.shared.series {
		if s.Of(history, p.Snapshot) {
			return s
		}
	}
	s := places.New(history, p.Snapshot)
	p.shared.series = append(p.shared.series, s)
	return s
}

// judged returns the places that a detector judges: those in an accepted state,
// with at least least goroutines in the newest snapshot, that are not known to
// wait by design. known may be nil: it costs more than all else, so that those who judge few
// places in the end ask it last.
func judged(s *places.Series, by places.Grouping, state func(goroutine.State) bool, least int, known func(*goroutine.Stack) bool) (all []*places.Place) {
	for _, pl := range s.Places(by) {
		if pl.Now() >= least && state(pl.State) && (known == nil || !known(pl.Stack)) {
			all = append(all, pl)
		}
	}
	return all
}
