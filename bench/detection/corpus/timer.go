package corpus

import (
	"context"
	"sync/atomic"
	"time"
)

func timers() []Scenario {
	return []Scenario{
		{
			Name: "ticker-poller-outlives", Class: EndlessLoop, Faulty: true, Expect: leak("pollOrder"),
			Doc: "Each order starts a poller on a ticker, which goes on when the order is done.",
			Run: func(e *Env) { polledOrders(e, false) },
		},
		{
			Name: "ticker-poller-ends", Class: EndlessLoop,
			Doc: "Each order starts a poller on a ticker, which ends with the order.",
			Run: func(e *Env) { polledOrders(e, true) },
		},
		{
			Name: "ticker-select-done-dropped", Class: EndlessLoop, Faulty: true, Expect: leak("(*limiter).refill"),
			Doc: "A rate limiter for each customer refills on a ticker until it is stopped; those evicted are not.",
			Run: func(e *Env) { limiters(e, false) },
		},
		{
			Name: "ticker-select-stopped", Class: EndlessLoop,
			Doc: "A rate limiter for each customer refills on a ticker until it is evicted.",
			Run: func(e *Env) { limiters(e, true) },
		},
		{
			Name: "timer-afterfunc-blocks", Class: EndlessLoop, Faulty: true, Expect: leak("armTimeout"),
			Doc: "A timer's function sends its alarm after the request has ended, to nobody.",
			Run: func(e *Env) { alarms(e, false) },
		},
		{
			Name: "timer-afterfunc-stopped", Class: EndlessLoop,
			Doc: "A timer is stopped with the request, and its alarm fits the buffer.",
			Run: func(e *Env) { alarms(e, true) },
		},
		{
			Name: "timer-after-loop", Class: EndlessLoop, Faulty: true, Expect: leak("(*device).watchdog"),
			Doc: "A watchdog for each device waits for signs of life or a timer, again and again, also for devices that are gone.",
			Run: func(e *Env) { devices(e, false) },
		},
		{
			Name: "timer-after-loop-ends", Class: EndlessLoop,
			Doc: "A watchdog for each device ends after the third time without a sign of life.",
			Run: func(e *Env) { devices(e, true) },
		},
		{
			Name: "sleep-loop-outlives", Class: EndlessLoop, Faulty: true, Expect: leak("refreshToken"),
			Doc: "Each connection refreshes its token after a sleep, in a loop that nothing ends.",
			Run: func(e *Env) { tokens(e, false) },
		},
		{
			Name: "sleep-loop-ends", Class: EndlessLoop,
			Doc: "Each connection refreshes its token after a sleep, until it is closed.",
			Run: func(e *Env) { tokens(e, true) },
		},
	}
}

func polledOrders(e *Env, ends bool) {
	serve(e, 4, func(context.Context) {
		var done atomic.Bool
		go pollOrder(e, &done, ends)
		time.Sleep(e.Tail(2 * time.Second))
		done.Store(true)
		if !ends {
			e.Fault()
		}
		e.Served()
	})
}

func pollOrder(e *Env, done *atomic.Bool, ends bool) {
	ticker := time.NewTicker(e.Dur(20 * time.Second))
	defer ticker.Stop()
	for range ticker.C {
		if done.Load() && ends {
			return
		}
	}
}

type limiter struct {
	tokens atomic.Int64
	stop   chan struct{}
}

func limiters(e *Env, stops bool) {
	serve(e, 4, func(context.Context) {
		l := &limiter{stop: make(chan struct{})}
		go l.refill(e)
		time.Sleep(e.Tail(3 * time.Second)) // in the cache
		if stops {
			close(l.stop)
		} else {
			e.Fault()
		}
		e.Served()
	})
}

func (l *limiter) refill(e *Env) {
	ticker := time.NewTicker(e.Dur(10 * time.Second))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.tokens.Store(10)
		case <-l.stop:
			return
		}
	}
}

func alarms(e *Env, sound bool) {
	serve(e, 6, func(context.Context) { armTimeout(e, sound) })
}

func armTimeout(e *Env, sound bool) {
	alarm := make(chan struct{})
	if sound {
		alarm = make(chan struct{}, 1)
	}
	timer := time.AfterFunc(e.Dur(2*time.Second), func() { alarm <- struct{}{} })
	if sound {
		defer timer.Stop()
	}
	select {
	case <-alarm:
	case <-time.After(e.Tail(500 * time.Millisecond)):
		if !sound {
			e.Fault()
		}
	}
	e.Served()
}

type device struct{ alive chan struct{} }

func devices(e *Env, ends bool) {
	serve(e, 4, func(context.Context) {
		d := &device{make(chan struct{})}
		go d.watchdog(e, ends)
		for range 3 {
			time.Sleep(e.Tail(500 * time.Millisecond))
			d.alive <- struct{}{}
		}
		if !ends {
			e.Fault()
		}
		e.Served()
	})
}

func (d *device) watchdog(e *Env, ends bool) {
	for missed := 0; missed < 3 || !ends; {
		select {
		case <-d.alive:
			missed = 0
		case <-time.After(e.Dur(15 * time.Second)):
			missed++
		}
	}
}

func tokens(e *Env, ends bool) {
	serve(e, 4, func(context.Context) {
		var closed atomic.Bool
		go refreshToken(e, &closed, ends)
		time.Sleep(e.Tail(2 * time.Second))
		closed.Store(true)
		if !ends {
			e.Fault()
		}
		e.Served()
	})
}

func refreshToken(e *Env, closed *atomic.Bool, ends bool) {
	for !closed.Load() || !ends {
		e.Sleep(20 * time.Second)
	}
}
