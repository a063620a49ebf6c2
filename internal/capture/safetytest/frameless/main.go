// Frameless has assembly of its own that spoils the frame pointer.
package main

import "github.com/otelgoroutine/go/internal/capture/safetytest/observe"

func spoil()

func main() { observe.For(work) }

//go:noinline
func work() {
	done := make(chan bool)
	go func() { done <- true }()
	spoil()
	<-done
}
