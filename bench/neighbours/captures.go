// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime/trace"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// span is how long a trace window is open. The monitor opens one of 250 ms on a
// suspicion; here every fifth capture is one.
const span = 20 * time.Millisecond

// saveAfter is after how many snapshots from the service's flight recorder the
// recording is taken, too.
const saveAfter = 100

// A taker takes captures from every source in turn, without a pause. The leak
// proof is not among them: it is not on by default, and it is taken once an hour.
type taker struct {
	ledger
	traced, plain *capture.Capturer // the second takes profiles only
	rota          []func() (*goroutine.Snapshot, []capture.Skip)
	next          int
	taken         map[string]int // by source
	skipped       map[string]int // by source and reason
	recordings    int            // of the service's flight recorder
}

// newTaker returns a taker that takes its traces from recorder while that runs. It
// may be nil.
func newTaker(recorder *trace.FlightRecorder) *taker {
	budget := capture.Budget{CPU: 1000, Pause: time.Second} // no limit
	t := &taker{
		ledger:  ledger{name: "captures", unit: "snapshots"},
		traced:  capture.New(capture.Config{Budget: budget, Tracing: true, Recorder: recorder}),
		plain:   capture.New(capture.Config{Budget: budget}),
		taken:   make(map[string]int),
		skipped: make(map[string]int),
	}
	t.rota = []func() (*goroutine.Snapshot, []capture.Skip){
		t.traced.Take, t.plain.Take, t.text, t.window, t.labelled,
	}
	return t
}

func (t *taker) text() (*goroutine.Snapshot, []capture.Skip) {
	return one(t.traced.Text())
}

func (t *taker) window() (*goroutine.Snapshot, []capture.Skip) {
	return one(t.traced.Window(span, nil))
}

func (t *taker) labelled() (*goroutine.Snapshot, []capture.Skip) {
	return one(t.traced.Labelled([]string{"route"}, nil))
}

func one(s *goroutine.Snapshot, skip *capture.Skip) (*goroutine.Snapshot, []capture.Skip) {
	if skip != nil {
		return nil, []capture.Skip{*skip}
	}
	return s, nil
}

// first takes the first snapshot of each capturer, which is a profile.
func (t *taker) first() {
	for range t.rota {
		t.step()
	}
}

// step takes one capture. As in a monitor, it is aborted at its deadline.
func (t *taker) step() {
	watchdog := time.AfterFunc(capture.Deadline, t.traced.Abort)
	defer watchdog.Stop()
	s, skips := t.rota[t.next%len(t.rota)]()
	t.next++
	for _, skip := range skips {
		t.skipped[string(skip.Source)+": "+string(skip.Reason)]++
		if skip.Reason == capture.ReasonError {
			t.fault("%s: %v", skip.Source, skip.Err)
		}
	}
	if s == nil {
		return
	}
	t.taken[string(s.Source)]++
	var err error
	if n := parkedIn(s); n != population {
		err = fmt.Errorf("a snapshot from the %s source has %d of the %d parked goroutines", s.Source, n, population)
	}
	t.piece(int(s.Bytes), err)
	if s.Source == goroutine.SourceRecorder && t.taken[string(s.Source)]%saveAfter == 0 {
		t.save()
	}
}

// save takes the recording behind the last snapshot, as with a finding, and checks
// it.
func (t *taker) save() {
	recording := t.traced.Recording()
	if recording == nil {
		return // the next capture says why
	}
	_, err := checkTrace(recording)
	t.recordings++
	if err != nil {
		t.fault("the recording of a snapshot: %v", err)
	}
}

// parkedIn counts the parked goroutines in a snapshot.
func parkedIn(s *goroutine.Snapshot) (n int) {
	for i := range s.Groups {
		for _, f := range s.Groups[i].Stack.Frames {
			if f.Function == parkedFunction {
				n += s.Groups[i].Count
				break
			}
		}
	}
	return n
}

func (t *taker) total() (n int) {
	for _, k := range t.taken {
		n += k
	}
	return n
}

// run takes captures until there are enough and each neighbour has delivered its
// pieces. The longest wait for those is s.patience.
func (t *taker) run(ctx context.Context, s settings, neighbours []*neighbour, u *series, tell func()) error {
	t.first()
	began, told, warm := time.Now(), time.Now(), false
	for n := 0; n < s.captures || !delivered(neighbours, s.pieces); {
		before := t.total()
		t.step()
		n += t.total() - before
		if warm = warm || delivered(neighbours, 1); warm {
			u.sample(n, s.captures)
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			tell()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if n >= s.captures && time.Since(began) > s.patience {
			return fmt.Errorf("not every neighbour delivered %d pieces in %v", s.pieces, s.patience)
		}
	}
	tell()
	if t.recordings > 0 {
		t.note("%d recordings of the flight recorder", t.recordings)
	}
	return nil
}

func delivered(neighbours []*neighbour, pieces int) bool {
	for _, n := range neighbours {
		if have, _, _ := n.counts(); have < pieces {
			return false
		}
	}
	return true
}
