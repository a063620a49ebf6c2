// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Limits at which the faults stop growing, so that the example can be left
// running.
const (
	maxLeaked   = 2000
	maxPiledUp  = 8
	maxHanging  = 24
	maxLost     = 1000
	leakEvery   = 400 * time.Millisecond
	lostEvery   = time.Second
	pileUpEvery = time.Second
)

// healthyPrinting is how long invoices are printed before they hang: long enough
// to know how it was before, and until after the deadlock, so that the two are
// told apart.
const healthyPrinting = 20 * time.Second

// startFaults adds the faults to a healthy service. Each fault starts after a
// few seconds, so that there is a healthy period to compare with.
func (s *service) startFaults(ctx context.Context, faults []string) {
	s.mux.HandleFunc("GET /report", report)
	s.mux.HandleFunc("POST /transfer", func(http.ResponseWriter, *http.Request) { transfer(func() {}) })
	for _, fault := range faults {
		switch fault {
		case "leak":
			s.running.Go(func() { s.leak(ctx) })
		case "deadlock":
			s.running.Go(func() { s.deadlock(ctx) })
		case "hang":
			s.running.Go(func() { s.hang(ctx) })
		case "nilchan":
			s.running.Go(func() { listenToNothing(ctx) })
		}
	}
}

// leak requests reports. Each request leaves a goroutine behind.
func (s *service) leak(ctx context.Context) {
	for n := 0; n < maxLeaked && wait(ctx, leakEvery); n++ {
		s.call(ctx, http.MethodGet, "/report")
	}
}

// report is the leak. The report takes longer than the handler is prepared to
// wait. Once the handler has returned, nothing will ever receive the report,
// and its goroutine blocks in the send forever. Room for one value in the
// channel would fix it.
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

// The two locks of the deadlock, and the data that they guard.
var (
	accounts, ledger sync.Mutex
	balance, entries int
)

// transfer locks accounts before ledger.
func transfer(between func()) {
	accounts.Lock()
	defer accounts.Unlock()
	between()
	ledger.Lock()
	defer ledger.Unlock()
	balance++
	entries++
}

// audit locks ledger before accounts, which causes the deadlock.
func audit(between func()) {
	ledger.Lock()
	defer ledger.Unlock()
	between()
	accounts.Lock()
	defer accounts.Unlock()
	fmt.Println("the books agree:", entries == balance) // never printed
}

// deadlock makes one transfer and one audit hold one lock each at the same
// time. In a real service, this happens by chance. After that, more transfers
// pile up.
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
		s.running.Go(func() { s.call(ctx, http.MethodPost, "/transfer") }) // the call gives up after a second; the handler does not
	}
}

// A press is a pool of workers that print invoices on one printer.
type press struct {
	invoices chan invoice
	printer  chan invoice
}

// An invoice is for one request, whose handler waits until it is printed.
type invoice struct{ printed chan struct{} }

const pressWorkers = 3

// startPress starts a press whose printer works until ctx ends.
func startPress(ctx context.Context) *press {
	p := &press{invoices: make(chan invoice), printer: make(chan invoice)}
	for range pressWorkers {
		go p.work()
	}
	go p.print(ctx)
	return p
}

// work is where the hang begins. Nothing receives from the printer's channel any
// more, so every worker gets stuck in its next send, and no request is served
// again.
func (p *press) work() {
	for i := range p.invoices {
		p.printer <- i
		i.printed <- struct{}{}
	}
}

// print is the cause of the hang. At the end of the paper it returns, although
// the workers rely on it, and no goroutine takes its place.
func (p *press) print(paper context.Context) {
	for {
		select {
		case <-p.printer:
			time.Sleep(5 * time.Millisecond) // the work
		case <-paper.Done():
			return
		}
	}
}

// handle waits for as long as printing takes, even after the client has gone.
func (p *press) handle(w http.ResponseWriter, _ *http.Request) {
	i := invoice{printed: make(chan struct{}, 1)}
	p.invoices <- i
	<-i.printed
	fmt.Fprintln(w, "printed")
}

// hang prints invoices until the paper ends. After that, all requests for
// invoices hang; of the callers, who give up after a second, only so many come
// back.
func (s *service) hang(ctx context.Context) {
	paper, end := context.WithTimeout(ctx, healthyPrinting)
	defer end()
	p := startPress(paper)
	s.mux.HandleFunc("POST /invoice", p.handle)
	var callers sync.WaitGroup
	for range 2 * pressWorkers {
		callers.Go(func() {
			for wait(paper, time.Duration(40+rand.IntN(80))*time.Millisecond) {
				s.call(paper, http.MethodPost, "/invoice")
			}
			for n := 0; n < maxHanging/(2*pressWorkers) && wait(ctx, time.Second); n++ {
				s.call(ctx, http.MethodPost, "/invoice")
			}
		})
	}
	callers.Wait()
}

// settings has a channel that newSettings forgot to make.
type settings struct{ changes chan string }

func newSettings() *settings { return &settings{} }

// watch receives from a nil channel, which blocks forever.
func (s *settings) watch() {
	for change := range s.changes {
		fmt.Println("changed:", change)
	}
}

// listenToNothing has a new customer every now and then, and a goroutine for the
// settings of each.
func listenToNothing(ctx context.Context) {
	for n := 0; n < maxLost && wait(ctx, lostEvery); n++ {
		go newSettings().watch()
	}
}
