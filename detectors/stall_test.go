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
	atWait     = detectortest.At(goroutine.WaitGroupWait, "runtime.gopark", "main.main:30", "runtime.main", "runtime.goexit")
	atResults  = detectortest.At(goroutine.ChanSend, "runtime.gopark", "main.work:12", "runtime.goexit")
	atTicker   = detectortest.At(goroutine.ChanReceive, "runtime.gopark", "main.main:33", "runtime.main", "runtime.goexit")
	onCPU      = detectortest.At(goroutine.Running)
	atMonitor  = detectortest.At(goroutine.Syscall, "syscall.Syscall", "github.com/otelgoroutine/go/otelgoroutine.(*Monitor).run:9", "runtime.goexit")
	atExporter = detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "net/http.(*persistConn).readLoop:9", "runtime.goexit")
	atGRPC     = detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "google.golang.org/grpc/internal/transport.(*http2Client).reader:9", "runtime.goexit")
	atReader   = detectortest.At(goroutine.Select, "runtime.gopark", "go.opentelemetry.io/otel/sdk/metric.(*PeriodicReader).run:9", "runtime.goexit")
)

func newStall() *detectors.Detector { return detectors.NewStall(detectors.DefaultStallConfig()) }

func newStallNoTimers() *detectors.Detector {
	return stallWith(func(c *detectors.StallConfig) { c.NoTimers = true })
}

// stuck is a batch program whose results are never taken, with a monitor and an
// exporter in it.
func stuck() *detectortest.Process {
	p := detectortest.NewProcess(2)
	p.Go(atWait, 1)
	p.Go(atResults, 20)
	p.Go(atDebit, 4)
	p.Go(onCPU, 1)
	p.Go(atReader, 1)
	p.Go(atExporter, 1)
	p.Go(atGRPC, 1)
	return p
}

func TestStall(t *testing.T) {
	steps := detectortest.Run(t, newStall(), detectortest.Series(stuck(), 60, interval, nil)...)
	assert.Equal(t, 2*time.Minute, firstFound(t, steps))
	detectortest.Compare(t, lastFindings(steps), detectortest.Want{
		Function: "main.work", Line: 12, Confidence: detectors.Medium, Count: 25,
		Contains: "1 goroutine in sync.WaitGroup.Wait at main.main (main.go:30).",
	})
	f := lastFindings(steps)[0]
	assert.Equal(t, "The process makes no progress: its 25 goroutines have only waited for other goroutines for 15 min.", f.Message)
	assert.Equal(t, 59*interval, f.Age)
	assert.Len(t, f.IDs, goroutine.MaxIDs)
	assert.Equal(t, goroutine.OtherStacks, f.Stack.ID, "whatever shows it best, it is one stall")
}

// TestStallNeedsTheWholeProcess adds one thing to a process that stands still.
func TestStallNeedsTheWholeProcess(t *testing.T) {
	for name, tc := range map[string]struct {
		add            detectortest.Place
		want, noTimers bool // found; found with NoTimers
	}{
		"a listener":                  {detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Accept:1", "net/http.(*Server).Serve:9", "main.main:3"), false, false},
		"a connection":                {atKeepAlive, false, false},
		"signals":                     {detectortest.At(goroutine.Syscall, "runtime.notetsleepg", "os/signal.signal_recv", "os/signal.loop:3", "runtime.goexit"), false, false},
		"an HTTP/2 server":            {detectortest.At(goroutine.IOWait, "runtime.gopark", "internal/poll.(*FD).Read:1", "net/http.(*http2serverConn).readFrames:3", "runtime.goexit"), false, false},
		"a system call":               {place(goroutine.Syscall, "main.read:1"), false, false},
		"a sleeper":                   {place(goroutine.Sleep, "main.poll:1"), false, false},
		"a coroutine":                 {place(goroutine.Coroutine, "main.seq:1"), false, false},
		"a runnable goroutine":        {place(goroutine.Runnable, "main.run:1"), false, false},
		"a second one on a CPU":       {onCPU, false, false},
		"a monitor beside that":       {atMonitor, false, false},
		"a wait of an unknown kind":   {place(goroutine.Waiting, "main.run:1"), false, false},
		"a state of the future":       {place("asleep", "main.run:1"), false, false},
		"what was summed up":          {detectortest.Place{Stack: &goroutine.Stack{ID: goroutine.OtherStacks}, State: goroutine.Select}, false, false},
		"a receiver":                  {atIdle, false, true},
		"a select":                    {atStream, false, true},
		"a request under way":         {place(goroutine.Select, "net/http.(*persistConn).roundTrip:9"), false, false},
		"a gRPC stream":               {place(goroutine.Select, "google.golang.org/grpc/internal/transport.(*recvBufferReader).readClient:9"), false, false},
		"a gRPC server's stream":      {place(goroutine.Select, "google.golang.org/grpc/internal/transport.(*recvBufferReader).readMessageHeader:9"), false, false},
		"a body of HTTP/2":            {detectortest.At(goroutine.CondWait, "sync.(*Cond).Wait:9", "net/http.(*http2pipe).Read:9", "main.receive:9"), false, false},
		"a gRPC client, idle":         {detectortest.At(goroutine.IOWait, "internal/poll.(*FD).RawRead:1", "net.(*rawConn).Read:1", "google.golang.org/grpc/internal/transport.(*http2Client).reader:9"), true, true},
		"a lookup of a name":          {place(goroutine.Select, "net.(*Resolver).lookupIPAddr:9"), false, false},
		"a deadlock more":             {atDebit, true, true},
		"a nil channel":               {place(goroutine.ChanSendNil, "main.run:1"), true, true},
		"a trace reader":              {detectortest.At(goroutine.Syscall, "runtime.ReadTrace", "runtime/trace.Start.func1"), true, true},
		"an HTTP/2 client":            {detectortest.At(goroutine.IOWait, "internal/poll.(*FD).Read:1", "golang.org/x/net/http2.(*ClientConn).readLoop:1", "runtime.goexit"), true, true},
		"a package named like theirs": {place(goroutine.ChanSend, "example.com/net/http.Wait:1"), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := stuck()
			p.Go(tc.add, 1)
			series := detectortest.Series(p, 20, interval, nil)
			assert.Equal(t, tc.want, len(lastFindings(detectortest.Run(t, newStall(), series...))) > 0)
			assert.Equal(t, tc.noTimers, len(lastFindings(detectortest.Run(t, newStallNoTimers(), series...))) > 0)
		})
	}
}

// TestStallNeedsMore than a goroutine that waits: an idle program waits for its
// ticker, once an hour.
func TestStallNeedsMore(t *testing.T) {
	for name, tc := range map[string]struct {
		places         []detectortest.Place
		want, noTimers bool // found; found with NoTimers
	}{
		"an hourly ticker":          {[]detectortest.Place{atTicker}, false, true},
		"a ticker in select":        {[]detectortest.Place{atWait, place(goroutine.Select, "main.loop:1")}, false, true},
		"an idle pool":              {[]detectortest.Place{atWait, atIdle, atIdle, place(goroutine.CondWait, "main.next:1")}, false, true},
		"a sender":                  {[]detectortest.Place{atWait, atResults}, true, true},
		"a deadlock":                {[]detectortest.Place{atWait, atDebit, atCredit}, true, true},
		"a rate limiter":            {[]detectortest.Place{atTicker, atResults}, false, true},
		"callbacks of timers alone": {[]detectortest.Place{atWait}, false, true},
		"our own goroutines":        {[]detectortest.Place{atReader}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := detectortest.NewProcess(1)
			p.Go(onCPU, 1)
			for _, at := range tc.places {
				p.Go(at, 1)
			}
			series := detectortest.Series(p, 20, interval, nil)
			assert.Equal(t, tc.want, len(lastFindings(detectortest.Run(t, newStall(), series...))) > 0)
			assert.Equal(t, tc.noTimers, len(lastFindings(detectortest.Run(t, newStallNoTimers(), series...))) > 0)
		})
	}
}

// TestStallNoticesWork has programs that are parked in every snapshot and do work
// in between.
func TestStallNoticesWork(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(p *detectortest.Process, senders []uint64, i int)
		edit func(s *goroutine.Snapshot, i int)
		want bool
	}{
		"nothing": {want: true},
		"one is replaced": {do: func(p *detectortest.Process, senders []uint64, i int) {
			p.Exit(senders[i])
			p.Go(atResults, 1)
		}},
		"two change places": {do: func(p *detectortest.Process, senders []uint64, i int) {
			p.Move(atDebit, senders[i])
			p.Move(atResults, senders[(i+29)%30])
		}},
		"one moved a minute ago": {do: func(p *detectortest.Process, senders []uint64, i int) {
			if i == 16 {
				p.Exit(senders[0])
			}
		}},
		"one moved three minutes ago": {do: func(p *detectortest.Process, senders []uint64, i int) {
			if i == 8 {
				p.Exit(senders[0])
			}
		}, want: true},
		"callbacks of timers":    {edit: func(s *goroutine.Snapshot, i int) { s.Scheduler.Created = int64(40 * i) }},
		"what snapshots create":  {edit: func(s *goroutine.Snapshot, i int) { s.Scheduler.Created = int64(5 * i) }, want: true},
		"some are not described": {edit: func(s *goroutine.Snapshot, i int) { s.Missing = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			p := detectortest.NewProcess(1)
			senders := p.Go(atResults, 30)
			series := detectortest.Series(p, 20, interval, func(i int) {
				if tc.do != nil {
					tc.do(p, senders, i)
				}
			})
			for i, s := range series {
				if tc.edit != nil {
					tc.edit(s, i)
				}
			}
			assert.Equal(t, tc.want, len(lastFindings(detectortest.Run(t, newStall(), series...))) > 0)
		})
	}
}

// TestStallLasts has snapshots of which a history keeps ever fewer.
func TestStallLasts(t *testing.T) {
	r := detectortest.NewReplay(t, newStall())
	var last detectortest.Step
	for i, s := range detectortest.Series(stuck(), 4*60, interval, nil) {
		s.Scheduler.Created = int64(5 * i)
		if last = r.Step(s); i > 8 {
			require.Len(t, last.Findings, 1, "snapshot %d", i)
		}
	}
	assert.GreaterOrEqual(t, last.Findings[0].Age, 20*time.Minute)
}

func TestStallWithRareSnapshots(t *testing.T) {
	steps := detectortest.Run(t, newStall(), detectortest.Series(stuck(), 10, 9*time.Minute, nil)...)
	assert.Equal(t, 27*time.Minute, firstFound(t, steps), "four snapshots")
}

// TestStallIsSilentForHours has a batch program of which two snapshots in
// three catch no goroutine at work, as if none could go on.
func TestStallIsSilentForHours(t *testing.T) {
	s := newService(2, 5)
	s.Go(atWait, 1)
	s.Go(onCPU, 1)
	workers := s.Go(atResults, 12)
	r := detectortest.NewReplay(t, newStall())
	for i := range 4 * 60 * 8 {
		s.Advance(interval)
		s.shuffle(workers, 0.3, atDebit, atResults)
		if s.rand.IntN(3) == 0 {
			s.Move(place(goroutine.Runnable, "main.work:9"), workers[s.rand.IntN(12)])
		}
		require.Empty(t, r.Step(s.Snapshot()).Findings, "snapshot %d", i)
	}
}
