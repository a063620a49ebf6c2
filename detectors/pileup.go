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

// PileupConfig is the configuration of [NewPileup]. Start from
// [DefaultPileupConfig].
type PileupConfig struct {
	// MinCount is how many goroutines must be blocked at one place, at least 1.
	// Default 10,000: no pool is that large. Each goroutine has a stack of at
	// least 2 KiB, and most likely a client is waiting for it.
	MinCount int

	// MinWait is how long every snapshot must have shown that many goroutines
	// waiting for locks. Default 60 s: by then the client has given up. At most
	// [MaxHistory]; with 0 only MinSnapshots applies.
	MinWait time.Duration

	// MinSnapshots is the minimum number of snapshots with that many goroutines, 2
	// to 8. Default 4: fewer may have coincided with separate short bursts. It
	// applies only to locks.
	MinSnapshots int

	// MinStand is how long no goroutine must have left the place. It applies to
	// all waits except those for locks. Default 10 min: longer than a long poll.
	// Of ten thousand clients of a service, some disconnect within ten minutes
	// even if they stay for weeks on average. At most Window.
	MinStand time.Duration

	// Window is the time within which the goroutines must have arrived. Default 2
	// h: goroutines that have been there for longer are taken as part of the
	// service, or were reported long ago. Above 0, at most [MaxHistory].
	Window time.Duration

	// Warmup is the time after the first snapshot in which all new goroutines are
	// taken as part of the service: clients reconnect, and goroutines that live as
	// long as the process are started. Default 10 min; at most [MaxHistory].
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

// NewPileup returns the detector "pileup": a huge number of goroutines blocked
// at one place.
//
// The number alone proves nothing: a healthy service for 50,000 clients has as
// many goroutines waiting in a select or in IO. The criteria therefore depend on
// what the goroutines wait for.
//
//   - For a lock: at least MinCount in every snapshot of the last MinWait. No
//     program is meant to have such a queue. Confidence [Suspected]; needs no
//     goroutine IDs.
//   - To send or receive, in a select, or for a condition, a wait group or a
//     semaphore: at least MinCount more than at the beginning of Window, at
//     least half of them born since, and no goroutine has left the place for
//     MinStand. Clients and requests, in contrast, come and go. Confidence
//     [Suspected] for senders, whose receiver is gone, and [Medium] for the
//     others, which may belong to a program that runs one goroutine for each of
//     thousands of objects.
//
// It never judges goroutines in IO, system calls, sleep or coroutines, and
// leaves nil channels to "blocked_forever".
//
// False negatives: a pile-up of receivers at a place that healthy goroutines
// leave as well, which the detector "leak" can tell apart; a pile-up that arose
// during the warm-up; requests that pile up and give up after a timeout; and,
// when the source has no IDs, everything except waits for locks. False
// positives: ten thousand long-lived goroutines that a program starts within
// Window, after the warm-up, and then leaves idle for MinStand. A pile-up that
// no longer grows is resolved once it is older than Window.
func NewPileup(c PileupConfig) *Detector {
	return configured(c, &Detector{
		Name:   "pileup",
		Doc:    "A huge number of goroutines blocked at one place.\n\nThey queue for a lock, or most arrived recently and none left.",
		Needs:  Needs{History: max(c.Window, c.MinWait)},
		Yields: []string{"deadlock", "hang", "blocked_forever", "leak"},
		Run:    c.run,
	})
}

func (c PileupConfig) run(p *Pass) error {
	all := c.queues(p)
	if p.Snapshot.HasIDs() {
		all = append(all, c.piles(p)...)
	} else {
		p.abstain(ReasonNoIDs, "snapshots have no goroutine IDs; only waits for locks are judged")
	}
	all.report(p)
	return nil
}

// queues returns a finding for each place with a huge queue for locks.
func (c PileupConfig) queues(p *Pass) (all findings) {
	s := p.places()
	begin := s.Begin(c.MinWait, c.MinSnapshots)
	if begin < 0 {
		p.tooShort(s, c.MinSnapshots, c.MinWait, "")
		return nil
	}
	for _, pl := range judged(s, places.ByStack, goroutine.State.Lock, c.MinCount, p.Known) {
		since := max(s.Back(c.Window), pl.HeldSince(c.MinCount))
		if since > begin {
			continue
		}
		f := pileOf(Suspected, pl, since, since)
		f.Message = fmt.Sprintf("%s at %s %s waiting for a lock (%s); there have been at least %d for %s.",
			goroutines(f.Count), where(pl.Stack), verb(f.Count, "is", "are"), pl.State, c.MinCount, words.Span(f.Age))
		f.Advice = adviceLock
		all = append(all, f)
	}
	return all
}

// piles returns a finding for each place where a huge number of goroutines
// arrived and none left.
func (c PileupConfig) piles(p *Pass) (all findings) {
	s := p.placesWithIDs()
	first := max(s.From(p.places().Time(p.places().Back(c.Window))), s.From(p.Started.Add(c.Warmup)))
	since := s.At(p.Snapshot.Time.Add(-c.MinStand))
	if since <= first {
		p.tooShort(s, 3, c.Warmup+c.MinStand, "; until then only waits for locks are judged")
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
			goroutines(f.Count), verb(f.Count, "is", "are"), pl.State, where(pl.Stack), words.Span(f.Age))
		f.note("%d of them were born within the last %s.", born, words.Span(s.Ago(first)))
		f.note("%s ago there were %d; in %d snapshots since, none left.", words.Span(f.Age), pl.Count(since), s.Last()-since+1)
		f.advise()
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

// pileOf returns a finding about goroutines that arrived after snapshot first
// and have been there since snapshot since.
func pileOf(c Confidence, pl *places.Place, first, since int) Finding {
	f := found(c, pl, since)
	f.grew(pl, first)
	if first < pl.Series.Last() {
		f.note("%s ago there were %d.", words.Span(pl.Series.Ago(first)), pl.Count(first))
	}
	return f
}
