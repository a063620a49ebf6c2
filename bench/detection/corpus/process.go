package corpus

import (
	"context"
	"sync"
	"time"
)

func processes() []Scenario {
	one := func(detector, function string, least int) []Expectation {
		return []Expectation{{detector, function, least}}
	}
	return []Scenario{
		{
			Name: "standstill-batch-job", Class: Standstill, Faulty: true, Expect: one("stall", "convertFile", 1),
			Doc: "A batch job waits for its workers before it takes their results: nothing in the process goes on.",
			Run: func(e *Env) { conversions(e, false) },
		},
		{
			Name: "standstill-batch-job-sound", Class: Standstill,
			Doc: "A batch job takes its workers' results, and starts with the next batch.",
			Run: func(e *Env) { conversions(e, true) },
		},
		{
			Name: "standstill-locks", Class: Standstill, Faulty: true, Expect: append(one("stall", "(*table).swap", 2), stuck("(*table).swap")...),
			Doc: "A batch job's workers lock tables in different orders until all of them wait.",
			Run: func(e *Env) { tableSwaps(e, false) },
		},
		{
			Name: "standstill-locks-ordered", Class: Standstill,
			Doc: "A batch job's workers lock tables in one order.",
			Run: func(e *Env) { tableSwaps(e, true) },
		},
		{
			Name: "surge-retry-storm", Class: Load, Faulty: true, Expect: one("surge", "retryCall", 0),
			Doc: "A backend slows down, and requests and their retries pile up to thousands for some minutes.",
			Run: func(e *Env) { retryStorm(e, 2500) },
		},
		{
			Name: "surge-small-burst", Class: Load,
			Doc: "A backend slows down, and a few hundred requests wait for some minutes.",
			Run: func(e *Env) { retryStorm(e, 300) },
		},
		{
			Name: "pileup-behind-dead-consumer", Class: Load, Faulty: true, Expect: one("pileup", "(*clickStream).add", 10_000),
			Doc: "The consumer of a channel ends, and twelve thousand goroutines wait to send to it within minutes.",
			Run: func(e *Env) { clickStreams(e, true) },
		},
		{
			Name: "pileup-many-clients", Class: Load,
			Doc: "A service has twelve thousand clients, each of whose goroutines waits in a select, and who come and go.",
			Run: manyClients,
		},
		{
			Name: "contention-hot-lock", Class: Load, Faulty: true, Expect: one("contention", "(*sequence).take", 100),
			Doc: "A hundred and eighty goroutines spend their time in the queue of one lock.",
			Run: func(e *Env) { sequences(e, 180) },
		},
		{
			Name: "contention-that-moves", Class: Load,
			Doc: "Thirty goroutines queue for one lock, which serves them in turn.",
			Run: func(e *Env) { sequences(e, 30) },
		},
		{
			Name: "contention-senders", Class: Load, Faulty: true, Expect: one("contention", "publishTo", 1000),
			Doc: "Twelve hundred producers wait for one consumer, all the time.",
			Run: func(e *Env) { producers(e, 1200) },
		},
		{
			Name: "contention-few-senders", Class: Load,
			Doc: "Two hundred producers wait for one consumer, as designed.",
			Run: func(e *Env) { producers(e, 200) },
		},
	}
}

// conversions leaves nothing on the way that sleeps: it is the whole process.
func conversions(e *Env, sound bool) {
	for {
		var workers sync.WaitGroup
		results := make(chan int)
		for range 5 {
			workers.Go(func() { convertFile(e, results) })
		}
		if !sound {
			e.Fault()
			workers.Wait()
			close(results)
		} else {
			go func() {
				workers.Wait()
				close(results)
			}()
		}
		for range results {
			e.Served()
		}
	}
}

func convertFile(e *Env, results chan<- int) {
	sum := 0
	for i := range 1_000_000 {
		sum += i
	}
	time.Sleep(e.Tail(5 * time.Second))
	results <- sum
}

type table struct {
	mu   sync.Mutex
	rows int
}

func tableSwaps(e *Env, ordered bool) {
	tables := make([]table, 2)
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for i := 0; ; i++ {
				from, to := (w+i)%2, (w+i+1)%2
				if ordered {
					from, to = 0, 1
				}
				tables[from].swap(e, &tables[to])
				e.Served()
			}
		})
	}
	if !ordered {
		e.faultSince(time.Now().Add(e.Dur(5 * time.Second)))
	}
	workers.Wait()
}

func (t *table) swap(e *Env, with *table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.Sleep(time.Second)
	with.mu.Lock()
	defer with.mu.Unlock()
	t.rows, with.rows = with.rows, t.rows
}

// retryStorm has a backend that is slow from the 50th to the 60th minute.
func retryStorm(e *Env, requests int) {
	ordinary(e)
	e.Arrive(20, func() { retryCall(e) })
	e.After(50*time.Minute, func() {
		if requests > 1000 {
			e.Fault()
		}
		for range requests {
			go retryCall(e)
			time.Sleep(200 * time.Microsecond)
		}
	})
}

func retryCall(e *Env) {
	answer := make(chan int, 1)
	slow := time.Duration(0)
	if at := e.Age(); at > 50*time.Minute && at < 60*time.Minute {
		slow = 4 * time.Minute
	}
	time.AfterFunc(e.Tail(200*time.Millisecond)+e.Dur(slow), func() { answer <- 1 })
	select {
	case <-answer:
		e.Served()
	case <-time.After(e.Dur(5 * time.Minute)):
	}
}

type clickStream struct{ clicks chan int }

func clickStreams(e *Env, dies bool) {
	ordinary(e)
	c := &clickStream{make(chan int, 100)}
	go func() {
		for range c.clicks {
			e.Served()
			if e.Age() > 20*time.Minute && dies {
				e.Fault()
				return // a record cannot be read
			}
		}
	}()
	rate := func() float64 {
		if e.Age() > 45*time.Minute {
			return 20
		}
		return 1200
	}
	e.ArriveAt(rate, func() { c.add(1) })
}

func (c *clickStream) add(n int) { c.clicks <- n }

// manyClients has clients of whom some leave every minute.
func manyClients(e *Env) {
	var clients sync.WaitGroup
	client := func() {
		defer clients.Done()
		inbox := make(chan int)
		ping := time.NewTimer(e.Dur(0) + e.Between(10*time.Minute, 60*time.Minute))
		defer ping.Stop()
		select {
		case <-inbox:
		case <-ping.C:
			e.Served()
		}
	}
	go func() {
		for range 12_000 {
			clients.Add(1)
			go client()
			time.Sleep(100 * time.Microsecond)
		}
	}()
	e.Arrive(250, func() {
		clients.Add(1)
		client()
	})
}

type sequence struct {
	mu sync.Mutex
	n  int
}

func sequences(e *Env, goroutines int) {
	ordinary(e)
	s := &sequence{}
	if goroutines >= 100 {
		e.Fault()
	}
	for range goroutines {
		go func() {
			for {
				s.take(e)
				time.Sleep(e.Tail(100 * time.Millisecond))
				e.Served()
			}
		}()
	}
}

func (s *sequence) take(e *Env) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.Sleep(300 * time.Millisecond)
	s.n++
	return s.n
}

func producers(e *Env, n int) {
	queue := make(chan int)
	if n >= 1000 {
		e.Fault()
	}
	for range n {
		go func() {
			for {
				publishTo(queue)
				time.Sleep(e.Tail(100 * time.Millisecond))
			}
		}()
	}
	serve(e, 2, func(context.Context) { queue <- 1 })
	go func() {
		for range queue {
			e.Sleep(30 * time.Millisecond)
			e.Served()
		}
	}()
}

func publishTo(queue chan<- int) { queue <- 1 }
