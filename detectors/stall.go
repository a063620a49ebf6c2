package detectors

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// StallConfig is the configuration of [NewStall]. The zero value of a field
// stands for its default.
type StallConfig struct {
	// MinWait is how long everything must have stood still. Default 2 min:
	// nothing in a program takes that long without a goroutine that runs,
	// sleeps or waits for the world outside.
	MinWait time.Duration

	// MinLooks is in how many looks at least. Default 4: a program that wakes
	// up now and then may be asleep at fewer.
	MinLooks int

	// MaxCreated is how many goroutines may have been created for each look,
	// as the scheduler counts them. Default 10: a look of ours takes up to
	// five, and an export of telemetry a few.
	MaxCreated int

	// NoTimers says that the program has no timers, tickers or contexts with
	// a deadline that it waits for. Then whoever receives or selects is as
	// stuck as any, where else a timer might be about to wake them. Default
	// false.
	NoTimers bool
}

// stallReach is how far back looks are wanted, in MinWait: so far back the age
// of a finding is known.
const stallReach = 10

func (c StallConfig) withDefaults() StallConfig {
	c.MinWait = orDefault(c.MinWait, 2*time.Minute)
	c.MinLooks = orDefault(c.MinLooks, 4)
	c.MaxCreated = orDefault(c.MaxCreated, 10)
	return c
}

func (c StallConfig) validate() error {
	var errs []error
	if c.MinWait < 0 || c.MinWait > MaxHistory {
		errs = append(errs, bad("StallConfig.MinWait", c.MinWait, fmt.Sprintf("0 to %v", MaxHistory)))
	}
	if c.MinLooks < 2 || c.MinLooks > keptWhole {
		errs = append(errs, bad("StallConfig.MinLooks", c.MinLooks, fmt.Sprintf("2 to %d", keptWhole)))
	}
	if c.MaxCreated < 0 {
		errs = append(errs, bad("StallConfig.MaxCreated", c.MaxCreated, "0 and more"))
	}
	return errors.Join(errs...)
}

// NewStall returns the detector "stall": the whole process stands still, and
// nothing in it can go on. Confidence [Medium].
//
// The runtime ends a process in which all goroutines are asleep, unless there
// is a timer; and with a monitor or an exporter of telemetry in it there always
// is one. This detector takes the runtime's place. It fires when, in every look
// back to MinWait ago and in at least MinLooks,
//
//   - every goroutine waits for other goroutines: none runs, is in a system
//     call, sleeps, waits for IO or within a client of the network,
//   - none receives or selects: no source can tell a timer's channel from
//     another one, and a worker behind a rate limiter does nothing else,
//   - the same goroutines wait at the same places, and hardly any was created
//     in between, and
//   - one of them wants a lock or to send on a channel. A program that only
//     waits for its wait group may be one of timers' callbacks.
//
// NoTimers drops the second and the last condition.
//
// Not counted are the stacks that wait by design, this module's own and the
// idle connections of an HTTP or gRPC client, such as an exporter's. An
// exclusion of the user's never makes up for goroutines that run or wait for
// the world outside.
//
// There is one finding for the process, whose stack is the largest of those
// that want a lock or to send and whose stack ID is [goroutine.OtherStacks].
//
// What it cannot see: a stall of anything that listens, handles signals with
// os/signal, has a ticker, a context with a deadline or idle workers, which is
// to say of nearly every server. It is for batch jobs and workers, of which
// those that have no timers do well to say so. What it may take for a stall
// although it is none: a program whose work is done by C threads or by
// callbacks of time.AfterFunc, minutes apart, while goroutines wait for a lock
// or to send. An invalid configuration is reported by [Validate].
func NewStall(c StallConfig) *Detector {
	c = c.withDefaults()
	return configured(c.validate(), &Detector{
		Name:  "stall",
		Doc:   "The whole process stands still, and nothing in it can go on.\n\nFor programs without a listener or signal handler: those may be woken from outside.",
		Needs: Needs{IDs: true, History: min(stallReach*c.MinWait, MaxHistory)},
		Run:   c.run,
	})
}

func (c StallConfig) run(p *Pass) error {
	looks := looksBack(p, stallReach*c.MinWait)
	begin := min(newestBefore(looks, p.Snapshot.Time.Add(-c.MinWait)), len(looks)-c.MinLooks)
	if begin < 0 {
		return nil
	}
	all, still := parked(p.Snapshot, p.Known)
	if !still || len(all) == 0 || !c.NoTimers && (slices.ContainsFunc(all, mayWake) || !slices.ContainsFunc(all, wants)) {
		return nil
	}
	first := c.stillSince(looks, all, p.Known)
	if first > begin {
		return nil
	}
	p.Report(standstill(looks, first, all))
	return nil
}

// stillSince goes back from the newest look for as long as everything was as
// it is.
func (c StallConfig) stillSince(looks []*goroutine.Snapshot, now []*goroutine.Group, known func(*goroutine.Stack) bool) int {
	first := len(looks) - 1
	want := tallies(now)
	interval := looks[first].Time.Sub(looks[first-1].Time)
	for ; first > 0; first-- {
		before, after := looks[first-1], looks[first]
		taken := int64(max(1, after.Time.Sub(before.Time).Round(interval)/interval)) // not all are kept
		if after.Scheduler.Created-before.Scheduler.Created > int64(c.MaxCreated)*taken {
			break
		}
		if was, still := parked(before, known); !still || !maps.Equal(tallies(was), want) {
			break
		}
	}
	return first
}

// parked returns the groups of a look that count. still is false when a
// goroutine may go on by itself or by what comes from outside, or could not be
// described.
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

// observer reports whether a group is the goroutine that takes the look. It
// runs, and a trace has no stack of who is on a CPU. So one of them without
// a stack is the observer, and a second one is at work.
func observer(g *goroutine.Group) bool {
	return !inside(g.State) && g.Stack.Entry().Package() == "github.com/otelgoroutine/go/otelgoroutine" ||
		g.State == goroutine.Running && len(g.Stack.Frames) == 0
}

// inside reports whether a goroutine in state s can only be woken by another
// goroutine, or by a timer.
func inside(s goroutine.State) bool {
	return leakable(s) || s == goroutine.Semacquire || s.Never()
}

// mayWake reports whether a timer may be what a group waits for.
func mayWake(g *goroutine.Group) bool {
	return g.State == goroutine.ChanReceive || g.State == goroutine.Select
}

// wants reports whether a group wants what an idle program has no need of.
func wants(g *goroutine.Group) bool { return g.State.Lock() || g.State == goroutine.ChanSend }

// ours reports whether a goroutine that is not parked inside the program is
// part of the observation: the reader of a trace, or a client connection on
// which telemetry is sent. Whoever else uses such a connection waits in its
// client.
var ours = anyOf(
	has("runtime.ReadTrace"),
	reader("net/http.(*persistConn).readLoop",
		"net/http.(*http2ClientConn).readLoop", "net/http/internal/http2.(*ClientConn).readLoop", "golang.org/x/net/http2.(*ClientConn).readLoop",
		grpcTransport+"(*http2Client).reader"),
)

// viaNetwork reports whether a goroutine waits within a package that talks to
// others: for an answer that may yet come.
func viaNetwork(s *goroutine.Stack) bool {
	return slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool {
		pkg := f.Package() + "/"
		return strings.HasPrefix(pkg, "net/") || strings.HasPrefix(pkg, "golang.org/x/net/") || strings.HasPrefix(pkg, "google.golang.org/grpc/")
	})
}

// tallies returns who stands where.
func tallies(groups []*goroutine.Group) map[goroutine.GroupKey]tally {
	m := make(map[goroutine.GroupKey]tally)
	for _, g := range groups {
		t := m[g.Key()]
		t.count += g.Count
		for _, c := range g.Births {
			t.digest += c.Digest
		}
		m[g.Key()] = t
	}
	return m
}

func standstill(looks []*goroutine.Snapshot, first int, all []*goroutine.Group) Finding {
	last := len(looks) - 1
	shown := all[0]
	if i := slices.IndexFunc(all, wants); i >= 0 {
		shown = all[i]
	}
	count := 0
	for _, g := range all {
		count += g.Count
	}
	f := Finding{
		Confidence: Medium,
		Stack:      processWide(shown.Stack),
		Count:      count,
		Age:        looks[last].Time.Sub(looks[first].Time),
		IDs:        slices.Clone(shown.IDs),
		CreatedBy:  shown.CreatedBy,
	}
	f.Message = fmt.Sprintf("The process stands still: its %s %s done nothing but wait for other goroutines for %s.",
		goroutines(count), verb(count, "has", "have"), span(f.Age))
	f.note(fmt.Sprintf("In %d looks the same goroutines waited at the same places.", last-first+1))
	f.note("None runs, sleeps, or waits for IO or a system call.")
	f.note(fmt.Sprintf("%s in %s at %s.", goroutines(shown.Count), shown.State, where(shown.Stack)))
	for _, g := range all {
		if g != shown {
			f.note(fmt.Sprintf("%s in %s at %s.", goroutines(g.Count), g.State, where(g.Stack)))
		}
	}
	f.advise("see which of these waits for which: the saved profile or /debug/pprof/goroutine?debug=1 shows all stacks.")
	return f
}
