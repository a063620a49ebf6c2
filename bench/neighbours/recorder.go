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
	since    int64 // the last number before it was started

	starts, attempts int
	longest          time.Duration // that Start was tried again
}

// startRecorder starts a flight recorder with the default settings, while captures
// use the only one that a process can have.
func (h *host) startRecorder(ctx context.Context, _ phase, s settings) (*neighbour, error) {
	u := &userRecorder{ledger: ledger{name: "flight recorder", unit: "recordings"}, host: h}
	u.recorder = trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		u.record(ctx, s.recording)
	}()
	return &neighbour{&u.ledger, func() error { <-done; return nil }}, nil
}

func (u *userRecorder) record(ctx context.Context, every time.Duration) {
	defer u.recorder.Stop()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		if n%restartAfter == 0 {
			u.recorder.Stop()
			if err := u.start(ctx); err != nil {
				u.fault("%v", err)
				break
			}
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
			u.piece(u.save())
		}
	}
	u.note("Start was called %d times to start %d times; the longest wait was %v", u.attempts, u.starts, u.longest.Round(time.Millisecond))
}

// start starts the recorder. It tries again while a capture has the slot.
func (u *userRecorder) start(ctx context.Context) error {
	began := time.Now()
	for {
		u.attempts++
		u.since = u.host.beats.Load()
		err := u.recorder.Start()
		if err == nil {
			u.starts++
			u.longest = max(u.longest, time.Since(began))
			return nil
		}
		if !strings.Contains(err.Error(), "already enabled") || ctx.Err() != nil {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

// save writes a recording and checks it: everything up to now must be in it.
func (u *userRecorder) save() (int, error) {
	var b bytes.Buffer
	now := u.host.beats.Load()
	if _, err := u.recorder.WriteTo(&b); err != nil {
		return 0, err
	}
	last, err := checkTrace(b.Bytes())
	if err == nil && now > u.since && last < now {
		err = fmt.Errorf("the recording ends at %d, before %d", last, now)
	}
	return b.Len(), err
}
