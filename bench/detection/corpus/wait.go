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

func waits() []Scenario {
	return []Scenario{
		{
			Name: "wait-slow-critical-section", Class: Waiting,
			Doc: "A cache is reloaded under its lock for half a minute, while requests wait.",
			Run: func(e *Env) {
				c := &slowCache{}
				e.Every(4*time.Minute, func() { c.reload(e) })
				serve(e, 25, func(context.Context) { c.read(); e.Served() })
			},
		},
		{
			Name: "wait-cron-sleepers", Class: Waiting,
			Doc: "A dozen jobs sleep until their time comes, most of them for an hour.",
			Run: func(e *Env) {
				ordinary(e)
				for i := range 12 {
					e.Every(time.Duration(5+i*6)*time.Minute, func() { sleepSelect(e, e.Tail(10*time.Second)) })
				}
			},
		},
		{
			Name: "wait-cron-timers", Class: Waiting,
			Doc: "Thirty jobs wait on timers of their own in a select, for up to an hour.",
			Run: cronTimers,
		},
		{
			Name: "wait-rate-limiter", Class: Waiting,
			Doc: "Requests wait for the tokens of a rate limiter, which come evenly.",
			Run: rateLimited,
		},
		{
			Name: "wait-singleflight", Class: Waiting,
			Doc: "Hundreds ask for the same few things, which are loaded once for all, in some seconds.",
			Run: func(e *Env) {
				var g singleflight.Group
				names := []string{"a", "b", "c"}
				serve(e, 40, func(context.Context) {
					_, _, _ = g.Do(names[rand.N(3)], func() (any, error) { time.Sleep(e.Tail(5 * time.Second)); return 1, nil })
					e.Served()
				})
			},
		},
		{
			Name: "wait-pubsub", Class: Waiting,
			Doc: "Subscribers come for some minutes and go.",
			Run: pubsub,
		},
		{
			Name: "wait-leader-follower", Class: Waiting,
			Doc: "Five followers wait for the leader's word, and the leadership goes round.",
			Run: leaderFollower,
		},
		{
			Name: "wait-cache-janitors", Class: Waiting,
			Doc: "Each of forty caches, which are made over half an hour, has a janitor on a ticker.",
			Run: func(e *Env) {
				ordinary(e)
				go func() {
					for range 40 {
						go cacheJanitor(e)
						e.Sleep(20 * time.Second)
					}
				}()
			},
		},
		{
			Name: "wait-actors-evicted", Class: Waiting,
			Doc: "An entity in use has a goroutine, of which the two hundred least recently used are kept.",
			Run: entities,
		},
		{
			Name: "wait-errgroup-of-services", Class: Waiting,
			Doc: "The parts of a service run in an errgroup until the end of the process.",
			Run: func(e *Env) {
				g, ctx := errgroup.WithContext(context.Background())
				for range 6 {
					g.Go(func() error { return servicePart(ctx, e) })
				}
				ordinary(e)
				ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
				g.Go(func() error { <-ctx.Done(); stop(); return nil })
				go func() { _ = g.Wait() }()
			},
		},
		{
			Name: "wait-signals", Class: Waiting,
			Doc: "Goroutines wait for signals, which come hardly ever.",
			Run: func(e *Env) {
				ordinary(e)
				reload := make(chan os.Signal, 1)
				signal.Notify(reload, syscall.SIGHUP)
				go func() {
					for range reload {
						e.Served()
					}
				}()
				e.Every(30*time.Minute, hangUp)
			},
		},
		{
			Name: "wait-retry-with-backoff", Class: Waiting,
			Doc: "Calls are tried again after ever longer pauses, of four minutes at most.",
			Run: func(e *Env) {
				ordinary(e)
				e.Arrive(8, func() {
					pause := time.Second
					for rand.N(3) != 0 && pause < 4*time.Minute {
						sleepSelect(e, e.Dur(pause))
						pause *= 2
					}
				})
			},
		},
		{
			Name: "wait-two-phase-batches", Class: Waiting,
			Doc: "Workers wait for each other at a barrier, batch after batch.",
			Run: barriers,
		},
		{
			Name: "wait-iterators", Class: Waiting,
			Doc: "Iterators are pulled from, with pauses, and stopped.",
			Run: func(e *Env) {
				serve(e, 8, func(context.Context) {
					next, stop := iter.Pull(func(yield func(int) bool) {
						for i := 0; yield(i); i++ {
						}
					})
					defer stop()
					for range 5 {
						_, _ = next()
						time.Sleep(e.Tail(time.Second))
					}
					e.Served()
				})
			},
		},
		{
			Name: "wait-bounded-queue", Class: Waiting,
			Doc: "A bounded queue with a Cond has idle consumers most of the time, and full producers at times.",
			Run: func(e *Env) { rings(e, true) },
		},
		{
			Name: "wait-websocket-rooms", Class: Waiting,
			Doc: "Each client has a reader, a writer and a place in a room; they live for twenty minutes on average.",
			Run: chatRooms,
		},
		{
			Name: "wait-connection-draining", Class: Waiting,
			Doc: "Every quarter of an hour fifty workers are replaced; the old ones end their work within two minutes.",
			Run: draining,
		},
		{
			Name: "wait-read-mostly-lock", Class: Waiting,
			Doc: "Two hundred readers a second share an RWMutex with a writer that comes every minute for a second.",
			Run: func(e *Env) {
				r := &routes{table: map[string]string{"a": "b"}}
				e.Arrive(150, func() { r.lookup(e, "a", true); e.Served() })
				e.Every(time.Minute, func() { r.reload(e) })
			},
		},
		{
			Name: "wait-tenants-onboarded", Class: Waiting,
			Doc: "Each of thirty tenants gets a worker and a poller in the first ten minutes, which stay.",
			Run: func(e *Env) {
				s := ordinary(e)
				jobs := make(chan int)
				go func() {
					for range 30 {
						go batchWorker(e, jobs)
						go cacheJanitor(e)
						e.Sleep(18 * time.Second)
					}
				}()
				s.handle("/put", func(context.Context) { jobs <- 1 })
				s.visit(6, "/put")
			},
		},
	}
}

type slowCache struct {
	mu sync.RWMutex
	n  int
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

func cronTimers(e *Env) {
	ordinary(e)
	quit := make(chan struct{})
	for range 30 {
		go func() {
			for {
				timer := time.NewTimer(e.Between(5*time.Minute, time.Hour))
				select {
				case <-timer.C:
					sleepSelect(e, e.Tail(2*time.Second))
				case <-quit:
					timer.Stop()
					return
				}
			}
		}()
	}
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
	serve(e, 50, func(ctx context.Context) {
		select {
		case <-tokens:
			e.Served()
		case <-ctx.Done():
		}
	})
}

func pubsub(e *Env) {
	var mu sync.Mutex
	all := make(map[chan int]bool)
	e.Every(time.Second, func() {
		mu.Lock()
		defer mu.Unlock()
		for c := range all {
			select {
			case c <- 1:
			default: // slow ones miss some
			}
		}
	})
	ordinary(e)
	e.Arrive(12, func() {
		c := make(chan int, 1)
		mu.Lock()
		all[c] = true
		mu.Unlock()
		until := time.Now().Add(e.Tail(2 * time.Minute))
		for time.Now().Before(until) {
			<-c
			e.Served()
		}
		mu.Lock()
		defer mu.Unlock()
		delete(all, c)
	})
}

func leaderFollower(e *Env) {
	ordinary(e)
	word := make(chan int)
	var leader sync.Mutex
	for range 5 {
		go func() {
			for {
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
			}
		}()
	}
}

func cacheJanitor(e *Env) {
	ticker := time.NewTicker(e.Dur(time.Minute))
	defer ticker.Stop()
	for range ticker.C {
		e.Served()
	}
}

// entities has a goroutine for each entity in use.
func entities(e *Env) {
	type entity struct{ inbox chan int }
	var mu sync.Mutex
	live := make(map[int]*entity)
	var used []int
	send := func(id int) {
		mu.Lock()
		defer mu.Unlock()
		en := live[id]
		if en == nil {
			en = &entity{make(chan int, 100)}
			live[id] = en
			used = append(used, id)
			go func() {
				for range en.inbox {
					e.Served()
				}
			}()
			if len(used) > 200 {
				close(live[used[0]].inbox)
				delete(live, used[0])
				used = used[1:]
			}
		}
		select {
		case en.inbox <- 1:
		default:
		}
	}
	ordinary(e)
	e.Arrive(40, func() { send(int(rand.ExpFloat64() * 150)) })
}

func servicePart(ctx context.Context, e *Env) error {
	ticker := time.NewTicker(e.Dur(45 * time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			e.Served()
		}
	}
}

func barriers(e *Env) {
	ordinary(e)
	const workers = 10
	var mu sync.Mutex
	all := sync.NewCond(&mu)
	arrived, batch := 0, 0
	for range workers {
		go func() {
			for {
				time.Sleep(e.Tail(5 * time.Second))
				mu.Lock()
				mine := batch
				if arrived++; arrived == workers {
					arrived = 0
					batch++
					all.Broadcast()
				}
				for mine == batch {
					all.Wait()
				}
				mu.Unlock()
				e.Served()
			}
		}()
	}
}

func chatRooms(e *Env) {
	ordinary(e)
	var mu sync.Mutex
	members := make(map[chan int]bool)
	e.Every(10*time.Second, func() {
		mu.Lock()
		defer mu.Unlock()
		for m := range members {
			select {
			case m <- 1:
			default:
			}
		}
	})
	e.Arrive(2, func() {
		out, left := make(chan int, 4), make(chan struct{})
		mu.Lock()
		members[out] = true
		mu.Unlock()
		var client sync.WaitGroup
		client.Go(func() { // writes what comes
			for {
				select {
				case <-out:
					e.Served()
				case <-left:
					return
				}
			}
		})
		client.Go(func() { // reads until the client is gone
			sleepSelect(e, e.Tail(12*time.Minute))
			close(left)
		})
		client.Wait()
		mu.Lock()
		defer mu.Unlock()
		delete(members, out)
	})
}

func draining(e *Env) {
	s := ordinary(e)
	jobs := make(chan int)
	start := func() chan struct{} {
		quit := make(chan struct{})
		for range 50 {
			go func() {
				for {
					select {
					case <-jobs:
						time.Sleep(e.Between(time.Second, 2*time.Minute))
						e.Served()
					case <-quit:
						return
					}
				}
			}()
		}
		return quit
	}
	go func() {
		for {
			quit := start()
			e.Sleep(15 * time.Minute)
			close(quit)
		}
	}()
	s.handle("/put", func(context.Context) { jobs <- 1 })
	s.visit(20, "/put")
}

// hangUp sends this process a signal, where the system has any.
func hangUp() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Signal(syscall.SIGHUP)
	}
}
