// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// measured is a scenario of three rounds in which all variants are the same,
// but off again is off by 0.4 % in throughput and by 3 % in p99.
func measured() scenario {
	s := scenario{parked: checkedParked, rounds: 3, capacity: 2000, duration: 10 * time.Second}
	for round := range s.rounds {
		for _, load := range loads {
			for _, v := range variants {
				m := measurement{plan: plan{variant: v, load: load, round: round},
					loaded: loaded{requests: 10_000, elapsed: 10 * time.Second, throughput: 1000 + float64(round),
						p50: time.Millisecond, p99: 10 * time.Millisecond, p999: 20 * time.Millisecond, max: time.Second},
					consumption: consumption{CPU: time.Second, Peak: 2 << 20, Resident: 1 << 20, GCs: 7, Hits: 7000, Reads: 2500, Writes: 500}}
				if v.source != "" {
					m.snapshots, m.seen = 2, 10_020
				}
				if v.name == offAgain && round == 1 {
					m.throughput *= 1.004
					m.p99 = 9700 * time.Microsecond
				}
				s.runs = append(s.runs, m)
			}
		}
	}
	return s
}

func missed(all []lab.Verdict) bool {
	return slices.ContainsFunc(all, func(v lab.Verdict) bool { return !v.OK })
}

func TestChecksPassWhatIsGood(t *testing.T) {
	all := check([]scenario{measured()})
	assert.False(t, missed(all), "%v", all)
	assert.Len(t, all, 2*2+2, "throughput and p99 under two loads; errors; snapshots")
}

func TestEachCheckFindsItsFault(t *testing.T) {
	for fault, spoil := range map[string]func(m *measurement){
		"throughput with defaults, saturation": func(m *measurement) { m.throughput *= 0.985 },
		"p99 with defaults, saturation":        func(m *measurement) { m.p99 = m.p99 * 104 / 100 },
		"every request answered":               func(m *measurement) { m.errors = 1 },
		"a regular snapshot of the monitor":    func(m *measurement) { m.snapshots = 0 },
	} {
		t.Run(fault, func(t *testing.T) {
			s := measured()
			for round := range s.rounds {
				spoil(s.of(saturation, on, round))
			}
			var found []string
			for _, v := range check([]scenario{s}) {
				if !v.OK {
					found = append(found, v.String())
				}
			}
			require.Len(t, found, 1, "%v", found)
			assert.True(t, strings.HasPrefix(found[0], "MISS "+fault), found[0])
		})
	}
}

func TestWhatChanceDoesPasses(t *testing.T) {
	s := measured()
	for round := range s.rounds {
		s.of(steady, on, round).p99 = 10290 * time.Microsecond     // off again: 3 % in one round
		s.of(steady, on, round).throughput *= 0.992                // off again: 0.4 %; up to 1 % passes
		s.of(saturation, on, round).p99 = 5 * time.Millisecond     // better is never a fault
		s.of(saturation, on, round).throughput *= 1.5              //
		s.of(saturation, "naive", round).p99 = 50 * time.Second    // nor is what others do
		s.of(saturation, "contrib", round).throughput = float64(1) //
	}
	s.of(steady, on, 0).p99 = time.Second // one round does not make the median
	all := check([]scenario{s})
	assert.False(t, missed(all), "%v", all)
}

func TestOnlyWhatWasMeasuredIsJudged(t *testing.T) {
	s := measured()
	s.parked = 100
	assert.Len(t, check([]scenario{s}), 2, "the promise is about 10,000")
	assert.Empty(t, check([]scenario{{parked: checkedParked, rounds: 1}}))

	s = measured()
	var rest []measurement
	for _, m := range s.runs {
		if m.variant.name != offAgain {
			rest = append(rest, m)
		}
	}
	s.runs = rest
	assert.Len(t, check([]scenario{s}), 2, "there is nothing that tells what chance does")
}

func TestRatiosAreOfOneRound(t *testing.T) {
	s := measured()
	s.of(steady, off, 0).GCs = 0
	s.of(steady, on, 1).GCs = 14
	assert.Equal(t, []float64{2, 1}, s.ratios(steady, on, gcs), "no ratio to 0")
	assert.Equal(t, []float64{7, 14, 7}, s.values(steady, on, gcs))
	assert.Empty(t, s.ratios("none", on, gcs))
}

func TestMedianAndFurthest(t *testing.T) {
	assert.Equal(t, 3.0, median([]float64{9, 1, 3}))
	assert.Equal(t, 2.5, median([]float64{4, 1, 2, 3}))
	assert.Equal(t, 5.0, median([]float64{5}))
	assert.InDelta(t, 0.2, furthest([]float64{1.1, 0.8, 1}), 1e-9)
	assert.Zero(t, furthest(nil))
}

// spaces pad the cells of a table.
var spaces = regexp.MustCompile(` +`)

func TestTables(t *testing.T) {
	s := measured()
	s.of(steady, "naive", 2).seen = 900
	r := report{machine: lab.Machine{Go: "go1", System: "x/y", Cores: 2, CPU: "Z80", Modules: map[string]string{"b": "v2", "a": "v1"}},
		began: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), took: time.Minute, command: "go run -C bench ./service", seed: 7, scenarios: []scenario{s}}
	var b strings.Builder
	require.NoError(t, r.print(&b))
	for _, want := range []string{
		"24 November 2026, go1, x/y, 2 cores, Z80, a v1, b v2, 1m0s of\n\n    go run -C bench ./service\n\nwith seed 7.",
		"- PASS p99 with defaults, steady, 10,000 parked: 1.000 of off (median of 3 rounds); at most 1.0 % worse, or as far as off again was from off, 3.00 %\n",
		"the server bears 2,000 requests a second; the steady load is 1,000.",
		"70 % answered from the cache, 25 % read from SQLite, 5 % written to it.",
		"| p99 | 10.0 ms (10.0 ms–10.0 ms) | 10.0 ms (9.70 ms–10.0 ms) **× 1.000** |",
		"| CPU a request | 100 µs (100 µs–100 µs) |",
		"| snapshots | – | – | trace: 2 | collection: 2 | dump: 2 |",
		"| goroutines seen | – | – | 10,020 | 10,020 | 900–10,020 |",
	} {
		assert.Contains(t, spaces.ReplaceAllString(b.String(), " "), spaces.ReplaceAllString(want, " "))
	}
}

func TestWhatCannotBeMeasuredIsADash(t *testing.T) {
	assert.Equal(t, "–", size(0))
	assert.Equal(t, "–", seconds(0))
	assert.Equal(t, "1.50 MiB", size(1.5*(1<<20)))
	assert.Equal(t, "12.3 µs", lab.Duration(12345))
	assert.Equal(t, "61.0 s", lab.Duration(61*time.Second))
	assert.Equal(t, "1,234,567", lab.Thousands(1234567))
}
