package detectors

import (
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// shared is what the passes over one snapshot share: the model of all snapshots,
// and that of those with goroutine IDs where some have none.
type shared struct{ series []*places.Series }

// newShared returns what passes over a new snapshot are to share.
func newShared() *shared { return new(shared) }

// of returns the series of these snapshots, which is built once.
func (sh *shared) of(history []*goroutine.Snapshot, newest *goroutine.Snapshot) *places.Series {
	for _, s := range sh.series {
		if s.Of(history, newest) {
			return s
		}
	}
	s := places.New(history, newest)
	sh.series = append(sh.series, s)
	return s
}

// places returns the series of p. A pass that was built by hand has one of its
// own.
func (p *Pass) places() *places.Series {
	if p.shared == nil {
		p.shared = newShared()
	}
	return p.shared.of(p.History, p.Snapshot)
}

// placesWithIDs returns the series of those snapshots of p that have goroutine
// IDs. The newest must be one of them.
func (p *Pass) placesWithIDs() *places.Series {
	all := p.places()
	with := places.WithIDs(p.History)
	if len(with) == len(p.History) {
		return all
	}
	return p.shared.of(with, p.Snapshot)
}

// judged returns the places that a detector judges: in a state, with at least
// so many goroutines in the newest snapshot, and not known to wait by design.
func judged(s *places.Series, by places.Grouping, state func(goroutine.State) bool, least int, known func(*goroutine.Stack) bool) (all []*places.Place) {
	for _, pl := range s.Places(by) {
		if pl.Now() >= least && state(pl.State) && !known(pl.Stack) {
			all = append(all, pl)
		}
	}
	return all
}
