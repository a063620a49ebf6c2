package detectors

import (
	"errors"
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// PileupConfig is the configuration of [NewPileup]. The zero value of a field
// stands for its default.
type PileupConfig struct {
	// MinCount is how many goroutines must be blocked at one place. Default
	// 10,000: no pool is that large, and each has a stack of 2 KiB at least
	// and most likely a client who waits.
	MinCount int

	// MinWait is how long so many must have waited for locks, at every look.
	// Default 60 s: by then the client has given up.
	MinWait time.Duration

	// MinLooks is in how many looks at least. Default 4: fewer may have met
	// bursts that were each over in a moment. It holds for locks alone.
	MinLooks int

	// MinStand is how long goroutines must have stood where they wait for
	// anything but a lock, with nobody leaving. Default 10 min: longer than
	// a long poll. Of ten thousand clients of a service some go within ten
	// minutes, even where they stay for weeks on average.
	MinStand time.Duration

	// Window is the time in which they must have come. Default 2 h. What has
	// stood there for longer is taken for part of the service, or was told
	// long ago.
	Window time.Duration

	// Warmup is the time after the start of the observation in which whatever
	// appears is taken as part of the service: clients reconnect and
	// goroutines that live as long as the process are started. Default 10 min.
	Warmup time.Duration
}

func (c PileupConfig) withDefaults() PileupConfig {
	c.MinCount = orDefault(c.MinCount, 10_000)
	c.MinWait = orDefault(c.MinWait, time.Minute)
	c.MinLooks = orDefault(c.MinLooks, 4)
	c.MinStand = orDefault(c.MinStand, 10*time.Minute)
	c.Window = orDefault(c.Window, 2*time.Hour)
	c.Warmup = orDefault(c.Warmup, 10*time.Minute)
	return c
}

func (c PileupConfig) validate() error {
	var errs []error
	if c.MinCount < 1 {
		errs = append(errs, bad("PileupConfig.MinCount", c.MinCount, "1 and more"))
	}
	for _, f := range []field[time.Duration]{{"MinWait", c.MinWait}, {"MinStand", c.MinStand}, {"Window", c.Window}, {"Warmup", c.Warmup}} {
		if f.value < 0 || f.value > MaxHistory {
			errs = append(errs, bad("PileupConfig."+f.name, f.value, fmt.Sprintf("0 to %v", MaxHistory)))
		}
	}
	if c.MinLooks < 2 || c.MinLooks > keptWhole {
		errs = append(errs, bad("PileupConfig.MinLooks", c.MinLooks, fmt.Sprintf("2 to %d", keptWhole)))
	}
	if c.Window < c.MinStand {
		errs = append(errs, bad("PileupConfig.Window", c.Window, "MinStand and more"))
	}
	return errors.Join(errs...)
}

// NewPileup returns the detector "pileup": a huge number of goroutines that are
// blocked at one place.
//
// A number alone says nothing: a service for 50,000 clients has as many
// goroutines that wait, in a select or in IO, and is well. So it asks what is
// waited for.
//
//   - For a lock: MinCount at every look back to MinWait ago. No program is
//     meant to queue so. Confidence [Suspected]; needs no goroutine IDs.
//   - To send or receive, in a select, for a condition, a wait group or
//     a semaphore: MinCount more than at the beginning of Window, most of them
//     newly born, who have stood there for MinStand without one goroutine
//     leaving the place. Clients and requests come and go. Confidence
//     [Suspected] for those who want to send, whose receiver is gone, and
//     [Medium] for the others, who may be the actors of a program that gives
//     each of its thousands of things a goroutine.
//
// It never judges those in IO, system calls, sleep or coroutines, and leaves
// the nil channels to "blocked_forever".
//
// What it cannot see: a pile of receivers at a place that healthy goroutines
// leave as well, which the detector "leak" can tell apart; one that came in
// the warm-up; requests that pile up and give up after a time limit of theirs;
// and, while the source has no IDs, whatever does not wait for a lock. What it
// takes for a pile although it is none: ten thousand goroutines that a program
// starts within Window, after the warm-up and for good, and then leaves alone
// for MinStand. A pile that no longer grows goes away when it has stood for
// Window. An invalid configuration is reported by [Validate].
func NewPileup(c PileupConfig) *Detector {
	c = c.withDefaults()
	return configured(c.validate(), &Detector{
		Name:  "pileup",
		Doc:   "A huge number of goroutines that are blocked at one place.\n\nThey queue for a lock, or have all come lately and none has left.",
		Needs: Needs{History: max(c.Window, c.MinWait)},
		Run:   c.run,
	})
}

func (c PileupConfig) run(p *Pass) error {
	found := c.queues(p)
	if p.Snapshot.HasIDs() {
		found = append(found, c.piles(p)...)
	}
	found.report(p)
	return nil
}

// queues returns a finding for each place with a huge queue for locks.
func (c PileupConfig) queues(p *Pass) findings {
	looks := looksBack(p, c.Window)
	begin := min(newestBefore(looks, p.Snapshot.Time.Add(-c.MinWait)), len(looks)-c.MinLooks)
	if begin < 0 {
		return nil
	}
	find := placeFinder{known: p.Known, state: goroutine.State.Lock, least: c.MinCount}
	var found findings
	for _, pl := range find.find(looks) {
		if first := pl.heldSince(c.MinCount); first <= begin {
			h := heap{place: pl, looks: looks, first: first, since: first}
			f := h.finding(Suspected)
			f.Message = fmt.Sprintf("%s at %s %s waiting for a lock (%s); there have been %d and more for %s.",
				goroutines(f.Count), where(pl.stack), verb(f.Count, "is", "are"), pl.key.State, c.MinCount, span(f.Age))
			f.advise(whoHolds)
			found = append(found, f)
		}
	}
	return found
}

// piles returns a finding for each place where a huge number came and nobody
// left.
func (c PileupConfig) piles(p *Pass) findings {
	looks := withIDs(looksBack(p, c.Window))
	looks = looks[newestBefore(looks, p.Started.Add(c.Warmup-1))+1:]
	since := newestBefore(looks, p.Snapshot.Time.Add(-c.MinStand))
	if since < 1 {
		return nil
	}
	find := placeFinder{known: p.Known, state: piles, least: c.MinCount}
	var found findings
	var births ledger
	for _, pl := range find.find(looks) {
		h := heap{place: pl, looks: looks, since: since}
		if h.came() < c.MinCount || 2*h.born() < h.came() {
			continue
		}
		births.fill(pl, looks)
		if h.anyLeft(&births) {
			continue
		}
		f := h.finding(confidenceOf(pl.key.State))
		f.Message = fmt.Sprintf("%s %s blocked in %s at %s; nobody has left for %s.",
			goroutines(f.Count), verb(f.Count, "is", "are"), pl.key.State, where(pl.stack), span(h.ago(since)))
		f.note(fmt.Sprintf("%d of them were born within the last %s.", h.born(), span(h.ago(0))))
		f.note(fmt.Sprintf("%s ago it was %d; in %d looks since, nobody left.", span(h.ago(since)), h.count(since), h.last()-since+1))
		f.advise(whoWakes(f.State))
		found = append(found, f)
	}
	return found
}

// piles reports whether a goroutine in state s may be part of a pile.
func piles(s goroutine.State) bool {
	return (leakable(s) || s == goroutine.Semacquire) && !s.Lock()
}

func confidenceOf(s goroutine.State) Confidence {
	if s == goroutine.ChanSend {
		return Suspected
	}
	return Medium
}

// A heap is a place where many stand.
type heap struct {
	*place
	looks []*goroutine.Snapshot
	first int // look that the rise is measured from
	since int // look since which nobody left, or so many have been there
}

func (h *heap) last() int { return len(h.looks) - 1 }

// ago is how long before the newest look another one was.
func (h *heap) ago(look int) time.Duration {
	return h.looks[h.last()].Time.Sub(h.looks[look].Time)
}

// came returns how many more there were at look since than at first.
func (h *heap) came() int { return h.count(h.since) - h.count(h.first) }

// born returns how many of those in the newest look were born after the first.
func (h *heap) born() int {
	now := h.looks[h.last()]
	return h.place.born(now.EpochAt(h.looks[h.first].Time), len(now.Epochs))
}

// anyLeft reports whether somebody left after look since.
func (h *heap) anyLeft(births *ledger) bool {
	for i := h.since; i < h.last(); i++ {
		if left(h.place, births, i) {
			return true
		}
	}
	return false
}

func (h *heap) finding(c Confidence) Finding {
	count, were := h.count(h.last()), h.count(h.first)
	ids, _ := h.ids(h.last())
	f := Finding{
		Confidence: c,
		Stack:      h.stack,
		State:      h.key.State,
		Count:      count,
		Age:        h.ago(h.since),
		IDs:        ids,
		CreatedBy:  h.createdBy(),
	}
	if minutes := h.ago(h.first).Minutes(); minutes > 0 {
		f.GrowthPerMinute = max(0, float64(count-were)/minutes)
		f.note(fmt.Sprintf("%s ago it was %d.", span(h.ago(h.first)), were))
	}
	return f
}
