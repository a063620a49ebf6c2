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
	// tiny is a stop that nobody can tell from none: a goroutine that sleeps
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
	var all []lab.Verdict
	for i := range results {
		r := &results[i]
		if r.method(ours) == nil {
			continue
		}
		all = append(all, checkPeers(r)...)
		if r.Size < checkedSize {
			continue
		}
		all = append(all, checkTime(r)...)
		all = append(all, checkComplete(r), checkStop(r))
		all = append(all, checkAllocated(r)...)
		all = append(all, checkMemory(r)...)
		all = append(all, checkBudget(r)...)
	}
	all = append(all, checkSlope(bySize(results, baseShape, false))...)
	return append(all, checkReading(bySize(results, readingShape, true))...)
}

func checkTime(r *result) []lab.Verdict {
	look := r.method(ours)
	var all []lab.Verdict
	if x, told := ratio(look, r.method(pprofParse), wall); told {
		all = append(all, lab.Judge(x.median <= mostOfPprof,
			fmt.Sprintf("time against %s, %s", pprofParse, r.scenario),
			fmt.Sprintf("%.2f (%s), at most %.2f (aim: %.2f)", x.median, between(x, lab.Digits), mostOfPprof, aimOfPprof)))
	}
	if x, told := ratio(look, r.method(textParse), wall); told {
		all = append(all, lab.Judge(x.median <= mostOfText,
			fmt.Sprintf("time against %s, %s", textParse, r.scenario),
			fmt.Sprintf("1/%.0f, at most 1/%.0f", 1/x.median, 1/mostOfText)))
	}
	return all
}

// checkPeers compares with everything else that gives stacks.
func checkPeers(r *result) []lab.Verdict {
	if r.Size < aheadFrom {
		return nil
	}
	return []lab.Verdict{
		r.ahead("time", wall, 0),
		r.ahead("longest stop", stop, tiny),
	}
}

// ahead judges the medians of a figure, and names those that are ahead of us
// or, when there is none, the one that comes closest. Ours is good enough up to
// a floor, whatever the others have.
func (r *result) ahead(what string, figure func(sample) time.Duration, floor time.Duration) lab.Verdict {
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
	v := lab.Judge(len(faster) == 0, fmt.Sprintf("ahead of every peer in %s, %s", what, r.scenario), show("ours", mine))
	if v.OK {
		v.Figures += "; next: " + next
	} else {
		v.Figures += "; behind " + strings.Join(faster, ", ")
	}
	return v
}

func checkComplete(r *result) lab.Verdict {
	look := r.method(ours)
	v := lab.Judge(true, fmt.Sprintf("every goroutine seen, %s", r.scenario), look.completeness())
	for _, s := range look.Samples {
		v.OK = v.OK && s.Seen >= s.Existing
	}
	return v
}

// checkStop shows what GoroutineProfile met as well: in a busy process most of
// a stop is the wait for threads that the system has put aside.
func checkStop(r *result) lab.Verdict {
	longest := spreadOf(r.method(ours), stop).most
	figures := fmt.Sprintf("%s, at most %s", lab.Duration(longest), lab.Duration(longestStop))
	if m := r.method(recordsAgain); m != nil {
		figures += fmt.Sprintf("; under GoroutineProfile: %s", lab.Duration(spreadOf(m, stop).most))
	}
	return lab.Judge(longest <= longestStop, fmt.Sprintf("longest stop of the world, %s", r.scenario), figures)
}

func checkAllocated(r *result) []lab.Verdict {
	tracer := r.method(tracerAlone)
	if tracer == nil {
		return nil
	}
	each := (spreadOf(r.method(ours), allocated).median - spreadOf(tracer, allocated).median) / int64(r.Size)
	return []lab.Verdict{lab.Judge(each <= mostAllocated,
		fmt.Sprintf("allocated beyond the runtime's tracer, %s", r.scenario),
		fmt.Sprintf("%d bytes a goroutine, at most %d", each, mostAllocated))}
}

// checkMemory compares the growth of the process with the trace.
func checkMemory(r *result) []lab.Verdict {
	tracer, look := r.method(tracerAlone), r.method(ours)
	if tracer == nil || !r.Large || spreadOf(look, memory).most == 0 {
		return nil
	}
	whole, without := spreadOf(look, memory).median, spreadOf(tracer, memory).median
	x := float64(whole-without) / float64(max(r.TraceBytes, 1))
	return []lab.Verdict{lab.Judge(x <= mostMemory,
		fmt.Sprintf("memory beyond the runtime's tracer, %s", r.scenario),
		fmt.Sprintf("%.1f times the trace, at most %.1f; the process grew by %s, by %s with the tracer alone; a trace has %s; largest process: %s",
			x, mostMemory, lab.Size(whole), lab.Size(without), lab.Size(r.TraceBytes), lab.Size(r.largest())))}
}

// largest returns the most memory that the process had.
func (r *result) largest() (most int64) {
	for _, m := range r.Methods {
		for _, s := range m.Samples {
			most = max(most, s.Peak)
		}
	}
	return most
}

// checkBudget asks the governor when it would allow the snapshots that were
// measured, and adds up what they cost.
func checkBudget(r *result) []lab.Verdict {
	look, first := r.method(ours), r.method(oursProfile)
	if r.Shape != baseShape || first == nil || spreadOf(look, cpu).median == 0 {
		return nil
	}
	looks, spent := governed(r.Size, spreadOf(first, cpu).median, look, 10*time.Minute)
	share := spent.Seconds() / (10 * time.Minute).Seconds()
	hours, spentInHours := governed(r.Size, spreadOf(first, cpu).median, look, 10*time.Hour)
	return []lab.Verdict{lab.Judge(share <= budget,
		fmt.Sprintf("share of a core in the first ten minutes, %s", r.scenario),
		fmt.Sprintf("%.2f %%, at most %.2f %%; %d looks; in ten hours %.2f %%, a look every %.0f s",
			100*share, 100*budget, looks, 100*spentInHours.Seconds()/(10*time.Hour).Seconds(), (10*time.Hour).Seconds()/float64(hours)))}
}

// governed replays a process with the default budget and interval, at a speed
// of its own: each look takes the time and the CPU time of one that was
// measured, in turns.
func governed(goroutines int, firstCPU time.Duration, look *measured, during time.Duration) (looks int, spent time.Duration) {
	const interval = 15 * time.Second
	began := time.Time{}.Add(time.Hour)
	g := capture.NewGovernor(capture.Budget{CPU: budget, Pause: 10 * time.Millisecond}, began)
	for now := began; now.Sub(began) < during; now = now.Add(interval) {
		source, took, cost := goroutine.SourceProfile, firstCPU, firstCPU
		if looks > 0 {
			s := look.Samples[looks%len(look.Samples)]
			source, took, cost = goroutine.SourceTrace, s.Wall, s.CPU
		}
		if g.Allow(source, goroutines, now) == nil {
			g.Spent(source, goroutines, took, now)
			looks++
			spent += cost
		}
	}
	return looks, spent
}

// checkSlope compares what one goroutine costs at different sizes.
func checkSlope(bySize []*result) []lab.Verdict {
	var all []lab.Verdict
	var last *result
	for _, r := range bySize {
		if r.Size < leastGrown || r.method(ours) == nil {
			continue
		}
		if last != nil && last.Size < r.Size {
			all = append(all, compareSlope(last, r))
		}
		last = r
	}
	return all
}

func compareSlope(small, large *result) lab.Verdict {
	few, many := each(small), each(large)
	x := many / few
	return lab.Judge(x <= mostGrowth,
		fmt.Sprintf("cost of one goroutine, %s against %s", large.scenario, lab.Thousands(small.Size)),
		fmt.Sprintf("%.2f, at most %.2f; %.0f ns and %.0f ns", x, mostGrowth, many, few))
}

func each(r *result) float64 {
	return float64(spreadOf(r.method(ours), wall).median) / float64(r.Size)
}

// checkReading compares a collection of our metrics beside fewest goroutines
// with one beside most.
func checkReading(bySize []*result) []lab.Verdict {
	if len(bySize) < 2 {
		return nil
	}
	small, large := bySize[0], bySize[len(bySize)-1]
	few, many := small.method(readOurs), large.method(readOurs)
	if few == nil || many == nil {
		return nil
	}
	least, most := spreadOf(few, wall).median, spreadOf(many, wall).median
	x := float64(most) / float64(max(least, 1))
	return []lab.Verdict{lab.Judge(x <= mostReading,
		fmt.Sprintf("a collection of our metrics, beside %s goroutines against %s", lab.Thousands(large.Size), lab.Thousands(small.Size)),
		fmt.Sprintf("%.2f, at most %.2f; %s and %s", x, mostReading, lab.Duration(most), lab.Duration(least)))}
}
