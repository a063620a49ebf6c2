package corpus

import (
	"context"
	"math"
	"sync"
	"time"
)

func shapes() []Scenario {
	return []Scenario{
		{
			Name: "shape-ramp", Class: Shapes,
			Doc: "The load rises to ten times as much over an hour and a half.",
			Run: func(e *Env) {
				loadOf(e, func() float64 { return 10 + 90*min(1, float64(e.Age())/float64(90*time.Minute)) })
			},
		},
		{
			Name: "shape-ramp-of-long-requests", Class: Shapes,
			Doc: "Requests of up to four minutes become ever more.",
			Run: func(e *Env) {
				ordinary(e)
				e.ArriveAt(func() float64 { return 2 + 50*min(1, float64(e.Age())/float64(90*time.Minute)) }, func() {
					sleepSelect(e, e.Between(10*time.Second, 4*time.Minute))
				})
			},
		},
		{
			Name: "shape-bursts", Class: Shapes,
			Doc: "Every five minutes two hundred requests come at once.",
			Run: func(e *Env) {
				s := newSite(e)
				s.handle("/", func(context.Context) { sleepSelect(e, e.Tail(time.Second)) })
				s.visit(10, "/")
				e.Every(5*time.Minute, func() {
					for range 200 {
						go func() { _ = s.get(s.client, "/") }()
					}
				})
			},
		},
		{
			Name: "shape-daily-wave", Class: Shapes,
			Doc: "The load follows a wave, as over a day.",
			Run: func(e *Env) { loadOf(e, func() float64 { return 5 + 90*wave(e, 40*time.Minute) }) },
		},
		{
			Name: "shape-wave-of-streams", Class: Shapes,
			Doc: "Streams that live for a quarter of an hour on average follow a wave.",
			Run: func(e *Env) {
				ordinary(e)
				e.ArriveAt(func() float64 { return 1 + 30*wave(e, 50*time.Minute) }, func() {
					sleepSelect(e, e.Tail(8*time.Minute))
				})
			},
		},
		{
			Name: "shape-heavy-tail", Class: Shapes,
			Doc: "Requests take two seconds at the median, and one in a hundred half a minute.",
			Run: func(e *Env) {
				serve(e, 30, func(context.Context) { sleepSelect(e, e.Tail(2*time.Second)) })
			},
		},
		{
			Name: "shape-steps", Class: Shapes,
			Doc: "The load doubles every twenty minutes, as tenants are moved here.",
			Run: func(e *Env) {
				loadOf(e, func() float64 { return 6 * math.Pow(2, math.Floor(float64(e.Age())/float64(20*time.Minute))) })
			},
		},
		{
			Name: "shape-quiet-then-busy", Class: Shapes,
			Doc: "Nothing happens for forty minutes, and then there is load.",
			Run: func(e *Env) {
				loadOf(e, func() float64 {
					if e.Age() < 40*time.Minute {
						return 0.5
					}
					return 60
				})
			},
		},
		{
			Name: "shape-batch-jobs", Class: Shapes,
			Doc: "Every ten minutes a job starts thirty workers for five minutes.",
			Run: func(e *Env) {
				ordinary(e)
				e.Every(10*time.Minute, func() {
					var workers sync.WaitGroup
					jobs := make(chan int)
					for range 30 {
						workers.Go(func() { batchWorker(e, jobs) })
					}
					for range 1500 {
						jobs <- 1
					}
					close(jobs)
					workers.Wait()
				})
			},
		},
	}
}

// wave is between 0 and 1, and 0 at the start.
func wave(e *Env, period time.Duration) float64 {
	return (1 - math.Cos(2*math.Pi*float64(e.Age())/float64(period))) / 2
}

// loadOf has requests of all lengths at a rate that changes.
func loadOf(e *Env, rate func() float64) {
	s := newSite(e)
	s.handle("/", func(context.Context) { sleepSelect(e, e.Tail(2*time.Second)) })
	e.ArriveAt(rate, func() { _ = s.get(s.client, "/") })
}

// sleepSelect waits for an answer that comes after d, as requests wait for
// something else.
func sleepSelect(e *Env, d time.Duration) {
	answer := make(chan int, 1)
	time.AfterFunc(d, func() { answer <- 1 })
	select {
	case <-answer:
		e.Served()
	case <-time.After(e.Dur(24 * time.Hour)):
	}
}
