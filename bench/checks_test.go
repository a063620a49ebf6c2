// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// read returns a collection of our metrics that takes so long.
func read(n int, took time.Duration) result {
	return result{
		scenario: scenario{Shape: readingShape, Size: n, Reading: true},
		Methods:  []measured{{Name: readOurs, Samples: []sample{{Wall: took}}}},
	}
}

// good returns a result that keeps every promise.
func good(n int) result {
	per := func(ns, seen int) []sample {
		d := time.Duration(ns * n)
		return []sample{{Wall: d, CPU: d * 4 / 3, Stop: 100 * time.Microsecond, Allocated: int64(ns/10) * int64(n), Memory: int64(ns/5) * int64(n), Seen: seen, Existing: n + 3}}
	}
	return result{
		scenario: scenario{Shape: baseShape, Size: n}, TraceBytes: int64(20 * n),
		Methods: []measured{
			{Name: ours, Samples: per(1300, n+3)},
			{Name: pprofParse, Samples: per(2600, n+3)},
			{Name: oursProfile, Samples: per(1600, n+3)},
			{Name: records, Samples: per(1500, n+3)},
			{Name: tracerAlone, Samples: per(1100, notCounted)},
			{Name: textParse, Samples: per(58000, n*8/10)},
		},
	}
}

func missed(all []lab.Verdict) bool {
	return slices.ContainsFunc(all, func(v lab.Verdict) bool { return !v.OK })
}

func TestChecksPassWhatIsGood(t *testing.T) {
	small, large := good(100_000), good(1_000_000)
	large.Large = true
	all := check([]result{good(1000), read(1000, 20*time.Microsecond), good(10_000), small, large, read(1_000_000, 40*time.Microsecond)})
	assert.False(t, missed(all), "%v", all)
	assert.Len(t, all, 2+8+9+2+1, "with memory at -large, two slopes, and the reading")
}

func TestEachCheckFindsItsFault(t *testing.T) {
	for fault, tt := range map[string]struct {
		also  string // another check that finds it
		spoil func(r *result)
	}{
		"time against pprof debug=0":          {"ahead of every peer in time", func(r *result) { r.method(pprofParse).Samples[0].Wall /= 3 }},
		"time against pprof debug=2":          {"", func(r *result) { r.method(textParse).Samples[0].Wall /= 6 }},
		"ahead of every peer in time":         {"", func(r *result) { r.method(records).Samples[0].Wall /= 2 }},
		"ahead of every peer in longest stop": {"", func(r *result) { r.method(ours).Samples[0].Stop = 2 * tiny }},
		"every goroutine":                     {"", func(r *result) { r.method(ours).Samples[0].Seen-- }},
		"longest stop":                        {"ahead of every peer in longest stop", func(r *result) { r.method(ours).Samples[0].Stop = time.Millisecond }},
		"allocated beyond":                    {"", func(r *result) { r.method(ours).Samples[0].Allocated *= 2 }},
		"memory beyond":                       {"", func(r *result) { r.method(ours).Samples[0].Memory *= 2 }},
		"share of a core":                     {"", func(r *result) { r.method(oursProfile).Samples[0].CPU = time.Minute }},
		"cost of one goroutine": {"", func(r *result) {
			for i := range r.Methods {
				r.Methods[i].Samples[0].Wall *= 2
			}
		}},
	} {
		t.Run(fault, func(t *testing.T) {
			r := good(1_000_000)
			r.Large = true
			tt.spoil(&r)
			var found []string
			for _, v := range check([]result{good(100_000), r}) {
				if !v.OK {
					found = append(found, v.What)
				}
			}
			require.NotEmpty(t, found)
			for _, what := range found {
				assert.True(t, strings.HasPrefix(what, fault) || tt.also != "" && strings.HasPrefix(what, tt.also), what)
			}
			assert.Condition(t, func() bool {
				return slices.ContainsFunc(found, func(what string) bool { return strings.HasPrefix(what, fault) })
			}, "%v", found)
		})
	}
}

func TestPeersThatAreAheadAreNamed(t *testing.T) {
	r := good(10_000)
	ahead := func(floor time.Duration) lab.Verdict {
		var c checks
		c.ahead(&r, "time", wall, floor)
		return c[0]
	}
	assert.Equal(t, "ours 13.0 ms (13.0 ms–13.0 ms); next: GoroutineProfile, fresh 15.0 ms (15.0 ms–15.0 ms)", ahead(0).Figures)
	r.method(records).Samples[0].Wall = time.Millisecond
	assert.Equal(t, "ours 13.0 ms (13.0 ms–13.0 ms); behind GoroutineProfile, fresh 1.00 ms (1.00 ms–1.00 ms)", ahead(0).Figures)
	assert.True(t, ahead(13*time.Millisecond).OK, "ours is at the floor")
	r.Size = 1000
	assert.Empty(t, check([]result{r}), "small ones are not compared")
}

func TestAReadingThatGrowsWithGoroutinesIsFound(t *testing.T) {
	all := check([]result{read(1_000_000, time.Millisecond), read(1000, 20*time.Microsecond)})
	require.Len(t, all, 1)
	assert.False(t, all[0].OK)
	assert.Equal(t, "MISS a collection of our metrics, beside 1,000,000 goroutines against 1,000: 50.00, at most 3.00; 1.00 ms and 20.0 µs", all[0].String())
	assert.Empty(t, check([]result{read(1000, time.Millisecond)}), "there is nothing to compare with")
}

func TestTheBudgetHoldsAtAnyNumberOfGoroutines(t *testing.T) {
	for _, n := range []int{100, 10_000, 100_000, 1_000_000, 10_000_000} {
		r := good(n)
		snapshots, spent := governed(n, r.method(oursProfile).Samples[0].CPU, r.method(ours), 100*time.Hour)
		assert.Positive(t, snapshots)
		assert.LessOrEqual(t, spent.Seconds(), budget*(100*time.Hour).Seconds(), "%d goroutines", n)
	}
}
