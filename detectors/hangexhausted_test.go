// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

var (
	atPool      = inHandler(goroutine.Select, "database/sql.(*DB).conn:1", "gorm.io/gorm.(*DB).Begin:2", "main.book:7")
	atSQLAnswer = inHandler(goroutine.IOWait, "internal/poll.(*FD).Read:1", "net.(*conn).Read:2", "database/sql.(*DB).QueryContext:7", "main.book:8")
	atPrice     = inHandler(goroutine.ChanReceive, "main.price:9", "main.book:9")
	atInTime    = detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.acquire:5", "net/http.(*timeoutHandler).ServeHTTP.func1:2", "runtime.goexit")
	atTimeLimit = detectortest.At(goroutine.Select, "runtime.gopark", "net/http.(*timeoutHandler).ServeHTTP:3", "net/http.serverHandler.ServeHTTP:4", "net/http.(*conn).serve:5", "runtime.goexit")

	atRequest = detectortest.At(goroutine.IOWait, "internal/poll.(*FD).Read:1", "net.(*conn).Read:2", "bufio.(*Scanner).Scan:3", "main.(*Server).serve:4", "runtime.goexit")
	atPost    = detectortest.At(goroutine.ChanSend, "runtime.gopark", "main.(*Server).post:6", "main.(*Server).serve:5", "runtime.goexit")
	atTopic   = detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.(*Server).follow:6", "main.(*Server).serve:5", "runtime.goexit")
)

// hangsOf returns what hang finds in a process that does something at each of so many
// snapshots, and in which of them first.
func hangsOf(t *testing.T, ticks int, do shape) (first int, found []detectors.Finding) {
	s := newService(2, 1)
	first = -1
	for k, step := range detectortest.Run(t, newHang(), detectortest.Series(s.Process, ticks, interval, func(i int) {
		s.tick = i
		if i == 0 {
			s.Go(atAccept, 1)
		}
		do(s)
	})...) {
		if len(step.Findings) > 0 {
			found = step.Findings
			if first < 0 {
				first = k
			}
		}
	}
	return first, found
}

// TestHangOfAnExhaustedPool has requests that wait for a connection until their own
// time limit of 20 s.
func TestHangOfAnExhaustedPool(t *testing.T) {
	giveUp := func(s *service, n int) {
		for range n {
			s.GoFor(atPool, 20*time.Second)
		}
	}
	first, found := hangsOf(t, 40, after20(func(s *service) { giveUp(s, 4) }))
	require.Len(t, found, 1)
	f := found[0]
	assert.LessOrEqual(t, time.Duration(first-20)*interval, 150*time.Second)
	assert.Equal(t, detectors.Medium, f.Confidence)
	assert.Regexp(t, `^\d+ goroutines at main.book \(main.go:7\) are waiting for a connection of a database/sql pool, each until its own time limit; no goroutine was seen to use one for .*\.$`, f.Message)
	assert.Contains(t, f.Advice, "Rows that are not closed")
	assert.Empty(t, f.Participants)

	atRedisPool := inHandler(goroutine.Select, "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).waitTurn:1", "github.com/redis/go-redis/v9.cmdable.Get:2", "main.cart:7")
	_, found = hangsOf(t, 40, after20(func(s *service) { // each tries four times
		for range 8 {
			s.GoFor(atRedisPool, 12*time.Second)
		}
		serve(s, 2, atRedisPool, inHandler(goroutine.Select, "github.com/redis/go-redis/v9/internal.Sleep:1", "github.com/redis/go-redis/v9.cmdable.Get:2", "main.cart:7"))
	}))
	require.Len(t, found, 1)
	assert.Contains(t, found[0].Message, "go-redis pool")

	for name, do := range map[string]shape{
		"a pool that works": func(s *service) {
			giveUp(s, 6)
			serve(s, s.tick%2, atSQLAnswer)
		},
		"its users do something else in between": func(s *service) {
			giveUp(s, 6)
			serve(s, 1, atPrice)
		},
		"a job uses it": func(s *service) {
			giveUp(s, 6)
			s.GoFor(detectortest.At(goroutine.IOWait, "net.(*conn).Read:2", "database/sql.(*DB).QueryContext:7", "main.job:8"), interval/2)
		},
		"its users are on a CPU": func(s *service) {
			giveUp(s, 6)
			s.GoFor(detectortest.At(goroutine.Running), interval/2)
			s.GoFor(detectortest.At(goroutine.Running), interval/2)
		},
		"for less than two minutes": func(s *service) {
			if s.tick < 27 {
				giveUp(s, 6)
			}
		},
		"one request at a time": func(s *service) { giveUp(s, 1) },
		"connection attempts to a server that is gone": func(s *service) {
			for range 6 {
				s.GoFor(inHandler(goroutine.Select, "net/http.(*Transport).getConn:1", "main.fetch:7"), 20*time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, found := hangsOf(t, 60, after20(do))
			assert.Empty(t, found)
		})
	}
}

// after20 runs a load from the 20th snapshot on.
func after20(do shape) shape {
	return func(s *service) {
		if s.tick >= 20 {
			do(s)
		}
	}
}

// TestHangBeyondATimeLimit has requests within an http.TimeoutHandler.
func TestHangBeyondATimeLimit(t *testing.T) {
	_, found := hangsOf(t, 40, after20(func(s *service) {
		s.Go(atInTime, 2)
		s.GoFor(atTimeLimit, 10*time.Second)
		s.GoFor(atTimeLimit, 10*time.Second)
	}))
	require.Len(t, found, 1)
	assert.Contains(t, found[0].Message, "at main.acquire")
	assert.Regexp(t, `An http.TimeoutHandler has given up on at least \d+ of them`, found[0].Evidence)

	_, found = hangsOf(t, 40, after20(func(s *service) { // streams, within a long limit
		s.Go(atInTime, 2)
		s.Go(atTimeLimit, 2)
	}))
	assert.Empty(t, found)
}

// TestHangOfConnections has a server with a protocol of its own, on connections that its
// clients keep, in the first minutes of a process.
func TestHangOfConnections(t *testing.T) {
	server := func(n int, at detectortest.Place) shape { // of 20, n get stuck
		var conns []uint64
		return func(s *service) {
			switch s.tick {
			case 0:
				conns = s.Go(atRequest, 20)
			case 4, 5, 6:
				s.Move(at, conns[:n*(s.tick-3)/3]...)
			}
		}
	}
	first, found := hangsOf(t, 20, server(20, atPost))
	require.Len(t, found, 1)
	assert.LessOrEqual(t, time.Duration(first-4)*interval, 90*time.Second)
	assert.Contains(t, found[0].Message, "main.(*Server).post (main.go:6) are waiting to send on a channel")
	assert.Contains(t, found[0].Evidence[2], "used to wait for data on network connections")

	for name, do := range map[string]shape{
		"a few clients that do not read":     server(6, atPost),
		"connections that follow a topic":    server(20, atTopic),
		"connections that begin with a send": func(s *service) { s.Go(atPost, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			_, found := hangsOf(t, 40, do)
			assert.Empty(t, found)
		})
	}
}

// TestHangOfASmallService has two requests a minute and one worker, which leaves the
// place where it waits for work.
func TestHangOfASmallService(t *testing.T) {
	first, found := hangsOf(t, hangs+40, oneWorker(func(s *service) {
		if s.tick >= hangs && s.tick%2 == 0 {
			s.Go(atReply, 1)
		}
	}))
	require.Len(t, found, 1)
	assert.LessOrEqual(t, time.Duration(first-hangs)*interval, 90*time.Second)
	assert.Contains(t, found[0].Message, "main.(*Job).flush")
}
