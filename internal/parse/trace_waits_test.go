// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

//lint:file-ignore SA2001 what waits for a lock has nothing to do under it

import (
	"iter"
	"net"
	"os"
	"os/signal"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A waits starts goroutines that wait in every way there is. It ends those that
// can be ended when the test ends.
type waits struct {
	t       testing.TB
	done    sync.WaitGroup
	release []func()
}

func newWaits(t testing.TB) *waits {
	w := &waits{t: t}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt) // the loop in os/signal keeps running
	t.Cleanup(func() {
		signal.Stop(signals)
		for _, f := range w.release {
			f()
		}
		w.done.Wait()
	})
	return w
}

func (w *waits) later(f func()) { w.release = append(w.release, f) }

func (w *waits) start() {
	w.locks()
	w.channels()
	w.network()
	w.coroutines()
}

func (w *waits) locks() {
	var mu, direct sync.Mutex
	var written, read sync.RWMutex
	var wg sync.WaitGroup
	var once sync.Once
	cond := sync.NewCond(new(sync.Mutex))
	in, out := make(chan bool), make(chan bool)
	mu.Lock()
	direct.Lock()
	written.Lock()
	read.RLock()
	wg.Add(1)
	go direct.Lock()
	w.done.Go(func() { mu.Lock(); mu.Unlock() })
	w.done.Go(func() { written.Lock(); written.Unlock() })
	w.done.Go(func() { written.RLock(); written.RUnlock() })
	w.done.Go(func() { read.Lock(); read.Unlock() })
	w.done.Go(func() { wg.Wait() })
	w.done.Go(func() { cond.L.Lock(); cond.Wait(); cond.L.Unlock() })
	w.done.Go(func() { once.Do(func() { close(in); <-out }) })
	<-in
	w.done.Go(func() { once.Do(func() {}) })
	w.later(func() {
		mu.Unlock()
		direct.Unlock()
		written.Unlock()
		read.RUnlock()
		wg.Done()
		close(out)
		cond.L.Lock()
		cond.Broadcast()
		cond.L.Unlock()
	})
}

func (w *waits) channels() {
	c, full, timeout := make(chan int), make(chan int), make(chan int)
	w.done.Go(func() { <-c })
	w.done.Go(func() {
		_, ok := <-c
		_ = ok // the comma-ok form calls another function of the runtime
	})
	w.done.Go(func() {
		for range c {
		}
	})
	w.done.Go(func() { full <- 1 })
	w.done.Go(func() {
		select {
		case <-c:
		case timeout <- 2:
		}
	})
	w.done.Go(func() { deep(300, c) })
	w.done.Go(func() {
		defer func() { recover(); <-c }()
		panic("recovered")
	})
	go func() { var none chan int; <-none }()
	go func() { var none chan int; none <- 1 }()
	go func() { select {} }()
	go func() { time.Sleep(time.Hour) }()
	w.later(func() { close(c); <-full })
}

//go:noinline
func deep(n int, c chan int) int {
	if n == 0 {
		<-c
		return 0
	}
	return deep(n-1, c) + n
}

func (w *waits) network() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(w.t, err)
	accepted, err := l.Accept()
	require.NoError(w.t, err)
	r, wr, err := os.Pipe()
	require.NoError(w.t, err)
	w.done.Go(func() { l.Accept() })
	w.done.Go(func() { accepted.Read(make([]byte, 1)) })
	w.done.Go(func() { r.Read(make([]byte, 1)) })
	w.done.Go(func() {
		for err := error(nil); err == nil; { // until the buffers are full
			_, err = accepted.Write(make([]byte, 1<<20))
		}
	})
	w.later(func() {
		for _, c := range []interface{ Close() error }{l, conn, accepted, r, wr} {
			c.Close()
		}
	})
}

func (w *waits) coroutines() {
	next, stop := iter.Pull(func(yield func(int) bool) { _ = yield(1) && yield(2) })
	next()
	_, never := iter.Pull(func(yield func(int) bool) {})
	w.later(func() { stop(); never() })
}
