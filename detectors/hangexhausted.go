// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// exhaustion is what was seen of requests that wait for a pool which none of them gets
// to use.
type exhaustion struct {
	clean int // number of snapshots in which requests waited for it and nothing could have been using it
	all   int // number of snapshots since the first of them
	least int // how many requests waited in each of the clean ones, at least
}

// exhausted returns a stand when requests wait for a connection of a pool all the time,
// each of them until its own time limit, and none is ever seen to use one. A pool that
// works and has a queue is in use at every moment: then snapshots show handlers
// elsewhere, that a goroutine waits for an answer, or that one is on a CPU. It takes
// twice MinWait, and that at least three in four snapshots show nothing of the kind.
func (j *standJudge) exhausted() *stand {
	pl := j.queueForPool()
	begin := j.BeginRunning(2*j.MinWait, 2*j.MinSnapshots, j.MinWait/mostGaps)
	if pl == nil || begin < 0 {
		return nil
	}
	r, _ := resourceAt(pl.Stack, pl.State)
	u := poolUsers{standJudge: j, resource: r.name, kinds: make(map[waitKind]poolUse), standing: make(map[goroutine.GroupKey]bool)}
	for _, other := range j.Places(places.ByStack) {
		u.standing[other.Key] = handles(other.Stack) && other.Stood(begin)
	}
	e, since := u.since(begin)
	if since > begin || e.clean < 2*j.MinSnapshots || 4*e.clean < 3*e.all {
		return nil
	}
	return &stand{Place: pl, since: since, chance: 1, exhausted: e}
}

// queueForPool returns the largest place at which enough handlers wait for a pool, or
// nil.
func (j *standJudge) queueForPool() *places.Place {
	for _, pl := range j.Places(places.ByStack) { // the largest first
		if pl.Now() < j.MinWaiters {
			return nil
		}
		if pl.State != goroutine.Select || !handles(pl.Stack) {
			continue // as callers of all pools that give up do
		}
		if r, _ := resourceAt(pl.Stack, pl.State); r.pool {
			return pl
		}
	}
	return nil
}

// poolUse is what goroutines have to do with a pool.
type poolUse int

const (
	noUse   poolUse = iota
	waitFor         // they handle requests, and wait for it
	mayUse          // they may be using it
)

// A waitKind is what the use of a pool depends on.
type waitKind struct {
	stack *goroutine.Stack
	state goroutine.State
}

// backsOff matches goroutines that a library lets wait before it asks its pool again.
var backsOff = leaf("github.com/redis/go-redis/v9/internal.Sleep", "github.com/go-redis/redis/v8/internal.Sleep")

// poolUsers tells which goroutines wait for a pool and which may be using it.
type poolUsers struct {
	*standJudge
	resource string // name of the pool's kind
	kinds    map[waitKind]poolUse
	standing map[goroutine.GroupKey]bool // where handlers are in the newest snapshot and none has left for the whole time
}

// since returns the oldest snapshot in which nothing may have used the pool, of those
// since begin and of those in a row before, and what was seen since then.
func (u *poolUsers) since(begin int) (*exhaustion, int) {
	e, since := new(exhaustion), len(u.Snapshots)
	for i := u.Last(); i >= 0; i-- {
		waiting, used := u.count(i)
		switch {
		case waiting >= u.MinWaiters && !used:
			if e.clean == 0 || waiting < e.least {
				e.least = waiting
			}
			e.clean++
			e.all, since = len(u.Snapshots)-i, i
		case i < begin:
			return e, since
		}
	}
	return e, since
}

// count returns how many requests waited for the pool in snapshot i, and whether
// something may have been using it.
func (u *poolUsers) count(i int) (waiting int, used bool) {
	groups := u.Snapshots[i].Groups
	running := 0
	for k := range groups {
		g := &groups[k]
		if len(g.Stack.Frames) == 0 {
			running += g.Count // on a CPU; the monitor itself is
			continue
		}
		of := waitKind{g.Stack, g.State}
		kind, known := u.kinds[of]
		if !known {
			kind = u.kind(g.Stack, g.State)
			u.kinds[of] = kind
		}
		switch {
		case kind == waitFor:
			waiting += g.Count
		case kind == mayUse && !u.standing[g.Key()]:
			used = true
		}
	}
	return waiting, used || running > 1
}

// kind returns what goroutines with a stack and a state have to do with the pool.
// Handlers that stand have got stuck with a connection, or without: they use it as
// little as those that wait. What waits for an answer may wait for that of a query.
func (u *poolUsers) kind(s *goroutine.Stack, state goroutine.State) poolUse {
	r, _ := resourceAt(s, state)
	switch {
	case delegates(s), backsOff(s):
		return noUse
	case handles(s) && r.name == u.resource:
		return waitFor
	case handles(s), r.answers, state == goroutine.Runnable:
		return mayUse
	}
	return noUse
}
