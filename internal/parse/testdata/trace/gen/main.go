//go:build ignore

// This program makes the fixtures in the directory above: the trace of a process in
// which goroutines wait in every possible way, one since before the trace and one
// since a moment within it, and the states in a goroutine dump taken right after
// the trace.
//
// Run it outside of the module, so that an older Go accepts it:
//
//	GOTOOLCHAIN=go1.25.5 go run -trimpath main.go go1.25
//
// For Go 1.22, remove the lines with iter.Pull, which it lacks.
package main

import (
	"bytes"
	"fmt"
	"iter"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/trace"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	name := os.Args[1]
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	start()
	settle()
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		log.Fatal(err)
	}
	start()
	settle()
	trace.Stop()
	must(os.WriteFile(name+".trace", b.Bytes(), 0o644))
	must(os.WriteFile(name+".want", []byte(strings.Join(dump(), "\n")+"\n"), 0o644))
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// start starts one goroutine for each way to wait.
func start() {
	var mu sync.Mutex
	var written, read sync.RWMutex
	var wg sync.WaitGroup
	var once sync.Once
	cond := sync.NewCond(new(sync.Mutex))
	c, full := make(chan int), make(chan int)
	mu.Lock()
	written.Lock()
	read.RLock()
	wg.Add(1)

	go mu.Lock()
	go func() { mu.Lock() }()
	go func() { written.Lock() }()
	go func() { written.RLock() }()
	go func() { read.Lock() }()
	go func() { wg.Wait() }()
	go func() { cond.L.Lock(); cond.Wait() }()

	in := make(chan bool)
	go once.Do(func() { close(in); <-c })
	<-in
	go once.Do(func() {})

	go func() { <-c }()
	go func() { _, _ = <-c }()
	go func() {
		for range c {
		}
	}()
	go func() { full <- 1 }()
	go func() { var none chan int; <-none }()
	go func() { var none chan int; none <- 1 }()
	go func() {
		select {
		case <-c:
		case full <- 2:
		}
	}()
	go func() { select {} }()
	go func() { time.Sleep(time.Hour) }()
	go func() { deep(300, c) }()
	go func() {
		defer func() { recover(); <-c }()
		panic("recovered")
	}()

	network()
	go func() {
		var fds [2]int
		must(syscall.Pipe(fds[:]))
		syscall.Read(fds[0], make([]byte, 1))
	}()

	next, _ := iter.Pull(func(yield func(int) bool) {
		yield(1)
		yield(2)
	})
	next()
	never, _ := iter.Pull(func(yield func(int) bool) { yield(1) })
	kept = append(kept, never, next)
}

// kept holds what must not be collected.
var kept []any

func deep(n int, c chan int) {
	if n == 0 {
		<-c
		return
	}
	deep(n-1, c)
	runtime.KeepAlive(n)
}

func network() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	conn, err := net.Dial("tcp", l.Addr().String())
	must(err)
	accepted, err := l.Accept()
	must(err)
	r, w, err := os.Pipe()
	must(err)
	kept = append(kept, l, conn, accepted, r, w)
	go func() { l.Accept() }()
	go func() { conn.Read(make([]byte, 1)) }()
	go func() {
		for { // until the buffers are full
			accepted.Write(make([]byte, 1<<20))
		}
	}()
	go func() { r.Read(make([]byte, 1)) }()
}

// settle waits until every goroutine but this one is waiting, and has been for a
// while.
func settle() {
	var last string
	for same := 0; same < 5; {
		time.Sleep(20 * time.Millisecond)
		now := strings.Join(dump(), "\n")
		if now == last && strings.Count(now, " run") == 1 {
			same++
		} else {
			same = 0
		}
		last = now
	}
}

// dump returns the ID and the state of every goroutine.
func dump() []string {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var list []string
	for _, line := range strings.Split(string(buf), "\n") {
		rest, ok := strings.CutPrefix(line, "goroutine ")
		id, state, _ := strings.Cut(rest, " [")
		state, _, _ = strings.Cut(state, "]")
		state, _, _ = strings.Cut(state, ",")
		if ok {
			list = append(list, fmt.Sprintf("%s %s", id, state))
		}
	}
	return list
}
