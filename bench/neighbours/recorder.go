// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime/trace"
	"strings"
	"time"
)

// restartAfter is after how many recordings the service stops its flight recorder
// and starts it again.
const restartAfter = 3

// A userRecorder is a flight recorder as a service has one: it always runs, and
// its recording is saved now and then.
type userRecorder struct {
	ledger
	host     *host
	recorder *trace.FlightRecorder
	since    int64 // the last number that may have been written before it was started

	starts, saves tries
}

// tries are the calls of a method that fails while a capture does the same.
type tries struct {
	calls, served int
	longest       time.Duration // that a call was repeated
}

// until repeats a call while it fails with an error that contains busy.
func (t *tries) until(ctx context.Context, busy string, call func() error) error {
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		t.calls++
		err := call()
		if err == nil {
			t.served++
			t.longest = max(t.longest, time.Since(began))
			return nil
		}
		if !strings.Contains(err.Error(), busy) || ctx.Err() != nil {
			return err
		}
	}
}

// startRecorder starts a flight recorder while captures use the only one that a
// process can have.
func (h *host) startRecorder(ctx context.Context, s settings, recorder *trace.FlightRecorder) *neighbour {
	u := &userRecorder{ledger: ledger{name: "flight recorder", unit: "recordings"}, host: h, recorder: recorder}
	done := make(chan struct{})
	go func() {
		defer close(done)
		u.record(ctx, s.recording)
	}()
	return &neighbour{&u.ledger, func() error { <-done; return nil }}
}

func (u *userRecorder) record(ctx context.Context, every time.Duration) {
	defer u.recorder.Stop()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		if n%restartAfter == 0 {
			u.recorder.Stop()
			if err := u.start(ctx); err != nil {
				if ctx.Err() == nil {
					u.fault("%v", err)
				}
				break
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
			u.piece(u.save(ctx))
		}
	}
	for name, t := range map[string]tries{"Start": u.starts, "WriteTo": u.saves} {
		u.note("%s was called %d times to succeed %d times; the longest wait was %v", name, t.calls, t.served, t.longest.Round(time.Millisecond))
	}
}

// start starts the recorder.
func (u *userRecorder) start(ctx context.Context) error {
	err := u.starts.until(ctx, "already enabled", u.recorder.Start)
	u.since = u.host.beats.Load() + 1 // which may be under way
	return err
}

// save writes a recording and checks it: everything up to now must be in it.
func (u *userRecorder) save(ctx context.Context) (int, error) {
	var b bytes.Buffer
	now := u.host.beats.Load()
	err := u.saves.until(ctx, "already in progress", func() error {
		b.Reset()
		_, err := u.recorder.WriteTo(&b)
		return err
	})
	if err != nil {
		return b.Len(), err
	}
	last, err := checkTrace(b.Bytes())
	if err == nil && now > u.since && last < now {
		err = fmt.Errorf("the recording ends at %d, before %d", last, now)
	}
	return b.Len(), err
}
