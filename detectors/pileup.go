package detectors

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// PileupConfig is the configuration of [NewPileup]. Start from
// [DefaultPileupConfig].
type PileupConfig struct {
	// MinCount is how many goroutines must be blocked at one place, at least 1.
	// Default 10,000: no pool is that large, and each has a stack of 2 KiB at
	// least and most likely a client that waits.
	MinCount int

	// MinWait is how long so many must have waited for locks, in every snapshot.
	// Default 60 s: by then the client has given up. At most [MaxHistory]; with
	// 0 only MinSnapshots counts.
	MinWait time.Duration

	// MinSnapshots is in how many snapshots at least, 2 to 8. Default 4: fewer
	// may have met bursts that were each over in a moment. It holds for locks
	// alone.
	MinSnapshots int

	// MinStand is how long goroutines must have stood where they wait for
	// anything but a lock, with none leaving. Default 10 min: longer than
	// a long poll. Of ten thousand clients of a service some go within ten
	// minutes, even where they stay for weeks on average. At most Window.
	MinStand time.Duration

	// Window is the time in which they must have come. Default 2 h. What has
	// stood there for longer is taken for part of the service, or was told
	// long ago. Above 0, at most [MaxHistory].
	Window time.Duration

	// Warmup is the time after the start of the observation in which whatever
	// appears is taken as part of the service: clients reconnect and
	// goroutines that live as long as the process are started. Default 10 min;
	// at most [MaxHistory].
	Warmup time.Duration
}

// DefaultPileupConfig returns the defaults.
func DefaultPileupConfig() PileupConfig {
	return PileupConfig{
		MinCount:     10_000,
		MinWait:      time.Minute,
		MinSnapshots: 4,
		MinStand:     10 * time.Minute,
		Window:       2 * time.Hour,
		Warmup:       10 * time.Minute,
	}
}

func (c PileupConfig) checks() []check {
	return []check{
		atLeast("MinCount", c.MinCount, 1),
		within("MinWait", c.MinWait),
		inARow("MinSnapshots", c.MinSnapshots),
		within("MinStand", c.MinStand),
		above0("Window", c.Window),
		{"Window", c.Window, c.Window >= c.MinStand, "at least MinStand"},
		within("Warmup", c.Warmup),
	}
}

// NewPileup returns the detector "pileup": a huge number of goroutines that are
// blocked at one place.
//
// A number alone says nothing: a service for 50,000 clients has as many
// goroutines that wait, in a select or in IO, and is well. So it asks what is
// waited for.
//
//   - For a lock: MinCount in every snapshot back to MinWait ago. No program is
//     meant to queue so. Confidence [Suspected]; needs no goroutine IDs.
//   - To send or receive, in a select, for a condition, a wait group or
//     a semaphore: MinCount more than at the beginning of Window, most of them
//     newly born, that have stood there for MinStand without one goroutine
//     leaving the place. Clients and requests come and go. Confidence
//     [Suspected] for senders, whose receiver is gone, and [Medium] for the
//     others, which may be the actors of a program that gives each of its
//     thousands of things a goroutine.
//
// It never judges goroutines in IO, system calls, sleep or coroutines, and
// leaves the nil channels to "blocked_forever".
//
// What it cannot see: a pile of receivers at a place that healthy goroutines
// leave as well, which the detector "leak" can tell apart; one that came in
// the warm-up; requests that pile up and give up after a time limit of theirs;
// and, while the source has no IDs, whatever does not wait for a lock. What it
// takes for a pile although it is none: ten thousand goroutines that a program
// starts within Window, after the warm-up and for good, and then leaves alone
// for MinStand. A pile that no longer grows goes away when it has stood for
// Window.
func NewPileup(c PileupConfig) *Detector {
	return configured(c, &Detector{
		Name:  "pileup",
		Doc:   "A huge number of goroutines that are blocked at one place.\n\nThey queue for a lock, or all came lately and none has left.",
		Needs: Needs{History: max(c.Window, c.MinWait)},
		Run:   c.run,
	})
}

func (c PileupConfig) run(p *Pass) error {
	all := c.queues(p)
	if p.Snapshot.HasIDs() {
		all = append(all, c.piles(p)...)
	}
	all.report(p)
	return nil
}

// queues returns a finding for each place with a huge queue for locks.
func (c PileupConfig) queues(p *Pass) (all findings) {
	s := p.places()
	begin := s.Begin(c.MinWait, c.MinSnapshots)
	if begin < 0 {
		return nil
	}
	for _, pl := range judged(s, places.ByStack, goroutine.State.Lock, c.MinCount, p.Known) {
		since := max(s.Back(c.Window), pl.HeldSince(c.MinCount))
		if since > begin {
			continue
		}
		f := pileOf(Suspected, pl, since, since)
		f.Message = fmt.Sprintf("%s at %s %s waiting for a lock (%s); there have been at least %d for %s.",
			goroutines(f.Count), where(pl.Stack), verb(f.Count, "is", "are"), pl.State, c.MinCount, span(f.Age))
		f.Advice = adviceLock
		all = append(all, f)
	}
	return all
}

// piles returns a finding for each place where a huge number came and none
// left.
func (c PileupConfig) piles(p *Pass) (all findings) {
	s := p.placesWithIDs()
	first := max(s.From(p.places().Time(p.places().Back(c.Window))), s.From(p.Started.Add(c.Warmup)))
	since := s.At(p.Snapshot.Time.Add(-c.MinStand))
	if since <= first {
		return nil
	}
	began := s.Newest().EpochAt(s.Time(first))
	for _, pl := range judged(s, places.ByStack, piles, c.MinCount, p.Known) {
		came, born := pl.Count(since)-pl.Count(first), pl.Born(began, len(s.Newest().Epochs))
		if came < c.MinCount || 2*born < came || pl.LeftSince(since) {
			continue
		}
		f := pileOf(pileConfidence(pl.State), pl, first, since)
		f.Message = fmt.Sprintf("%s %s blocked in %s at %s; none exited or moved on for %s.",
			goroutines(f.Count), verb(f.Count, "is", "are"), pl.State, where(pl.Stack), span(f.Age))
		f.note("%d of them were born within the last %s.", born, span(s.Ago(first)))
		f.note("%s ago there were %d; in %d snapshots since, none left.", span(f.Age), pl.Count(since), s.Last()-since+1)
		f.Advice = adviceToWake(pl.State)
		all = append(all, f)
	}
	return all
}

// piles reports whether a goroutine in state s may be part of a pile.
func piles(s goroutine.State) bool {
	return (places.WokenByGoroutines(s) || s == goroutine.Semacquire) && !s.Lock()
}

func pileConfidence(s goroutine.State) Confidence {
	if s == goroutine.ChanSend {
		return Suspected
	}
	return Medium
}

// pileOf returns a finding about goroutines that came after a first snapshot
// and have been there since another one.
func pileOf(c Confidence, pl *places.Place, first, since int) Finding {
	f := found(c, pl, since)
	f.grew(pl, first)
	f.GrowthPerMinute = max(0, f.GrowthPerMinute)
	if first < pl.Series.Last() {
		f.note("%s ago there were %d.", span(pl.Series.Ago(first)), pl.Count(first))
	}
	return f
}
