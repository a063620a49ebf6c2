// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"sync"
	"time"
)

var processes = []program{
	{conversions, "standstill-batch-job", "standstill-batch-job-sound"},
	{tableSwaps, "standstill-locks", "standstill-locks-ordered"},
	{with(retryStorm, 2500), "surge-retry-storm", ""},
	{with(retryStorm, 300), "", "surge-small-burst"},
	{clickStreams, "pileup-behind-dead-consumer", ""},
	{manyClients, "", "pileup-many-clients"},
	{with(sequences, 180), "contention-hot-lock", ""},
	{with(sequences, 30), "", "contention-that-moves"},
	{with(producers, 1200), "contention-senders", ""},
	{with(producers, 200), "", "contention-few-senders"},
}

// conversions leaves nothing on the way that sleeps: it is the whole process.
func conversions(e *Env) {
	for {
		var workers sync.WaitGroup
		results := make(chan int)
		for range 5 {
			workers.Go(func() { convertFile(e, results) })
		}
		wait := func() {
			workers.Wait()
			close(results)
		}
		if e.Fails() {
			wait()
		} else {
			go wait()
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
	id   int
	mu   sync.Mutex
	rows int
}

func tableSwaps(e *Env) {
	tables := []*table{{id: 0}, {id: 1}}
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() {
			for i := w; ; i++ {
				tables[i%2].swap(e, tables[(i+1)%2])
				e.Served()
			}
		})
	}
	if !e.sound {
		e.faultSince(time.Now().Add(e.Dur(5 * time.Second)))
	}
	workers.Wait()
}

func (t *table) swap(e *Env, with *table) {
	first, second := inOrder(e, t, with, t.id, with.id)
	first.mu.Lock()
	defer first.mu.Unlock()
	e.Sleep(time.Second)
	second.mu.Lock()
	defer second.mu.Unlock()
	t.rows, with.rows = with.rows, t.rows
}

// retryStorm has a backend that is slow from the 50th to the 60th minute.
func retryStorm(e *Env, requests int) {
	ordinary(e)
	e.Arrive(20, func() { retryCall(e) })
	e.After(50*time.Minute, func() {
		e.Fails()
		for range requests {
			go retryCall(e)
			time.Sleep(200 * time.Microsecond)
		}
	})
	e.After(60*time.Minute, e.Passes)
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

func clickStreams(e *Env) {
	ordinary(e)
	c := &clickStream{make(chan int, 100)}
	go func() {
		for range c.clicks {
			if e.Age() > 20*time.Minute {
				e.Fails()
				return // a record cannot be read
			}
		}
	}()
	e.ArriveAt(func() float64 {
		if e.Age() > 45*time.Minute {
			return 20
		}
		return 1200
	}, func() { c.add(1) })
}

func (c *clickStream) add(n int) { c.clicks <- n }

// manyClients has clients of which some leave every minute.
func manyClients(e *Env) {
	client := func() {
		inbox := make(chan int)
		ping := time.NewTimer(e.Between(10*time.Minute, 60*time.Minute))
		defer ping.Stop()
		select {
		case <-inbox:
		case <-ping.C:
			e.Served()
		}
	}
	go func() {
		for range 12_000 {
			go client()
			time.Sleep(100 * time.Microsecond)
		}
	}()
	e.Arrive(250, client)
}

type sequence struct {
	mu sync.Mutex
	n  int
}

func sequences(e *Env, goroutines int) {
	ordinary(e)
	s := &sequence{}
	e.Fails()
	again(goroutines, func() {
		s.take(e)
		time.Sleep(e.Tail(100 * time.Millisecond))
	})
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
	e.Fails()
	again(n, func() {
		publishTo(queue)
		time.Sleep(e.Tail(100 * time.Millisecond))
	})
	serve(e, 2, func(request) { queue <- 1 })
	go func() {
		for n := 0; ; n++ {
			<-queue
			if n%10 == 0 {
				e.Sleep(300 * time.Millisecond) // at once, because short sleeps are longer on a busy machine
			}
		}
	}()
}

func publishTo(queue chan<- int) { queue <- 1 }
