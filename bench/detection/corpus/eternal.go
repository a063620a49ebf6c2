// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"time"
)

// eternal are waits that never end, on purpose and in a fixed number.
var eternal = []program{
	{uncancelled, "", "eternal-contexts"},
	{nilStops, "", "eternal-stop-channels"},
	{func(e *Env) { newHost(e).open(Outside{}); select {} }, "", "eternal-main"},
	{keptThreads, "", "eternal-selects"},
}

// uncancelled waits for the end of contexts that have none.
func uncancelled(e *Env) {
	newHost(e).open(Outside{})
	for range 4 {
		go closeWith(background, e)
		go closeWith(context.WithoutCancel(background), e)
		go closeWith(context.WithValue(background, counter{}, 1), e)
	}
}

// closeWith frees what a component has, when its context ends.
func closeWith(ctx context.Context, e *Env) {
	<-ctx.Done()
	e.Served()
}

// A component of nilStops is stopped by a channel; nil means never.
func nilStops(e *Env) {
	newHost(e).open(Outside{})
	for range 5 {
		go serveUntil(e, nil)
		go reportUntil(e, nil)
	}
}

func serveUntil(e *Env, stop <-chan struct{}) {
	e.Every(time.Minute, e.Served)
	<-stop
}

func reportUntil(e *Env, stop <-chan struct{}) {
	for {
		select {
		case <-time.After(e.Dur(30 * time.Second)):
			e.Served()
		case <-stop:
			return
		}
	}
}

// keptThreads has goroutines that keep what they have.
func keptThreads(e *Env) {
	newHost(e).open(Outside{})
	for range 3 {
		go keepForGood(e)
	}
}

func keepForGood(e *Env) {
	e.Served()
	select {}
}
