// Entries writes two traces of itself into the current directory: one in which
// goroutines that were made while it was taken have not yet run, because the Ps are
// busy, and a later one.
//
//	go run main.go
package main

import (
	"bytes"
	"log"
	"os"
	"runtime"
	"runtime/trace"
	"time"
)

type service struct{ c chan int }

func (s *service) run() { <-s.c }

func spin(until time.Time) {
	for time.Now().Before(until) {
	}
}

// create starts goroutines with a method value, which the compiler wraps.
func create(until time.Time) {
	for range 40 {
		for began := time.Now(); time.Since(began) < time.Millisecond; {
		}
		s := &service{make(chan int)}
		f := s.run
		go f()
	}
	spin(until)
}

func main() {
	runtime.GOMAXPROCS(2)
	until := time.Now().Add(2 * time.Second)
	for range 12 {
		go spin(until)
	}
	go create(until)
	for {
		data := take()
		if bytes.Contains(data, []byte("run-fm")) {
			write("unrun.trace", data)
			break
		}
	}
	time.Sleep(4 * time.Second)
	write("run.trace", take())
}

func take() []byte {
	var b bytes.Buffer
	if err := trace.Start(&b); err != nil {
		log.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	trace.Stop()
	return b.Bytes()
}

func write(name string, data []byte) {
	if err := os.WriteFile(name, data, 0o644); err != nil {
		log.Fatal(err)
	}
}
