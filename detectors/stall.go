// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
	"github.com/otelgoroutine/go/internal/words"
)

// StallConfig is the configuration of [NewStall]. Start from
// [DefaultStallConfig].
type StallConfig struct {
	// MinWait is how long the whole process must have made no progress. Default 2
	// min: no program works for that long without a goroutine that runs, sleeps or
	// waits for external events. At most [MaxHistory]; with 0 only MinSnapshots
	// applies.
	MinWait time.Duration

	// MinSnapshots is the minimum number of snapshots without progress, 2 to 8.
	// Default 4: a program that wakes up now and then may be asleep in fewer.
	MinSnapshots int

	// MaxCreated is the maximum number of goroutines created per snapshot, as the
	// scheduler counts them, at least 0. Default 10: a snapshot itself creates up
	// to five, and an export of telemetry a few.
	MaxCreated int

	// NoTimers says that the program never waits for a timer, a ticker or a
	// context with a deadline. A goroutine that receives or selects is then as
	// stuck as any other; without NoTimers, a timer might be about to wake it.
	// Default false.
	NoTimers bool
}

// DefaultStallConfig returns the defaults.
func DefaultStallConfig() StallConfig {
	return StallConfig{MinWait: 2 * time.Minute, MinSnapshots: 4, MaxCreated: 10}
}

// stallReach is how far back snapshots are needed, in multiples of MinWait. It
// bounds the age of a finding.
const stallReach = 10

func (c StallConfig) checks() []check {
	return []check{
		within("MinWait", c.MinWait),
		inARow("MinSnapshots", c.MinSnapshots),
		atLeast("MaxCreated", c.MaxCreated, 0),
	}
}

// NewStall returns the detector "stall": the whole process makes no progress,
// and nothing in it can continue. Confidence [Medium].
//
// The runtime ends a process in which all goroutines are asleep, unless it has a
// timer. A process with a monitor or a telemetry exporter always has one, so
// this detector takes the place of the runtime's check. It fires when, in every
// snapshot of the last MinWait and in at least MinSnapshots,
//
//   - every goroutine waits for other goroutines: none runs, is in a system
//     call, sleeps, or waits for IO or in a network client,
//   - none receives or selects: no source can distinguish a timer's channel from
//     any other, and a worker behind a rate limiter does nothing else,
//   - the same goroutines wait at the same places, and hardly any was created
//     in between, and
//   - at least one waits for a lock or to send on a channel. A program that only
//     waits for a wait group may do its work in callbacks of timers.
//
// NoTimers drops the second and the last condition.
//
// Stacks that wait by design are not counted, nor are this module's own and the
// idle connections of an HTTP or gRPC client, such as an exporter's. An
// exclusion by the user does not apply to goroutines that run or wait for
// external events: they always prevent a finding.
//
// There is one finding for the whole process. It is over when the goroutines that it
// lists have left, not when another goroutine runs for a moment. Its stack is the one with the most
// goroutines that wait for a lock or to send. Its stack ID is
// [goroutine.OtherStacks].
//
// False negatives: stalls of a program that listens, handles signals with
// os/signal, or has a ticker, a context with a deadline or idle workers. That is
// nearly every server. The detector is for batch jobs and workers; set NoTimers
// for those without timers. False positives: a program whose work is done by C
// threads, or by callbacks of time.AfterFunc that are minutes apart, while
// goroutines wait for a lock or to send.
func NewStall(c StallConfig) *Detector {
	return configured(c, &Detector{
		Name:   "stall",
		Doc:    "The whole process makes no progress, and nothing in it can continue.\n\nFor programs without a listener or signal handler, which could be woken from outside.",
		Needs:  Needs{IDs: true, History: min(stallReach*c.MinWait, MaxHistory)},
		Yields: []string{"deadlock", "hang"},
		Run:    c.run,
	})
}

func (c StallConfig) run(p *Pass) error {
	s := p.places()
	begin := s.Begin(c.MinWait, c.MinSnapshots)
	if begin < 0 {
		p.tooShort(s, c.MinSnapshots, c.MinWait, "")
		return nil
	}
	if c.mayBeWoken(p) {
		return nil
	}
	all, still := parked(p.Snapshot, p.Known)
	if !still || len(all) == 0 || !c.NoTimers && !slices.ContainsFunc(all, wants) {
		return nil
	}
	if since := c.stillSince(s, all, p.Known); since <= begin {
		p.Report(standstill(s, since, all))
	}
	return nil
}

// mayBeWoken reports whether a goroutine may be waiting for a timer. It is
// checked first: in most services it makes searching every stack for network
// packages unnecessary.
func (c StallConfig) mayBeWoken(p *Pass) bool {
	return !c.NoTimers && slices.ContainsFunc(p.places().Places(places.ByStack), func(pl *places.Place) bool {
		return (pl.State == goroutine.ChanReceive || pl.State == goroutine.Select) && !p.Known(pl.Stack)
	})
}

// stillSince returns the first snapshot since which nothing has changed. now is
// the groups of the newest snapshot that count.
func (c StallConfig) stillSince(s *places.Series, now []*goroutine.Group, known func(*goroutine.Stack) bool) int {
	at := placesOf(s, now)
	first := s.Last()
	interval := s.Ago(first - 1)
	for end := s.Back(stallReach * c.MinWait); first > end; first-- {
		before, after := s.Snapshots[first-1], s.Snapshots[first]
		taken := int64(max(1, after.Time.Sub(before.Time).Round(interval)/interval)) // history may be thinned
		if after.Scheduler.Created-before.Scheduler.Created > int64(c.MaxCreated)*taken {
			break
		}
		was, still := parked(before, known)
		moved := func(pl *places.Place) bool { return pl.Left(first-1) || pl.Joined(first-1) }
		if !still || total(was) != total(now) || slices.ContainsFunc(at, moved) {
			break
		}
	}
	return first
}

// placesOf returns the places of groups of the newest snapshot.
func placesOf(s *places.Series, groups []*goroutine.Group) []*places.Place {
	keys := make(map[goroutine.GroupKey]bool)
	for _, g := range groups {
		keys[g.Key()] = true
	}
	return slices.DeleteFunc(slices.Clone(s.Places(places.ByStack)), func(pl *places.Place) bool { return !keys[pl.Key] })
}

func total(groups []*goroutine.Group) (n int) {
	for _, g := range groups {
		n += g.Count
	}
	return n
}

// parked returns the groups of a snapshot that count. still is false when a
// goroutine may continue by itself or because of an external event, or when one
// could not be described.
func parked(s *goroutine.Snapshot, known func(*goroutine.Stack) bool) (all []*goroutine.Group, still bool) {
	observers := 0
	for i := range s.Groups {
		g := &s.Groups[i]
		switch {
		case g.Stack.ID == goroutine.OtherStacks:
			return nil, false
		case observer(g):
			observers += g.Count
		case !inside(g.State):
			if !ours(g.Stack) {
				return nil, false
			}
		case bodyRead(g.Stack), serverRecv(g.Stack):
			return nil, false
		case known(g.Stack):
		case viaNetwork(g.Stack):
			return nil, false
		default:
			all = append(all, g)
		}
	}
	return all, observers <= 1 && s.Missing == 0
}

// observer reports whether a group is the goroutine that takes the snapshot. It
// is running, and a trace has no stack for a goroutine on a CPU. So one running
// goroutine without a stack is the observer, and a second one is doing work.
func observer(g *goroutine.Group) bool {
	return !inside(g.State) && g.Stack.Entry().Package() == "github.com/otelgoroutine/go/otelgoroutine" ||
		g.State == goroutine.Running && len(g.Stack.Frames) == 0
}

// inside reports whether a goroutine in state s can only be woken by another
// goroutine, or by a timer.
func inside(s goroutine.State) bool {
	return places.WokenByGoroutines(s) || s == goroutine.Semacquire || s.Never()
}

// wants reports whether a group waits for something that an idle program does
// not wait for.
func wants(g *goroutine.Group) bool { return g.State.Lock() || g.State == goroutine.ChanSend }

// ours reports whether a goroutine that is not parked inside the program is
// part of the observation: the reader of a trace, or a client connection on
// which telemetry is sent. A goroutine that uses such a connection for anything
// else waits in its client.
var ours = anyOf(
	has("runtime.ReadTrace"),
	reader("net/http.(*persistConn).readLoop",
		"net/http.(*http2ClientConn).readLoop", "net/http/internal/http2.(*ClientConn).readLoop", "golang.org/x/net/http2.(*ClientConn).readLoop",
		grpcTransport+"(*http2Client).reader"),
)

// viaNetwork reports whether a goroutine waits within a networking package: for
// an answer that may still arrive.
func viaNetwork(s *goroutine.Stack) bool {
	return slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool {
		pkg := f.Package() + "/"
		return strings.HasPrefix(pkg, "net/") || strings.HasPrefix(pkg, "golang.org/x/net/") || strings.HasPrefix(pkg, "google.golang.org/grpc/")
	})
}

func standstill(s *places.Series, since int, all []*goroutine.Group) Finding {
	shown := all[max(0, slices.IndexFunc(all, wants))]
	f := Finding{
		Confidence: Medium,
		Stack:      processWide(shown.Stack),
		Count:      total(all),
		Age:        s.Ago(since),
		IDs:        slices.Clone(shown.IDs),
		CreatedBy:  shown.CreatedBy,
		Stands:     true,
		Advice:     adviceStall,
	}
	f.Message = fmt.Sprintf("The process makes no progress: its %s %s only waited for other goroutines for %s.",
		goroutines(f.Count), verb(f.Count, "has", "have"), words.Span(f.Age))
	f.note("In %d snapshots the same goroutines waited at the same places.", s.Last()-since+1)
	f.note("None runs, sleeps, or waits for IO or a system call.")
	f.note("%s in %s at %s.", goroutines(shown.Count), shown.State, where(shown.Stack))
	for _, g := range all {
		if g != shown {
			f.note("%s in %s at %s.", goroutines(g.Count), g.State, where(g.Stack))
		}
	}
	return f
}
