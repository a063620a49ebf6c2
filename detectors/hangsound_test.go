// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

var (
	atReply    = inHandler(goroutine.ChanReceive, "main.ask:25", "main.list:70")
	atFetch    = inHandler(goroutine.ChanReceive, "main.fetch:8", "main.list:71")
	atShared   = inHandler(goroutine.WaitGroupWait, "sync.(*WaitGroup).Wait:1", "golang.org/x/sync/singleflight.(*Group).Do:9", "main.list:71")
	atFanOut   = inHandler(goroutine.WaitGroupWait, "sync.(*WaitGroup).Wait:1", "main.searchAll:9", "main.list:72")
	atShard    = detectortest.At(goroutine.ChanSend, "runtime.gopark", "main.(*Shard).lookup:5", "runtime.goexit")
	atProxy    = inHandler(goroutine.WaitGroupWait, "sync.(*WaitGroup).Wait:1", "main.tunnel:9")
	atCopy     = detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "io.Copy:2", "main.tunnel.func1:5", "runtime.goexit")
	atStuckJob = detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.(*Job).flush:81", "main.(*Pool).work:15", "runtime.goexit")
	atAsk      = inHandler(goroutine.IOWait, "internal/poll.(*FD).Read:1", "net.(*conn).Read:2", "main.(*Client).ask:5", "main.list:73")
	atEncode   = detectortest.At(goroutine.Syscall, "syscall.Syscall6:1", "os.(*Process).Wait:2", "os/exec.(*Cmd).Wait:3", "main.encode:8", "main.(*Pool).work:15", "runtime.goexit")
	atTracer   = detectortest.At(goroutine.Running, "main.monitor:1", "runtime.goexit")
	atAccept   = detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Accept:1", "net/http.(*Server).Serve:2", "main.main.func1:9", "runtime.goexit")
)

// unseen lets n requests come and go between two snapshots, which use up
// goroutine IDs. The monitor starts a goroutine for each snapshot, which shows how
// many there were.
func unseen(s *service, n int) {
	s.Exit(s.Go(atResult, n)...)
	s.GoFor(atTracer, interval/2)
}

// oneWorker has one goroutine that waits for work; from the fault on it stands in
// flush.
func oneWorker(load shape) shape {
	var id []uint64
	return func(s *service) {
		switch s.tick {
		case 0:
			id = s.Go(atWorkerIdle, 1)
		case hangs:
			s.Move(atStuckJob, id...)
		}
		load(s)
	}
}

// after runs a load from the fault on.
func after(do shape) shape {
	return func(s *service) {
		if s.tick >= hangs {
			do(s)
		}
	}
}

// TestHangOfRequestsNeverSeen has requests that are too fast for a snapshot to
// show any of them before they hang.
func TestHangOfRequestsNeverSeen(t *testing.T) {
	for name, tc := range map[string]struct {
		do       shape
		function string
		contains string
	}{
		"a worker that stopped": {oneWorker(after(func(s *service) { s.Go(atReply, 1) })), "main.(*Job).flush", "the goroutine started with main.\\(\\*Pool\\).work left its usual place"},
		"a queue that fills first": {oneWorker(func(s *service) {
			if s.tick >= hangs+4 {
				s.Go(atCond, 1)
			}
		}), "main.(*Job).flush", ""},
		"a shared call": {after(func(s *service) {
			if s.tick == hangs {
				s.Go(atFetch, 1)
			}
			s.Go(atShared, 2)
		}), "main.fetch", "singleflight"},
		"what they started": {after(func(s *service) {
			s.Go(atFanOut, 2)
			s.Go(atShard, 2)
		}), "main.(*Shard).lookup", "channel is full"},
		"a file lock": {after(func(s *service) { s.Go(inHandler(goroutine.Syscall, "syscall.Flock:1", "main.append:3"), 1) }), "main.append", "lock on a file"},
		"a slow reply": {after(func(s *service) {
			s.Go(inHandler(goroutine.IOWait, "internal/poll.(*FD).Read:1", "database/sql.(*DB).QueryContext:7", "main.sum:3"), 1)
		}), "main.sum", "pg_stat|long transactions"},
		"an answer by an unknown protocol, beside other requests": {func(s *service) {
			unseen(s, 60)
			after(func(s *service) {
				s.Go(atAsk, 2)
				s.Go(atBackground, 2)
			})(s)
		}, "main.(*Client).ask", "not those of their clients"},
		"the same of unary gRPC": {func(s *service) {
			after(func(s *service) {
				s.Go(detectortest.At(goroutine.IOWait, "internal/poll.(*FD).Read:1", "net.(*conn).Read:2", "main.(*Client).ask:5",
					"google.golang.org/grpc.(*Server).processUnaryRPC:2", "google.golang.org/grpc.(*Server).handleStream:3", "google.golang.org/grpc.(*Server).serveStreams.func2.1:9"), 1)
			})(s)
		}, "main.(*Client).ask", "not those of their clients"},
		"a worker that has gone": {func(s *service) {
			if s.tick < hangs {
				unseen(s, 60)
				return
			}
			s.Go(atReply, 60)
			unseen(s, 3)
		}, "main.ask", "are missing"},
		"a worker that has gone, beside others": {func(s *service) {
			unseen(s, 25)
			if s.tick < hangs {
				unseen(s, 60)
				return
			}
			s.Go(atReply, 20)
			s.Go(atBackground, 20)
		}, "main.ask", "are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(2, 1)
			steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+40, interval, func(i int) {
				s.tick = i
				if i == 0 {
					s.Go(atAccept, 1)
				}
				tc.do(s)
			})...)
			after := firstFound(t, steps) - hangs*interval
			assert.GreaterOrEqual(t, after, time.Minute)
			assert.LessOrEqual(t, after, 150*time.Second)
			f := lastFindings(steps)[0]
			assert.Len(t, lastFindings(steps), 1)
			assert.Equal(t, tc.function, f.Stack.User().Function)
			assert.Regexp(t, tc.contains, f.Message+fmt.Sprint(f.Evidence)+f.Advice)
			assert.True(t, f.Stands)
		})
	}
}

// TestHangIsSilentWithoutHistory has sound programs that resemble those.
func TestHangIsSilentWithoutHistory(t *testing.T) {
	streams := after(func(s *service) { s.Go(atReply, 1) })
	for name, do := range map[string]shape{
		"streams, and workers that are hardly ever seen at work": func() shape {
			var workers []uint64
			return func(s *service) {
				if s.tick == 0 {
					workers = s.Go(atWorkerIdle, 6)
				}
				s.Move(atWorkerIdle, workers...)
				if s.tick < hangs && s.tick%7 == 0 {
					s.Move(atWorkerJob, workers[s.rand.IntN(6)])
				}
				if s.tick >= hangs-4 {
					s.Go(atEvents, 1)
				}
			}
		}(),
		"streams, and a worker that goes on": func() shape {
			var id []uint64
			return func(s *service) {
				if s.tick == 0 {
					id = s.Go(atWorkerIdle, 1)
				}
				s.Move([]detectortest.Place{atWorkerIdle, atWorkerIdle, atStuckJob}[s.tick%3], id...)
				streams(s)
			}
		}(),
		"streams that come when a start-up is over": func() shape {
			var id []uint64
			return func(s *service) {
				switch s.tick {
				case hangs - 8:
					id = s.Go(atWorkerJob, 1)
				case hangs:
					s.Move(atWorkerIdle, id...)
				}
				streams(s)
			}
		}(),
		"streams beside requests": func(s *service) {
			unseen(s, 60)
			after(func(s *service) { s.Go(atReply, 10) })(s)
		},
		"streams that come at night": func(s *service) {
			if s.tick < hangs {
				unseen(s, 60)
			} else {
				s.Go(atReply, s.tick%2)
				unseen(s, 2)
			}
		},
		"requests that cease": func(s *service) {
			if s.tick < hangs {
				unseen(s, 60)
			} else {
				unseen(s, 1)
			}
			if s.tick == hangs {
				s.Go(atReply, 30)
			}
		},
		"a fleet that is refused for a while": func(s *service) {
			if s.tick >= hangs-20 && s.tick < hangs {
				unseen(s, 500)
			}
			if s.tick >= hangs && s.tick < hangs+3 {
				s.Go(atEvents, 170)
				unseen(s, 10)
			}
		},
		"jobs with their own progress streams": func() shape {
			var workers []uint64
			return func(s *service) {
				if s.tick == 0 {
					workers = s.Go(atWorkerIdle, 4)
				}
				if s.tick >= hangs {
					s.Move(atEncode, workers...)
				}
				streams(s)
			}
		}(),
		"a pool in a long job, and as many requests as ever": func() shape {
			var workers []uint64
			return func(s *service) {
				if s.tick == 0 {
					workers = s.Go(atWorkerIdle, 6)
				}
				if s.tick == hangs {
					s.Move(atWorkerJob, workers...)
				}
				serve(s, 4+s.rand.IntN(10), atQuery)
			}
		}(),
		"tunnels": after(func(s *service) {
			s.Go(atProxy, 1)
			s.Go(atCopy, 2)
		}),
		"idle connections of another server": func(s *service) {
			s.Go(detectortest.At(goroutine.IOWait, "internal/poll.(*FD).Read:1", "github.com/valyala/fasthttp.(*RequestHeader).tryRead:1",
				"github.com/valyala/fasthttp.(*Server).serveConn:3", "github.com/valyala/fasthttp.(*workerPool).workerFunc:9"), 1)
		},
		"backpressure": func() shape { // four slots, 30 s each
			var queue []uint64
			return after(func(s *service) {
				queue = append(queue, s.Go(atToken, 3)...)
				if s.tick%2 == 0 {
					s.Exit(queue[:min(4, len(queue))]...)
					queue = queue[min(4, len(queue)):]
				}
			})
		}(),
		"connections that handlers took over": after(func(s *service) {
			s.Go(atAsk, 2)
			s.Go(atReply, 3)
			s.Go(atBackground, 3)
		}),
		"streams that are relayed": after(func(s *service) {
			s.Go(inHandler(goroutine.IOWait, "internal/poll.(*FD).Read:1", "net.(*conn).Read:2", "io.copyBuffer:3", "main.relay:5"), 2)
			s.Go(atBackground, 2)
		}),
		"a subscription to Redis": after(func(s *service) {
			s.Go(inHandler(goroutine.IOWait, "internal/poll.(*FD).Read:1", "net.(*conn).Read:2", "github.com/gomodule/redigo/redis.(*conn).ReceiveWithTimeout:3",
				"github.com/gomodule/redigo/redis.PubSubConn.Receive:4", "main.events:5"), 2)
			s.Go(atBackground, 2)
		}),
		"streams that read a feed, from the start": func(s *service) {
			if s.tick < 20 {
				s.Go(atAsk, 1)
				s.Go(atBackground, 1)
			}
		},
		"streams, and a worker whose stack a trace lacks": func() shape {
			var id []uint64
			return func(s *service) {
				switch s.tick {
				case 0:
					id = s.Go(atWorkerIdle, 1)
				case hangs:
					s.Move(detectortest.At(goroutine.Syscall), id...)
				}
				streams(s)
			}
		}(),
		"uploads": after(func(s *service) {
			s.Go(inHandler(goroutine.IOWait, "internal/poll.(*FD).Read:1", "net.(*conn).Read:2", "net/http.(*connReader).Read:3", "net/http.(*body).Read:4", "main.upload:5"), 2)
		}),
		"a slow server of 110 s": after(func(s *service) {
			s.GoFor(atAsk, 110*time.Second)
			s.GoFor(atBackground, 110*time.Second)
		}),
		"a drain": func(s *service) {
			if s.tick < hangs {
				serve(s, 10, atQuery)
				for range 3 {
					s.GoFor(atQuery, time.Duration(s.rand.Float64()*float64(4*time.Minute)))
				}
			}
		},
		"a standby": func(s *service) {
			if s.tick == hangs {
				s.Go(detectortest.At(goroutine.MutexLock, "sync.(*Mutex).Lock:1", "main.campaign:4", "runtime.goexit"), 2)
			}
			serve(s, 5, atQuery)
		},
		"consumers whose queue is empty": func() shape {
			var all []uint64
			return func(s *service) {
				if s.tick == 0 {
					all = s.Go(atWorkerIdle, 30)
				}
				s.Move(atWorkerIdle, all...)
				for i := range 30 {
					if s.tick < hangs && s.rand.IntN(3) == 0 {
						s.Move(atWorkerJob, all[i])
						serve(s, 1, atHelper)
					}
				}
				streams(s)
			}
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(2, 1)
			for _, step := range detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+40, interval, func(i int) {
				s.tick = i
				if i == 0 {
					s.Go(atAccept, 1)
				}
				do(s)
			})...) {
				require.Empty(t, step.Findings)
			}
		})
	}
}

// TestHangNotesWhoMayServe has a batcher that misses a signal: it stands where it
// always waits. And a loop that calls a server in step with the snapshots.
func TestHangNotesWhoMayServe(t *testing.T) {
	loop := func(state goroutine.State, frames ...string) detectortest.Place {
		return detectortest.At(state, append(frames, "runtime.goexit")...)
	}
	for _, tc := range []struct {
		loop  detectortest.Place
		moves bool // every fourth snapshot, before the fault
		want  string
	}{
		{loop(goroutine.CondWait, "sync.(*Cond).Wait:1", "main.(*Batcher).loop:12"), false,
			"The goroutine started with main.(*Batcher).loop stands, too, at main.(*Batcher).loop (main.go:12), waiting in sync.Cond.Wait, and may be what they wait for."},
		{loop(goroutine.CondWait, "sync.(*Cond).Wait:1", "main.(*Sweeper).loop:12"), false, ""},
		{loop(goroutine.Select, "net/http.(*persistConn).roundTrip:1", "main.report:5", "main.schedule:12"), true,
			"The goroutine started with main.schedule stands, too, at main.report (main.go:5), waiting for the response of an HTTP server, and may be what they wait for."},
		{loop(goroutine.Select, "net/http.(*persistConn).roundTrip:1", "main.poll:5", "main.schedule:12"), false, ""},
	} {
		s := newService(2, 1)
		var id []uint64
		steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+10, interval, func(i int) {
			if i == 0 {
				id = s.Go(tc.loop, 1)
			}
			if i < hangs {
				unseen(s, 60)
				s.Move(tc.loop, id...)
				if tc.moves && i%4 == 1 {
					s.Move(loop(goroutine.Select, "main.schedule:12"), id...)
				}
				return
			}
			s.Go(inHandler(goroutine.ChanReceive, "main.(*Batcher).Submit:25"), 60)
			unseen(s, 3)
		})...)
		f := lastFindings(steps)[0]
		assert.Equal(t, "main.(*Batcher).Submit", f.Stack.User().Function)
		i := slices.IndexFunc(f.Evidence, func(e string) bool { return strings.Contains(e, "may be what they wait for") })
		if tc.want == "" {
			assert.Equal(t, -1, i, "%q", f.Evidence)
			continue
		}
		require.GreaterOrEqual(t, i, 0, "%q", f.Evidence)
		assert.Equal(t, tc.want, f.Evidence[i])
	}
}

// TestHangNotesTheEndOfAPipeline has stages that are busy most of the time, so that
// nothing tells when they stopped.
func TestHangNotesTheEndOfAPipeline(t *testing.T) {
	stage := func(state goroutine.State, frame string) detectortest.Place {
		return detectortest.At(state, "runtime.gopark", frame, "runtime.goexit")
	}
	_, found := hangsOf(t, hangs+10, func(s *service) {
		if s.tick == 0 {
			s.Go(stage(goroutine.ChanSend, "main.(*Pipe).batch:5"), 1)
			s.Go(stage(goroutine.ChanReceive, "main.(*Pipe).ship:9"), 1)
		}
		if s.tick >= hangs {
			s.Go(inHandler(goroutine.ChanSend, "main.(*Pipe).Add:2"), 60)
		}
	})
	require.Len(t, found, 1)
	assert.Contains(t, found[0].Evidence, "The goroutine started with main.(*Pipe).ship stands, too, at main.(*Pipe).ship (main.go:9), waiting in chan receive, and may be what they wait for.")
}

// TestHangNotesAPoolBehindTheOthers has a pool whose workers are busy half of the time,
// so that they stand where they often were. The first requests wait for an answer, the
// others for a worker.
func TestHangNotesAPoolBehindTheOthers(t *testing.T) {
	worker := func(frames ...string) detectortest.Place {
		return detectortest.At(goroutine.ChanReceive, append(frames, "main.(*Pool).worker:12", "runtime.goexit")...)
	}
	busy, idle := worker("main.(*Pool).render:30"), worker()
	s := newService(2, 1)
	var ids []uint64
	steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+10, interval, func(i int) {
		if i == 0 {
			ids = s.Go(idle, 4)
		}
		unseen(s, 60)
		switch {
		case i < hangs:
			s.Move(busy, ids[i%2], ids[2+i%2])
			s.Move(idle, ids[1-i%2], ids[3-i%2])
			return
		case i == hangs:
			s.Move(busy, ids...)
			s.Go(inHandler(goroutine.ChanReceive, "main.serve.func1:40"), 4)
		}
		s.Go(inHandler(goroutine.ChanSend, "main.(*Pool).submit:25"), 60)
	})...)
	f := lastFindings(steps)[0]
	said := strings.Join(f.Evidence, " ") + f.Message
	for _, p := range f.Participants {
		said += " " + p.String()
	}
	assert.Contains(t, said, "main.(*Pool).render", "%s\n%q", f.Message, f.Evidence)
}

// TestHangAsksForSnapshots: more often when a hang may have begun, and not for
// what stands anyway.
func TestHangAsksForSnapshots(t *testing.T) {
	for name, tc := range map[string]struct {
		do   shape
		want bool
	}{
		"a hang":     {stops(5, 5, atResult), true},
		"a lock":     {after(func(s *service) { s.Go(atList, 2) }), true},
		"streams":    {after(func(s *service) { s.Go(atEvents, 2) }), false},
		"idle pools": {poolUnseen(false), false},
		"requests":   {steady, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(2, 1)
			asked := 0
			series := detectortest.Series(s.Process, hangs+4, interval, func(i int) {
				s.tick = i
				tc.do(s)
			})
			for i := range series {
				p := detectors.NewPass(series[max(0, i-35) : i+1])
				p.Attend = func() { asked++ }
				require.NoError(t, newHang().Run(p))
			}
			assert.Equal(t, tc.want, asked > 0)
		})
	}
}

// TestHangNamesTheRoot has what stopped first, among others that stand since about
// the same time.
func TestHangNamesTheRoot(t *testing.T) {
	atSend := detectortest.At(goroutine.ChanSend, "runtime.gopark", "main.(*Pool).work:18", "runtime.goexit")
	started := func(state goroutine.State, frame string) detectortest.Place {
		return detectortest.At(state, "runtime.gopark", frame, "sync.(*WaitGroup).Go.func1:3", "runtime.goexit")
	}
	for name, tc := range map[string]struct {
		start  func(s *service) []uint64
		faulty func(s *service, started []uint64)
		root   string
	}{
		"a pool whose results are not received": {
			func(s *service) []uint64 { return s.Go(atWorkerIdle, 3) },
			func(s *service, workers []uint64) {
				if s.tick == hangs {
					s.Go(atReply, 3)
					s.Move(atSend, workers...)
				}
				s.Go(atToken, 2)
			},
			"main.(*Pool).work",
		},
		"a pool that is started with WaitGroup.Go, as are others": {
			func(s *service) []uint64 {
				s.Go(started(goroutine.Select, "main.janitor:4"), 7)
				return s.Go(started(goroutine.ChanReceive, "main.(*Press).run:5"), 3)
			},
			func(s *service, workers []uint64) {
				s.Move(started(goroutine.ChanSend, "main.(*Press).run:9"), workers...)
				s.Go(atReply, 2)
			},
			"main.(*Press).run",
		},
		"a timer beside a queue": {
			func(s *service) []uint64 { return s.Go(started(goroutine.Select, "main.janitor:4"), 7) },
			func(s *service, _ []uint64) {
				if s.tick == hangs {
					s.Go(started(goroutine.Select, "main.wait:7"), 1)
				}
				s.Go(atList, 2)
			},
			"main.(*Cache).get",
		},
		"a loop that holds a lock": {
			func(s *service) []uint64 {
				return s.Go(detectortest.At(goroutine.Sleep, "time.Sleep", "main.refresh:4"), 1)
			},
			func(s *service, loop []uint64) {
				s.Move(detectortest.At(goroutine.ChanReceive, "main.load:9", "main.refresh:6"), loop...)
				s.Go(atList, 2)
			},
			"main.load",
		},
		"a pool that was saturated before": {
			func(s *service) []uint64 { return s.Go(atSend, 3) },
			func(s *service, workers []uint64) {
				if s.tick == hangs {
					s.Go(atReply, 3)
				}
				s.Go(atToken, 2)
			},
			"main.(*Pool).work",
		},
		"a group whose functions add to it": {
			func(s *service) []uint64 { return nil },
			func(s *service, workers []uint64) {
				if s.tick == hangs {
					s.Go(detectortest.At(goroutine.ChanSend, "runtime.gopark", "golang.org/x/sync/errgroup.(*Group).Go:5", "main.(*Walker).visit:8",
						"golang.org/x/sync/errgroup.(*Group).Go.func1:3", "runtime.goexit"), 6)
					s.Go(atReply, 6)
				}
				s.Go(inHandler(goroutine.ChanSend, "golang.org/x/sync/errgroup.(*Group).Go:5", "main.walk:3"), 2)
			},
			"golang.org/x/sync/errgroup.(*Group).Go",
		},
		"an accept loop": {
			func(s *service) []uint64 { return nil },
			func(s *service, _ []uint64) { s.Go(atList, 2) },
			"main.(*Cache).get",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(2, 1)
			var ids []uint64
			steps := detectortest.Run(t, newHang(), detectortest.Series(s.Process, hangs+12, interval, func(i int) {
				s.tick = i
				if i == 0 {
					s.Go(atAccept, 1)
					ids = tc.start(s)
				}
				if i >= hangs {
					tc.faulty(s, ids)
				}
			})...)
			found := lastFindings(steps)
			require.Len(t, found, 1)
			assert.Equal(t, tc.root, found[0].Stack.User().Function)
			assert.NotContains(t, fmt.Sprint(found[0].Evidence), "WaitGroup")
		})
	}
}
