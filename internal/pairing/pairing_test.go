// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pairing

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A rhythm is how goroutines come: it returns the minutes from a time to the next.
type rhythm func(r *rand.Rand, at float64) float64

// nth comes with every nth of some requests a minute, which come at random.
func nth(n int, perMinute float64) rhythm {
	return func(r *rand.Rand, _ float64) (d float64) {
		for range n {
			d += r.ExpFloat64() / perMinute
		}
		return d
	}
}

// tides is nth with a number of requests that comes and goes within the hour.
func tides(n int, perMinute float64) rhythm {
	return func(r *rand.Rand, at float64) (d float64) {
		for n := n; n > 0; {
			d += r.ExpFloat64() / (2 * perMinute)
			if r.Float64() < (1+math.Sin((at+d)/10))/2 {
				n--
			}
		}
		return d
	}
}

// tickers come at equal distances, or nearly.
func tickers(minutes, jitter float64) rhythm {
	return func(r *rand.Rand, _ float64) float64 { return minutes * (1 + jitter*(r.Float64()-0.5)) }
}

// during returns when goroutines come within some minutes.
func (f rhythm) during(minutes float64, r *rand.Rand) (at []float64) {
	for t := f(r, 0) * r.Float64(); t < minutes; t += f(r, t) {
		at = append(at, t)
	}
	return at
}

// after returns the times a little later, up to some minutes.
func after(at []float64, most float64, r *rand.Rand) []float64 {
	later := slices.Clone(at)
	for i := range later {
		later[i] += most * r.Float64()
	}
	return later
}

// seen returns the course of what came at some times, in snapshots a quarter of
// a minute apart in the newest two minutes and rarer before, as in a history.
func seen(minutes float64, times ...[]float64) Course {
	var ends []float64
	for age := 0.0; age < minutes; age += max(0.25, age/8) {
		ends = append(ends, minutes-age)
	}
	slices.Reverse(ends)
	c := Course{Came: make([]int, len(ends))}
	for _, e := range ends {
		c.Ends = append(c.Ends, time.Unix(0, int64(e*float64(time.Minute))))
	}
	for _, t := range slices.Concat(times...) {
		if k, _ := slices.BinarySearch(ends, t); k < len(ends) {
			c.Came[k]++
		}
	}
	return c
}

// one reports what two courses alone tell.
func (c Course) one(d Course, kin bool) bool {
	return (&Arrivals{Births: c}).Together(&Arrivals{Births: d}, kin)
}

// TestUnrelatedGrowthsAreTwo has growths that begin in the same minute, at similar rates
// or under the same load. None of 60 pairs of each kind is taken for one. That is too few
// to measure a probability of 1e-4: a hundred times as much shows, ten times does not.
func TestUnrelatedGrowthsAreTwo(t *testing.T) {
	const seeds = 60
	for name, f := range map[string][2]rhythm{
		"at random":             {nth(1, 1), nth(1, 1)},
		"slowly":                {nth(1, 0.4), nth(1, 0.4)},
		"fast":                  {nth(1, 10), nth(1, 10)},
		"one is faster":         {nth(1, 1), nth(1, 3)},
		"every fourth request":  {nth(4, 4), nth(4, 4)},
		"every tenth request":   {nth(10, 100), nth(10, 100)},
		"under one load":        {tides(1, 1), tides(1, 1)},
		"under one high load":   {tides(1, 10), tides(1, 10)},
		"tickers":               {tickers(1, 0), tickers(1, 0)},
		"tickers of two kinds":  {tickers(0.5, 0), tickers(1, 0)},
		"jobs":                  {tickers(1, 0.4), tickers(1, 0.4)},
		"a ticker and requests": {tickers(1, 0), nth(1, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			one, kin := 0, 0
			for seed := range uint64(seeds) {
				r := rand.New(rand.NewPCG(seed, 1))
				a, b := seen(60, f[0].during(60, r)), seen(60, f[1].during(60, r))
				if a.one(b, false) {
					one++
				}
				if a.one(b, true) {
					kin++
				}
			}
			assert.Zero(t, one)
			if name == "at random" {
				assert.LessOrEqual(t, kin, 1, "of 60, if the code relates them")
			}
		})
	}
}

// TestWhatComesTogetherIsOne has growths of which each goroutine comes with some of
// the other, up to twelve seconds later.
func TestWhatComesTogetherIsOne(t *testing.T) {
	const seeds = 40
	for name, tc := range map[string]struct {
		of         rhythm
		each       int // of one growth for each of the other
		kin        bool
		recognized float64
	}{
		"an hour at one a minute":   {nth(1, 1), 1, false, 0.4},
		"the code relates them":     {nth(1, 1), 1, true, 0.95},
		"ten a minute":              {nth(1, 10), 1, false, 0.9},
		"four for each":             {nth(1, 3), 4, false, 0.9},
		"under a load":              {tides(1, 10), 1, false, 0.6},
		"every fourth, related":     {nth(4, 4), 1, true, 0.95},
		"in the rhythm of a ticker": {tickers(1, 0), 1, true, 0.95},
		"a ticker proves nothing":   {tickers(1, 0), 1, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for seed := range uint64(seeds) {
				r := rand.New(rand.NewPCG(seed, 2))
				at := tc.of.during(60, r)
				var others [][]float64
				for range tc.each {
					others = append(others, after(at, 0.2, r))
				}
				if seen(60, at).one(seen(60, others...), tc.kin) {
					n++
				}
			}
			t.Logf("%d of %d", n, seeds)
			assert.GreaterOrEqual(t, float64(n), tc.recognized*seeds)
			if tc.recognized == 0 {
				assert.Zero(t, n)
			}
		})
	}
}

// TestTheProbabilityIsThatOfAllOrders compares it with a count of all orders of four
// and four arrivals, of which one is seen in each span.
func TestTheProbabilityIsThatOfAllOrders(t *testing.T) {
	arrivals := []int{1, 1, 1, 1, 1, 1, 1, 1}
	for _, width := range []float64{1, 1.5, 2, 5} {
		within, all := 0, 0
		for bits := range 1 << 8 {
			n, low, high := 0, 0.0, 0.0
			for k := range 8 {
				n += bits >> k & 1
				at := float64(n) - float64(k+1)/2
				low, high = min(low, at), max(high, at)
			}
			if n != 4 {
				continue
			}
			all++
			if low >= -width && high <= width {
				within++
			}
		}
		assert.InDelta(t, float64(within)/float64(all), math.Exp(stays(arrivals, 4, -width, width)), 1e-9, "%v", width)
	}
	assert.True(t, math.IsInf(stays([]int{4, 4}, 4, 0.5, 1), -1), "the walk ends at 0")
}

func TestACourseWithoutArrivals(t *testing.T) {
	none, some := seen(60), seen(60, []float64{1, 2, 3})
	assert.Zero(t, none.apart(none))
	assert.Zero(t, none.apart(some))
	assert.Zero(t, some.apart(none))
	assert.Zero(t, Course{}.apart(Course{}))
	assert.Zero(t, Course{}.evenness())
	assert.Zero(t, some.evenness(), "too few to tell")
	huge := Course{Came: []int{1 << 20, 1 << 20}, Ends: some.Ends[:2]}
	assert.LessOrEqual(t, huge.apart(huge), 0.0)
}

func TestIDsInStep(t *testing.T) {
	ids := func(first, step uint64, n int) (all []uint64) {
		for i := range n {
			all = append(all, first+step*uint64(i))
		}
		return all
	}
	limit := math.Log(byChance)
	irregular := []uint64{31, 44, 54, 78, 91, 99, 112, 150, 168, 181}
	next := make([]uint64, len(irregular))
	for i, id := range irregular {
		next[i] = id + 1
	}
	for name, tc := range map[string]struct {
		a, b []uint64
		one  bool
	}{
		"made at once":          {irregular, next, true},
		"and turned":            {next, irregular, true},
		"nothing else is made":  {ids(1, 2, 10), ids(2, 2, 10), false},
		"far apart":             {irregular, ids(1000, 13, 10), false},
		"at other distances":    {irregular, []uint64{35, 47, 62, 80, 97, 101, 119, 155, 170, 190}, false},
		"too few":               {irregular[:3], next[:3], false},
		"one":                   {irregular[:1], next[:1], false},
		"none":                  {nil, nil, false},
		"one loop and another":  {[]uint64{633, 634, 635, 636, 637}, []uint64{225, 638, 639, 640, 641, 642, 643, 644, 645, 652}, false},
		"and turned about":      {[]uint64{225, 638, 639, 640, 641, 642, 643, 644, 645, 652}, []uint64{633, 634, 635, 636, 637}, false},
		"two at once each time": {[]uint64{31, 32, 54, 55, 91, 92, 112, 113, 168, 169}, []uint64{33, 34, 56, 57, 93, 94, 114, 115, 170, 171}, true},
		"the oldest came alone": {append([]uint64{3, 9}, irregular[:8]...), next[:8], true},
	} {
		assert.Equal(t, tc.one, inStep(tc.a, tc.b) <= limit, name)
	}
}
