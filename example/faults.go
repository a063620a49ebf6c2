package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// The faults stop growing, so that the example can be left running.
const (
	maxLeaked   = 2000
	maxPiledUp  = 8
	leakEvery   = 400 * time.Millisecond
	pileUpEvery = time.Second
)

// startFaults adds the faults to a healthy service. Each starts after some
// seconds, so that there is a healthy time to compare with.
func (s *service) startFaults(ctx context.Context, faults []string) {
	s.mux.HandleFunc("GET /report", report)
	s.mux.HandleFunc("POST /transfer", func(http.ResponseWriter, *http.Request) { transfer(func() {}) })
	for _, fault := range faults {
		switch fault {
		case "leak":
			s.running.Go(func() { s.leak(ctx) })
		case "deadlock":
			s.running.Go(func() { s.deadlock(ctx) })
		case "nilchan":
			s.running.Go(func() { listenToNothing(ctx) })
		}
	}
}

// leak asks for reports, each of which leaves a goroutine behind.
func (s *service) leak(ctx context.Context) {
	for n := 0; n < maxLeaked && wait(ctx, leakEvery); n++ {
		s.call(ctx, http.MethodGet, "/report")
	}
}

// report is the leak. The report takes longer than the handler is ready to
// wait, and once the handler has returned, nothing will ever receive it: its
// goroutine sends forever. Room for one value in the channel would cure it.
func report(w http.ResponseWriter, _ *http.Request) {
	result := make(chan string)
	go func() {
		time.Sleep(20 * time.Millisecond)
		result <- "all is well\n"
	}()
	select {
	case text := <-result:
		fmt.Fprint(w, text)
	case <-time.After(5 * time.Millisecond):
		http.Error(w, "the report took too long", http.StatusGatewayTimeout)
	}
}

// The two locks of the deadlock, and what they guard.
var (
	accounts, ledger sync.Mutex
	balance, entries int
)

// transfer takes accounts before ledger.
func transfer(between func()) {
	accounts.Lock()
	defer accounts.Unlock()
	between()
	ledger.Lock()
	defer ledger.Unlock()
	balance++
	entries++
}

// audit takes ledger before accounts, and that is the deadlock.
func audit(between func()) {
	ledger.Lock()
	defer ledger.Unlock()
	between()
	accounts.Lock()
	defer accounts.Unlock()
	fmt.Println("the books agree:", entries == balance) // never printed
}

// deadlock lets one transfer and one audit hold one lock each at the same time,
// which in a real service happens on some unlucky day. More transfers then pile
// up.
func (s *service) deadlock(ctx context.Context) {
	if !wait(ctx, 4*time.Second) {
		return
	}
	var bothHoldOne sync.WaitGroup
	bothHoldOne.Add(2)
	meet := func() { bothHoldOne.Done(); bothHoldOne.Wait() }
	go transfer(meet)
	go audit(meet)
	for n := 0; n < maxPiledUp && wait(ctx, pileUpEvery); n++ {
		s.running.Go(func() { s.call(ctx, http.MethodPost, "/transfer") }) // gives up after a second; the handler does not
	}
}

// settings has a channel that newSettings forgot to make.
type settings struct{ changes chan string }

func newSettings() *settings { return &settings{} }

// watch receives from a nil channel, which never yields anything.
func (s *settings) watch() {
	for change := range s.changes {
		fmt.Println("changed:", change)
	}
}

func listenToNothing(ctx context.Context) {
	if wait(ctx, 2*time.Second) {
		go newSettings().watch()
	}
}
