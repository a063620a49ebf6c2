// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// LeakConfig is the configuration of [NewLeak]. Start from [DefaultLeakConfig].
//
// MinAge, MaxAge, Window, Warmup and MinStand scale together: a demonstration
// that takes a snapshot every second may set them to seconds. Each is at most
// [MaxHistory].
type LeakConfig struct {
	// MinAge is how long a goroutine must have stayed in place to be counted,
	// above 0. Default 5 min: longer than the usual time limits of requests, so
	// that requests are never counted, however many there are. Half of it is tried as
	// well where the number rises steeply and none leave.
	MinAge time.Duration

	// MaxAge bounds the search for a suitable age limit, at least MinAge. When
	// goroutines older than MinAge still move on, the detector doubles the age
	// limit, up to MaxAge. Goroutines that leak where healthy ones wait for a long
	// time are thus found as well, but later. Default 40 min, 8 × MinAge: beyond
	// that, times of birth are too coarse to distinguish the steps of a window.
	MaxAge time.Duration

	// Window is the time over which the number must rise, above 0. Default 30 min:
	// long enough for a cache or a pool to fill up and stop growing, short enough
	// to warn before memory runs out. Windows of two and four times the length are
	// tried as well, with a rise two and four times as large. They find leaks that
	// occur in bursts with flat periods in between. A quarter and a half of the length
	// are tried where it is sure that the goroutines are not alive, with a rise ten and
	// eight times as large: see [NewLeak].
	Window time.Duration

	// Steps is the number of parts of a window, 1 to 7. MinSteps is in how many of
	// them the number must rise, by at least half of what an even rise would be, 1
	// to Steps. Defaults 5 and 4: a pool that grows once or twice rises in fewer
	// steps, and a leak may pause.
	Steps, MinSteps int

	// MinRise is the minimum rise in the number of goroutines over a window, at
	// least 1. Default 10, one every three minutes in 30 min: a slower rise is
	// within the noise of pools and caches that fill up, and takes a month to do
	// harm. Where it is sure that the goroutines are not alive, a rise of 1.5 times as
	// many over four windows is enough: one in eight minutes.
	MinRise int

	// MaxExits is the maximum number of goroutines that left for good within
	// History, as a share of the rise, 0 to 1. Default 0.01: leaked goroutines do
	// not exit at all, and even of streams that last a day a larger share ends
	// within two hours.
	MaxExits float64

	// MaxAway is the maximum average share of counted goroutines that were
	// elsewhere in the next snapshot, 0 to 1. Default 0.01: workers of an idle
	// pool come and go more often than that, while a forgotten goroutine that
	// wakes up for a ticker is back within a millisecond. One is added to the
	// number seen away, because with few snapshots a low number proves little.
	// With 0 no goroutine may have been away.
	MaxAway float64

	// Warmup is the time after the first snapshot in which all new goroutines are
	// taken as part of the service, but for those that are sure not to be alive. Default
	// 10 min: connections and pools are set up after a start.
	Warmup time.Duration

	// MinStand is how long a goroutine must have stayed in place before a leak
	// proof is worth its cost although no number rises. It is also the time
	// between such proofs. Default 1 h: a single forgotten goroutine is not
	// urgent. It has no effect without leak proofs.
	MinStand time.Duration
}

// DefaultLeakConfig returns the defaults.
func DefaultLeakConfig() LeakConfig {
	return LeakConfig{
		MinAge:   5 * time.Minute,
		MaxAge:   40 * time.Minute,
		Window:   30 * time.Minute,
		Steps:    5,
		MinSteps: 4,
		MinRise:  10,
		MaxExits: 0.01,
		MaxAway:  0.01,
		Warmup:   10 * time.Minute,
		MinStand: time.Hour,
	}
}

func (c LeakConfig) checks() []check {
	return []check{
		above0("MinAge", c.MinAge),
		within("MaxAge", c.MaxAge),
		{"MaxAge", c.MaxAge, c.MaxAge >= c.MinAge, "at least MinAge"},
		above0("Window", c.Window),
		between("Steps", c.Steps, 1, places.Whole-1),
		{"MinSteps", c.MinSteps, c.MinSteps >= 1 && c.MinSteps <= c.Steps, "1 to Steps"},
		atLeast("MinRise", c.MinRise, 1),
		share("MaxExits", c.MaxExits),
		share("MaxAway", c.MaxAway),
		within("Warmup", c.Warmup),
		within("MinStand", c.MinStand),
	}
}

// NewLeak returns the detector "leak": the number of goroutines blocked at a
// place keeps growing, and none leave. Confidence [Suspected], or [Confirmed]
// with the runtime's own proof.
//
// It follows the identity of goroutines, because counts rise with load as well
// as with a leak. At each place (stack, line and state) it compares the
// goroutines of each epoch of birth with those of MinAge ago. If their number
// and digest have not changed, the goroutines have stayed there and none was
// replaced. If no goroutine was ever seen to leave, all that were there MinAge
// ago are counted. The detector fires when the counted goroutines
//
//   - increase in at least MinSteps of the Steps of a window, and by at least
//     MinRise in total, while younger ones are there,
//   - do not move on: almost none left for good (MaxExits) or temporarily
//     (MaxAway), and
//   - are new: at least half of the rise was born within the window, or the
//     number of goroutines with the same entry function rose by at least that
//     many. Neither is true of workers that go idle one after another.
//
// The window begins after Warmup, but for the windows that are tried where it is sure
// that goroutines are not alive. Goroutines that were there before are not part of the
// rise.
//
// It judges only goroutines that wait for a channel, a select, a lock, a
// condition, a wait group or IO; never goroutines in system calls, sleep or
// coroutines.
//
// What grows may be alive: clients that stay, tenants, sessions. When it suspects a
// leak, it asks for trace windows, because workers with short jobs are in place in
// every snapshot. No leak, and left to the detector "growth" ([NewGrowth]), is a rise
//
//   - of which another goroutine or a timer wakes one in a window, and it returns to
//     its place,
//   - that waits for a channel or in a select, in a function that sets a timer, a
//     ticker or a context with a deadline itself, by its machine code (amd64), or
//   - of which half have a connection whose other end is still there, by goroutines in
//     IO wait that came with them: by their times of birth, or because about as many came
//     in the same time. The bodies of responses must be read for that.
//
// Goroutines in IO wait are a leak only if the kernel knows (Linux) that as many
// connections have lost their peers, and the process has not closed them. Handlers of
// requests whose clients have gone are a leak whatever wakes them.
//
// It is sure that goroutines are not alive when windows were seen, when neither the
// function nor its callers set a timer, and when their peers are known to have gone or
// there can be few: when at most 45 % as many goroutines in IO wait or in streams of
// shared connections (HTTP/2, gRPC, QUIC, NATS) as the rise has were born in its time and
// are still there. Then more windows are tried, without Warmup: a quarter of Window with
// a rise of 10 times MinRise and half of it with 8 times, for goroutines that stay for
// half of MinAge or all of it, and four times it with 1.5 times, for those that stay for
// MinAge. The number must rise in all steps, up to the end, and none may exit. By default
// a leak of 60 goroutines a minute is found within 15 minutes of its beginning, one of ten
// a minute within 25, and one of ten an hour within two and a half hours. Where it is not
// sure, it takes 45 minutes and 20 an hour. Without trace windows it is never sure, and
// wakeups are not seen.
//
// After that, and when goroutines have stayed in place for MinStand, it asks for
// a leak proof. If the user has enabled leak proofs, proven leaks are reported
// even if their number does not grow and even for a single goroutine. The main
// goroutine is exempt, because it may wait forever on purpose.
//
// Goroutines that reach one line by different call paths are judged together if they
// have the same entry function: each path may be too rare to be judged alone. If that
// shows no leak, as when one path is healthy, each path is judged alone.
//
// False negatives, without the proof: leaks of fewer than MinRise goroutines a window
// (1.5 times that in four windows, where it is sure); leaks that pause for longer than
// a step of the longest window (24 min by default); leaks at a place where healthy
// goroutines stay for longer than MaxAge before they leave; and goroutines that leak
// although timers or other goroutines wake them, which the detector "growth" reports.
// A goroutine that is leaked in a function that has set a timer for something else is
// one of these. Leaks are found late on a machine with dozens of Ps when they share the
// place with a few healthy goroutines that last for minutes: goroutines with IDs left
// over from an old batch of a P look older than they are, and so seem to leave at a
// high age.
//
// False positives: goroutines that wait for a deadline that another function has set, or
// for something else that neither their own code nor a connection shows, while their
// number keeps growing and none exits. They are taken for a leak when that has lasted for
// a quarter of an hour, if the growth is even and steep, and for 45 minutes if it is not
// or if a caller sets a timer. Such a finding stays open until its goroutines have left.
func NewLeak(c LeakConfig) *Detector {
	return configured(c, &Detector{
		Name:   "leak",
		Doc:    "The number of goroutines blocked at a place keeps growing, and none leave.\n\nIt follows identities, not counts, because load makes counts rise as well.",
		Needs:  Needs{IDs: true, History: min(c.reach(), MaxHistory)},
		Yields: []string{"deadlock", "hang", "blocked_forever"},
		Run:    c.run,
	})
}

// longest is the length of the longest window that is tried, in multiples of
// Window.
const longest = 4

// reach is how far back snapshots are needed for the longest window and its
// oldest goroutines.
func (c LeakConfig) reach() time.Duration { return max(longest*c.Window+c.MaxAge, c.MinStand) }

func (c LeakConfig) run(p *Pass) error {
	all, doubtful := c.rising(p)
	if (len(all) > 0 || doubtful) && !c.watched(p, "a leak", windowsFor(all)) {
		all = nil
	}
	mayBeLost := judged(p.places(), places.ByStack, places.WokenByGoroutines, c.MinRise, nil)
	c.candidates(p, mayBeLost, func(pl *places.Place) bool { return !p.Known(pl.Stack) && !p.timed(pl) }, haste{steep: p.Timers != nil, slow: p.Timers != nil})
	c.withProof(p, all).report(p)
	return nil
}

// watchWindows is how many trace windows the detector waits for before it
// reports a leak: four minutes of snapshots by default. If fifty workers get a
// job a minute each, the windows show at least one job with a probability of 96
// %.
const watchWindows = 16

// windowsFor returns how many trace windows findings wait for: half as many where all of
// them are of twice as many goroutines, which have twice as many jobs.
func windowsFor(all findings) int {
	if len(all) > 0 && !slices.ContainsFunc(all, func(f Finding) bool { return f.Count < 100 }) {
		return watchWindows / 2
	}
	return watchWindows
}

// watched reports whether there are enough recent trace windows to judge a
// suspicion, or no more are available. It asks for windows before the existing
// ones get too old, so that a suspicion that was watched once stays watched.
func (c LeakConfig) watched(p *Pass, what string, windows int) bool {
	now := p.Snapshot.Time
	recent := now.Add(-c.Window / 2)
	s := p.places()
	need := max(1, min(windows, s.Last()-1-s.At(recent)))
	if windowsSince(p.Windows, recent) >= need {
		return true
	}
	coming := p.Ask(goroutine.SourceWindow)
	seen := windowsSince(p.Windows, now.Add(-c.Window))
	if seen >= need || !coming {
		return true
	}
	p.abstain(ReasonInspection, fmt.Sprintf("it suspects %s and waits for trace windows; there are %d of %d", what, seen, need))
	return false
}

// rising finds leaks by the rising number of goroutines that stay in place. It is doubtful
// if a place would be told if it were known that its goroutines are not alive.
func (c LeakConfig) rising(p *Pass) (all findings, doubtful bool) {
	s := p.places()
	r := c.newSearch(p)
	r.accept = func(rise *rise) (Finding, bool) {
		rise.life = rise.findLife()
		switch {
		case rise.life.living(), rise.place.State == goroutine.IOWait && rise.life.peers != peersGone:
			return Finding{}, false
		case rise.strict && !rise.life.sure:
			doubtful = true
			return Finding{}, false
		}
		return rise.finding(), true
	}
	// Some of the goroutines that show that connections are open are away in each snapshot.
	r.veto = func(rise *rise) bool { return rise.life.peers == peersConnected || rise.life.peers == peersSilent }
	normal := r.newTrials(p.Started)
	if r.trials = append(r.strictTrials(), normal...); len(normal) == 0 {
		p.tooShort(s, c.Steps+2, c.Warmup+c.Window+c.MinAge, "")
	}
	all = r.judge(judged(s, places.ByStack, mayLeak, c.MinRise, nil))
	for _, pl := range judged(s, places.ByEnds, mayLeak, c.MinRise, nil) {
		if pl.Stacks() > 1 {
			all = r.alongAllPaths(pl, all)
		}
	}
	return all, doubtful
}

// peersOfGrowth is [Pass.peersAt]. A pass that was built by hand has no sockets.
func (p *Pass) peersOfGrowth(pl *places.Place, n int, age time.Duration) (peers, string) {
	if p.Sockets == nil {
		return peersUnknown, ""
	}
	return p.peersAt(pl.Series, pl, n, age)
}

// mayLeak reports whether goroutines in a state may be leaked. Those in IO wait are,
// where their peers have gone.
func mayLeak(s goroutine.State) bool { return places.WokenByGoroutines(s) || s == goroutine.IOWait }

// newSearch returns a search without trials.
func (c LeakConfig) newSearch(p *Pass) *search {
	s := p.places()
	return &search{LeakConfig: c, Series: s, first: s.Back(c.reach()), windows: p.Windows, timers: p.Timers, known: p.Known, keeps: p.Owned, peers: p.peersOfGrowth}
}

// alongAllPaths replaces the findings about single stacks of pl by one about all of
// them, if that leaks.
func (r *search) alongAllPaths(pl *places.Place, all findings) findings {
	whole := r.judge([]*places.Place{pl})
	if whole == nil {
		return all
	}
	all = slices.DeleteFunc(all, func(f Finding) bool {
		return pl.SameEnds(f.Stack, f.State) && f.Stack.User().Line == pl.Key.Line
	})
	return append(all, whole...)
}
