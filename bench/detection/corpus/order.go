package corpus

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

func orders() []Scenario {
	return []Scenario{
		{
			Name: "ab-ba-transfer", Class: LockOrder, Faulty: true, Expect: stuck("transfer"),
			Doc: "Transfers lock the accounts in the order from, to; two in opposite directions meet.",
			Run: func(e *Env) { transfers(e, false) },
		},
		{
			Name: "ab-ba-transfer-ordered", Class: LockOrder,
			Doc: "Transfers lock the accounts in the order of their numbers.",
			Run: func(e *Env) { transfers(e, true) },
		},
		{
			Name: "ab-ba-once-nobody-joins", Class: LockOrder, Faulty: true, Expect: stuck("(*indexer).merge", "(*indexer).compact"),
			Doc: "Two background goroutines lock each other out, once, and nobody else needs their locks.",
			Run: func(e *Env) { indexers(e, false) },
		},
		{
			Name: "ab-ba-one-order", Class: LockOrder,
			Doc: "Two background goroutines take two locks in one order.",
			Run: func(e *Env) { indexers(e, true) },
		},
		{
			Name: "ab-ba-parent-child", Class: LockOrder, Faulty: true, Expect: stuck("(*room).join", "(*member).rename"),
			Doc: "A room locks its members, and a member that changes its name locks its room.",
			Run: func(e *Env) { rooms(e, false) },
		},
		{
			Name: "ab-ba-parent-child-copied", Class: LockOrder,
			Doc: "A room copies its members before it locks them one by one.",
			Run: func(e *Env) { rooms(e, true) },
		},
		{
			Name: "cycle-three-services", Class: LockCycle, Faulty: true, Expect: stuck("(*shard).move"),
			Doc: "Three shards pass items on to the next, each under its own lock and the next one's.",
			Run: func(e *Env) { shardRings(e, false) },
		},
		{
			Name: "cycle-three-services-ordered", Class: LockCycle,
			Doc: "Three shards pass items on to the next under both locks, taken in the order of their numbers.",
			Run: func(e *Env) { shardRings(e, true) },
		},
		{
			Name: "cycle-three-in-background", Class: LockCycle, Faulty: true, Expect: stuck("(*ledgerBook).close"),
			Doc: "Three background jobs of three books wait for each other in a circle, once.",
			Run: func(e *Env) { ledgerBooks(e, false) },
		},
		{
			Name: "cycle-three-in-background-released", Class: LockCycle,
			Doc: "Three background jobs release their own book before they lock the next.",
			Run: func(e *Env) { ledgerBooks(e, true) },
		},
		{
			Name: "reader-writer-reader", Class: ReaderWriter, Faulty: true, Expect: stuck("(*routes).lookup", "(*routes).resolve", "(*routes).reload"),
			Doc: "A reader takes the read lock again further down, and a writer came in between.",
			Run: func(e *Env) { routeTables(e, false) },
		},
		{
			Name: "reader-writer-reader-once", Class: ReaderWriter,
			Doc: "Readers take the read lock once, and writers come now and then.",
			Run: func(e *Env) { routeTables(e, true) },
		},
		{
			Name: "reader-writer-reader-quiet", Class: ReaderWriter, Faulty: true, Expect: stuck("(*quota).check", "(*quota).used", "(*quota).reset"),
			Doc: "One background reader and one writer lock each other out with a nested read lock; nobody else comes.",
			Run: func(e *Env) { quotas(e, false) },
		},
		{
			Name: "reader-writer-reader-quiet-sound", Class: ReaderWriter,
			Doc: "One background reader and one writer share an RWMutex.",
			Run: func(e *Env) { quotas(e, true) },
		},
	}
}

type bankAccount struct {
	id  int
	mu  sync.Mutex
	sum int
}

func transfers(e *Env, ordered bool) {
	accounts := make([]*bankAccount, 4)
	for i := range accounts {
		accounts[i] = &bankAccount{id: i}
	}
	serve(e, 15, func(context.Context) {
		from := rand.N(len(accounts))
		to := (from + 1 + rand.N(len(accounts)-1)) % len(accounts)
		transfer(e, accounts[from], accounts[to], ordered)
		e.Served()
	})
	if !ordered {
		noticeStuck(e, func() bool { return accounts[0].mu.TryLock() }, func() { accounts[0].mu.Unlock() })
	}
}

func transfer(e *Env, from, to *bankAccount, ordered bool) {
	first, second := from, to
	if ordered && first.id > second.id {
		first, second = second, first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	e.Sleep(time.Second)
	second.mu.Lock()
	defer second.mu.Unlock()
	from.sum--
	to.sum++
}

// noticeStuck tells of the fault when a lock has not been free at any of many
// moments.
func noticeStuck(e *Env, try func() bool, release func()) {
	go func() {
		free := time.Now()
		for busy := 0; busy < 30; {
			if try() {
				release()
				free, busy = time.Now(), 0
			} else {
				busy++
			}
			e.Sleep(3 * time.Second)
		}
		e.faultSince(free)
	}()
}

type indexer struct {
	segments, manifest sync.Mutex
}

func indexers(e *Env, oneOrder bool) {
	ordinary(e)
	x := &indexer{}
	go func() {
		for {
			x.merge(e)
			e.Sleep(5 * time.Second)
		}
	}()
	go func() {
		for {
			x.compact(e, oneOrder)
			e.Sleep(5 * time.Second)
		}
	}()
	if !oneOrder {
		noticeStuck(e, x.segments.TryLock, x.segments.Unlock)
	}
}

func (x *indexer) merge(e *Env) {
	x.segments.Lock()
	defer x.segments.Unlock()
	e.Sleep(3 * time.Second)
	x.manifest.Lock()
	defer x.manifest.Unlock()
	e.Served()
}

func (x *indexer) compact(e *Env, oneOrder bool) {
	first, second := &x.manifest, &x.segments
	if oneOrder {
		first, second = second, first
	}
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

func rooms(e *Env, copies bool) {
	r := &room{}
	for range 6 {
		r.members = append(r.members, &member{room: r})
	}
	s := serve(e, 6, func(context.Context) {
		r.join(e, copies)
		e.Served()
	})
	s.handle("/rename", func(context.Context) {
		r.members[rand.N(len(r.members))].rename(e)
		e.Served()
	})
	s.visit(6, "/rename")
	if !copies {
		noticeStuck(e, r.mu.TryLock, r.mu.Unlock)
	}
}

func (r *room) join(e *Env, copies bool) {
	r.mu.Lock()
	if copies {
		r.mu.Unlock()
	} else {
		defer r.mu.Unlock()
	}
	for _, m := range r.members {
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

func shardRings(e *Env, ordered bool) {
	ring := []*shard{{id: 0}, {id: 1}, {id: 2}}
	serve(e, 12, func(context.Context) {
		from := rand.N(len(ring))
		ring[from].move(e, ring[(from+1)%len(ring)], ordered)
		e.Served()
	})
	if !ordered {
		noticeStuck(e, ring[0].mu.TryLock, ring[0].mu.Unlock)
	}
}

func (s *shard) move(e *Env, next *shard, ordered bool) {
	first, second := s, next
	if ordered && first.id > second.id {
		first, second = second, first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	e.Sleep(1500 * time.Millisecond)
	second.mu.Lock()
	defer second.mu.Unlock()
	s.items--
	next.items++
}

type ledgerBook struct{ mu sync.Mutex }

func ledgerBooks(e *Env, releases bool) {
	ordinary(e)
	books := make([]ledgerBook, 3)
	for i := range books {
		go func() {
			for {
				e.Sleep(20 * time.Second)
				books[i].close(e, &books[(i+1)%3], releases)
				e.Served()
			}
		}()
	}
	if !releases {
		noticeStuck(e, books[0].mu.TryLock, books[0].mu.Unlock)
	}
}

func (b *ledgerBook) close(e *Env, next *ledgerBook, releases bool) {
	b.mu.Lock()
	e.Sleep(5 * time.Second)
	if releases {
		b.mu.Unlock()
	} else {
		defer b.mu.Unlock()
	}
	next.mu.Lock()
	defer next.mu.Unlock()
	e.Sleep(100 * time.Millisecond)
}

type routes struct {
	mu    sync.RWMutex
	table map[string]string
}

func routeTables(e *Env, once bool) {
	r := &routes{table: map[string]string{"a": "b"}}
	serve(e, 15, func(context.Context) {
		r.lookup(e, "a", once)
		e.Served()
	})
	e.Every(20*time.Second, func() { r.reload(e) })
	if !once {
		noticeStuck(e, r.mu.TryLock, r.mu.Unlock)
	}
}

func (r *routes) lookup(e *Env, name string, once bool) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e.Sleep(time.Second)
	if once {
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

func quotas(e *Env, sound bool) {
	ordinary(e)
	q := &quota{}
	go func() {
		for {
			q.check(e, sound)
			e.Sleep(3 * time.Second)
			e.Served()
		}
	}()
	go func() {
		for {
			e.Sleep(7 * time.Second)
			q.reset()
		}
	}()
	if !sound {
		noticeStuck(e, q.mu.TryRLock, q.mu.RUnlock)
	}
}

func (q *quota) check(e *Env, sound bool) bool {
	q.mu.RLock()
	e.Sleep(2 * time.Second)
	if sound {
		defer q.mu.RUnlock()
		return q.n > 0
	}
	n := q.used()
	q.mu.RUnlock()
	return n > 0
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
