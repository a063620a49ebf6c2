// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// What is promised.
const (
	checkedSize   = 100_000 // goroutines from which on the promises hold
	mostOfPprof   = 1.0     // of the time of pprof debug=0 + Parse
	aimOfPprof    = 0.5
	mostOfText    = 1.0 / 10 // of the time of pprof debug=2 + gostackparse
	longestStop   = 500 * time.Microsecond
	mostAllocated = 32  // bytes a goroutine, beyond the runtime's tracer
	mostGrowth    = 1.5 // of the cost of one goroutine, when there are ten times as many
	mostMemory    = 6.0 // times the trace, beyond the runtime's tracer
	budget        = 0.005
	aheadFrom     = 10_000 // goroutines from which on we should be ahead of all peers
	// tiny is a stop that cannot be told from none: a goroutine that sleeps
	// wakes up twenty times as late when nothing is measured at all.
	tiny = 100 * time.Microsecond
	// mostReading bounds a collection beside most goroutines by one beside
	// fewest. With a hundred times as many goroutines a collection that depended
	// on them would take ten times as long and more; a busy machine has been
	// seen to make the same one take 1.7 times as long.
	mostReading = 3.0
)

// check judges what was measured. What needs sizes that were not asked for is
// not judged.
func check(results []result) []lab.Verdict {
	var c checks
	for i := range results {
		r := &results[i]
		if r.method(ours) == nil {
			continue
		}
		if r.Size >= aheadFrom {
			c.ahead(r, "time", wall, 0)
			c.ahead(r, "longest stop", stop, tiny)
		}
		if r.Size >= checkedSize {
			c.time(r)
			c.complete(r)
			c.stop(r)
			c.allocated(r)
			c.memory(r)
			c.budget(r)
		}
	}
	c.slope(bySize(results, baseShape, false))
	c.reading(bySize(results, readingShape, true))
	return c
}

// checks are the verdicts so far. A method adds one unless what it needs was not
// measured.
type checks []lab.Verdict

func (c *checks) judge(ok bool, what string, where any, figures string, values ...any) {
	*c = append(*c, lab.Judge(ok, fmt.Sprintf("%s, %v", what, where), fmt.Sprintf(figures, values...)))
}

func (c *checks) time(r *result) {
	if x, told := ratio(r.method(ours), r.method(pprofParse), wall); told {
		c.judge(x.median <= mostOfPprof, "time against "+pprofParse, r.scenario,
			"%.2f (%s), at most %.2f (aim: %.2f)", x.median, between(x, lab.Digits), mostOfPprof, aimOfPprof)
	}
	if x, told := ratio(r.method(ours), r.method(textParse), wall); told {
		c.judge(x.median <= mostOfText, "time against "+textParse, r.scenario,
			"1/%.0f, at most 1/%.0f", 1/x.median, 1/mostOfText)
	}
}

// ahead judges the medians of a figure, and names the peers that are ahead of us
// or, when there is none, the one that comes closest. Ours is good enough up to
// a floor, whatever the others have.
func (c *checks) ahead(r *result, what string, figure func(sample) time.Duration, floor time.Duration) {
	mine := spreadOf(r.method(ours), figure)
	show := func(name string, s spread[time.Duration]) string {
		return fmt.Sprintf("%s %s (%s)", name, lab.Duration(s.median), between(s, lab.Duration))
	}
	var faster []string
	var next string
	var nearest time.Duration
	for _, name := range peers {
		m := r.method(name)
		if m == nil {
			continue
		}
		theirs := spreadOf(m, figure)
		if theirs.median < mine.median && mine.median > floor {
			faster = append(faster, show(name, theirs))
		}
		if next == "" || theirs.median < nearest {
			next, nearest = show(name, theirs), theirs.median
		}
	}
	rest := "next: " + next
	if faster != nil {
		rest = "behind " + strings.Join(faster, ", ")
	}
	c.judge(faster == nil, "ahead of every peer in "+what, r.scenario, "%s; %s", show("ours", mine), rest)
}

func (c *checks) complete(r *result) {
	seen := r.method(ours).completeness()
	c.judge(seen == "all", "every goroutine seen", r.scenario, "%s", seen)
}

// stop shows what GoroutineProfile met as well: in a busy process most of a stop
// is the wait for threads that the system has put aside.
func (c *checks) stop(r *result) {
	longest := spreadOf(r.method(ours), stop).most
	theirs := ""
	if m := r.method(recordsAgain); m != nil {
		theirs = "; under GoroutineProfile: " + lab.Duration(spreadOf(m, stop).most)
	}
	c.judge(longest <= longestStop, "longest stop of the world", r.scenario,
		"%s, at most %s%s", lab.Duration(longest), lab.Duration(longestStop), theirs)
}

func (c *checks) allocated(r *result) {
	if tracer := r.method(tracerAlone); tracer != nil {
		each := (spreadOf(r.method(ours), allocated).median - spreadOf(tracer, allocated).median) / int64(r.Size)
		c.judge(each <= mostAllocated, "allocated beyond the runtime's tracer", r.scenario,
			"%d bytes a goroutine, at most %d", each, mostAllocated)
	}
}

// memory compares the growth of the process with the trace.
func (c *checks) memory(r *result) {
	tracer, mine := r.method(tracerAlone), r.method(ours)
	if tracer == nil || !r.Large || spreadOf(mine, memory).most == 0 {
		return
	}
	var largest int64
	for _, m := range r.Methods {
		for _, s := range m.Samples {
			largest = max(largest, s.Peak)
		}
	}
	whole, without := spreadOf(mine, memory).median, spreadOf(tracer, memory).median
	x := float64(whole-without) / float64(max(r.TraceBytes, 1))
	c.judge(x <= mostMemory, "memory beyond the runtime's tracer", r.scenario,
		"%.1f times the trace, at most %.1f; the process grew by %s, by %s with the tracer alone; a trace has %s; largest process: %s",
		x, mostMemory, lab.Size(whole), lab.Size(without), lab.Size(r.TraceBytes), lab.Size(largest))
}

// budget asks the governor when it would allow the snapshots that were measured,
// and adds up what they cost.
func (c *checks) budget(r *result) {
	mine, first := r.method(ours), r.method(oursProfile)
	if r.Shape != baseShape || first == nil || spreadOf(mine, cpu).median == 0 {
		return
	}
	share := func(during time.Duration) (snapshots int, percent float64) {
		n, spent := governed(r.Size, spreadOf(first, cpu).median, mine, during)
		return n, 100 * spent.Seconds() / during.Seconds()
	}
	snapshots, percent := share(10 * time.Minute)
	inHours, percentInHours := share(10 * time.Hour)
	c.judge(percent <= 100*budget, "share of a core in the first ten minutes", r.scenario,
		"%.2f %%, at most %.2f %%; %d snapshots; in ten hours %.2f %%, a snapshot every %.0f s",
		percent, 100*budget, snapshots, percentInHours, (10*time.Hour).Seconds()/float64(inHours))
}

// governed replays a process with the default budget and interval, at a speed
// of its own: each snapshot uses the CPU time of one that was measured, in turns.
func governed(goroutines int, firstCPU time.Duration, mine *measured, during time.Duration) (snapshots int, spent time.Duration) {
	const interval = 15 * time.Second
	began := time.Time{}.Add(time.Hour)
	g := capture.NewGovernor(capture.Budget{CPU: budget, Pause: 10 * time.Millisecond}, began)
	for now := began; now.Sub(began) < during; now = now.Add(interval) {
		source, cost := goroutine.SourceProfile, firstCPU
		if snapshots > 0 {
			s := mine.Samples[snapshots%len(mine.Samples)]
			source, cost = goroutine.SourceTrace, s.CPU
		}
		if g.Allow(source, goroutines, now) == nil {
			g.Spent(source, goroutines, cost, now)
			snapshots++
			spent += cost
		}
	}
	return snapshots, spent
}

// slope compares what one goroutine costs at different sizes.
func (c *checks) slope(bySize []*result) {
	var last *result
	for _, r := range bySize {
		if r.Size < leastGrown || r.method(ours) == nil {
			continue
		}
		if last != nil && last.Size < r.Size {
			few, many := last.perGoroutine(ours), r.perGoroutine(ours)
			c.judge(many/few <= mostGrowth, "cost of one goroutine", fmt.Sprintf("%s against %s", r.scenario, lab.Thousands(last.Size)),
				"%.2f, at most %.2f; %.0f ns and %.0f ns", many/few, mostGrowth, many, few)
		}
		last = r
	}
}

// reading compares a collection of our metrics beside fewest goroutines with
// one beside most.
func (c *checks) reading(bySize []*result) {
	if len(bySize) < 2 {
		return
	}
	small, large := bySize[0], bySize[len(bySize)-1]
	few, many := small.method(readOurs), large.method(readOurs)
	if few == nil || many == nil {
		return
	}
	least, most := spreadOf(few, wall).median, spreadOf(many, wall).median
	x := float64(most) / float64(max(least, 1))
	c.judge(x <= mostReading, "a collection of our metrics", fmt.Sprintf("beside %s goroutines against %s", lab.Thousands(large.Size), lab.Thousands(small.Size)),
		"%.2f, at most %.2f; %s and %s", x, mostReading, lab.Duration(most), lab.Duration(least))
}
