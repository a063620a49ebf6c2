package main

import (
	"os"
	"os/exec"
	"sync"
	"time"
	"unsafe"
)

// In these scenes a lock is held on purpose, by a goroutine that goes on.
var purposes = map[string]func() int{
	"purpose: sleep in a once":              sleepInOnce,
	"purpose: transaction":                  transaction,
	"purpose: release function":             releaseFunction,
	"purpose: handed over":                  handedOver,
	"purpose: handed over with defer":       handedOverDeferred,
	"purpose: through sync.Locker":          throughLocker,
	"purpose: result of a worker":           resultOfWorker,
	"purpose: result of a timer":            resultOfTimer,
	"purpose: workers of a wait group":      workersOfGroup,
	"purpose: child process":                childProcess,
	"purpose: embedded lock of others":      embeddedOfOthers,
	"purpose: reader that sleeps":           readerSleeps,
	"purpose: writer that sleeps":           writerSleeps,
	"purpose: unlock on an early return":    earlyReturn,
	"purpose: lock in a slice":              lockInSlice,
	"purpose: generic":                      genericSleep,
	"purpose: conditional lock":             conditionalLock,
	"purpose: leader":                       leader,
	"purpose: one of two arguments":         oneOfTwo,
	"purpose: one of two arguments, twice":  oneOfTwoTwice,
	"purpose: one of two in an object":      oneOfPair,
	"purpose: not on this way":              notOnThisWay,
	"purpose: empty arguments":              emptyArguments,
	"purpose: arguments of a generic one":   genericArguments,
	"purpose: method value":                 methodValue,
	"purpose: try lock":                     tryLock,
	"purpose: two locks":                    twoLocks,
	"purpose: behind another lock":          behindAnother,
	"purpose: send or timeout":              sendOrTimeout,
	"purpose: condition under another lock": conditionUnderLock,
	"purpose: callback":                     callbackSleeps,
	"purpose: read of a pipe":               pipeRead,
	"purpose: deep stack":                   deepStack,
	"purpose: loop that unlocks to wait":    unlockInLoop,
}

func init() {
	for name, f := range purposes {
		scenes[name] = f
	}
}

//go:noinline
func longWork() { time.Sleep(time.Hour) }

// A job is worked on under its lock.
type job struct {
	mu   sync.Mutex
	once sync.Once
	rw   sync.RWMutex
	n    int
}

func (j *job) status() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.n
}

// held runs hold until it sleeps or waits, and lets two goroutines wait behind it.
func (j *job) held(function, state string, hold func()) int {
	go func() { serve(hold) }()
	until(1, function, state)
	crowd(2, func() { serve(func() { j.status() }) })
	return 2
}

func (j *job) takes() { takes(unsafe.Pointer(&j.mu)) }

func sleepInOnce() int {
	j := &job{}
	go serve(func() { j.once.Do(longWork) })
	until(1, "main.longWork", "sleep")
	crowd(2, func() { serve(func() { j.once.Do(longWork) }) })
	return 2
}

// begin returns with the lock held, unless it fails.
func (j *job) begin() bool {
	j.mu.Lock()
	if j.n < 0 {
		j.mu.Unlock()
		return false
	}
	return true
}

func (j *job) commit() { j.n++; j.finish() }

//go:noinline
func (j *job) finish() { j.mu.Unlock() }

// importAll belongs to no type, and calls nothing that locks while it works.
//
//go:noinline
func importAll(j *job) {
	j.takes()
	if !j.begin() {
		return
	}
	longWork()
	j.commit()
}

func transaction() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() { importAll(j) })
}

//go:noinline
func (j *job) acquire() (release func()) {
	j.mu.Lock()
	return func() { j.mu.Unlock() }
}

func releaseFunction() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() {
		j.takes()
		release := j.acquire()
		defer release()
		longWork()
	})
}

func handedOver() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() {
		j.mu.Lock()
		go func() { longWork(); j.mu.Unlock() }()
	})
}

func handedOverDeferred() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() {
		j.mu.Lock()
		go func() { defer j.mu.Unlock(); longWork() }()
	})
}

//go:noinline
func under(l sync.Locker, f func()) {
	l.Lock()
	defer l.Unlock()
	f()
}

func throughLocker() int {
	j := &job{}
	go serve(func() { j.takes(); under(&j.mu, longWork) })
	until(1, "main.longWork", "sleep")
	crowd(2, func() { serve(func() { under(&j.mu, func() {}) }) })
	return 2
}

//go:noinline
func (j *job) await(result chan int) {
	j.takes()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.n = <-result
}

func resultOfWorker() int {
	j, result := &job{}, make(chan int)
	go func() { longWork(); result <- 1 }()
	return j.held("main.(*job).await", "chan receive", func() { j.await(result) })
}

func resultOfTimer() int {
	j, result := &job{}, make(chan int)
	time.AfterFunc(time.Hour, func() { result <- 1 })
	return j.held("main.(*job).await", "chan receive", func() { j.await(result) })
}

func workersOfGroup() int {
	j := &job{}
	return j.held("main.(*job).rebuild", "sync.WaitGroup.Wait", j.rebuild)
}

func (j *job) rebuild() {
	j.takes()
	j.mu.Lock()
	defer j.mu.Unlock()
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(longWork)
	}
	workers.Wait()
}

var toolLock sync.Mutex

func childProcess() int {
	go serve(func() {
		takes(unsafe.Pointer(&toolLock))
		toolLock.Lock()
		defer toolLock.Unlock()
		_ = exec.Command(os.Args[0], "child").Run()
	})
	until(1, "os.(*Process).Wait", "syscall")
	crowd(2, func() { toolLock.Lock(); toolLock.Unlock() })
	return 2
}

type open struct {
	sync.Mutex
	n int
}

func (o *open) add() { o.Lock(); o.n++; o.Unlock() }

//go:noinline
func sweep(o *open) {
	takes(unsafe.Pointer(o))
	o.Lock()
	longWork()
	o.Unlock()
}

func embeddedOfOthers() int {
	o := &open{}
	go serve(func() { sweep(o) })
	until(1, "main.longWork", "sleep")
	crowd(2, func() { serve(o.add) })
	return 2
}

func (j *job) read()  { j.rw.RLock(); longWork(); j.rw.RUnlock() }
func (j *job) write() { j.rw.Lock(); j.n++; j.rw.Unlock() }
func (j *job) peek() int {
	j.rw.RLock()
	defer j.rw.RUnlock()
	return j.n
}

func readerSleeps() int {
	j := &job{}
	go serve(j.read)
	until(1, "main.longWork", "sleep")
	go serve(j.write)
	until(1, "main.(*job).write", "sync.RWMutex.Lock")
	crowd(2, func() { serve(func() { j.peek() }) })
	return 3
}

func writerSleeps() int {
	j := &job{}
	go serve(func() { j.rw.Lock(); defer j.rw.Unlock(); longWork() })
	until(1, "main.longWork", "sleep")
	crowd(2, func() { serve(func() { j.peek() }) })
	go serve(j.write)
	return 3
}

//go:noinline
func (j *job) check(bad bool) bool {
	j.mu.Lock()
	if bad {
		j.mu.Unlock()
		return false
	}
	longWork()
	j.mu.Unlock()
	return true
}

func earlyReturn() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() { j.takes(); j.check(false) })
}

func lockInSlice() int {
	jobs := make([]job, 3)
	go serve(func() {
		jobs[1].takes()
		jobs[1].mu.Lock()
		longWork()
		jobs[1].mu.Unlock()
	})
	until(1, "main.longWork", "sleep")
	crowd(2, func() { serve(func() { jobs[1].status() }) })
	return 2
}

type cell[T any] struct {
	mu    sync.Mutex
	value T
}

func (c *cell[T]) update(f func(T) T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value = f(c.value)
}

func genericSleep() int {
	c := &cell[string]{}
	go serve(func() { c.update(func(s string) string { longWork(); return s }) })
	until(1, "main.longWork", "sleep")
	crowd(2, func() { serve(func() { c.update(func(s string) string { return s }) }) })
	return 2
}

//go:noinline
func (j *job) maybe(lock bool) {
	if lock {
		j.mu.Lock()
	}
	longWork()
	if lock {
		j.mu.Unlock()
	}
}

func conditionalLock() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() { j.takes(); j.maybe(true) })
}

func leader() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() {
		j.takes()
		j.mu.Lock()
		for {
			longWork()
		}
	})
}

func methodValue() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() {
		unlock := j.mu.Unlock
		j.takes()
		j.mu.Lock()
		defer unlock()
		longWork()
	})
}

func tryLock() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() {
		j.takes()
		if j.mu.TryLock() {
			defer j.mu.Unlock()
			longWork()
		}
	})
}

func twoLocks() int {
	a, b := &job{}, &job{}
	go serve(func() {
		a.mu.Lock()
		b.mu.Lock()
		longWork()
		a.mu.Unlock()
		b.mu.Unlock()
	})
	until(1, "main.longWork", "sleep")
	crowd(2, func() { serve(func() { a.status() }) })
	crowd(2, func() { serve(func() { b.status() }) })
	return 4
}

//go:noinline
func (j *job) both(other *job) { j.mu.Lock(); other.mu.Lock(); other.mu.Unlock(); j.mu.Unlock() }

func behindAnother() int {
	a, b := &job{}, &job{}
	go serve(func() { b.mu.Lock(); longWork(); b.mu.Unlock() })
	until(1, "main.longWork", "sleep")
	go serve(func() { a.both(b) })
	until(1, "main.(*job).both", "sync.Mutex.Lock")
	crowd(2, func() { serve(func() { a.status() }) })
	return 3
}

func sendOrTimeout() int {
	j := &job{}
	return j.held("main.sendOrTimeout.func1", "select", func() {
		j.takes()
		j.mu.Lock()
		defer j.mu.Unlock()
		select {
		case never <- 1:
		case <-time.After(time.Hour):
		}
	})
}

func conditionUnderLock() int {
	j := &job{}
	var inner sync.Mutex
	ready := sync.NewCond(&inner)
	go func() { longWork(); inner.Lock(); ready.Signal(); inner.Unlock() }()
	return j.held("main.conditionUnderLock.func2", "sync.Cond.Wait", func() {
		j.takes()
		j.mu.Lock()
		defer j.mu.Unlock()
		inner.Lock()
		ready.Wait()
		inner.Unlock()
	})
}

func callbackSleeps() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() { withLock(&j.mu, true, longWork) })
}

func pipeRead() int {
	j := &job{}
	from, to, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	go func() { longWork(); to.Close() }()
	return j.held("os.(*File).Read", "IO wait", func() {
		j.takes()
		j.mu.Lock()
		defer j.mu.Unlock()
		_, _ = from.Read(make([]byte, 1))
	})
}

//go:noinline
func descend(n int) int {
	if n == 0 {
		longWork()
		return 0
	}
	return descend(n-1) + 1
}

func deepStack() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() {
		j.takes()
		j.mu.Lock()
		j.n = descend(60)
		j.mu.Unlock()
	})
}

// drainSlowly unlocks in the loop and holds the lock in front of it.
//
//go:noinline
func (j *job) drainSlowly() {
	j.mu.Lock()
	for j.n < 3 {
		j.n++
		if j.n == 3 {
			longWork()
		}
		j.mu.Unlock()
		time.Sleep(time.Millisecond)
		j.mu.Lock()
	}
	j.mu.Unlock()
}

func unlockInLoop() int {
	j := &job{}
	return j.held("main.longWork", "sleep", func() { j.takes(); j.drainSlowly() })
}
