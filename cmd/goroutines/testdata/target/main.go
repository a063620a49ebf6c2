// Target is the process that the tests observe. It serves net/http/pprof, and has
// goroutines in many states, a leak and a deadlock.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	rpprof "runtime/pprof"
	"runtime/trace"
	"sync"
	"time"
)

var (
	addr  = flag.String("addr", "127.0.0.1:0", "to serve net/http/pprof at")
	files = flag.String("files", "", "write every format into this directory, and end")
	crash = flag.Bool("panic", false, "end in a panic")
	leaks = flag.Int("leaks", 20, "goroutines that leak each second")
	more  = flag.Int("more", 0, "goroutines on top, for files")
)

func main() {
	flag.Parse()
	start()
	switch {
	case *crash:
		log.Print("a line of the log")
		panic("the reason")
	case *files != "":
		write()
	default:
		serve()
	}
}

func start() {
	var mutex sync.Mutex
	mutex.Lock()
	for range 7 {
		go locked(&mutex)
	}
	for range 12 {
		go worker(make(chan int))
	}
	go nilReceive()
	go pprof2("secret-value")
	for range *more {
		go deep(10, make(chan int))
	}
	time.Sleep(50 * time.Millisecond)
}

func locked(mutex *sync.Mutex) { mutex.Lock() }
func worker(jobs chan int)     { <-jobs }
func nilReceive()              { var c chan int; <-c }
func leaked(c chan int)        { c <- 1 }

func deep(n int, c chan int) {
	if n > 0 {
		deep(n-1, c)
		return
	}
	<-c
}

func pprof2(user string) {
	rpprof.Do(context.Background(), rpprof.Labels("user", user), func(context.Context) { worker(make(chan int)) })
}

func write() {
	more := *files
	for name, debug := range map[string]int{"profile.pb.gz": 0, "debug1.txt": 1, "debug2.txt": 2} {
		f, err := os.Create(filepath.Join(more, name))
		check(err)
		check(rpprof.Lookup("goroutine").WriteTo(f, debug))
		check(f.Close())
	}
	var b bytes.Buffer
	check(trace.Start(&b))
	trace.Stop()
	check(os.WriteFile(filepath.Join(more, "trace.out"), b.Bytes(), 0o644))
}

func serve() {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	l, err := net.Listen("tcp", *addr)
	check(err)
	fmt.Println(l.Addr())
	go func() {
		for range time.Tick(time.Second / time.Duration(max(1, *leaks))) {
			if *leaks > 0 {
				go leaked(make(chan int))
			}
		}
	}()
	check(http.Serve(l, mux))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
