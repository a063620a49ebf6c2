// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

func newHang() *detectors.Detector { return detectors.NewHang(detectors.DefaultHangConfig()) }

// inHandler is a place below a handler of an HTTP server, leaf first.
func inHandler(state goroutine.State, frames ...string) detectortest.Place {
	all := slices.Concat([]string{"runtime.gopark"}, frames, []string{"net/http.HandlerFunc.ServeHTTP:1", "net/http.serverHandler.ServeHTTP:3", "net/http.(*conn).serve:9", "runtime.goexit"})
	return detectortest.At(state, all...)
}

var (
	atQuery   = inHandler(goroutine.IOWait, "internal/poll.(*FD).Read:1", "main.query:9", "main.list:20")
	atCompute = inHandler(goroutine.Running, "main.render:70", "main.list:30")
	atSQL     = inHandler(goroutine.Select, "database/sql.(*DB).conn:1", "database/sql.(*DB).query:2", "main.query:9", "main.list:20")
	atCall    = inHandler(goroutine.Select, "net/http.(*persistConn).roundTrip:1", "net/http.(*Transport).roundTrip:2", "main.call:5", "main.list:21")
	atToken   = inHandler(goroutine.ChanSend, "main.list:19")
	atList    = inHandler(goroutine.MutexLock, "sync.(*Mutex).Lock:1", "main.(*Cache).get:5", "main.list:22")
	atCond    = inHandler(goroutine.CondWait, "sync.(*Cond).Wait:1", "main.(*Buffer).take:6", "main.list:23")
	atWG      = inHandler(goroutine.WaitGroupWait, "sync.(*WaitGroup).Wait:1", "main.fan:7", "main.list:24")
	atResult  = inHandler(goroutine.ChanReceive, "main.list:25")
	atFile    = inHandler(goroutine.Syscall, "syscall.Syscall6:1", "os.(*File).Sync:2", "main.list:26")
	atEvents  = inHandler(goroutine.Select, "main.events:40")
	atPoll    = inHandler(goroutine.Select, "main.poll:50")
	atBoth    = inHandler(goroutine.Select, "main.list:60")

	atMessage    = detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.handle:7", "runtime.goexit")
	atWorkerIdle = detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.(*Pool).work:12", "runtime.goexit")
	atWorkerJob  = detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "main.(*Job).run:80", "main.(*Pool).work:15", "runtime.goexit")
)

var (
	atBackground = detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "net/http.(*connReader).backgroundRead:2", "runtime.goexit")
	atHelper     = detectortest.At(goroutine.Select, "runtime.gopark", "main.list.func1:33", "runtime.goexit")
)

// hangs is when faults begin: after 20 minutes.
const hangs = 80

// serve lets n requests be seen in a snapshot and be gone in the next.
func serve(s *service, n int, at ...detectortest.Place) {
	for i := range n {
		s.GoFor(at[i%len(at)], interval/2)
	}
}

// stops serves requests until one moment, and lets those that come later stand.
func stops(seen, coming int, at detectortest.Place) shape {
	return func(s *service) {
		if s.tick < hangs {
			serve(s, seen, atQuery, atCompute)
			return
		}
		s.Go(at, coming)
	}
}

// stuckPool has workers that one after another get stuck in a job, and requests
// that wait for results.
func stuckPool() shape {
	var workers []uint64
	return func(s *service) {
		if s.tick == 0 {
			workers = s.Go(atWorkerIdle, 8)
		}
		if s.tick < hangs {
			s.Move(atWorkerIdle, workers...)
			s.Move(atWorkerJob, workers[s.rand.IntN(8)], workers[s.rand.IntN(8)])
			serve(s, 2, atResult)
			return
		}
		if s.tick == hangs {
			s.Move(atWorkerIdle, workers...)
		}
		s.Move(atWorkerJob, workers[:min(8, 4*(s.tick-hangs+1))]...)
		s.Go(atResult, 4)
	}
}

// poolUnseen has workers and requests that are too fast to be seen, until the
// workers get stuck; or, with hang false, streams that come instead.
func poolUnseen(hang bool) shape {
	var workers []uint64
	return func(s *service) {
		if s.tick == 0 {
			workers = s.Go(atWorkerIdle, 8)
		}
		if s.tick < hangs {
			return
		}
		if hang {
			s.Move(atWorkerJob, workers...)
			workers = nil
		}
		s.Go(atResult, 2)
	}
}

// clientsStuck has twenty clients that wait for their responses before they send the
// next request, on connections that they keep.
func clientsStuck(at detectortest.Place) shape {
	var conns []uint64
	return func(s *service) {
		if s.tick == 0 {
			conns = s.Go(atKeepAlive, 20)
		}
		if s.tick < hangs {
			s.Move(atKeepAlive, conns...)
			for range 10 {
				s.Move(atQuery, conns[s.rand.IntN(20)])
			}
			return
		}
		s.Move(at, conns[:min(20, 10*(s.tick-hangs+1))]...)
	}
}

// endpoints has thirty handlers, from one of which on all of them stop.
func endpoints(from int) shape {
	at := func(i int, state goroutine.State) detectortest.Place {
		return inHandler(state, fmt.Sprintf("main.endpoint%02d:%d", i, 10+len(state)))
	}
	return func(s *service) {
		for i := range 30 {
			switch {
			case s.tick >= hangs && i >= from && s.tick%10 == i%10:
				s.Go(at(i, goroutine.ChanReceive), 1)
			case s.tick < hangs || i < from:
				serve(s, 1+i/29, at(i, goroutine.IOWait))
			}
		}
	}
}

func TestHang(t *testing.T) {
	for name, tc := range map[string]struct {
		do       shape
		function string
		contains string
		within   time.Duration
		lasts    time.Duration // how long it is known at least; zero: to the end
	}{
		"a mutex":                        {stops(5, 5, atList), "main.(*Cache).get", "The lock is not released.", 0, 0},
		"a channel as a semaphore":       {stops(5, 5, atToken), "main.list", "all of its tokens are taken", 0, 0},
		"a pool of stuck workers":        {stuckPool(), "main.(*Job).run", "These are all 8 goroutines started with main.(*Pool).work.", 0, 0},
		"a database/sql pool":            {stops(5, 5, atSQL), "main.query", "SetMaxOpenConns", 0, 0},
		"a dependency":                   {stops(5, 5, atCall), "main.call", "for the response of an HTTP server", 150 * time.Second, 0},
		"a condition":                    {stops(5, 5, atCond), "main.(*Buffer).take", "", 0, 0},
		"a wait group":                   {stops(5, 5, atWG), "main.fan", "", 0, 0},
		"a system call":                  {stops(5, 5, atFile), "main.list", "", 150 * time.Second, 0},
		"a connection":                   {stops(5, 5, inHandler(goroutine.IOWait, "internal/poll.(*FD).Read:1", "main.query:9", "main.list:20")), "main.query", "", 150 * time.Second, 0},
		"thousands":                      {stops(50, 900, atResult), "main.list", "below 1e-1", 0, 0},
		"arrivals that stop":             {clientsStuck(atResult), "main.list", "No more have come for 60 s.", 0, 5 * time.Minute},
		"many places":                    {endpoints(0), "", "", 0, 0},
		"one endpoint of several":        {together(stops(5, 5, atResult), func(s *service) { serve(s, 6, atCompute2) }), "main.list", "", 0, 0},
		"streams beside it":              {together(stops(5, 5, atResult), func(s *service) { s.Go(atEvents, s.tick%2) }), "main.list", "", 0, 0},
		"three a minute, of 6 seconds":   {together(stopsAt3(atQuery, atSQL)), "main.query", "", 2 * time.Minute, 0},
		"three a minute, never seen":     {stopsAt3(detectortest.Place{}, atSQL), "main.query", "They handle requests", 2 * time.Minute, 0},
		"three a minute to a dependency": {stopsAt3(detectortest.Place{}, atCall), "main.call", "They handle requests", 150 * time.Second, 0},
		"a pool, never seen at work":     {poolUnseen(true), "main.(*Job).run", "all 8 goroutines", 2 * time.Minute, 0},
		"a goroutine for each message": {func(s *service) {
			if s.tick < hangs {
				serve(s, 5, atMessage)
			} else {
				s.Go(atMessage, 5)
			}
		}, "main.handle", "", 0, 0},
		"from the second minute on": {func(s *service) {
			s.tick += hangs - 8
			stops(10, 10, atResult)(s)
		}, "main.list", "", 0, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(2, 1)
			begun := hangs
			if name == "from the second minute on" {
				begun = 8
			}
			steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, begun+60, interval, func(i int) {
				s.tick = i
				tc.do(s)
			})...)
			within := tc.within
			if within == 0 {
				within = 90 * time.Second
			}
			after := firstFound(t, steps) - time.Duration(begun)*interval
			assert.GreaterOrEqual(t, after, time.Minute)
			assert.LessOrEqual(t, after, within)
			first := slices.IndexFunc(steps, func(s detectortest.Step) bool { return len(s.Findings) > 0 })
			last := len(steps)
			if tc.lasts > 0 {
				last = first + int(tc.lasts/interval)
			}
			f := steps[last-1].Findings[0]
			if tc.function != "" {
				assert.Equal(t, tc.function, f.Stack.User().Function)
			}
			assert.Contains(t, f.Message+fmt.Sprint(f.Evidence), tc.contains)
			assert.NotEmpty(t, f.Advice)
			for _, step := range steps[first:last] {
				require.Len(t, step.Findings, 1, "one fault is one incident, for as long as it stands")
				require.Equal(t, f.Identity(), step.Findings[0].Identity())
			}
		})
	}
}

var atCompute2 = inHandler(goroutine.Running, "main.render:70", "main.show:30")

// stopsAt3 has three requests a minute, which a snapshot shows at a place or,
// where that is zero, never.
func stopsAt3(before, at detectortest.Place) shape {
	return func(s *service) {
		switch {
		case s.tick%4 == 3:
		case s.tick >= hangs:
			s.Go(at, 1)
		case before.Stack != nil:
			serve(s, 1, before)
		}
	}
}

// falls returns goroutines that are hardly ever without a job, until there is none any
// more.
func falls(idle, job detectortest.Place) shape {
	var workers []uint64
	return func(s *service) {
		if s.tick == 0 {
			workers = s.Go(idle, 20)
		}
		switch {
		case s.tick < hangs:
			s.shuffle(workers, 0.8, job, idle)
		case s.tick == hangs:
			s.Move(idle, workers...)
		}
	}
}

// polls returns consumers of a topic of which each starts a goroutine to wait for the
// next message, until no message comes any more. Each takes up to slow for the last.
func polls(slow time.Duration) shape {
	atPoll := detectortest.At(goroutine.CondWait, "runtime.gopark", "sync.(*Cond).Wait:1", "main.(*Topic).poll.func1:5", "runtime.goexit")
	var last []uint64
	return func(s *service) {
		switch {
		case s.tick <= hangs:
			s.Exit(last...)
			if last = s.Go(atPoll, 20); s.tick == hangs {
				s.Exit(last...)
			}
		case s.tick <= hangs+int(slow/interval):
			s.Go(atPoll, int(20*interval/slow))
		}
	}
}

// TestHangIsSilent has sound programs, among them the twins of those above.
func TestHangIsSilent(t *testing.T) {
	consumers := falls(
		detectortest.At(goroutine.CondWait, "runtime.gopark", "sync.(*Cond).Wait:1", "main.(*Topic).poll:5", "main.consume:12", "runtime.goexit"),
		detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "main.store:80", "main.consume:15", "runtime.goexit"))
	streams := func(s *service) {
		if s.tick >= hangs {
			s.Go(atEvents, s.tick%2)
		}
	}
	atJobs := detectortest.At(goroutine.Select, "runtime.gopark", "main.schedule:3", "main.main.func1:9", "runtime.goexit")
	atAcquire := detectortest.At(goroutine.Select, "runtime.gopark", "golang.org/x/sync/semaphore.(*Weighted).Acquire:1", "main.crawl:4", "runtime.goexit")
	var ids, fleet []uint64
	const seed = 1
	for name, do := range map[string]shape{
		"mutex":        func(s *service) { serve(s, 5, atQuery, atList) },
		"semaphore":    func(s *service) { serve(s, 20, atToken, atCompute) },
		"database/sql": func(s *service) { serve(s, 10, atSQL, atQuery) },
		"dependency":   func(s *service) { serve(s, 10, atCall) },
		"condition":    func(s *service) { serve(s, 10, atCond) },
		"wait group":   func(s *service) { serve(s, 10, atWG) },
		"endpoints": func(s *service) {
			s.tick %= 80
			endpoints(0)(s)
		},
		"three a minute": func(s *service) {
			s.tick %= 80
			stopsAt3(atQuery, atSQL)(s)
		},
		"slow spells of 45 s": func(s *service) {
			if s.tick%20 < 17 {
				serve(s, 10, atQuery)
			}
			if s.tick%20 == 17 {
				for range 10 {
					s.GoFor(atSQL, 45*time.Second)
				}
			}
		},
		"a pool that goes idle at night": func() shape {
			var workers []uint64
			return func(s *service) {
				if s.tick == 0 {
					workers = s.Go(atWorkerIdle, 50)
				}
				s.Move(atWorkerIdle, workers...)
				if s.tick < 40 {
					for range 20 {
						s.Move(atWorkerJob, workers[s.rand.IntN(50)])
					}
					serve(s, 10, atQuery)
				}
			}
		}(),
		"consumers of a topic that falls silent":              consumers,
		"consumers of a topic that falls silent, and streams": together(consumers, streams),
		"consumers that start a goroutine for each poll":      polls(interval),
		"such consumers, slow ones":                           polls(2 * interval),
		"a busy pool that goes idle as streams come":          together(falls(atWorkerIdle, atWorkerJob), streams),
		"connections that fall silent": falls(
			detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "net.(*conn).Read:3", "main.command:3", "main.serve:80", "runtime.goexit"),
			detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.execute:3", "main.serve:81", "runtime.goexit")),
		"a pool that comes up late": func(s *service) {
			serve(s, 5, atQuery)
			if s.tick > 30 && s.tick < 40 {
				s.Go(atWorkerIdle, 10)
			}
		},
		"requests that cease, streams that stay": func(s *service) {
			if s.tick < 40 {
				serve(s, 10, atQuery)
				s.Go(atEvents, 2)
			}
		},
		"streams and requests through one function": func(s *service) {
			if s.tick < 40 || s.tick > 60 {
				serve(s, 10, atBoth)
				s.Go(atBoth, 5)
			}
		},
		"long polls": func(s *service) {
			for range 20 {
				s.GoFor(atPoll, time.Duration(s.rand.Float64()*float64(90*time.Second)))
			}
		},
		"long polls in phase": func(s *service) {
			if s.tick%6 == 0 {
				for range 100 {
					s.GoFor(atPoll, 89*time.Second)
				}
			}
		},
		"long polls of five minutes": func(s *service) {
			if s.tick%20 == 0 {
				for range 100 {
					s.GoFor(atPoll, 295*time.Second)
				}
			}
		},
		"jobs between runs": func() shape {
			var job []uint64
			return func(s *service) {
				if s.tick == 0 {
					job = s.Go(atJobs, 5)
				}
				s.Move(atJobs, job...)
				if s.tick%40 < 6 {
					s.Move(atWorkerJob, job...)
					serve(s, 50, atWorkerJob)
				}
			}
		}(),
		"a batch behind a semaphore": func(s *service) {
			if s.tick == 10 {
				ids = s.Go(atAcquire, 200)
			}
			if s.tick > 10 && s.tick%12 == 0 {
				s.Exit(ids[s.tick/12*2], ids[s.tick/12*2+1])
			}
		},
		"a start-up that fills": func(s *service) {
			if s.tick < 20 {
				s.Go(atWorkerIdle, 5)
				s.Go(atEvents, 50)
				s.Go(atKeepAlive, 20)
			}
			serve(s, 5, atQuery)
		},
		"a fleet that reconnects": func(s *service) {
			switch {
			case s.tick == 0 || s.tick == 44:
				fleet = s.Go(atEvents, 500)
			case s.tick == 40:
				s.Exit(fleet...)
			case s.tick > 40 && s.tick < 44:
				serve(s, 200, atEvents)
				s.Go(atEvents, 20)
			}
		},
		"requests that cease, streams that come": func(s *service) {
			if s.tick < 60 {
				serve(s, 25, atQuery)
			}
			if s.tick%2 == 0 {
				s.Go(atEvents, 1)
			}
		},
		"clients on kept connections": func() shape {
			var conns []uint64
			return func(s *service) {
				if s.tick == 0 {
					conns = s.Go(atKeepAlive, 40)
				}
				s.shuffle(conns, 0.1+0.3*float64(s.tick/40%3), atQuery, atKeepAlive)
			}
		}(),
		"streams beside an idle pool": poolUnseen(false),
		"streams that each have a goroutine": func(s *service) {
			switch {
			case s.tick < 40 && s.tick%3 == 0: // the requests before had one each, too
				serve(s, 19, atBackground)
			case s.tick >= 40 && s.tick < 60:
				s.Go(atResult, 2)
				s.Go(atBackground, 2)
				s.Go(atHelper, 2)
			}
		},
		"streams beside a pool that comes up": func(s *service) {
			if s.tick == 40 {
				s.Go(atWorkerJob, 8)
			}
			if s.tick >= 40 && s.tick < 60 {
				s.Go(atResult, 3)
			}
		},
		"a fleet that connects": func(s *service) {
			if s.tick < 4 {
				serve(s, 50, atEvents)
				s.Go(atEvents, 100)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(2, seed)
			for _, step := range detectortest.Run(t, newHang(), detectortest.Series(s.Process, 160, interval, func(i int) {
				s.tick = i
				do(s)
			})...) {
				require.Empty(t, step.Findings)
			}
		})
	}
}

// TestHangIsSilentUnderHealthyLoad has the loads that the other detectors are
// tried on.
func TestHangIsSilentUnderHealthyLoad(t *testing.T) {
	for name, load := range map[string]shape{
		"steady": steady, "slow": slow, "over time": overTime, "ramp": ramp, "wave": wave, "bursts": bursts, "step": stepUp, "long tail": longTail,
		"a pool that grows": poolGrowth, "streams": streams(30 * time.Minute), "a pool that scales": autoscaling(0.5), "a pool that goes idle": goingIdle(),
		"kept connections": keepAlive(), "a cache that fills": fills(),
		"all": together(steady, slow, bursts, poolGrowth, streams(30*time.Minute), autoscaling(0.5), keepAlive()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, first := replay(t, newHang(), newService(4, 1), load, 150*time.Minute)
			assert.Empty(t, found, "first after %v", first)
		})
	}
}

// TestHangTells has the sentences of two findings.
func TestHangTells(t *testing.T) {
	run := func(do shape) detectors.Finding {
		s := newService(2, 1)
		steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+10, interval, func(i int) {
			s.tick = i
			do(s)
		})...)
		require.Len(t, lastFindings(steps), 1)
		return lastFindings(steps)[0]
	}
	f := run(stuckPool())
	assert.Equal(t, "8 goroutines at main.(*Job).run (main.go:80) stopped first and have been waiting in IO wait for 2 min; 40 goroutines are behind, most of them at main.list (main.go:25), waiting in chan receive.", f.Message)
	assert.Contains(t, f.Evidence, "These are all 8 goroutines started with main.(*Pool).work.")
	assert.Contains(t, f.Evidence, "40 of the 40 requests that the process is handling stand there.")
	assert.Equal(t, "Check the other end of the connection, and set a deadline for reading and writing.", f.Advice)
	assert.Equal(t, 48, f.Count)
	require.Len(t, f.Participants, 2)
	assert.Equal(t, []any{detectors.RoleCause, "main.(*Job).run", 8}, []any{f.Participants[0].Role, f.Participants[0].Stack.User().Function, f.Participants[0].Count})
	assert.Equal(t, []any{detectors.RoleWaiter, "main.list", 40}, []any{f.Participants[1].Role, f.Participants[1].Stack.User().Function, f.Participants[1].Count})
	assert.Equal(t, detectors.Suspected, f.Confidence)

	f = run(stopsAt3(detectortest.Place{}, atSQL))
	assert.Equal(t, "8 goroutines at main.query (main.go:9) are waiting for a connection of a database/sql pool; none moved on for 2 min.", f.Message)
	assert.Contains(t, f.Evidence, "All connections that SetMaxOpenConns permits are in use.")
	assert.Contains(t, f.Advice, "Rows that are not closed")
	assert.Equal(t, detectors.Medium, f.Confidence, "nothing is known of the time before")
}

// TestHangNamesTheHolder has a lock whose holder, itself a request, waits for
// something else.
func TestHangNamesTheHolder(t *testing.T) {
	s := newService(2, 1)
	steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+10, interval, func(i int) {
		switch {
		case i < hangs:
			serve(s, 5, atQuery, atCompute)
		case i == hangs:
			s.Go(atList, 6)
			s.Go(atCall, 1) // holds it
		default:
			s.Go(atList, 3)
		}
	})...)
	f := lastFindings(steps)[0]
	assert.Len(t, lastFindings(steps), 1)
	assert.Equal(t, "1 goroutine at main.call (main.go:5) stopped first and has been waiting for the response of an HTTP server for 2 min; 33 goroutines are behind, most of them at main.(*Cache).get (main.go:5), waiting for a lock (sync.Mutex.Lock).", f.Message)
}

// TestHangRises has a hang that lasts.
func TestHangRises(t *testing.T) {
	s := newService(2, 1)
	steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+40, interval, func(i int) {
		s.tick = i
		stops(5, 5, atResult)(s)
	})...)
	assert.Equal(t, detectors.Suspected, steps[hangs+18].Findings[0].Confidence)
	assert.Equal(t, detectors.High, steps[hangs+20].Findings[0].Confidence, "after five minutes")
}

// TestHangEnds has requests that go on after a hang.
func TestHangEnds(t *testing.T) {
	s := newService(2, 1)
	var stuck []uint64
	steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+40, interval, func(i int) {
		switch {
		case i < hangs || i > hangs+20:
			serve(s, 5, atQuery)
		case i < hangs+20:
			stuck = append(stuck, s.Go(atSQL, 5)...)
		default:
			s.Exit(stuck...)
		}
	})...)
	assert.NotEmpty(t, steps[hangs+19].Findings)
	for _, step := range steps[hangs+20:] {
		assert.Empty(t, step.Findings)
	}
}

// TestHangWithRareSnapshots has snapshots further apart than MinWait.
func TestHangWithRareSnapshots(t *testing.T) {
	for _, apart := range []time.Duration{time.Minute, 90 * time.Second, 5 * time.Minute} {
		s := newService(2, 1)
		steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, 50, apart, func(i int) {
			if i < 40 {
				for range 6 {
					s.GoFor(atQuery, apart/2)
				}
				return
			}
			s.Go(atResult, 5)
		})...)
		assert.Equal(t, 43*apart, firstFound(t, steps), "the fourth snapshot")
	}
}

// TestHangWaitsForAWindow has connections that are busy all the time: in every
// snapshot they are at the same place.
func TestHangWaitsForAWindow(t *testing.T) {
	for name, tc := range map[string]struct {
		at    detectortest.Place
		moves func(w *goroutine.Snapshot, at detectortest.Place, ids []uint64)
		want  bool
	}{
		"nothing moves": {atQuery, func(*goroutine.Snapshot, detectortest.Place, []uint64) {}, true},
		"something comes": {atQuery, func(w *goroutine.Snapshot, at detectortest.Place, _ []uint64) {
			w.Movements = []goroutine.Movement{{Stack: at.Stack, State: at.State, Woken: 3}}
		}, false},
		"goroutines wake them": {atToken, func(w *goroutine.Snapshot, at detectortest.Place, ids []uint64) {
			w.Movements = []goroutine.Movement{{Stack: at.Stack, State: at.State, Woken: 3, Fed: goroutine.SampleIDs(nil, ids[:3]...)}}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(1, 1)
			r := detectortest.NewReplay(t, newHang())
			r.Expect(goroutine.SourceWindow)
			conns := s.Go(atKeepAlive, 30)
			for i := range hangs {
				s.Advance(interval)
				s.Move(atKeepAlive, conns...)
				s.Move(atCompute, conns[i%30], conns[(i+7)%30])
				require.Empty(t, r.Step(s.Snapshot()).Findings)
			}
			s.Move(tc.at, conns...)
			var step detectortest.Step
			for range 6 {
				s.Advance(interval)
				step = r.Step(s.Snapshot())
				require.Empty(t, step.Findings, "it waits")
			}
			assert.Equal(t, detectors.ReasonInspection, step.Status.Reason)
			for range 2 { // it may just be slow
				s.Advance(interval)
				if tc.at.State == goroutine.IOWait {
					require.Empty(t, r.Step(s.Snapshot()).Findings)
				}
			}
			w := &goroutine.Snapshot{Time: s.Now(), Source: goroutine.SourceWindow}
			tc.moves(w, tc.at, conns)
			r.Inspect(w)
			s.Advance(interval)
			assert.Equal(t, tc.want, len(r.Step(s.Snapshot()).Findings) > 0)
		})
	}
}

// TestHangOfAPausedMachine has requests in flight while the machine is paused, or
// a debugger stops the process, once or again and again.
func TestHangOfAPausedMachine(t *testing.T) {
	for name, tc := range map[string]struct {
		pauses int
		pause  time.Duration
		told   bool // by the snapshots
	}{
		"two minutes":              {1, 2 * time.Minute, false},
		"an hour":                  {1, time.Hour, false},
		"two minutes, told":        {1, 2 * time.Minute, true},
		"stepping with a debugger": {6, 2 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(2, 1)
			r := detectortest.NewReplay(t, newHang())
			step := func(late time.Duration) {
				sn := s.Snapshot()
				sn.Late = late
				require.Empty(t, r.Step(sn).Findings)
			}
			for i := range 60 {
				s.tick = i
				if i == 30 {
					inFlight := s.Go(atSQL, 30)
					step(0)
					for range tc.pauses {
						s.Advance(tc.pause)
						step(map[bool]time.Duration{true: tc.pause - 2*time.Second}[tc.told])
					}
					s.Advance(interval / 2)
					step(0)
					s.Exit(inFlight...)
					s.Advance(interval / 2)
				}
				serve(s, 10, atQuery)
				step(0)
				s.Advance(interval)
			}
		})
	}
}

// TestHangOnAStarvedHost has a host so busy that the process hardly runs between
// snapshots: that delays the verdict and does not prevent it.
func TestHangOnAStarvedHost(t *testing.T) {
	s := newService(2, 1)
	r := detectortest.NewReplay(t, newHang())
	found := 0
	for i := range hangs + 20 {
		s.tick = i
		stops(5, 5, atResult)(s)
		sn := s.Snapshot()
		s.Advance(interval)
		if i > hangs {
			sn.Late = 8 * time.Second
		}
		if len(r.Step(sn).Findings) > 0 && found == 0 {
			found = i
		}
	}
	assert.Equal(t, hangs+9, found, "a minute of time that the process had")
}
