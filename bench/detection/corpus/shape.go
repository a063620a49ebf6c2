// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"math"
	"sync"
	"time"
)

var shapes = []program{
	{with(loadOf, func(e *Env) float64 { return 10 + 90*risen(e) }), "", "shape-ramp"},
	{longRequests, "", "shape-ramp-of-long-requests"},
	{bursts, "", "shape-bursts"},
	{with(loadOf, func(e *Env) float64 { return 5 + 90*wave(e, 40*time.Minute) }), "", "shape-daily-wave"},
	{streamWave, "", "shape-wave-of-streams"},
	{func(e *Env) { serve(e, 30, func(request) { sleepSelect(e, e.Tail(2*time.Second)) }) }, "", "shape-heavy-tail"},
	{with(loadOf, func(e *Env) float64 { return 6 * math.Pow(2, math.Floor(e.Age().Minutes()/20)) }), "", "shape-steps"},
	{with(loadOf, quietThenBusy), "", "shape-quiet-then-busy"},
	{batchJobs, "", "shape-batch-jobs"},
}

// wave is between 0 and 1, and 0 at the start.
func wave(e *Env, period time.Duration) float64 {
	return (1 - math.Cos(2*math.Pi*float64(e.Age())/float64(period))) / 2
}

// risen goes from 0 to 1 in an hour and a half.
func risen(e *Env) float64 { return min(1, e.Age().Minutes()/90) }

func quietThenBusy(e *Env) float64 {
	if e.Age() < 40*time.Minute {
		return 0.5
	}
	return 60
}

// loadOf has requests of all lengths at a rate that changes.
func loadOf(e *Env, rate func(*Env) float64) {
	s := newSite(e)
	s.handle("/", func(request) { sleepSelect(e, e.Tail(2*time.Second)) })
	e.ArriveAt(func() float64 { return rate(e) }, func() { s.visit("/") })
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

func longRequests(e *Env) {
	ordinary(e)
	e.ArriveAt(func() float64 { return 2 + 50*risen(e) }, func() { sleepSelect(e, e.Between(10*time.Second, 4*time.Minute)) })
}

func bursts(e *Env) {
	s := newSite(e)
	s.arrive(10, "/", func(request) { sleepSelect(e, e.Tail(time.Second)) })
	e.Every(5*time.Minute, func() {
		for range 200 {
			go s.visit("/")
		}
	})
}

func streamWave(e *Env) {
	ordinary(e)
	e.ArriveAt(func() float64 { return 1 + 30*wave(e, 50*time.Minute) }, func() { sleepSelect(e, e.Tail(8*time.Minute)) })
}

func batchJobs(e *Env) {
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
}
