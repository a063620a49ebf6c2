// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// An Env is what a scenario knows of the world: the scale of time, whether it
// is to be sound, and where to tell what it did. Safe for concurrent use.
type Env struct {
	scale   float64
	sound   bool // set by Scenario.Run before anything else
	started time.Time
	faults  atomic.Int64
	served  atomic.Int64
	first   atomic.Int64 // ns from the start to the first fault
	moved   atomic.Int64 // ns from the start to the last move
	over    atomic.Int64 // ns from the start to the end of the fault

	// Outside starts what is outside the program, and returns the address of its
	// dependency. Set it before the program runs; nil is in this process.
	Outside func(Outside) (dependency string, err error)
}

// NewEnv returns an Env in which a second lasts scale seconds, over 0 to 1.
func NewEnv(scale float64) *Env { return &Env{scale: scale, started: time.Now()} }

// Fails is called where the mistake of a faulty program takes effect. In that
// program it tells that the fault has happened once more, and returns true; in
// its sound twin it returns false.
func (e *Env) Fails() bool {
	if !e.sound {
		e.faultSince(time.Now())
	}
	return !e.sound
}

// faultSince tells of a fault that is noticed later than it happened.
func (e *Env) faultSince(t time.Time) {
	if e.faults.Add(1) == 1 {
		e.first.Store(int64(t.Sub(e.started)))
	}
}

// Served tells that the program has done a piece of its work.
func (e *Env) Served() { e.served.Add(1) }

// Told returns what was told: pieces of work, faults, and when the first fault
// happened, from the start on.
func (e *Env) Told() (served, faults int64, first time.Duration) {
	return e.served.Load(), e.faults.Load(), time.Duration(e.first.Load())
}

// Moved tells that work which the fault of this program stops has gone on.
func (e *Env) Moved() {
	e.moved.Store(int64(time.Since(e.started)))
	e.Served()
}

// Standstill returns when the work of a faulty program that [Env.Moved] tells of
// moved last, from the start on: what stands then never goes on. It is 0 for
// programs that do not tell.
func (e *Env) Standstill() time.Duration { return time.Duration(e.moved.Load()) }

// Passes tells that the fault is over: saying so is right from now on.
func (e *Env) Passes() { e.over.Store(int64(time.Since(e.started))) }

// Passed returns when the fault was over, from the start on; 0 if it is not.
func (e *Env) Passed() time.Duration { return time.Duration(e.over.Load()) }

// since is when things begin to go wrong in programs that hang.
const since = 3 * time.Minute

// failsNow is [Env.Fails] from then on, and false before.
func (e *Env) failsNow() bool { return e.Age() > since && e.Fails() }

// answer returns the answer of a partner: it comes after a while, and in a
// faulty program never from the time of the fault on.
func (e *Env) answer(median time.Duration) <-chan int {
	c := make(chan int, 1)
	if !e.failsNow() {
		time.AfterFunc(e.Tail(median), func() { c <- 1 })
	}
	return c
}

// Dur scales a time of a real service.
func (e *Env) Dur(real time.Duration) time.Duration {
	return max(time.Duration(float64(real)*e.scale), time.Microsecond)
}

// Sleep sleeps for a scaled time.
func (e *Env) Sleep(real time.Duration) { time.Sleep(e.Dur(real)) }

// Between returns a scaled time between two.
func (e *Env) Between(least, most time.Duration) time.Duration {
	return e.Dur(least + rand.N(most-least+1))
}

// Tail returns a scaled, heavy-tailed time: half are shorter than median, one
// in a hundred ten times as long; none 40 times.
func (e *Env) Tail(median time.Duration) time.Duration {
	return e.Dur(time.Duration(float64(median) * min(math.Exp(rand.NormFloat64()), 40)))
}

// Age returns for how long the scenario has run, in the time of a real service.
func (e *Env) Age() time.Duration {
	return time.Duration(float64(time.Since(e.started)) / e.scale)
}

// Arrive calls f on a goroutine of its own at random times, perSecond times
// a second of the machine's time on average.
func (e *Env) Arrive(perSecond float64, f func()) {
	e.ArriveAt(func() float64 { return perSecond }, f)
}

// ArriveAt is Arrive with a rate that changes.
func (e *Env) ArriveAt(perSecond func() float64, f func()) {
	go func() {
		next := time.Now()
		for {
			rate := max(perSecond(), 0.2)
			next = next.Add(time.Duration(rand.ExpFloat64() / rate * float64(time.Second)))
			if behind := time.Since(next); behind > mostBehind {
				next = next.Add(behind - mostBehind)
			}
			time.Sleep(time.Until(next))
			go f()
		}
	}()
}

// mostBehind is how much of what a busy machine made late is made up for.
const mostBehind = 100 * time.Millisecond

// Every calls f again and again, with a scaled time in between.
func (e *Env) Every(real time.Duration, f func()) {
	go func() {
		for {
			time.Sleep(e.Dur(real))
			f()
		}
	}()
}

// After calls f on a goroutine of its own after a scaled time.
func (e *Env) After(real time.Duration, f func()) {
	go func() {
		time.Sleep(e.Dur(real))
		f()
	}()
}

// EveryTick calls f at every tick of a ticker, on the goroutine that calls it,
// for ever.
func (e *Env) EveryTick(real time.Duration, f func()) {
	ticker := time.NewTicker(e.Dur(real))
	defer ticker.Stop()
	for range ticker.C {
		f()
	}
}

// release unlocks mu at once in a sound program; the caller of a faulty one
// does so, by calling what is returned, when it is too late.
func (e *Env) release(mu sync.Locker) (later func()) {
	if e.sound {
		mu.Unlock()
		return func() {}
	}
	return mu.Unlock
}

// inSound returns v in a sound program, and else the zero value: no buffer, or
// a channel that is never ready.
func inSound[T any](e *Env, v T) (none T) {
	if e.sound {
		return v
	}
	return none
}

// limit returns a channel that is ready after a scaled time in a sound program, and never
// in a faulty one. It is a function by itself, because detectors read from the code of a
// function whether it sets a timer, which that of a faulty program would not.
//
//go:noinline
func (e *Env) limit(real time.Duration) <-chan time.Time {
	if e.sound {
		return time.After(e.Dur(real))
	}
	return nil
}

// again starts n goroutines that call f again and again.
func again(n int, f func()) {
	for range n {
		go func() {
			for {
				f()
			}
		}()
	}
}

// A counter tells every nth call.
type counter struct{ n atomic.Int64 }

func (c *counter) every(n int64) bool { return c.n.Add(1)%n == 0 }
