// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/user"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	xtrace "golang.org/x/exp/trace"
)

// A view is a goroutine at the end of a trace, exactly as in the trace: nothing
// has been left out or put back.
type view struct {
	status string
	stack  string // functions and lines, leaf first
}

// referenceViews follows a trace with golang.org/x/exp/trace.
func referenceViews(t testing.TB, data []byte) map[uint64]view {
	t.Helper()
	r, err := xtrace.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	places := make(map[uint64]referencePlace)
	for {
		e, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			return render(places)
		}
		require.NoError(t, err)
		if e.Kind() != xtrace.EventStateTransition {
			continue
		}
		st := e.StateTransition()
		if st.Resource.Kind != xtrace.ResourceGoroutine {
			continue
		}
		id := uint64(st.Resource.Goroutine())
		from, to := st.Goroutine()
		places[id] = places[id].after(from, to, st.Stack)
		if to == xtrace.GoNotExist {
			delete(places, id)
		}
	}
}

// A referencePlace is a view whose stack has not been formatted yet. Most are
// outdated one event later, and formatting a stack of 128 frames takes longer than
// all the rest.
type referencePlace struct {
	state xtrace.GoState
	stack xtrace.Stack
}

// after returns where a goroutine is after a transition. It stays where it is
// until it runs.
func (p referencePlace) after(from, to xtrace.GoState, stack xtrace.Stack) referencePlace {
	moved := from == xtrace.GoWaiting && to == xtrace.GoRunnable || from == xtrace.GoSyscall && to == xtrace.GoRunnable
	if !moved || from == to {
		p.stack = stack
	}
	p.state = to
	return p
}

func render(places map[uint64]referencePlace) map[uint64]view {
	views := make(map[uint64]view, len(places))
	for id, p := range places {
		v := view{status: p.state.String()}
		for f := range p.stack.Frames() {
			if f.Func != "" {
				v.stack += fmt.Sprintf("%s:%d\n", f.Func, f.Line)
			}
		}
		views[id] = v
	}
	return views
}

// ourViews follows the same trace with the decoder.
func ourViews(t testing.TB, d *TraceDecoder, data []byte) map[uint64]view {
	t.Helper()
	places := make(map[uint64]place)
	d.movements.still = func(id uint64, p place) { places[id] = p; d.add(id, p) }
	generation, outside, err := d.read(data)
	require.NoError(t, err)
	require.NoError(t, outside)
	require.NoError(t, d.readGeneration(data, generation))
	for i := range d.movements.movers {
		g := &d.movements.movers[i]
		require.NotEqual(t, statusUnknown, g.status, "goroutine %d", g.id)
		require.Zero(t, places[g.id], "goroutine %d is still, and had events", g.id)
		if g.status != statusGone {
			places[g.id] = g.place()
		}
	}
	requireSane(t, d.snapshot(traceTime, true))
	views := make(map[uint64]view)
	for id, p := range places {
		v := view{status: statusNames[p.status]}
		frames, _ := d.tables.frames(p.stack)
		for _, f := range frames {
			v.stack += fmt.Sprintf("%s:%d\n", f.Function, f.Line)
		}
		views[id] = v
	}
	d.release()
	return views
}

var statusNames = map[traceStatus]string{
	statusRunnable: "Runnable", statusRunning: "Running", statusSyscall: "Syscall", statusWaiting: "Waiting", statusSwitched: "Waiting",
}

// maxReference is more bytes than the loads can write to a trace. The reference
// takes memory and time in proportion to the number of events.
const maxReference = 32 << 20

func requireAgreement(t testing.TB, d *TraceDecoder, data []byte) {
	t.Helper()
	require.Less(t, len(data), maxReference)
	want, got := referenceViews(t, data), ourViews(t, d, data)
	for id, w := range want {
		if got[id] != w {
			assert.Equal(t, w, got[id], "goroutine %d", id)
		}
		delete(got, id)
	}
	assert.Empty(t, got, "goroutines that the reference does not have")
}

func TestTraceFixturesAgreeWithReference(t *testing.T) {
	for _, version := range traceFixtures {
		requireAgreement(t, newTestDecoder(), traceFixture(t, version))
	}
}

// A load keeps goroutines busy in one way, for as long as the test allows.
type load func(*busy)

// A busy is a set of running loads. They are limited by events, not by time: on a
// machine that is short of CPUs, a trace of a millisecond lasts seconds.
// Everything that happens meanwhile is held in memory, at tens of MiB per second,
// and is then read twice.
type busy struct {
	ctx  context.Context // done when the loads must end
	left atomic.Int64    // events that they may still cause
	more atomic.Value    // chan struct{}, closed when more events are allowed
	end  context.CancelFunc
	done sync.WaitGroup
}

// windowEvents is how many events the loads may cause in one trace, about 2 MiB of
// it.
const windowEvents = 100_000

// run runs loads until stop is called, or the test ends.
func run(t testing.TB, loads ...load) *busy {
	b := new(busy)
	b.ctx, b.end = context.WithCancel(context.Background())
	b.more.Store(make(chan struct{}))
	b.left.Store(windowEvents)
	for _, l := range loads {
		b.done.Go(func() { l(b) })
	}
	t.Cleanup(b.stop)
	return b
}

func (b *busy) stop() { b.end(); b.done.Wait() }

// may reports whether a load may go on with something that causes about this many
// events. If no events are left, it waits for the next window.
func (b *busy) may(events int64) bool {
	for b.ctx.Err() == nil {
		more := b.more.Load().(chan struct{})
		if b.left.Add(-events) >= 0 {
			return true
		}
		select {
		case <-more:
		case <-b.ctx.Done():
		}
	}
	return false
}

// window gives the loads their events and waits for n milliseconds.
func (b *busy) window(n int) func() {
	return func() {
		b.left.Store(windowEvents)
		close(b.more.Swap(make(chan struct{})).(chan struct{}))
		for range n {
			time.Sleep(time.Millisecond)
		}
	}
}

// processors is the value of GOMAXPROCS when no load changes it.
var processors = runtime.GOMAXPROCS(0)

// loads are all the ways to be busy that have events of their own.
var loads = map[string]load{
	"channels": func(b *busy) {
		c := make(chan int)
		go func() {
			defer close(c)
			for b.may(4) {
				c <- 1
			}
		}()
		for range c {
		}
	},
	"mutexes": func(b *busy) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for b.may(4) {
					mu.Lock()
					runtime.Gosched()
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	},
	"timers": func(b *busy) {
		ticker := time.NewTicker(50 * time.Microsecond)
		defer ticker.Stop()
		for b.may(6) {
			select {
			case <-ticker.C:
			case <-time.After(time.Microsecond):
			}
			time.Sleep(10 * time.Microsecond)
		}
	},
	"system calls": func(b *busy) {
		for b.may(20) {
			user.Lookup("root") // reads files, or calls C
		}
	},
	"coroutines": func(b *busy) {
		for b.may(25) {
			next, stop := iter.Pull(func(yield func(int) bool) {
				for i := 0; yield(i); i++ {
				}
			})
			for range 10 {
				next()
			}
			stop()
		}
	},
	"annotations": func(b *busy) {
		for b.may(7) {
			ctx, task := trace.NewTask(b.ctx, "task")
			trace.WithRegion(ctx, "region", func() { trace.Log(ctx, "key", "value") })
			trace.StartRegion(ctx, "other").End()
			task.End()
		}
	},
	"garbage": func(b *busy) {
		var keep [][]byte
		for b.may(2) {
			keep = append(keep, make([]byte, 32<<10))
			if len(keep) > 100 {
				keep = nil
				runtime.GC()
			}
		}
	},
	"churn": func(b *busy) {
		var wg sync.WaitGroup
		for b.may(50 * 5) {
			for range 50 {
				wg.Go(func() { runtime.Gosched() })
			}
			wg.Wait()
		}
	},
	"panics": func(b *busy) {
		for b.may(4) {
			func() {
				defer func() { recover(); time.Sleep(time.Microsecond) }()
				panic("recovered")
			}()
		}
	},
	"deep stacks": func(b *busy) {
		c := make(chan int)
		go func() {
			defer close(c)
			for b.may(4) {
				c <- 1
			}
		}()
		for b.ctx.Err() == nil {
			deep(300, c)
		}
		for range c {
		}
	},
	"spinning": func(b *busy) {
		for b.ctx.Err() == nil {
		}
	},
	"finalizers": func(b *busy) {
		for b.may(50) {
			p := new([16]byte)
			runtime.SetFinalizer(p, func(*[16]byte) { runtime.Gosched() })
			q := new([64]byte)
			runtime.AddCleanup(q, func(int) { runtime.Gosched() }, 1)
			runtime.GC()
		}
	},
	"processors": func(b *busy) {
		defer runtime.GOMAXPROCS(processors)
		for n := 1; b.may(20); n++ {
			runtime.GOMAXPROCS(n%4 + 1)
			time.Sleep(time.Millisecond)
		}
	},
	"profile": func(b *busy) {
		if pprof.StartCPUProfile(io.Discard) == nil {
			defer pprof.StopCPUProfile()
		}
		<-b.ctx.Done()
	},
}

func TestTraceAgreesWithReference(t *testing.T) {
	newWaits(t).start()
	repeat := 2
	if testing.Short() {
		repeat = 1
	}
	for name, l := range loads {
		t.Run(name, func(t *testing.T) {
			d := newTestDecoder()
			for range repeat {
				b := run(t, l, l)
				data := traceOf(t, b.window(1))
				flight := flightOf(t, b.window(1))
				b.stop()
				requireAgreement(t, d, data)
				requireAgreement(t, d, flight)
			}
		})
	}
	t.Run("everything", func(t *testing.T) {
		var all []load
		for _, l := range loads {
			all = append(all, l)
		}
		d := newTestDecoder()
		for range repeat {
			b := run(t, all...)
			data := traceOf(t, b.window(5))
			flight := flightOf(t, b.window(1))
			b.stop()
			requireAgreement(t, d, data)
			requireAgreement(t, d, flight)
		}
	})
}

// With both slots of the tracer in use, the trace has several generations.
func TestTraceOfSeveralGenerationsAgreesWithReference(t *testing.T) {
	b := run(t, loads["timers"], loads["churn"], loads["system calls"], loads["garbage"])
	var flights [][]byte
	data := traceOf(t, func() {
		for range 3 {
			flights = append(flights, flightOf(t, b.window(1)))
		}
	})
	b.stop()
	requireAgreement(t, newTestDecoder(), data)
	for _, f := range flights {
		requireAgreement(t, newTestDecoder(), f)
	}
}

// The garbage collector's goroutines often run, and then have no stack. Once they
// have been seen with a stack, none of them may be mistaken for one of the
// program's goroutines, or the other way round.
func TestTraceOfBusyProcessHasNoSystemGoroutines(t *testing.T) {
	d := newAcquaintedDecoder(t)
	const started = 2 + 2 + 1 + 9
	before := len(untilQuiet(t))
	b := run(t, loads["garbage"], loads["garbage"], loads["channels"], loads["timers"], loads["mutexes"])
	untilStarted(t, before+started)
	want := dumpStates(t)
	for range 20 {
		s, err := d.Decode(flightOf(t, b.window(1)), time.Now())
		require.NoError(t, err)
		requireSane(t, s)
		_, digest := totals(s)
		assert.Equal(t, len(want), s.Total)
		assert.Equal(t, digestOf(want), digest)
	}
}
