// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"errors"
	"sync"
	"time"
)

var channels = []program{
	{firstAnswers, "send-first-answer-wins", "send-first-answer-wins-buffered"},
	{reports, "send-after-timeout", "send-after-timeout-buffered"},
	{checkedOrders, "send-first-error-returns", "send-first-error-drained"},
	{newsrooms, "send-to-departed-subscriber", "send-to-departed-subscriber-guarded"},
	{func(e *Env) { ordinary(e); loadRemoteConfig(e) }, "send-once-at-start", ""},
	{backpressure, "", "send-backpressure"},
	{rpcDesks, "receive-reply-dropped", "receive-reply-always"},
	{feeds, "receive-producer-failed", "receive-producer-closes"},
	{components, "receive-never-ready", "receive-ready-or-failed"},
	{replacedLeader, "receive-once-after-shutdown", ""},
	{idleWorker, "", "receive-idle-worker"},
	{orderPipelines, "close-pipeline-error", "close-pipeline-deferred"},
	{shardQueries, "close-fan-in", "close-fan-in-closed"},
	{batches, "close-batch-workers", "close-batch-workers-closed"},
}

func firstAnswers(e *Env) {
	serve(e, 4, func(request) {
		answers := make(chan int, inSound(e, 3))
		for range 3 {
			go queryReplica(e, answers)
		}
		<-answers
		e.Fails()
	})
}

func queryReplica(e *Env, answers chan<- int) {
	time.Sleep(e.Tail(300 * time.Millisecond))
	answers <- 1
}

func reports(e *Env) {
	serve(e, 10, func(request) {
		if renderReport(e) == nil {
			e.Fails()
		}
	})
}

func renderReport(e *Env) []byte {
	report := make(chan []byte, inSound(e, 1))
	go func() {
		time.Sleep(e.Tail(500 * time.Millisecond))
		report <- make([]byte, 64)
	}()
	select {
	case r := <-report:
		return r
	case <-time.After(e.Dur(800 * time.Millisecond)):
		return nil
	}
}

var errPart = errors.New("bad part")

func checkedOrders(e *Env) {
	serve(e, 8, func(r request) {
		bad := r.every(4)
		verdicts := make(chan error)
		for i := range 5 {
			go checkPart(e, verdicts, bad && i == 0)
		}
		for range 5 {
			if err := <-verdicts; err != nil && e.Fails() {
				return
			}
		}
	})
}

func checkPart(e *Env, verdicts chan<- error, bad bool) {
	if bad {
		verdicts <- errPart
		return
	}
	time.Sleep(e.Tail(300 * time.Millisecond))
	verdicts <- nil
}

// A newsroom tells its readers.
type newsroom struct {
	mu      sync.Mutex
	readers map[reader]bool
}

type reader struct {
	news chan string
	gone chan struct{}
}

func newsrooms(e *Env) {
	n := &newsroom{readers: make(map[reader]bool)}
	serve(e, 3, func(request) { n.read(e) })
	e.Every(3*time.Second, func() { n.publish(e, "news") })
}

// read stays for some items. It takes its time over each.
func (n *newsroom) read(e *Env) {
	r := reader{make(chan string), make(chan struct{})}
	n.mu.Lock()
	n.readers[r] = true
	n.mu.Unlock()
	for range 3 {
		<-r.news
		e.Sleep(4 * time.Second)
	}
	n.mu.Lock()
	delete(n.readers, r)
	n.mu.Unlock()
	close(r.gone)
	e.Fails()
}

func (n *newsroom) publish(e *Env, item string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for r := range n.readers {
		go func() {
			if !e.sound {
				r.news <- item
				return
			}
			select {
			case r.news <- item:
			case <-r.gone:
			}
		}()
	}
}

func loadRemoteConfig(e *Env) {
	config := make(chan string)
	go func() {
		e.Sleep(3 * time.Second)
		config <- "remote"
	}()
	select {
	case <-config:
	case <-time.After(e.Dur(time.Second)):
		e.Fails()
	}
}

func backpressure(e *Env) {
	queue := make(chan int)
	go func() {
		for range queue {
			e.Sleep(2 * time.Second)
			e.Served()
		}
	}()
	again(12, func() { queue <- 1 })
	serve(e, 2, func(request) { queue <- 1 })
}

type rpcDesk struct{ requests chan rpcRequest }

type rpcRequest struct {
	bad   bool
	reply chan int
}

func rpcDesks(e *Env) {
	d := &rpcDesk{make(chan rpcRequest)}
	for range 4 {
		go d.work(e)
	}
	serve(e, 15, func(r request) { d.ask(r.every(5)) })
}

func (d *rpcDesk) ask(bad bool) int {
	r := rpcRequest{bad, make(chan int)}
	d.requests <- r
	return <-r.reply
}

func (d *rpcDesk) work(e *Env) {
	for r := range d.requests {
		time.Sleep(e.Tail(200 * time.Millisecond))
		if r.bad && e.Fails() {
			continue
		}
		r.reply <- 1
	}
}

func feeds(e *Env) {
	serve(e, 8, func(r request) {
		items := make(chan int)
		go consumeFeed(items)
		produceFeed(e, items, r.every(3))
	})
}

func consumeFeed(items <-chan int) {
	for range 10 {
		if _, ok := <-items; !ok {
			return
		}
	}
}

func produceFeed(e *Env, items chan<- int, fails bool) {
	if e.sound {
		defer close(items)
	}
	for i := range 10 {
		e.Sleep(20 * time.Millisecond)
		if fails && i == 6 {
			e.Fails()
			return
		}
		items <- i
	}
}

// A component starts in the background.
type component struct{ ready chan struct{} }

func startComponent(e *Env, fails bool) *component {
	c := &component{make(chan struct{})}
	go func() {
		time.Sleep(e.Tail(time.Second))
		if fails && e.Fails() {
			return
		}
		close(c.ready)
	}()
	return c
}

func (c *component) await() { <-c.ready }

func components(e *Env) {
	var mu sync.Mutex
	var n counter
	current := startComponent(e, false)
	e.Every(time.Minute, func() {
		c := startComponent(e, n.every(2))
		mu.Lock()
		current = c
		mu.Unlock()
	})
	serve(e, 10, func(request) {
		mu.Lock()
		c := current
		mu.Unlock()
		c.await()
	})
}

func replacedLeader(e *Env) {
	ordinary(e)
	updates := make(chan int)
	go followLeader(e, updates)
	for i := range 3 {
		updates <- i
	}
	e.Fails()
}

func idleWorker(e *Env) {
	s := ordinary(e)
	jobs := make(chan int)
	go followLeader(e, jobs)
	s.handle("/rare", func(request) { jobs <- 1 })
	e.Every(20*time.Minute, func() { s.visit("/rare") })
}

func followLeader(e *Env, updates <-chan int) {
	for range updates {
		e.Served()
	}
}

func orderPipelines(e *Env) {
	serve(e, 8, func(r request) {
		ids, prices := make(chan int), make(chan int)
		fails := r.every(4)
		go func() { // list
			for i := range 8 {
				if fails && i == 5 {
					if e.Fails() {
						return
					}
					break
				}
				ids <- i
			}
			close(ids)
		}()
		go func() { // price
			defer close(prices)
			for id := range ids {
				e.Sleep(30 * time.Millisecond)
				prices <- id
			}
		}()
		totalOrders(prices)
	})
}

func totalOrders(prices <-chan int) (sum int) {
	for p := range prices {
		sum += p
	}
	return sum
}

func shardQueries(e *Env) {
	serve(e, 4, func(request) {
		results := make(chan int)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				time.Sleep(e.Tail(200 * time.Millisecond))
				results <- 1
			})
		}
		go func() {
			all.Wait()
			if !e.Fails() {
				close(results)
			}
		}()
		collectShards(e, results)
	})
}

func collectShards(e *Env, results <-chan int) {
	for range results {
		e.Served()
	}
}

func batches(e *Env) {
	serve(e, 6, func(r request) {
		jobs := make(chan int)
		for range 3 {
			go batchWorker(e, jobs)
		}
		cancelled := r.every(3)
		for i := range 12 {
			if cancelled && i == 7 && e.Fails() {
				return
			}
			jobs <- i
		}
		close(jobs)
	})
}

func batchWorker(e *Env, jobs <-chan int) {
	for range jobs {
		time.Sleep(e.Tail(50 * time.Millisecond))
		e.Served()
	}
}
