// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

var (
	atPoolSend  = detectortest.At(goroutine.ChanSend, "runtime.gopark", "main.(*Pool).work:18", "runtime.goexit")
	atPoolCall  = detectortest.At(goroutine.Select, "runtime.gopark", "net/http.(*persistConn).roundTrip:1", "main.(*Pool).work:19", "runtime.goexit")
	atPoolLock  = detectortest.At(goroutine.MutexLock, "runtime.gopark", "sync.(*Mutex).Lock:1", "main.(*Pool).work:20", "runtime.goexit")
	atPoolRate  = detectortest.At(goroutine.Select, "runtime.gopark", "golang.org/x/time/rate.(*Limiter).wait:1", "main.(*Pool).work:21", "runtime.goexit")
	atPoolTurn  = detectortest.At(goroutine.CondWait, "runtime.gopark", "sync.(*Cond).Wait:1", "main.(*Pool).work:22", "runtime.goexit")
	atPoolLead  = detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.(*Pool).work:23", "runtime.goexit")
	atCollect   = detectortest.At(goroutine.Select, "runtime.gopark", "main.(*Pool).collect:30", "runtime.goexit")
	atPrinter   = detectortest.At(goroutine.Syscall, "syscall.Syscall6:1", "os.(*File).Write:2", "main.(*Pool).collect:31", "runtime.goexit")
	atForeign   = detectortest.At(goroutine.Select, "runtime.gopark", "example.com/other.loop:5", "runtime.goexit")
	atSamePkg   = detectortest.At(goroutine.Select, "runtime.gopark", "main.drain:5", "runtime.goexit")
	atPerReq    = detectortest.At(goroutine.Select, "runtime.gopark", "main.(*Pool).notify:5", "runtime.goexit")
	atWGCollect = detectortest.At(goroutine.Select, "runtime.gopark", "main.(*Pool).collect:30", "sync.(*WaitGroup).Go.func1:3", "runtime.goexit")
)

// A press is a pool of three workers that send to a receiver, in a service whose
// requests are too fast to be seen. From the fault on, the workers stand at a place and
// requests behind them.
type press struct {
	receiver detectortest.Place // before the fault
	stands   detectortest.Place // where the workers stand
	ends     bool               // the receiver ends
	then     func(s *service, receiver, workers []uint64)
	quiet    bool // no requests come after the fault
}

func (p press) shape() shape {
	var receiver, workers []uint64
	return func(s *service) {
		switch {
		case s.tick == 0:
			receiver, workers = s.Go(p.receiver, 1), s.Go(atWorkerIdle, 3)
			s.Go(atForeign, 1)
		case s.tick < hangs:
			unseen(s, 60)
		case s.tick == hangs:
			if p.ends {
				s.Exit(receiver...)
			}
			s.Move(p.stands, workers...)
			if !p.quiet {
				s.Go(atReply, 3)
			}
		}
		if s.tick >= hangs && s.tick < hangs+200 && !p.quiet {
			s.Go(atToken, s.tick%2)
		}
		if p.then != nil {
			p.then(s, receiver, workers)
		}
	}
}

// surest runs a shape for so long after the fault. It returns when a finding was first
// High, after the fault, or 0, and what the last one says.
func surest(t *testing.T, do shape, span time.Duration) (high time.Duration, said string) {
	t.Helper()
	s := newService(2, 1)
	for i, step := range detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+int(span/interval)+1, interval, func(i int) {
		s.tick = i
		if i == 0 {
			s.Go(atAccept, 1)
		}
		do(s)
	})...) {
		for _, f := range step.Findings {
			said = f.Message + fmt.Sprint(f.Evidence)
			if high == 0 && f.Confidence >= detectors.Confirmed {
				high = time.Duration(i-hangs) * interval
			}
		}
	}
	return high, said
}

func TestHangOfAPoolWhoseReceiverHasEnded(t *testing.T) {
	for name, tc := range map[string]struct {
		do    press
		says  string
		after time.Duration
	}{
		"a method of the same type": {press{receiver: atCollect, stands: atPoolSend, ends: true},
			"1 goroutine started with main.(*Pool).collect, which had been there for at least 2 min, ended at about the time at which they stopped, and has not been replaced.", 5 * time.Minute},
		"started with WaitGroup.Go":      {press{receiver: atWGCollect, stands: atPoolSend, ends: true}, "1 goroutine started with main.(*Pool).collect,", 5 * time.Minute},
		"a function of the same package": {press{receiver: atSamePkg, stands: atPoolSend, ends: true}, "1 goroutine started with main.drain,", 5 * time.Minute},
		"a queue that fills for two minutes first": {press{receiver: atCollect, stands: atPoolSend, then: func(s *service, receiver, _ []uint64) {
			if s.tick == hangs-8 {
				s.Exit(receiver...)
			}
		}}, "main.(*Pool).collect", 5 * time.Minute},
		"two of them, and one that is replaced": {press{receiver: atCollect, stands: atPoolSend, ends: true, then: func(s *service, _, _ []uint64) {
			switch s.tick {
			case 1:
				s.Go(atSamePkg, 1)
			case hangs + 1:
				s.Go(atSamePkg, 1)
			}
		}}, "1 goroutine started with main.(*Pool).collect,", 5 * time.Minute},
		"requests that end by a timeout": {press{receiver: atCollect, stands: atPoolSend, ends: true, quiet: true, then: func(s *service, _, _ []uint64) {
			for range 8 {
				if s.tick >= hangs {
					s.GoFor(atReply, 20*time.Second)
				}
			}
		}}, "1 goroutine started with main.(*Pool).collect,", 5 * time.Minute},
		"not known what receives": {press{receiver: atCollect, stands: atPoolSend}, "These are all 3 goroutines started with main.(*Pool).work.", 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			high, said := surest(t, tc.do.shape(), tc.after+10*time.Minute)
			assert.GreaterOrEqual(t, high, tc.after)
			assert.LessOrEqual(t, high, tc.after+2*time.Minute)
			assert.Contains(t, said, tc.says)
		})
	}
}

// TestHangOfAPoolStaysHigh: older snapshots are thinned out, and what they told must not
// be forgotten.
func TestHangOfAPoolStaysHigh(t *testing.T) {
	s := newService(2, 1)
	do := press{receiver: atCollect, stands: atPoolSend, ends: true}.shape()
	for i, step := range detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+4*100, interval, func(i int) {
		s.tick = i
		do(s)
	})...) {
		switch after := time.Duration(i-hangs) * interval; {
		case after >= 6*time.Minute:
			require.Len(t, step.Findings, 1, "after %v", after)
			require.Equal(t, detectors.High, step.Findings[0].Confidence, "after %v: %q", after, step.Findings[0].Evidence)
		case after < 5*time.Minute && len(step.Findings) > 0:
			require.Less(t, step.Findings[0].Confidence, detectors.Confirmed, "after %v", after)
		}
	}
}

// TestHangOfASoundPoolIsNeverHigh has pools that wait for long and are sound, or of which
// nothing is proven. In each of them something of the same package or type ends when
// the pool stops, unless the name says otherwise.
func TestHangOfASoundPoolIsNeverHigh(t *testing.T) {
	for name, tc := range map[string]struct {
		do   press
		span time.Duration
	}{
		"a device that jams for 28 minutes, whose goroutine is there": {press{receiver: atCollect, stands: atPoolSend, then: func(s *service, receiver, _ []uint64) {
			if s.tick == hangs {
				s.Move(atPrinter, receiver...)
			}
		}}, 28 * time.Minute},
		"a device that takes four minutes for each": {press{receiver: atPrinter, stands: atPoolSend, then: takesTurns(atPoolSend, 4*time.Minute)}, 2 * time.Hour},
		"a dependency that answers after three minutes": {press{receiver: atCollect, stands: atPoolCall, ends: true,
			then: takesTurns(atPoolCall, 3*time.Minute)}, 2 * time.Hour},
		"a dependency that does not answer": {press{receiver: atCollect, stands: atPoolCall, ends: true}, 2 * time.Hour},
		"a lock for maintenance":            {press{receiver: atCollect, stands: atPoolLock, ends: true}, 2 * time.Hour},
		"a rate limit":                      {press{receiver: atCollect, stands: atPoolRate, ends: true}, 2 * time.Hour},
		"a standby":                         {press{receiver: atCollect, stands: atPoolTurn, ends: true}, 2 * time.Hour},
		"a leader election":                 {press{receiver: atCollect, stands: atPoolLead, ends: true}, 2 * time.Hour},
		"a pool at rest":                    {press{receiver: atCollect, stands: atWorkerIdle, ends: true, quiet: true}, 2 * time.Hour},
		"batch workers without requests":    {press{receiver: atCollect, stands: atPoolSend, ends: true, quiet: true}, 2 * time.Hour},
		"a receiver that is replaced": {press{receiver: atCollect, stands: atPoolSend, ends: true, then: func(s *service, _, _ []uint64) {
			if s.tick == hangs+2 {
				s.Go(atCollect, 1)
			}
		}}, 28 * time.Minute},
		"goroutines of the requests before": {press{receiver: atForeign, stands: atPoolSend, then: func(s *service, _, _ []uint64) {
			if s.tick < hangs {
				s.GoFor(atPerReq, interval+interval/2)
			}
		}}, 28 * time.Minute},
		"something else that ended": {press{receiver: atForeign, stands: atPoolSend, ends: true}, 28 * time.Minute},
		"something that ended long before": {press{receiver: atCollect, stands: atPoolSend, then: func(s *service, receiver, _ []uint64) {
			if s.tick == hangs-20 {
				s.Exit(receiver...)
			}
		}}, 28 * time.Minute},
		"two requests": {press{receiver: atCollect, stands: atPoolSend, ends: true, quiet: true, then: func(s *service, _, _ []uint64) {
			if s.tick == hangs {
				s.Go(atReply, 2)
			}
		}}, 2 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			high, said := surest(t, tc.do.shape(), tc.span)
			assert.Zero(t, high, said)
		})
	}
}

// takesTurns lets one worker in turn go on with its next job, after so long.
func takesTurns(at detectortest.Place, every time.Duration) func(*service, []uint64, []uint64) {
	return func(s *service, _, workers []uint64) {
		n, each := s.tick-hangs, int(every/interval)
		if n <= 0 || n%each > 1 {
			return
		}
		if w := workers[n/each%3]; n%each == 0 {
			s.Move(atWorkerIdle, w)
		} else {
			s.Move(at, w)
		}
	}
}

// TestHangOfAPoolDuringAPause: a machine that sleeps adds nothing to the time for which
// a pool has stood.
func TestHangOfAPoolDuringAPause(t *testing.T) {
	s := newService(2, 1)
	do := press{receiver: atCollect, stands: atPoolSend, ends: true}.shape()
	r := detectortest.NewReplay(t, newHang())
	for i := range hangs + 16 { // four minutes, and eight in which nothing could run
		s.tick = i
		do(s)
		sn := s.Snapshot()
		if i == hangs+6 {
			sn.Late = 8 * time.Minute
		}
		for _, f := range r.Step(sn).Findings {
			require.Less(t, f.Confidence, detectors.Confirmed, "%q", f.Evidence)
		}
		s.Advance(interval)
		if i == hangs+5 {
			s.Advance(8 * time.Minute)
		}
	}
}
