// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

var orders = []program{
	{transfers, "ab-ba-transfer", "ab-ba-transfer-ordered"},
	{indexers, "ab-ba-once-nobody-joins", "ab-ba-one-order"},
	{rooms, "ab-ba-parent-child", "ab-ba-parent-child-copied"},
	{shardRings, "cycle-three-services", "cycle-three-services-ordered"},
	{ledgerBooks, "cycle-three-in-background", "cycle-three-in-background-released"},
	{routeTables, "reader-writer-reader", "reader-writer-reader-once"},
	{quotas, "reader-writer-reader-quiet", "reader-writer-reader-quiet-sound"},
}

// noticeStuck tells of the fault of a faulty program when a lock has not been
// free at any of many moments.
func noticeStuck(e *Env, mu interface {
	TryLock() bool
	Unlock()
}) {
	if e.sound {
		return
	}
	go func() {
		free := time.Now()
		for busy := 0; busy < 30; e.Sleep(3 * time.Second) {
			if busy++; mu.TryLock() {
				mu.Unlock()
				free, busy = time.Now(), 0
			}
		}
		e.faultSince(free)
	}()
}

// inOrder returns two values of which the sound program always takes the one
// with the smaller number first.
func inOrder[T any](e *Env, a, b T, numberOfA, numberOfB int) (first, second T) {
	if e.sound && numberOfA > numberOfB {
		return b, a
	}
	return a, b
}

type bankAccount struct {
	id  int
	mu  sync.Mutex
	sum int
}

func transfers(e *Env) {
	accounts := []*bankAccount{{id: 0}, {id: 1}, {id: 2}, {id: 3}}
	serve(e, 15, func(request) {
		from := rand.N(len(accounts))
		to := (from + 1 + rand.N(len(accounts)-1)) % len(accounts)
		transfer(e, accounts[from], accounts[to])
	})
	noticeStuck(e, &accounts[0].mu)
}

func transfer(e *Env, from, to *bankAccount) {
	first, second := inOrder(e, from, to, from.id, to.id)
	first.mu.Lock()
	defer first.mu.Unlock()
	e.Sleep(time.Second)
	second.mu.Lock()
	defer second.mu.Unlock()
	from.sum--
	to.sum++
}

type indexer struct{ segments, manifest sync.Mutex }

func indexers(e *Env) {
	ordinary(e)
	x := &indexer{}
	e.Every(5*time.Second, func() { x.merge(e) })
	e.Every(5*time.Second, func() { x.compact(e) })
	noticeStuck(e, &x.segments)
}

func (x *indexer) merge(e *Env) {
	x.segments.Lock()
	defer x.segments.Unlock()
	e.Sleep(3 * time.Second)
	x.manifest.Lock()
	defer x.manifest.Unlock()
	e.Served()
}

func (x *indexer) compact(e *Env) {
	first, second := inOrder(e, &x.manifest, &x.segments, 2, 1)
	first.Lock()
	defer first.Unlock()
	e.Sleep(3 * time.Second)
	second.Lock()
	defer second.Unlock()
	e.Served()
}

type room struct {
	mu      sync.Mutex
	members []*member
}

type member struct {
	mu   sync.Mutex
	room *room
	name string
}

func rooms(e *Env) {
	r := &room{}
	for range 6 {
		r.members = append(r.members, &member{room: r})
	}
	s := serve(e, 6, func(request) { r.join(e) })
	s.arrive(6, "/rename", func(request) { r.members[rand.N(len(r.members))].rename(e) })
	noticeStuck(e, &r.mu)
}

func (r *room) join(e *Env) {
	r.mu.Lock()
	members := slices.Clone(r.members)
	defer e.release(&r.mu)()
	for _, m := range members {
		m.mu.Lock()
		e.Sleep(200 * time.Millisecond)
		m.mu.Unlock()
	}
}

func (m *member) rename(e *Env) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Sleep(300 * time.Millisecond)
	m.room.mu.Lock()
	defer m.room.mu.Unlock()
	m.name += ""
}

type shard struct {
	id    int
	mu    sync.Mutex
	items int
}

func shardRings(e *Env) {
	ring := []*shard{{id: 0}, {id: 1}, {id: 2}}
	serve(e, 12, func(request) {
		from := rand.N(len(ring))
		ring[from].move(e, ring[(from+1)%len(ring)])
	})
	noticeStuck(e, &ring[0].mu)
}

func (s *shard) move(e *Env, next *shard) {
	first, second := inOrder(e, s, next, s.id, next.id)
	first.mu.Lock()
	defer first.mu.Unlock()
	e.Sleep(1500 * time.Millisecond)
	second.mu.Lock()
	defer second.mu.Unlock()
	s.items--
	next.items++
}

type ledgerBook struct{ mu sync.Mutex }

func ledgerBooks(e *Env) {
	ordinary(e)
	books := make([]ledgerBook, 3)
	for i := range books {
		e.Every(20*time.Second, func() { books[i].close(e, &books[(i+1)%3]) })
	}
	noticeStuck(e, &books[0].mu)
}

func (b *ledgerBook) close(e *Env, next *ledgerBook) {
	b.mu.Lock()
	e.Sleep(5 * time.Second)
	defer e.release(&b.mu)()
	next.mu.Lock()
	defer next.mu.Unlock()
	e.Sleep(100 * time.Millisecond)
}

type routes struct {
	mu    sync.RWMutex
	table map[string]string
}

func routeTables(e *Env) {
	r := &routes{table: map[string]string{"a": "b"}}
	serve(e, 15, func(request) { r.lookup(e, "a") })
	e.Every(20*time.Second, func() { r.reload(e) })
	noticeStuck(e, &r.mu)
}

func (r *routes) lookup(e *Env, name string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e.Sleep(time.Second)
	if e.sound {
		return r.table[name]
	}
	return r.resolve(name)
}

func (r *routes) resolve(name string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.table[name]
}

func (r *routes) reload(e *Env) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Sleep(50 * time.Millisecond)
}

type quota struct {
	mu sync.RWMutex
	n  int
}

func quotas(e *Env) {
	ordinary(e)
	q := &quota{}
	e.Every(3*time.Second, func() { q.check(e) })
	e.Every(7*time.Second, q.reset)
	noticeStuck(e, &q.mu)
}

func (q *quota) check(e *Env) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	e.Sleep(2 * time.Second)
	if e.sound {
		return q.n > 0
	}
	return q.used() > 0
}

func (q *quota) used() int {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.n
}

func (q *quota) reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n = 0
}
