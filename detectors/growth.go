// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// GrowthConfig is the configuration of [NewGrowth]. Start from
// [DefaultGrowthConfig]. MinAge, Window and Warmup scale together. Each is at most
// [MaxHistory].
type GrowthConfig struct {
	// MinAge is how long a goroutine must have stayed in place to be counted, above
	// 0. Default 5 min, as for a leak: longer than requests take. Half of it is tried as
	// well where the number rises steeply.
	MinAge time.Duration

	// Window is the time over which the number must rise, above 0. Default 30 min.
	// Two and four times as long are tried as well, with a rise two and four times as
	// large. The longest, 2 h, is that after which confidence is [Medium]. Half and a
	// quarter of Window are tried with a rise eight and ten times as large.
	Window time.Duration

	// MinRise is the minimum rise in the number of goroutines over a window, at least
	// 1. Default 10, as for a leak.
	MinRise int

	// Warmup is the time after the first snapshot in which all new goroutines are
	// taken as part of the service, unless their number rises steeply. Default 1 min:
	// information is cheaper than a warning.
	Warmup time.Duration
}

// DefaultGrowthConfig returns the defaults.
func DefaultGrowthConfig() GrowthConfig {
	return GrowthConfig{MinAge: 5 * time.Minute, Window: 30 * time.Minute, MinRise: 10, Warmup: time.Minute}
}

func (c GrowthConfig) checks() []check {
	return []check{
		above0("MinAge", c.MinAge),
		above0("Window", c.Window),
		atLeast("MinRise", c.MinRise, 1),
		within("Warmup", c.Warmup),
	}
}

// NewGrowth returns the detector "growth": the number of goroutines at a place keeps
// growing and none leave, but they are alive. Confidence [Info]; [Medium] when the
// number has grown for hours and nothing has ended.
//
// It counts as "leak" does ([NewLeak]), and judges the places that "leak" leaves
// alone because something speaks for their goroutines being alive:
//
//   - trace windows show that goroutines, a timer or the network wake some of them,
//     and these return;
//   - they sleep, or the function in which they wait sets a timer, a ticker or a
//     context with a deadline;
//   - at least half of them have a connection whose other end is still there, by
//     goroutines in IO wait that came with them;
//   - they wait in IO themselves, or
//   - they wait by design and belong to a client, a pool or a subscription of the program
//     (see [KnownStack]).
//
// Clients that stay, tenants, sessions and a fleet that comes up are such growths,
// and so are timers that are never stopped, listeners that are never removed and
// connections that are never closed: nothing that a monitor sees tells these apart, so
// that it is information. A growth that goes on for more than two hours by default, in
// every step of that time and up to its end, and of which no goroutine has exited, is
// reported with confidence [Medium]. A ramp of two hours is complete before.
//
// False positives, as [Medium]: a population of goroutines that stay and that grows
// for more than two hours, as of clients that connect through a day and never leave.
// False negatives: connections on which something arrives between most snapshots,
// because their goroutines are not seen to stay; leaks of fewer than MinRise
// goroutines a window; and goroutines of which nothing shows that they are alive,
// which are a leak or, for the time in which that is not sure, nothing.
func NewGrowth(c GrowthConfig) *Detector {
	return configured(c, &Detector{
		Name:   "growth",
		Doc:    "The number of goroutines at a place keeps growing and none leave, but they are alive: a timer, other goroutines or a connection may wake them.",
		Needs:  Needs{IDs: true, History: min(c.search().reach(), MaxHistory)},
		Yields: []string{"leak", "deadlock", "hang", "blocked_forever"},
		Run:    c.run,
	})
}

// search returns how the detector "leak" would count.
func (c GrowthConfig) search() LeakConfig {
	l := DefaultLeakConfig()
	l.MinAge, l.MaxAge, l.Window, l.Warmup, l.MinRise = c.MinAge, 8*c.MinAge, c.Window, c.Warmup, c.MinRise
	l.MinStand = 0
	return l
}

func (c GrowthConfig) run(p *Pass) error {
	l, s := c.search(), p.places()
	r := l.newSearch(p)
	normal := r.newTrials(p.Started)
	if r.trials = append(r.steepTrials(), normal...); len(normal) == 0 {
		p.tooShort(s, l.Steps+2, l.Warmup+l.Window+l.MinAge, "")
	}
	doubtful := false
	lasting := r.patient()
	lasting.accept = func(rise *rise) (Finding, bool) {
		return Finding{}, (rise.gone == 0 || p.Owned(rise.place.Stack)) && rise.goesOn()
	}
	r.accept = func(rise *rise) (Finding, bool) {
		rise.life = rise.findLife()
		why := rise.lives()
		if why == "" {
			doubtful = true
			return Finding{}, false
		}
		f := rise.growth(why)
		switch _, lasts := lasting.judgePlace(rise.place); {
		case lasts && p.Owned(rise.place.Stack):
			f.unclosed()
		case lasts:
			f.lasts(longest * c.Window)
		}
		return f, true
	}
	r.known = func(s *goroutine.Stack) bool { return p.Known(s) && !p.Owned(s) } // what others determine
	judged := judged(s, places.ByStack, mayLive, c.MinRise, nil)
	all := r.judge(judged)
	if (len(all) > 0 || doubtful) && !l.watched(p, "a growth", windowsFor(all)) {
		all = nil
	}
	l.candidates(p, judged, func(pl *places.Place) bool { // the others are named by leak
		return !r.known(pl.Stack) && (pl.State == goroutine.IOWait || p.timed(pl) || p.Owned(pl.Stack))
	}, haste{steep: true})
	all.report(p)
	return nil
}

// mayLive reports whether "growth" judges goroutines in a state.
func mayLive(s goroutine.State) bool {
	return mayLeak(s) || s == goroutine.Sleep
}

// lives returns why the goroutines of a rise are taken as alive, as a clause; "" if
// nothing speaks for it.
func (r *rise) lives() string {
	l := &r.life
	switch {
	case !l.living() && l.peers == peersGone:
		return ""
	case r.keeps(r.place.Stack):
		return "they wait by design: they belong to clients, pools or subscriptions that are kept"
	case r.place.State == goroutine.IOWait:
		return "they wait for the other end of a connection"
	case r.place.State == goroutine.Sleep, len(l.timed) > 0:
		return "a timer wakes them"
	case len(l.fed) > 0:
		return "other goroutines wake them now and then"
	case l.peers == peersConnected, l.peers == peersSilent:
		return "their connections are open"
	case l.timers:
		return "they may wait for a timer"
	}
	return ""
}

// growth returns the finding about goroutines that are alive.
func (r *rise) growth(why string) Finding {
	f := r.finding()
	f.Confidence = Info
	gone := "none"
	if r.gone > 0 {
		gone = fmt.Sprintf("only %d", r.gone)
	}
	f.Message = fmt.Sprintf("%s at %s %s in %s, %s more every minute; %s exited or moved on in %s. They may be alive: %s.",
		goroutines(f.Count), where(f.Stack), verb(f.Count, "waits", "wait"), f.State, perMinute(f.GrowthPerMinute), gone, words.Span(r.Ago(r.first)), why)
	f.Advice = "Check whether their number is meant to grow: connections that stay, tenants or sessions. If it is not, " + r.ends(f.Advice)
	return f
}

// lasts raises the confidence of a growth of which nothing has ended for hours.
func (f *Finding) lasts(d time.Duration) {
	f.Confidence = Medium
	f.note("It has gone on for at least %s, in every part of that time, and nothing has ended.", words.Span(d))
}

// ends says what should end goroutines that are alive.
func (r *rise) ends(otherwise string) string {
	switch {
	case r.keeps(r.place.Stack):
		return "close each of those clients, pools or subscriptions, or share one."
	case r.place.State == goroutine.IOWait:
		return "close each connection on every path, and set deadlines or keep-alive messages, which end those whose other end is gone."
	case r.place.State == goroutine.Sleep, len(r.life.timed) > 0, r.life.timers:
		otherwise = adviceTimer
	}
	return strings.ToLower(otherwise[:1]) + otherwise[1:]
}

// unclosed rewords f for goroutines that wait by design, of which more have been created
// for hours.
func (f *Finding) unclosed() {
	f.Confidence = Medium
	f.Message = fmt.Sprintf("%s at %s %s in %s, %s more every minute: they belong to clients, pools or subscriptions that are never closed.",
		goroutines(f.Count), where(f.Stack), verb(f.Count, "waits", "wait"), f.State, perMinute(f.GrowthPerMinute))
	f.note("They wait by design until the client, pool or subscription is closed; the fault is that more are created all the time.")
	if means, advice := adviceAt(f.Stack, f.State); means != "" {
		f.Advice = advice
	} else {
		f.Advice = "Find the code that creates them, perhaps once per request, and close each one or share one."
	}
}
