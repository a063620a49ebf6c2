// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lockcode

import "math/bits"

// held is what may be held before a step: a stack of locks, for each of which
// there may be several sites that acquired it, by bit. It is the deepest stack that
// any path leads to.
type held struct {
	reached bool
	n       int
	sites   [maxHeld]uint64
	sure    uint64 // the sites whose locks are held on every path
	freed   bool   // a lock may have been released that none of the sites acquired
	mixed   bool   // it is not known which of several locks was released
}

// join returns what may be held where two paths meet.
func (h held) join(o held) held {
	switch {
	case !h.reached:
		return o
	case !o.reached:
		return h
	}
	h.sure, h.freed, h.mixed = h.sure&o.sure, h.freed || o.freed, h.mixed || o.mixed
	h.n = max(h.n, o.n)
	for i := range h.sites {
		h.sites[i] |= o.sites[i]
	}
	return h
}

// push returns h with one more lock. The last one of too many is not told apart.
func (h held) push(site int, maybe bool) held {
	if h.sure |= 1 << site; maybe {
		h.sure &^= 1 << site
	}
	if h.n < maxHeld {
		h.n++
	}
	h.sites[h.n-1] |= 1 << site
	return h
}

// pop returns h without the lock that is released: that for which most speaks, the
// one acquired last among equals. What was not acquired is not released.
func (f *function) pop(h held, l lock) held {
	h = f.lose(h, l)
	best, found := 0, -1
	for i := h.n - 1; i >= 0; i-- {
		if like := f.like(h.sites[i], l); like > best {
			best, found = like, i
		}
	}
	h.freed = h.freed || best < 2
	if found < 0 {
		return h
	}
	h.mixed = h.n > 1 && (h.mixed || best < 3)
	copy(h.sites[found:h.n], h.sites[found+1:h.n])
	h.n--
	h.sites[h.n] = 0
	return h
}

// lose returns h without the sites whose locks may be the one that is released: those
// that the code proves to be it, or else all of its kind. Two arguments may be the same.
func (f *function) lose(h held, l lock) held {
	var proven, may uint64
	for sites := h.sure; sites != 0; sites &= sites - 1 {
		i := bits.TrailingZeros64(sites)
		if f.locks[i].like(l) == 3 {
			proven |= 1 << i
		}
		if f.locks[i].kind.fits(l.kind) {
			may |= 1 << i
		}
	}
	if proven != 0 {
		may = proven
	}
	h.sure &^= may
	return h
}

func (f *function) like(sites uint64, l lock) (best int) {
	for ; sites != 0; sites &= sites - 1 {
		best = max(best, f.locks[bits.TrailingZeros64(sites)].like(l))
	}
	return best
}

// settle finds out what may be held before each step. It returns false if the
// function cannot be followed.
func (f *function) settle(r *Reader, depth int) bool {
	if f.settled {
		return !f.broken
	}
	f.settled = true
	f.prove()
	f.helpers(r, depth)
	f.held = make([]held, len(f.steps))
	f.broken = f.broken || len(f.sites) > maxSites || !f.spread()
	return !f.broken
}

// helpers turns calls of functions that return with a lock held into acquires, and
// of those that release a lock into releases.
func (f *function) helpers(r *Reader, depth int) {
	for i := range f.steps {
		s := &f.steps[i]
		if s.effect != direct || depth >= maxDepth {
			continue
		}
		callee := r.callee(s.target)
		switch {
		case callee == nil || callee == f:
		case callee.returnsHolding(r, depth+1):
			s.effect, s.site = acquire, f.addSite(Site{Frame: f.source(s.at), PC: s.at, Helper: true}, lock{})
		case callee.releases(r, depth+1):
			s.effect, s.lock = release, lock{}
		}
	}
}

// spread carries what is held along all paths until nothing changes any more.
func (f *function) spread() bool {
	f.reach(0, held{reached: true})
	var any held // at jumps to computed addresses
	changed := true
	for pass := 0; changed; pass++ {
		if pass == maxPasses {
			return false
		}
		changed = false
		for i := range f.steps {
			if !f.held[i].reached {
				continue
			}
			if f.steps[i].flow == computed {
				any = any.join(f.held[i])
			}
			changed = f.follow(i) || changed
		}
		if !changed && any.reached {
			changed = f.reachOthers(any)
		}
	}
	return true
}

// follow carries what is held past a step to those that come next.
func (f *function) follow(i int) (changed bool) {
	for _, next := range f.nexts(i) {
		changed = f.reach(next, f.after(i)) || changed
	}
	return changed
}

// nexts returns the steps that may come after step i in this function.
func (f *function) nexts(i int) (next []int) {
	s := &f.steps[i]
	if (s.flow == jump || s.flow == branch) && f.within(s.target) {
		next = append(next, f.index(s.target))
	}
	if s.flow == onward || s.flow == branch {
		next = append(next, i+1)
	}
	return next
}

// reachOthers lets jumps to computed addresses lead to whatever follows the end of
// a path and is not known to be reached otherwise.
func (f *function) reachOthers(h held) (changed bool) {
	for i := range f.held {
		if i > 0 && !f.held[i].reached && f.steps[i-1].flow != onward && f.steps[i-1].flow != branch {
			changed = f.reach(i, h) || changed
		}
	}
	return changed
}

func (f *function) reach(i int, h held) (changed bool) {
	if i >= len(f.held) {
		return false
	}
	joined := f.held[i].join(h)
	changed = joined != f.held[i]
	f.held[i] = joined
	return changed
}

func (f *function) after(i int) held {
	switch s := &f.steps[i]; s.effect {
	case acquire:
		return f.held[i].push(s.site, s.maybe)
	case release:
		return f.pop(f.held[i], s.lock)
	}
	return f.held[i]
}
