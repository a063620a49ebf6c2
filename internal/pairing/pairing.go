// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package pairing tells from how goroutines came whether two growths of goroutines
// are one: what comes together has a common cause. It knows nothing of stacks or
// detectors.
package pairing

import (
	"math"
	"slices"
	"time"
)

const (
	// maxBand is how far, in goroutines, the course of a growth may depart from its
	// share of two growths. It bounds the cost of [Course.apart]; growths that depart
	// further do not come together.
	maxBand = 16
	// bandSteps is how many positions of a band [Course.apart] tries.
	bandSteps = 4
	// perPart is how many goroutines [Course.evenness] has in a part on average: too few
	// do not tell a ticker from chance, too many make few parts.
	perPart = 4
	// maxOffset is how far apart the IDs of two goroutines may be that are made at one
	// moment: the runtime hands IDs to a P in batches of that many.
	maxOffset = 16

	// byChance is the highest probability with which two unrelated growths are taken
	// for one, for each comparison.
	byChance = 1e-4
	// byChanceRelated is the same for growths of which the code shows that they have
	// to do with each other: the numbers must only not contradict it.
	byChanceRelated = 1e-2
)

// Arrivals are how the goroutines of a place came: by the time when they were born,
// and by that when they were first at the place. The latter is better for
// goroutines that did other things before, such as those of connections.
type Arrivals struct {
	Births, Sights Course
	IDs            []uint64 // the lowest, rising
}

// Together reports whether the goroutines of two places came together: by births, by
// sights, or by IDs in either order. Each of these four comparisons takes two unrelated
// growths for one with a probability of at most 1e-4. related says that the code shows
// that they have to do with each other; then it is 1e-2, for births and for sights.
func (a *Arrivals) Together(b *Arrivals, related bool) bool {
	births, sights := a.Births.apart(b.Births), a.Sights.apart(b.Sights)
	if related && min(births, sights) <= math.Log(byChanceRelated) {
		return true
	}
	births *= (a.Births.evenness() + b.Births.evenness()) / 2
	sights *= (a.Sights.evenness() + b.Sights.evenness()) / 2
	return min(births, sights, inStep(a.IDs, b.IDs), inStep(b.IDs, a.IDs)) <= math.Log(byChance)
}

// A Course is how the number of goroutines at a place grew: how many came in each
// of several spans of time, oldest first. Two courses that are compared have the
// same spans. What was there before the first span counts as its arrivals.
type Course struct {
	Came []int
	Ends []time.Time // of the spans, rising
}

// Total returns how many came in all spans.
func (c Course) Total() (n int) {
	for _, k := range c.Came {
		n += k
	}
	return n
}

// Settled turns a course of the numbers that were at a place into one of those that
// came and have stayed: as far as no later span has fewer. The last spans, of which
// passing are left out, may hold what is about to leave.
func (c Course) Settled(passing int) Course {
	for k := len(c.Came) - 2; k >= 0; k-- {
		c.Came[k] = min(c.Came[k], c.Came[k+1])
	}
	for k := len(c.Came) - 1; k > 0; k-- {
		c.Came[k] -= c.Came[k-1]
	}
	n := max(0, len(c.Came)-passing)
	return Course{c.Came[:n], c.Ends[:n]}
}

// apart returns the logarithm of the probability that two growths which have
// nothing to do with each other would stay as close together as c and d do; 0 when
// they are not close.
//
// Growths of independent causes come in any order, however the load changes: each
// order of all arrivals is equally likely. The departure of one from its share of
// both is then a random walk that begins and ends at 0. The probability that it
// stays in a band is exact; a walk of the observed range lies within one of
// bandSteps+1 bands that are a quarter wider, so that the sum is an upper bound.
// Bursts make it smaller than that. Arrivals that are more even than chance, as
// those of a ticker, make it greater: see [Course.evenness].
func (c Course) apart(d Course) float64 {
	rare, total := c, c.Total()+d.Total()
	if d.Total() < c.Total() {
		rare = d
	}
	if rare.Total() == 0 {
		return 0
	}
	share := float64(rare.Total()) / float64(total)
	low, high, n, of := 0.0, 0.0, 0, 0
	for k := range c.Came {
		n, of = n+rare.Came[k], of+c.Came[k]+d.Came[k]
		at := float64(n) - share*float64(of)
		low, high = min(low, at), max(high, at)
	}
	width := high - low
	if variance := float64(total) * share * (1 - share); width > maxBand || 2*width*width > variance {
		return 0
	}
	both := make([]int, len(c.Came))
	for k := range both {
		both[k] = c.Came[k] + d.Came[k]
	}
	sum := 0.0
	for i := range bandSteps + 1 {
		begin := -width * float64(i) / bandSteps
		sum += math.Exp(stays(both, rare.Total(), begin, begin+width*(1+1.0/bandSteps)))
	}
	return min(0, math.Log(sum))
}

// stays returns the logarithm of the probability that, if n of the arrivals of
// several spans are chosen at random, the number chosen up to the end of each span
// is between low and high goroutines from its share.
func stays(arrivals []int, n int, low, high float64) float64 {
	total := 0
	for _, k := range arrivals {
		total += k
	}
	first, ways, scale, of := 0, []float64{1}, 0.0, 0 // ways[i]: to have chosen first+i
	for _, came := range arrivals {
		of += came
		share := float64(n) * float64(of) / float64(total)
		from, to := max(0, int(math.Ceil(share+low-1e-9))), min(n, int(math.Floor(share+high+1e-9)))
		if from > to {
			return math.Inf(-1)
		}
		next := make([]float64, to-from+1)
		least := from - (first + len(ways) - 1) // that may have been chosen in this span
		choices, most := choicesOf(came, least, to-first)
		for i := range next {
			for k, w := range ways {
				next[i] += w * choices[from+i-first-k-least]
			}
		}
		largest := slices.Max(next)
		if largest == 0 {
			return math.Inf(-1)
		}
		for i := range next {
			next[i] /= largest
		}
		first, ways, scale = from, next, scale+math.Log(largest)+most
	}
	if n < first || n >= first+len(ways) {
		return math.Inf(-1)
	}
	return math.Log(ways[n-first]) + scale - logChoose(total, n)
}

// choicesOf returns in how many ways from, from+1, … to of n goroutines can be
// chosen, as shares of the largest of these numbers, and the logarithm of that.
func choicesOf(n, from, to int) (all []float64, most float64) {
	all, most = make([]float64, to-from+1), math.Inf(-1)
	for i := range all {
		k := from + i
		switch {
		case i == 0 || k <= 0 || k > n:
			all[i] = logChoose(n, k)
		default:
			all[i] = all[i-1] + math.Log(float64(n-k+1)/float64(k))
		}
		most = max(most, all[i])
	}
	if math.IsInf(most, -1) {
		most = 0 // there is none
	}
	for i := range all {
		all[i] = math.Exp(all[i] - most)
	}
	return all, most
}

func logChoose(n, k int) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	return logFactorial(n) - logFactorial(k) - logFactorial(n-k)
}

func logFactorial(n int) float64 {
	f, _ := math.Lgamma(float64(n) + 1)
	return f
}

// evenness returns the variance of the arrivals in parts of the course, as a share
// of what it would be if they came at random: near 0 for those of a ticker, at most
// 1. Each part is compared with its neighbours on both sides, so that a load that
// comes and goes does not hide that arrivals are even.
func (c Course) evenness() float64 {
	parts := c.parts(c.Total() / perPart)
	if len(parts) < 3 {
		return 0
	}
	observed, expected := 0.0, 0.0
	for i := range parts[2:] {
		p, q, r := parts[i], parts[i+1], parts[i+2]
		d := p.rate() - 2*q.rate() + r.rate()
		observed += d * d / (1/p.seconds + 4/q.seconds + 1/r.seconds)
		expected += float64(p.came+q.came+r.came) / (p.seconds + q.seconds + r.seconds)
	}
	if expected == 0 {
		return 0
	}
	return min(1, observed/expected)
}

// A stretch is a part of a course.
type stretch struct {
	came    int
	seconds float64
}

func (s stretch) rate() float64 { return float64(s.came) / s.seconds }

// parts divides the course, without its first span, the beginning of which is not
// known, into up to n parts of about the same length.
func (c Course) parts(n int) (all []stretch) {
	if n < 2 || len(c.Ends) < 3 {
		return nil
	}
	begin, last := c.Ends[0], c.Ends[len(c.Ends)-1]
	length, came := last.Sub(begin)/time.Duration(n), 0
	for k := 1; k < len(c.Came); k++ {
		came += c.Came[k]
		if d := c.Ends[k].Sub(begin); d > 0 && d >= length {
			all = append(all, stretch{came, d.Seconds()})
			begin, came = c.Ends[k], 0
		}
	}
	return all
}

// inStep returns the logarithm of the probability that so many of the IDs of one
// list, up to the last of another, would have an ID of the other at the same
// distance if the lists had nothing to do with each other; 0 when few have. What
// one function starts at once has neighbouring IDs, time and again. IDs that follow
// each other are one time: they come from one loop, which may be beside another once.
func inStep(these, those []uint64) float64 {
	these = firsts(these)
	if len(these) > 0 { // what is older is not beside them, and may be much older
		older, _ := slices.BinarySearch(those, max(these[0], maxOffset)-maxOffset)
		those = those[older:]
	}
	if len(those) < 2 {
		return 0
	}
	last := those[len(those)-1]
	n, _ := slices.BinarySearch(these, last+maxOffset)
	these = these[:n]
	density := float64(len(those)-1) / float64(last-those[0])
	most := 0
	for offset := -maxOffset; offset <= maxOffset; offset++ {
		m := 0
		for _, id := range these {
			if _, ok := slices.BinarySearch(those, id+uint64(offset)); ok && offset != 0 {
				m++
			}
		}
		most = max(most, m)
	}
	if density >= 1 || 2*most <= n {
		return 0
	}
	sum := 0.0
	for m := most; m <= n; m++ {
		sum += math.Exp(logChoose(n, m) + float64(m)*math.Log(density))
	}
	return min(0, math.Log(2*maxOffset*sum))
}

// firsts returns the first ID of each run of IDs that follow each other.
func firsts(ids []uint64) (all []uint64) {
	for i, id := range ids {
		if i == 0 || id-ids[i-1] > 1 {
			all = append(all, id)
		}
	}
	return all
}
