// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

import (
	"math/bits"
	"slices"
	"strings"
)

// point returns what is known of a goroutine that is in a call which returns to an
// address.
func (f *function) point(r *Reader, returns uintptr) Point {
	next := f.index(returns)
	from, h := []int{next}, held{}
	if next < len(f.held) {
		h = f.held[next]
	}
	p := Point{Read: true}
	if i := next - 1; i >= 0 && f.steps[i].next == returns {
		from, h = f.nexts(i), f.held[i]
		if f.steps[i].defers {
			h.sure = 0
		}
		if at := f.acquires(i); at >= 0 {
			p.Waits, h = f.sites[f.steps[at].site], f.held[at]
		}
	}
	p.Frees = h.freed
	p.Later, p.Again = f.later(r, from, returns)
	for k := h.n - 1; k >= 0; k-- {
		for sites := h.sites[k]; sites != 0; sites &= sites - 1 {
			i := bits.TrailingZeros64(sites)
			s := f.sites[i]
			s.Sure = h.sure&(1<<i) != 0 && !s.Helper && !f.jumpsAnywhere() && f.mayReleaseSite(from, i)
			if h.mixed {
				s.Address, s.Argument = 0, 0 // it may be the other
			}
			if !s.Helper || f.mayRelease(r, from, true) {
				p.Holds = append(p.Holds, s)
			}
		}
	}
	p.Hands = len(p.Holds) == 0 && p.Waits.Kind == AnyKind && f.mayRelease(r, from, false)
	return p
}

// acquires returns the step that acquires the lock for which a call waits: the call
// itself, or the atomic instruction in front of it; -1 if it waits for none.
func (f *function) acquires(i int) int {
	switch f.steps[i].effect {
	case acquire:
		if !f.sites[f.steps[i].site].Helper {
			return i
		}
	case slow:
		for k := i - 1; k >= 0; k-- {
			if s := &f.steps[k]; s.effect == acquire && s.lock.kind != Write {
				return k
			}
		}
	}
	return -1
}

// mayRelease reports whether a lock may be released in the steps that follow. With any, calls
// of computed functions may do so as well, and so may what is deferred; without,
// only what comes before the next acquire counts, and what is deferred by functions
// that acquire nothing.
func (f *function) mayRelease(r *Reader, from []int, any bool) bool {
	switch {
	case f.defers && any:
		return true
	case f.defers && len(f.sites) == 0:
		for _, d := range f.inner {
			if callee := r.callee(d); callee != nil && callee.releases(r, 1) {
				return true
			}
		}
	}
	return f.search(from, func(k int) (found, on bool) {
		s := &f.steps[k]
		return s.effect == release || any && s.effect == indirect, any || s.effect != acquire
	})
}

// jumpsAnywhere reports whether f jumps to addresses that it computes, so that there may
// be other ways to a point than those that are known.
func (f *function) jumpsAnywhere() bool {
	return slices.ContainsFunc(f.steps, func(s step) bool { return s.flow == computed })
}

// mayReleaseSite reports whether f may release the lock of a site in the steps that
// follow. If not, others may have done so meanwhile.
func (f *function) mayReleaseSite(from []int, site int) bool {
	return f.defers || f.search(from, func(k int) (found, on bool) {
		s := &f.steps[k]
		return s.effect == release && f.locks[site].like(s.lock) > 0, true
	})
}

// later returns what may be done in the steps that follow, but for the call that
// returns to an address, and what of it leads back there.
func (f *function) later(r *Reader, from []int, returns uintptr) (acts, again Acts) {
	f.search(from, func(k int) (found, on bool) {
		if does := f.acts(r, k, 1); does != 0 && f.steps[k].next != returns {
			acts |= does
			if does&^again != 0 && f.leads(k, returns) {
				again |= does
			}
		}
		return false, true
	})
	return acts | f.deferred(r, 1), again
}

// leads reports whether what follows step k may lead to the step at an address.
func (f *function) leads(k int, returns uintptr) bool {
	to := f.index(returns)
	return f.search(f.nexts(k), func(i int) (found, on bool) { return i == to, true })
}

// acts returns what step k does.
func (f *function) acts(r *Reader, k, depth int) Acts {
	s := &f.steps[k]
	if s.effect != direct || depth == 0 {
		return s.does
	}
	callee := r.callee(s.target)
	if callee == nil || callee == f {
		return s.does
	}
	return s.does | callee.all(r, depth-1)
}

// all returns what a function does anywhere.
func (f *function) all(r *Reader, depth int) (acts Acts) {
	for k := range f.steps {
		acts |= f.acts(r, k, depth)
	}
	return acts | f.deferred(r, depth)
}

// deferred returns what the functions do that the compiler made for deferred calls.
func (f *function) deferred(r *Reader, depth int) (acts Acts) {
	for _, d := range f.inner {
		if callee := r.callee(d); callee != nil && depth > 0 && strings.Contains(callee.name, ".deferwrap") {
			acts |= callee.all(r, depth-1)
		}
	}
	return acts
}

// search visits the steps that may follow, until one is found. Where each returns
// false for on, it does not go on.
func (f *function) search(from []int, each func(k int) (found, on bool)) bool {
	seen := make([]bool, len(f.steps))
	for stack := slices.Clone(from); len(stack) > 0; {
		k := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if k >= len(f.steps) || seen[k] {
			continue
		}
		seen[k] = true
		found, on := each(k)
		if found {
			return true
		}
		if on {
			stack = append(stack, f.nexts(k)...)
		}
	}
	return false
}

// returnsHolding reports whether f may return with a lock held that it acquired.
func (f *function) returnsHolding(r *Reader, depth int) bool {
	return f.decide(&f.leaves, func() bool {
		if !f.settle(r, depth) {
			return false
		}
		if f.defers && slices.ContainsFunc(f.inner, func(d uintptr) bool {
			callee := r.callee(d)
			return callee == nil || callee.releases(r, min(depth+1, maxDepth))
		}) {
			return false
		}
		for i := range f.steps {
			if f.steps[i].flow == exit && f.held[i].n > 0 {
				return true
			}
		}
		return false
	})
}

// releases reports whether f may release a lock that it did not acquire.
func (f *function) releases(r *Reader, depth int) bool {
	return f.decide(&f.frees, func() bool {
		if depth > maxDepth || !f.settle(r, depth) {
			return false
		}
		return f.search([]int{0}, func(k int) (found, on bool) {
			s := &f.steps[k]
			return s.effect == release, s.effect != acquire
		})
	})
}

// decide answers a question once. A function that calls itself is not asked again.
func (f *function) decide(v *verdict, answer func() bool) bool {
	if *v == unasked {
		*v = no
		if answer() {
			*v = yes
		}
	}
	return *v == yes
}
