// Command cgo writes an execution trace of a process that is busy with C to
// standard output: calls into C, C threads that call back into Go, and callbacks
// that are waiting in Go when the trace ends.
package main

/*
#cgo LDFLAGS: -lpthread
#include <pthread.h>
#include <unistd.h>

extern void called(void);
extern void waits(void);

static void pause_in_c(void) { usleep(200); }

static void *calls_back(void *unused) {
	for (int i = 0; i < 200; i++) { called(); usleep(50); }
	return 0;
}
static void *calls_and_waits(void *unused) { waits(); return 0; }

static void start(void *(*f)(void *)) {
	pthread_t t;
	pthread_create(&t, 0, f, 0);
	pthread_detach(t);
}
static void start_calls_back(void) { start(calls_back); }
static void start_calls_and_waits(void) { start(calls_and_waits); }
*/
import "C"

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/trace"
	"sync/atomic"
	"time"
)

var (
	calls   atomic.Int64
	waiting atomic.Int64
	never   = make(chan int)
)

//export called
func called() { calls.Add(1) }

//export waits
func waits() {
	waiting.Add(1)
	<-never
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	for range 5 {
		go func() {
			for {
				C.pause_in_c()
			}
		}()
		C.start_calls_and_waits()
	}
	for waiting.Load() < 5 {
		runtime.Gosched()
	}
	var out bytes.Buffer
	if err := trace.Start(&out); err != nil {
		return err
	}
	for range 5 {
		C.start_calls_back()
	}
	for began := time.Now(); calls.Load() < 100 && time.Since(began) < 10*time.Second; {
		runtime.Gosched()
	}
	trace.Stop()
	_, err := os.Stdout.Write(out.Bytes())
	return err
}
