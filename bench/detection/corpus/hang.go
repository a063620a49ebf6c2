// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// hangs are services in which work stops: no request of a kind is answered any
// more. Their callers, and what they depend on, are outside.
var hangs = []program{
	{ticketDesks, "hang-mutex", "hang-mutex-sound"},
	{exchanges, "hang-rwmutex", "hang-rwmutex-sound"},
	{encoders, "hang-channel-semaphore", "hang-channel-semaphore-sound"},
	{thumbnailers, "hang-worker-pool", "hang-worker-pool-sound"},
	{mailQueues, "hang-cond", "hang-cond-sound"},
	{searches, "hang-wait-group", "hang-wait-group-sound"},
	{avatars, "hang-http-transport", "hang-http-transport-sound"},
	{warehouses, "hang-http-dependency", "hang-http-dependency-sound"},
	{journals, "hang-file-lock", "hang-file-lock-sound"},
	{exporters, "hang-one-endpoint", "hang-one-endpoint-sound"},
	{ledgerStores, "hang-small-service", "hang-small-service-sound"},
	{seatMaps, "hang-arrivals-stop", "hang-arrivals-stop-sound"},
	{priceDesks, "hang-clients-gone", "hang-clients-gone-sound"},
	{clickPipes, "hang-thousands", "hang-thousands-sound"},
	{visitLogs, "hang-log-writer", "hang-log-writer-sound"},
}

// steady are the calls of the path /work of most programs, some in each second
// of the machine.
func steady(perSecond float64) Calls { return Calls{Path: "/work", PerSecond: perSecond} }

// front is a service whose path /work is called from outside, and that depends
// on another one, which has an address.
func front(e *Env, o Outside) (s *site, address string) {
	s = newSite(e)
	return s, s.surround(o)
}

// surround starts what is outside of a service, and returns the address of the
// dependency.
func (s *site) surround(o Outside) (address string) {
	o.URL = s.url
	start := o.Start
	if s.e.Outside != nil {
		start = func() (string, error) { return s.e.Outside(o) }
	}
	return must(start())
}

// back is front without a dependency: the path /work is served by f.
func back(e *Env, c Calls, f func(request)) {
	s, _ := front(e, Outside{Calls: []Calls{c}})
	s.work(f)
}

// work serves the path /work with f. A handler that returns has moved on.
func (s *site) work(f func(request)) {
	s.handle("/work", func(r request) {
		f(r)
		s.e.Moved()
	})
}

// silentIf is when a dependency falls silent, for the faulty program.
func silentIf(e *Env) time.Duration {
	if e.sound {
		return 0
	}
	return e.Dur(since)
}

// A ticketDesk prints under its lock, to a printer that ends.
type ticketDesk struct {
	mu      sync.Mutex
	printed chan int
	sold    int
}

func ticketDesks(e *Env) {
	d := &ticketDesk{printed: make(chan int)}
	go d.printer(e)
	e.Every(5*time.Second, d.report)
	back(e, steady(12), func(request) { d.sell() })
}

func (d *ticketDesk) sell() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sold++
}

func (d *ticketDesk) report() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.printed <- d.sold
}

func (d *ticketDesk) printer(e *Env) {
	for range d.printed {
		if e.failsNow() {
			return
		}
	}
}

// An exchange has rates that are read and refreshed.
type exchange struct {
	e     *Env
	mu    sync.RWMutex
	rates map[string]int
}

func exchanges(e *Env) {
	x := &exchange{e: e, rates: map[string]int{"EUR": 1}}
	e.Every(20*time.Second, x.refresh)
	e.Every(15*time.Second, x.convert)
	back(e, steady(12), func(request) { x.quote() })
}

func (x *exchange) refresh() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rates["EUR"]++
}

func (x *exchange) quote() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.rates["EUR"]
}

// convert asks a partner under the read lock.
func (x *exchange) convert() {
	x.mu.RLock()
	defer x.mu.RUnlock()
	<-x.e.answer(200 * time.Millisecond)
}

// An encoder has a channel as a semaphore.
type encoder struct {
	e     *Env
	slots chan struct{}
}

func encoders(e *Env) {
	x := &encoder{e, make(chan struct{}, 4)}
	back(e, steady(8), func(r request) { x.encode(r.every(3)) })
}

func (x *encoder) encode(bad bool) {
	x.acquire()
	time.Sleep(x.e.Tail(200 * time.Millisecond))
	if bad && x.e.failsNow() {
		return
	}
	<-x.slots
}

func (x *encoder) acquire() { x.slots <- struct{}{} }

// A thumbnailer has four workers, each of which needs a partner.
type thumbnailer struct {
	e    *Env
	jobs chan chan int
}

func thumbnailers(e *Env) {
	t := &thumbnailer{e, make(chan chan int)}
	for range 4 {
		go t.worker()
	}
	back(e, steady(10), func(request) {
		done := make(chan int, 1)
		t.submit(done)
		<-done
	})
}

func (t *thumbnailer) submit(done chan int) { t.jobs <- done }

func (t *thumbnailer) worker() {
	for done := range t.jobs {
		done <- t.render()
	}
}

func (t *thumbnailer) render() int { return <-t.e.answer(200 * time.Millisecond) }

// A mailQueue is bounded by a Cond.
type mailQueue struct {
	mu      sync.Mutex
	changed sync.Cond
	waiting int
}

func mailQueues(e *Env) {
	q := &mailQueue{}
	q.changed.L = &q.mu
	go q.deliver(e)
	back(e, steady(10), func(request) { q.put() })
}

func (q *mailQueue) put() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.waiting >= 8 {
		q.changed.Wait()
	}
	q.waiting++
	q.changed.Broadcast()
}

func (q *mailQueue) take() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.waiting == 0 {
		q.changed.Wait()
	}
	q.waiting--
	q.changed.Broadcast()
}

func (q *mailQueue) deliver(e *Env) {
	for {
		q.take()
		<-e.answer(300 * time.Millisecond)
	}
}

// A searchShard answers queries on a loop of its own.
type searchShard struct{ queries chan chan int }

func searches(e *Env) {
	shards := make([]searchShard, 3)
	for i := range shards {
		shards[i].queries = make(chan chan int)
		go shards[i].loop(e, i == 1)
	}
	back(e, steady(8), func(request) { searchAll(shards) })
}

func (s *searchShard) loop(e *Env, ends bool) {
	for hits := range s.queries {
		if ends && e.failsNow() {
			return
		}
		hits <- 1
	}
}

func searchAll(shards []searchShard) {
	var all sync.WaitGroup
	for i := range shards {
		all.Go(shards[i].lookup)
	}
	all.Wait()
}

func (s *searchShard) lookup() {
	hits := make(chan int, 1)
	s.queries <- hits
	<-hits
}

func avatars(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "http"})
	c := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 4, MaxIdleConnsPerHost: 4}}
	s.work(func(r request) { fetchAvatar(e, c, "http://"+other, r.every(3)) })
}

// fetchAvatar does not close a body now and then.
func fetchAvatar(e *Env, c *http.Client, url string, bad bool) {
	answer, err := c.Get(url)
	if err != nil {
		return
	}
	if bad && e.failsNow() {
		return
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
}

func warehouses(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "http", Silent: silentIf(e)})
	c := s.newClient(0)
	s.work(func(request) { askStock(e, c, "http://"+other) })
}

func askStock(e *Env, c *http.Client, url string) {
	e.failsNow()
	_ = call(context.Background(), c, url)
}

// journals append to a file under a lock of the operating system, which a backup
// takes as well.
func journals(e *Env) {
	directory, err := os.MkdirTemp("", "journal")
	if err != nil {
		panic(err)
	}
	name := filepath.Join(directory, "lock")
	e.After(since, func() { backUpJournal(e, name) })
	back(e, steady(3), func(request) { appendJournal(name) })
}

// heldFiles are locked as long as this process lives.
var heldFiles []io.Closer

func backUpJournal(e *Env, name string) {
	f, err := lockFile(name)
	if err != nil {
		panic(err)
	}
	if e.Fails() {
		heldFiles = append(heldFiles, f)
		return
	}
	e.Sleep(5 * time.Second)
	f.Close()
}

func appendJournal(name string) {
	if f, err := lockFile(name); err == nil {
		f.Close()
	}
}

// An exporter has one loop, which needs a partner.
type exporter struct{ queue chan int }

// exporters hang at one path; the others of the service go on.
func exporters(e *Env) {
	x := &exporter{make(chan int, 4)}
	s, _ := front(e, Outside{Calls: []Calls{steady(4), {Path: "/page", PerSecond: 12}, {Path: "/list", PerSecond: 6}}})
	go x.run(e)
	s.handle("/page", func(request) { time.Sleep(e.Tail(200 * time.Millisecond)) })
	s.handle("/list", func(request) { sleepSelect(e, e.Tail(500*time.Millisecond)) })
	s.work(func(request) { x.submit() })
}

func (x *exporter) submit() { x.queue <- 1 }

func (x *exporter) run(e *Env) {
	for range x.queue {
		x.upload(e)
	}
}

func (x *exporter) upload(e *Env) { <-e.answer(200 * time.Millisecond) }

// A ledgerStore writes on one goroutine, and tells each caller when it is done.
type ledgerStore struct{ writes chan chan int }

// ledgerStores have a request every twenty seconds.
func ledgerStores(e *Env) {
	s := &ledgerStore{make(chan chan int)}
	go s.run(e)
	few := steady(1 / e.Dur(20*time.Second).Seconds())
	back(e, few, func(request) { s.save() })
}

func (s *ledgerStore) save() {
	done := make(chan int, 1)
	select {
	case s.writes <- done:
		<-done
	case <-time.After(24 * time.Hour):
	}
}

func (s *ledgerStore) run(e *Env) {
	for done := range s.writes {
		done <- s.flush(e)
	}
}

func (s *ledgerStore) flush(e *Env) int { return <-e.answer(200 * time.Millisecond) }

// A seatMap applies changes one by one.
type seatMap struct {
	e       *Env
	mu      sync.Mutex
	changes int
}

// seatMaps have eight callers, each of which waits for its answer: once all are
// stuck, no request arrives.
func seatMaps(e *Env) {
	m := &seatMap{e: e}
	back(e, Calls{Path: "/work", Callers: 8}, func(request) { m.reserve() })
}

func (m *seatMap) reserve() {
	e := m.e
	e.Sleep(2 * time.Second)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	if m.changes%5 == 0 {
		m.notify()
	}
}

// notify tells a partner under the lock.
func (m *seatMap) notify() { <-m.e.answer(500 * time.Millisecond) }

// A priceDesk answers on one goroutine.
type priceDesk struct{ asks chan chan int }

// priceDesks have clients that give up after ten seconds. Their handlers do not
// see that.
func priceDesks(e *Env) {
	d := &priceDesk{make(chan chan int)}
	go d.run(e)
	impatient := steady(10)
	impatient.Timeout = e.Dur(10 * time.Second)
	back(e, impatient, func(request) { d.ask() })
}

func (d *priceDesk) ask() int {
	price := make(chan int, 1)
	d.asks <- price
	return <-price
}

func (d *priceDesk) run(e *Env) {
	for price := range d.asks {
		price <- d.look(e)
	}
}

func (d *priceDesk) look(e *Env) int { return <-e.answer(50 * time.Millisecond) }

// A clickPipe has two stages.
type clickPipe struct{ clicks, batches chan int }

func clickPipes(e *Env) {
	p := &clickPipe{make(chan int, 64), make(chan int)}
	go p.batch()
	go p.ship(e)
	back(e, steady(60), func(request) { p.add() })
}

func (p *clickPipe) add() { p.clicks <- 1 }

func (p *clickPipe) batch() {
	for click := range p.clicks {
		p.batches <- click
	}
}

func (p *clickPipe) ship(e *Env) {
	for range p.batches {
		<-e.answer(20 * time.Millisecond)
	}
}

// visitLogs write a line for each request to a collector, which stops reading, with all that they know of the visitor.
func visitLogs(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "drain", Silent: silentIf(e)})
	c, err := net.Dial("tcp", other)
	if err != nil {
		panic(err)
	}
	_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10)
	l := log.New(c, "", 0)
	s.work(func(request) { logVisit(e, l) })
}

func logVisit(e *Env, l *log.Logger) {
	e.failsNow()
	l.Print(strings.Repeat("visit ", 5000))
}

// background is the context of what has no limit.
var background = context.Background()
