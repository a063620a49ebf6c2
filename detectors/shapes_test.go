// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// The places of the simulated service. All of its traffic, healthy or not,
// waits at atHandler unless a shape says otherwise.
var (
	atHandler   = place(goroutine.ChanReceive, "main.(*Server).handle:42")
	atNextLine  = place(goroutine.ChanReceive, "main.(*Server).handle:57")
	atIdle      = detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.(*Pool).worker:12", "runtime.goexit")
	atJob       = detectortest.At(goroutine.Select, "runtime.gopark", "main.(*Job).run:80", "main.(*Pool).worker:15", "runtime.goexit")
	atStream    = detectortest.At(goroutine.Select, "runtime.gopark", "main.(*Stream).push:30", "main.serveStream:9", "runtime.goexit")
	atStreamIO  = detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "main.(*Stream).read:20", "main.serveStream:8", "runtime.goexit")
	atKeepAlive = detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "net/http.(*conn).serve:9", "runtime.goexit")
	atConn      = detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.(*Server).query:7", "net/http.(*conn).serve:9", "runtime.goexit")
)

func place(state goroutine.State, function string) detectortest.Place {
	return detectortest.At(state, "runtime.gopark", function, "main.(*Server).serve:10", "runtime.goexit")
}

// A service is a process under load, in ticks.
type service struct {
	*detectortest.Process
	rand *rand.Rand
	tick int
}

// tick is how long a tick is, and how far apart snapshots are.
const tick = 30 * time.Second

func newService(procs int, seed uint64) *service {
	return &service{Process: detectortest.NewProcess(procs), rand: rand.New(rand.NewPCG(seed, 7))}
}

func (s *service) elapsed() time.Duration { return time.Duration(s.tick) * tick }

// arrivals draws how many arrive in a tick, where so many a minute do.
func (s *service) arrivals(perMinute float64) int {
	return s.poisson(perMinute * tick.Minutes())
}

// poisson draws from a Poisson distribution, by way of a normal one where the
// mean is large.
func (s *service) poisson(mean float64) int {
	if mean > 30 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*s.rand.NormFloat64())))
	}
	n, limit := 0, math.Exp(-mean)
	for p := s.rand.Float64(); p > limit; p *= s.rand.Float64() {
		n++
	}
	return n
}

// exponential draws a lifetime.
func (s *service) exponential(mean time.Duration) time.Duration {
	return time.Duration(s.rand.ExpFloat64() * float64(mean))
}

// requests serves so many a minute, each for a time of up to longest.
func (s *service) requests(at detectortest.Place, perMinute float64, longest time.Duration) {
	for range s.arrivals(perMinute) {
		s.GoFor(at, time.Duration(s.rand.Float64()*float64(longest)))
	}
}

// A shape is a load. Each call is one tick.
type shape func(*service)

func steady(s *service)   { s.requests(atHandler, 300, 20*time.Second) }
func slow(s *service)     { s.requests(atHandler, 60, 5*time.Minute) }
func overTime(s *service) { s.requests(atHandler, 60, 12*time.Minute) }

func ramp(s *service) { s.requests(atHandler, 2*s.elapsed().Minutes(), 5*time.Minute) }

func wave(s *service) {
	phase := 2 * math.Pi * s.elapsed().Hours() / 24
	s.requests(atHandler, 100*(1-math.Cos(phase)), 5*time.Minute)
}

func bursts(s *service) {
	if s.tick%16 == 0 { // every 8 minutes
		for range 200 {
			s.GoFor(atHandler, time.Duration(s.rand.Float64()*float64(5*time.Minute)))
		}
	}
}

// stepUp triples the load in the third hour and lets it be.
func stepUp(s *service) {
	rate := 50.0
	if s.elapsed() > 2*time.Hour {
		rate = 150
	}
	s.requests(atHandler, rate, 5*time.Minute)
}

// longTail has lifetimes without a limit: one request in 150 takes longer than
// five minutes.
func longTail(s *service) {
	rate := 100 + 2*s.elapsed().Minutes()
	for range s.arrivals(rate) {
		s.GoFor(atHandler, s.exponential(time.Minute))
	}
}

// poolGrowth has a pool that grows over ten minutes in the second hour, to
// 300 workers that then stay idle.
func poolGrowth(s *service) {
	if e := s.elapsed(); e >= time.Hour && e < time.Hour+10*time.Minute {
		s.Go(atIdle, 300/20)
	}
}

// streams come ever more often until the fourth hour and stay for a while.
func streams(mean time.Duration) shape {
	return func(s *service) {
		rate := min(s.elapsed().Hours(), 4) * 5
		for range s.arrivals(rate) {
			life := s.exponential(mean)
			s.GoFor(atStream, life)
			s.GoFor(atStreamIO, life)
		}
	}
}

// autoscaling has a pool that follows a load of jobs up and down within hours.
// Each worker is at a job for the given part of the time.
func autoscaling(busy float64) shape {
	var workers []uint64
	return func(s *service) {
		want := int(100 * (1.2 - math.Cos(2*math.Pi*s.elapsed().Hours()/6)))
		for len(workers) < want {
			workers = append(workers, s.Go(atIdle, 1)...)
		}
		for len(workers) > want {
			s.Exit(workers[0])
			workers = workers[1:]
		}
		s.shuffle(workers, busy, atJob, atIdle)
	}
}

// shuffle moves each worker to one of two places.
func (s *service) shuffle(workers []uint64, share float64, there, else_ detectortest.Place) {
	for _, w := range workers {
		if s.rand.Float64() < share {
			s.Move(there, w)
		} else {
			s.Move(else_, w)
		}
	}
}

// goingIdle has a pool of a fixed size that is busy with long jobs, in the
// third hour runs out of them, and so goes idle worker by worker.
func goingIdle() shape {
	var workers []uint64
	return func(s *service) {
		if s.tick == 1 {
			workers = s.Go(atJob, 100)
		}
		if s.elapsed() > 2*time.Hour && len(workers) > 0 {
			s.Move(atIdle, workers[0])
			workers = workers[1:]
		}
	}
}

// keepAlive has old connections that serve ever more requests: in every snapshot
// others of them wait for the database.
func keepAlive() shape {
	var conns []uint64
	return func(s *service) {
		if s.tick == 1 {
			conns = s.Go(atKeepAlive, 500)
		}
		s.shuffle(conns, min(0.6, 0.1*s.elapsed().Hours()), atConn, atKeepAlive)
	}
}

// fills has a cache with a goroutine for each of 200 keys, all of which are in
// use after the warm-up.
func fills() shape {
	seen := make(map[int]bool)
	return func(s *service) {
		for range s.arrivals(200) {
			if key := s.rand.IntN(200); !seen[key] {
				seen[key] = true
				s.Go(atIdle, 1)
			}
		}
	}
}

// together runs several shapes in one process.
func together(shapes ...shape) shape {
	return func(s *service) {
		for _, sh := range shapes {
			sh(s)
		}
	}
}

// leak plants goroutines that never end, so many a minute from a time on.
func leak(at detectortest.Place, perMinute float64, from time.Duration) shape {
	return func(s *service) {
		if s.elapsed() >= from {
			s.Go(at, s.arrivals(perMinute))
		}
	}
}

// leakBursts plants n at once, again and again.
func leakBursts(at detectortest.Place, n int, every, from time.Duration) shape {
	return func(s *service) {
		if since := s.elapsed() - from; since >= 0 && since%every < tick {
			s.Go(at, n)
		}
	}
}

// stuckConns plants connections that serve requests for a while, idle in
// between, before a request of theirs gets stuck.
func stuckConns(perMinute float64, from time.Duration) shape {
	var open []uint64
	return func(s *service) {
		if s.tick == 1 {
			open = s.Go(atKeepAlive, 200)
		}
		if s.elapsed() < from {
			return
		}
		for range s.arrivals(perMinute) {
			i := s.rand.IntN(len(open))
			s.Move(atConn, open[i])
			open[i] = s.Go(atKeepAlive, 1)[0] // the client opens another one
		}
	}
}

// tickers plants goroutines that wake up for a ticker: one in a thousand is
// not where it waits when a snapshot is taken.
func tickers(perMinute float64, from time.Duration) shape {
	var all []uint64
	return func(s *service) {
		if s.elapsed() >= from {
			all = append(all, s.Go(atStream, s.arrivals(perMinute))...)
		}
		s.shuffle(all, 0.001, atJob, atStream)
	}
}
