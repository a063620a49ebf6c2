// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// A fault is the queues of one fault, the one that stopped first at the beginning.
type fault struct {
	config DeadlockConfig
	dump   *lockDump
	queues []*queue
	proven bool // no lock in use looks like that

	dead  bool
	holds []hold // from the first queue that is dead, or else the first one of the dump
	cycle int    // see lockDump.chain
}

// faultsOf divides queues among faults.
func faultsOf(c DeadlockConfig, d *lockDump, settled []*queue) (faults []*fault) {
	slices.SortFunc(settled, func(a, b *queue) int {
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.lowest(), b.lowest()))
	})
	groups := d.groups()
	for _, q := range settled {
		i := slices.IndexFunc(faults, func(f *fault) bool { return f.includes(q, groups) })
		if i < 0 {
			i = len(faults)
			faults = append(faults, &fault{config: c, dump: d, cycle: -1})
		}
		faults[i].queues = append(faults[i].queues, q)
	}
	for _, f := range faults {
		f.judge()
	}
	return faults
}

// groups numbers the queues of the dump so that those of one fault have the same
// number: those for one lock, and those of which one holds up the other.
func (d *lockDump) groups() []int {
	if d == nil {
		return nil
	}
	group := make([]int, len(d.queues))
	for i := range group {
		group[i] = i
	}
	join := func(a, b int) {
		from, to := group[a], group[b]
		for i := range group {
			if group[i] == from {
				group[i] = to
			}
		}
	}
	for i := range d.queues {
		for k := range i {
			if d.queues[i].Lock != 0 && d.queues[i].Lock == d.queues[k].Lock {
				join(i, k)
			}
		}
		if h, sole := d.holder(i); h != nil && h.Queue >= 0 && (sole || !d.queues[i].alive) {
			join(i, h.Queue)
		}
	}
	return group
}

// includes reports whether q belongs to f: it stopped at about the same time, waits
// at the same stack, or a dump connects them.
func (f *fault) includes(q *queue, groups []int) bool {
	if q.began().Sub(f.queues[0].began()) <= f.config.MinWait {
		return true
	}
	return slices.ContainsFunc(f.queues, func(other *queue) bool {
		if other.Stack.ID == q.Stack.ID && other.State == q.State {
			return true
		}
		for _, a := range f.dump.of(other) {
			for _, b := range f.dump.of(q) {
				if groups[a] == groups[b] {
					return true
				}
			}
		}
		return false
	})
}

// judge decides what is known about the fault.
func (f *fault) judge() {
	chance := 1.0
	for _, q := range f.queues {
		chance *= q.chance
		f.proven = f.proven || q.measured || f.measured(q)
	}
	f.proven = f.proven || chance <= f.config.MaxChance
	for _, q := range f.queues {
		for _, i := range f.dump.of(q) {
			if f.dead || f.dump.queues[i].alive && f.holds != nil {
				continue
			}
			f.dead = !f.dump.queues[i].alive
			f.holds, f.cycle = f.dump.chain(i)
		}
	}
	f.proven = f.proven || f.dead
	if f.tangled() {
		f.holds, f.cycle = f.dump.among(f.holds), 0
	}
}

// tangled reports whether several goroutines may hold a lock, of which each is stuck: a
// trace has no addresses of locks, and a dump not that of each lock that is held.
func (f *fault) tangled() bool {
	return f.dead && (f.cycle >= 0 || f.dump.sitesOnly()) && slices.ContainsFunc(f.causes(), func(h hold) bool {
		return !h.sole || h.holder.Count > 1 && !h.holder.Reads
	})
}

// measured reports whether the dump has a wait of MinWait.
func (f *fault) measured(q *queue) bool {
	return slices.ContainsFunc(f.dump.of(q), func(i int) bool { return f.dump.queues[i].Wait >= f.config.MinWait })
}

// waited returns the longest of the minimum waits.
func (f *fault) waited() (longest time.Duration) {
	for _, q := range f.queues {
		longest = max(longest, q.waited)
	}
	return longest
}

func (f *fault) confidence() Confidence {
	switch w := f.waited(); {
	case f.dead, w >= beyondPurpose*f.config.MinWait:
		return High
	case w >= suspectedAfter*f.config.MinWait:
		return Suspected
	}
	return Medium
}

// causes returns the holders that the fault comes from: the goroutines of the cycle,
// or the holder at the end of the chain.
func (f *fault) causes() []hold {
	switch {
	case f.cycle >= 0:
		return f.holds[f.cycle:]
	case len(f.holds) > 0 && f.holds[len(f.holds)-1].holder != nil:
		return f.holds[len(f.holds)-1:]
	}
	return nil
}

func (f *fault) finding(p *Pass) Finding {
	q := f.queues[0]
	all := found(f.confidence(), q.Place, q.since)
	all.Subject, all.Evidence, all.Stands = "", nil, true
	all.Age, all.Count, all.GrowthPerMinute, all.IDs = f.waited(), 0, 0, nil
	for _, q := range f.queues {
		all.Count += q.Now()
		one := Finding{}
		one.grew(q.Place, q.since)
		all.GrowthPerMinute += one.GrowthPerMinute
		ids, _ := q.IDs(q.since)
		all.IDs = append(all.IDs, ids...)
	}
	slices.Sort(all.IDs)
	all.IDs = slices.Compact(all.IDs)
	all.IDs = all.IDs[:min(len(all.IDs), goroutine.MaxIDs)]
	all.Participants = f.participants(p)
	f.describe(p, &all)
	return all
}

// participants returns the causes, then the places where goroutines wait, the first
// to stop first.
func (f *fault) participants(p *Pass) []Participant {
	all := f.holders(p)
	for _, q := range f.queues {
		if len(all) == MaxParticipants {
			break
		}
		ids, _ := q.IDs(q.Series.Last())
		rest := slices.DeleteFunc(slices.Clone(ids), func(id uint64) bool {
			return slices.ContainsFunc(all, func(p Participant) bool { return slices.Contains(p.IDs, id) })
		})
		if n := q.Now() - named(all, q); n > 0 {
			all = append(all, Participant{Role: RoleWaiter, Stack: q.Stack, State: q.State, Count: n, IDs: rest[:min(len(rest), n)], CreatedBy: q.CreatedBy(),
				Note: "has waited for " + words.Span(q.waited)})
		}
	}
	if len(all) == 1 && all[0].Role == RoleWaiter {
		return nil
	}
	return all
}

// holders returns the causes as participants, if they are known.
func (f *fault) holders(p *Pass) (all []Participant) {
	role := RoleHolder
	if f.dead {
		role = RoleCause
	}
	for _, h := range f.causes() {
		if !h.sole && !f.dead {
			continue
		}
		g, ids := groupOf(h.holder.ID, p.Snapshot, f.dump.Snapshot), []uint64{h.holder.ID}
		if h.holder.Count > 1 {
			if g = groupOf(h.holder.ID, f.dump.Snapshot); g != nil {
				ids = g.IDs[:min(len(g.IDs), h.holder.Count)]
			}
		}
		if g == nil || len(all) == MaxParticipants {
			continue
		}
		all = append(all, Participant{
			Role: role, Stack: g.Stack, State: g.State, Count: max(h.holder.Count, 1), IDs: ids, CreatedBy: g.CreatedBy,
			Note: f.noteOn(h),
		})
	}
	if g := f.provenHolder(p); len(all) == 0 && g != nil {
		all = append(all, Participant{Role: RoleHolder, Stack: g.Stack, State: g.State, Count: 1, IDs: g.IDs[:1], CreatedBy: g.CreatedBy,
			Note: "is the only goroutine as old as the queue that the runtime proved to be stuck like those in it: it holds the lock, unless an unlock was forgotten"})
	}
	return all
}

// provenHolder returns the only goroutine outside the fault that is as old as its first
// queue and that a leak proof shows to be leaked together with those in the queue. What
// waits for a lock is leaked only if nothing that runs can reach the lock, so what holds
// it is leaked, too. It returns nil when there are several or none.
func (f *fault) provenHolder(p *Pass) (only *goroutine.Group) {
	proof, q := p.Inspections[goroutine.SourceProof], f.queues[0]
	if f.dead || proof == nil || proof.Time.Before(q.began()) {
		return nil
	}
	proven := provenAt(proof)
	if proven[q.Stack.ID] == 0 {
		return nil
	}
	for i := range p.Snapshot.Groups {
		g := &p.Snapshot.Groups[i]
		if proven[g.Stack.ID] == 0 || f.queued(g) || len(g.IDs) == 0 || g.IDs[0] > q.older() {
			continue
		}
		if only != nil || g.Count > 1 {
			return nil
		}
		only = g
	}
	return only
}

// queued reports whether a group waits in one of the fault's queues.
func (f *fault) queued(g *goroutine.Group) bool {
	return slices.ContainsFunc(f.queues, func(q *queue) bool { return q.Stack.ID == g.Stack.ID && q.State == g.State })
}

// named returns how many goroutines of q are in participants.
func named(all []Participant, q *queue) (n int) {
	for _, p := range all {
		if p.Role != RoleWaiter && p.Stack.ID == q.Stack.ID && p.State == q.State {
			n += p.Count
		}
	}
	return n
}

// groupOf returns the group of a goroutine in the first snapshot that lists it.
func groupOf(id uint64, snapshots ...*goroutine.Snapshot) *goroutine.Group {
	for _, s := range snapshots {
		for i := range s.Groups {
			if _, ok := slices.BinarySearch(s.Groups[i].IDs, id); ok {
				return &s.Groups[i]
			}
		}
	}
	return nil
}
