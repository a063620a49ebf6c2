// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// leastGap is the least time between the beginnings of two captures on request.
// Requests in between get the earlier one.
const leastGap = time.Second

// errStopped is the error of requests to a monitor that was shut down.
var errStopped = errors.New("the monitor was shut down")

// A flight is work that several callers wait for.
type flight[T any] struct {
	began time.Time
	done  chan struct{} // closed when it has ended
	value T             // set before done is closed, as is err
	err   error
}

// flights lets all callers at one time share one flight. The zero value is ready. It is
// safe for concurrent use.
type flights[T any] struct {
	mu    sync.Mutex
	last  *flight[T] // under way, or begun less than leastGap ago
	ended bool
}

// join returns the flight under way or the last one, or runs f on a goroutine of its own.
func (fs *flights[T]) join(f func() (T, error)) (*flight[T], error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.ended {
		return nil, errStopped
	}
	if fs.last == nil {
		fs.last = &flight[T]{began: time.Now(), done: make(chan struct{})}
		go fs.run(fs.last, f)
	}
	return fs.last, nil
}

func (fs *flights[T]) run(fl *flight[T], f func() (T, error)) {
	defer func() {
		if p := recover(); p != nil {
			fl.err = fmt.Errorf("panic: %v", p)
		}
		close(fl.done)
		time.AfterFunc(leastGap-time.Since(fl.began), func() { fs.forget(fl) })
	}()
	fl.value, fl.err = f()
}

// forget makes room for another flight, and gives its value back.
func (fs *flights[T]) forget(fl *flight[T]) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.last == fl {
		fs.last = nil
	}
}

// end refuses all flights from now on, and waits for the one under way.
func (fs *flights[T]) end() {
	fs.mu.Lock()
	last := fs.last
	fs.last, fs.ended = nil, true
	fs.mu.Unlock()
	if last != nil {
		<-last.done
	}
}
