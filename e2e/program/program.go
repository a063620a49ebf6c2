// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package program is what the programs of e2e share: a fault, the options with which
// a monitor tells it within seconds, and an end that the test decides.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// Scale is by how much the times of the detectors are shortened.
const Scale = 0.01

// Options returns options with which a fault is told within seconds, and then more.
// The budget lets nothing be skipped for its cost.
func Options(more ...otelgoroutine.Option) []otelgoroutine.Option {
	return append([]otelgoroutine.Option{
		otelgoroutine.WithInterval(otelgoroutine.MinInterval),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}),
		otelgoroutine.WithDetectors(detectors.Scaled(Scale)...),
	}, more...)
}

// Event is the name of the event about [Deadlock].
const Event = "goroutine.deadlock.detected"

// What people are told about [Deadlock]: Sentence is how it begins, and Place matches
// where it is. Which of the two places comes first is chance.
const (
	Sentence = "Deadlock"
	Place    = `e2e/program\.(transfer|audit) \(program\.go:\d+\)`
)

// The two locks of the deadlock, and the data that they guard.
var (
	accounts, ledger sync.Mutex
	balance, entries int
)

// Deadlock leaves two goroutines behind that wait for each other for good: each holds
// the lock that the other one wants.
func Deadlock() {
	var bothHoldOne sync.WaitGroup
	bothHoldOne.Add(2)
	meet := func() { bothHoldOne.Done(); bothHoldOne.Wait() }
	go transfer(meet)
	go audit(meet)
}

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
func audit(between func()) (agree bool) {
	ledger.Lock()
	defer ledger.Unlock()
	between()
	accounts.Lock()
	defer accounts.Unlock()
	return entries == balance // never
}

// Main is the main function of a program. It calls start, which sets up telemetry and
// starts a monitor; then the fault happens. When the test closes the standard input,
// it calls the functions that start returned, the last one first, and exits: with
// status 1 if one of them, or start, returned an error.
func Main(start func(context.Context) ([]func(context.Context) error, error), fault func()) {
	ctx := context.Background()
	stops, err := start(ctx)
	if err == nil {
		fault()
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	for len(stops) > 0 {
		last := len(stops) - 1
		err = errors.Join(err, stops[last](ctx))
		stops = stops[:last]
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
