package main

import (
	"fmt"
	"math"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// What is promised.
const (
	checkedParked = 10_000 // goroutines beside the server
	mostCost      = 0.01   // of throughput and p99
)

// check judges what was measured. What was not measured is not judged.
func check(scenarios []scenario) []lab.Verdict {
	var all []lab.Verdict
	for i := range scenarios {
		s := &scenarios[i]
		if s.Parked == checkedParked {
			for _, load := range loadNames {
				all = append(all, s.checkCost(load, "throughput", throughput, -1)...)
				all = append(all, s.checkCost(load, "p99", p99, +1)...)
			}
		}
	}
	return append(all, checkSound(scenarios)...)
}

// checkCost compares the median of the ratios to off with what is allowed: 1 %,
// or, where that is more, the furthest that off again was from off in any
// round. Worse is the direction in which a figure gets worse.
func (s *scenario) checkCost(load, name string, f figure, worse float64) []lab.Verdict {
	ratios, chance := s.ratios(load, on, f), s.ratios(load, offAgain, f)
	if len(ratios) == 0 || len(chance) == 0 {
		return nil
	}
	spread := furthest(chance)
	cost := worse * (median(ratios) - 1)
	return []lab.Verdict{lab.Judge(cost <= max(mostCost, spread),
		fmt.Sprintf("%s with defaults, %s, %s parked", name, load, lab.Thousands(s.Parked)),
		fmt.Sprintf("%s of off (median of %d rounds); allowed: %.1f %% worse, or as far as off again was from off, %.2f %%",
			ratio(median(ratios)), len(ratios), 100*mostCost, 100*spread))}
}

// furthest returns how far a ratio is from 1 at most.
func furthest(ratios []float64) (most float64) {
	for _, r := range ratios {
		most = max(most, math.Abs(r-1))
	}
	return most
}

// checkSound checks that every run measured what it was to measure.
func checkSound(scenarios []scenario) []lab.Verdict {
	runs, failed, looking, looked, least := 0, 0, 0, 0, math.MaxInt
	for i := range scenarios {
		for j := range scenarios[i].Runs {
			m := &scenarios[i].Runs[j]
			runs++
			if m.Errors > 0 || len(m.Troubles) > 0 {
				failed++
			}
			if source := regularLook[m.Variant]; source != "" {
				looking++
				least = min(least, m.Looks[source])
				if m.Looks[source] > 0 {
					looked++
				}
			}
		}
	}
	var all []lab.Verdict
	if runs > 0 {
		all = append(all, lab.Judge(failed == 0, "every request answered, no trouble with telemetry",
			fmt.Sprintf("%d of %d runs", runs-failed, runs)))
	}
	if looking > 0 {
		all = append(all, lab.Judge(looked == looking, "a regular look of the monitor within the measured time",
			fmt.Sprintf("in %d of %d runs that have a monitor; %d at least", looked, looking, least)))
	}
	return all
}
