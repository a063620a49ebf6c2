// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"iter"
	"math/rand/v2"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
)

var waits = []program{
	{slowCaches, "", "wait-slow-critical-section"},
	{cronSleepers, "", "wait-cron-sleepers"},
	{cronTimers, "", "wait-cron-timers"},
	{rateLimited, "", "wait-rate-limiter"},
	{singleFlights, "", "wait-singleflight"},
	{pubsub, "", "wait-pubsub"},
	{leaderFollower, "", "wait-leader-follower"},
	{cacheJanitors, "", "wait-cache-janitors"},
	{entities, "", "wait-actors-evicted"},
	{groupOfServices, "", "wait-errgroup-of-services"},
	{signals, "", "wait-signals"},
	{retries, "", "wait-retry-with-backoff"},
	{barriers, "", "wait-two-phase-batches"},
	{iterators, "", "wait-iterators"},
	{rings, "", "wait-bounded-queue"},
	{chatRooms, "", "wait-websocket-rooms"},
	{draining, "", "wait-connection-draining"},
	{readMostly, "", "wait-read-mostly-lock"},
	{tenantsOnboarded, "", "wait-tenants-onboarded"},
}

type slowCache struct {
	mu sync.RWMutex
	n  int
}

func slowCaches(e *Env) {
	c := &slowCache{}
	e.Every(4*time.Minute, func() { c.reload(e) })
	serve(e, 25, func(request) { c.read() })
}

func (c *slowCache) reload(e *Env) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.Sleep(30 * time.Second)
	c.n++
}

func (c *slowCache) read() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.n
}

func cronSleepers(e *Env) {
	ordinary(e)
	for i := range 12 {
		e.Every(time.Duration(5+i*6)*time.Minute, func() { sleepSelect(e, e.Tail(10*time.Second)) })
	}
}

func cronTimers(e *Env) {
	ordinary(e)
	quit := make(chan struct{})
	again(30, func() {
		timer := time.NewTimer(e.Between(5*time.Minute, time.Hour))
		select {
		case <-timer.C:
			sleepSelect(e, e.Tail(2*time.Second))
		case <-quit:
			timer.Stop()
		}
	})
	e.Every(100*time.Hour, func() { close(quit) })
}

func rateLimited(e *Env) {
	tokens := make(chan struct{}, 5)
	e.Every(2*time.Second, func() {
		for range 2 {
			select {
			case tokens <- struct{}{}:
			default:
			}
		}
	})
	serve(e, 50, func(r request) {
		select {
		case <-tokens:
		case <-r.Done():
		}
	})
}

func singleFlights(e *Env) {
	var g singleflight.Group
	names := []string{"a", "b", "c"}
	serve(e, 40, func(request) {
		_, _, _ = g.Do(names[rand.N(3)], func() (any, error) {
			time.Sleep(min(e.Tail(5*time.Second), e.Dur(45*time.Second))) // requests that all wait for over a minute are a hang
			return 1, nil
		})
	})
}

func pubsub(e *Env) {
	b := newBoard()
	e.Every(time.Second, b.tell)
	ordinary(e)
	e.Arrive(12, func() {
		c := make(chan int, 1)
		b.set(c, true)
		for until := time.Now().Add(e.Tail(2 * time.Minute)); time.Now().Before(until); e.Served() {
			<-c
		}
		b.set(c, false)
	})
}

func leaderFollower(e *Env) {
	ordinary(e)
	word := make(chan int)
	var leader sync.Mutex
	again(5, func() {
		if leader.TryLock() {
			for range 20 {
				select {
				case word <- 1:
				case <-time.After(e.Dur(10 * time.Second)):
				}
				e.Sleep(2 * time.Second)
			}
			leader.Unlock()
		}
		select {
		case <-word:
			e.Served()
		case <-time.After(e.Dur(30 * time.Second)):
		}
	})
}

func cacheJanitors(e *Env) {
	ordinary(e)
	go func() {
		for range 40 {
			go cacheJanitor(e)
			e.Sleep(20 * time.Second)
		}
	}()
}

func cacheJanitor(e *Env) { e.EveryTick(time.Minute, e.Served) }

// entities has a goroutine for each entity in use.
func entities(e *Env) {
	var mu sync.Mutex
	inboxes := make(map[int]chan int)
	var used []int
	send := func(id int) {
		mu.Lock()
		defer mu.Unlock()
		inbox := inboxes[id]
		if inbox == nil {
			inbox = make(chan int, 100)
			inboxes[id] = inbox
			used = append(used, id)
			go func() {
				for range inbox {
					e.Served()
				}
			}()
			if len(used) > 200 {
				close(inboxes[used[0]])
				delete(inboxes, used[0])
				used = used[1:]
			}
		}
		select {
		case inbox <- 1:
		default:
		}
	}
	ordinary(e)
	e.Arrive(40, func() { send(int(rand.ExpFloat64() * 150)) })
}

func groupOfServices(e *Env) {
	g, ctx := errgroup.WithContext(context.Background())
	for range 6 {
		g.Go(func() error { heartbeat(ctx, e, 45*time.Second); return ctx.Err() })
	}
	ordinary(e)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	g.Go(func() error { <-ctx.Done(); stop(); return nil })
	go func() { _ = g.Wait() }()
}

func signals(e *Env) {
	ordinary(e)
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	go func() {
		for range reload {
			e.Served()
		}
	}()
	e.Every(30*time.Minute, func() { // where the system has signals
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Signal(syscall.SIGHUP)
		}
	})
}

func retries(e *Env) {
	ordinary(e)
	e.Arrive(8, func() {
		for pause := time.Second; rand.N(3) != 0 && pause < 4*time.Minute; pause *= 2 {
			sleepSelect(e, e.Dur(pause))
		}
	})
}

func barriers(e *Env) {
	ordinary(e)
	const workers = 10
	var mu sync.Mutex
	all := sync.NewCond(&mu)
	arrived, batch := 0, 0
	again(workers, func() {
		time.Sleep(e.Tail(5 * time.Second))
		mu.Lock()
		defer mu.Unlock()
		mine := batch
		if arrived++; arrived == workers {
			arrived = 0
			batch++
			all.Broadcast()
		}
		for mine == batch {
			all.Wait()
		}
	})
}

func iterators(e *Env) {
	serve(e, 8, func(request) {
		next, stop := iter.Pull(func(yield func(int) bool) {
			for i := 0; yield(i); i++ {
			}
		})
		defer stop()
		for range 5 {
			_, _ = next()
			time.Sleep(e.Tail(time.Second))
		}
	})
}

func chatRooms(e *Env) {
	ordinary(e)
	room := newBoard()
	e.Every(10*time.Second, room.tell)
	e.Arrive(2, func() {
		out, left := make(chan int, 4), make(chan struct{})
		room.set(out, true)
		var client sync.WaitGroup
		client.Go(func() { stoppable(out, left, e.Served) }) // writes what comes
		client.Go(func() {                                   // reads until the client is gone
			sleepSelect(e, e.Tail(12*time.Minute))
			close(left)
		})
		client.Wait()
		room.set(out, false)
	})
}

func draining(e *Env) {
	jobs := make(chan int)
	again(1, func() {
		quit := make(chan struct{})
		for range 50 {
			go stoppable(jobs, quit, func() { time.Sleep(e.Between(time.Second, 2*time.Minute)); e.Served() })
		}
		e.Sleep(15 * time.Minute)
		close(quit)
	})
	serve(e, 20, func(request) { jobs <- 1 })
}

func readMostly(e *Env) {
	r := &routes{table: map[string]string{"a": "b"}}
	e.Arrive(150, func() { r.lookup(e, "a"); e.Served() })
	e.Every(time.Minute, func() { r.reload(e) })
}

func tenantsOnboarded(e *Env) {
	jobs := make(chan int)
	go func() {
		for range 30 {
			go batchWorker(e, jobs)
			go cacheJanitor(e)
			e.Sleep(18 * time.Second)
		}
	}()
	serve(e, 6, func(request) { jobs <- 1 })
}
