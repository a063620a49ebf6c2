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
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	xtrace "golang.org/x/exp/trace"
)

// A view is a goroutine at the end of a trace, as the trace itself has it:
// before anything is left out or put back.
type view struct {
	status string
	stack  string // functions and lines, leaf first
}

// referenceViews follows a trace with golang.org/x/exp/trace.
func referenceViews(t testing.TB, data []byte) map[uint64]view {
	t.Helper()
	r, err := xtrace.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	views := make(map[uint64]view)
	for {
		e, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			return views
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
		views[id] = referenceView(views[id], from, to, st.Stack)
		if to == xtrace.GoNotExist {
			delete(views, id)
		}
	}
}

// referenceView returns where a goroutine is after a transition. It stays where
// it is until it runs.
func referenceView(v view, from, to xtrace.GoState, stack xtrace.Stack) view {
	moved := from == xtrace.GoWaiting && to == xtrace.GoRunnable || from == xtrace.GoSyscall && to == xtrace.GoRunnable
	if !moved || from == to {
		v.stack = ""
		for f := range stack.Frames() {
			if f.Func != "" {
				v.stack += fmt.Sprintf("%s:%d\n", f.Func, f.Line)
			}
		}
	}
	v.status = to.String()
	return v
}

// ourViews follows it with the decoder.
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
		require.NotContains(t, places, g.id)
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

func requireAgreement(t testing.TB, d *TraceDecoder, data []byte) {
	t.Helper()
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

// A load keeps goroutines busy in one way until its context ends.
type load func(context.Context)

// loads are busy in every way that has events of its own.
var loads = map[string]load{
	"channels": func(ctx context.Context) {
		c := make(chan int)
		go func() {
			defer close(c)
			for ctx.Err() == nil {
				c <- 1
			}
		}()
		for range c {
		}
	},
	"mutexes": func(ctx context.Context) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					mu.Lock()
					runtime.Gosched()
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	},
	"timers": func(ctx context.Context) {
		ticker := time.NewTicker(50 * time.Microsecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			select {
			case <-ticker.C:
			case <-time.After(time.Microsecond):
			}
			time.Sleep(10 * time.Microsecond)
		}
	},
	"system calls": func(ctx context.Context) {
		for ctx.Err() == nil {
			user.Lookup("root") // reads files, or calls C
		}
	},
	"coroutines": func(ctx context.Context) {
		for ctx.Err() == nil {
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
	"annotations": func(ctx context.Context) {
		for ctx.Err() == nil {
			ctx, task := trace.NewTask(ctx, "task")
			trace.WithRegion(ctx, "region", func() { trace.Log(ctx, "key", "value") })
			trace.StartRegion(ctx, "other").End()
			task.End()
		}
	},
	"garbage": func(ctx context.Context) {
		var keep [][]byte
		for ctx.Err() == nil {
			keep = append(keep, make([]byte, 32<<10))
			if len(keep) > 100 {
				keep = nil
				runtime.GC()
			}
		}
	},
	"churn": func(ctx context.Context) {
		var wg sync.WaitGroup
		for ctx.Err() == nil {
			for range 50 {
				wg.Go(func() { runtime.Gosched() })
			}
			wg.Wait()
		}
	},
	"panics": func(ctx context.Context) {
		for ctx.Err() == nil {
			func() {
				defer func() { recover(); time.Sleep(time.Microsecond) }()
				panic("recovered")
			}()
		}
	},
	"deep stacks": func(ctx context.Context) {
		c := make(chan int)
		go func() {
			defer close(c)
			for ctx.Err() == nil {
				c <- 1
			}
		}()
		for ctx.Err() == nil {
			deep(300, c)
		}
		for range c {
		}
	},
	"spinning": func(ctx context.Context) {
		for ctx.Err() == nil {
		}
	},
	"finalizers": func(ctx context.Context) {
		for ctx.Err() == nil {
			p := new([16]byte)
			runtime.SetFinalizer(p, func(*[16]byte) { runtime.Gosched() })
			q := new([64]byte)
			runtime.AddCleanup(q, func(int) { runtime.Gosched() }, 1)
			runtime.GC()
		}
	},
	"processors": func(ctx context.Context) {
		was := runtime.GOMAXPROCS(0)
		defer runtime.GOMAXPROCS(was)
		for n := 1; ctx.Err() == nil; n++ {
			runtime.GOMAXPROCS(n%4 + 1)
			time.Sleep(time.Millisecond)
		}
	},
	"profile": func(ctx context.Context) {
		if pprof.StartCPUProfile(io.Discard) == nil {
			defer pprof.StopCPUProfile()
		}
		<-ctx.Done()
	},
}

// run runs loads until stop is called.
func run(loads ...load) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, l := range loads {
		wg.Go(func() { l(ctx) })
	}
	return func() { cancel(); wg.Wait() }
}

// rounds waits while the process makes progress.
func rounds(n int) func() {
	return func() {
		for range n {
			time.Sleep(time.Millisecond)
		}
	}
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
				stop := run(l, l)
				data := traceOf(t, rounds(1))
				flight := flightOf(t, rounds(1))
				stop()
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
			stop := run(all...)
			data := traceOf(t, rounds(5))
			flight := flightOf(t, rounds(1))
			stop()
			requireAgreement(t, d, data)
			requireAgreement(t, d, flight)
		}
	})
}

// Both slots of the tracer in use: the trace has several generations.
func TestTraceOfSeveralGenerationsAgreesWithReference(t *testing.T) {
	stop := run(loads["timers"], loads["churn"], loads["system calls"], loads["garbage"])
	var flights [][]byte
	data := traceOf(t, func() {
		for range 3 {
			flights = append(flights, flightOf(t, rounds(1)))
		}
	})
	stop()
	requireAgreement(t, newTestDecoder(), data)
	for _, f := range flights {
		requireAgreement(t, newTestDecoder(), f)
	}
}

// The collector's goroutines come and go on the CPUs, often without a stack.
// None of them may be taken for one of the program's, nor the other way round,
// once they were seen at rest.
func TestTraceOfBusyProcessHasNoSystemGoroutines(t *testing.T) {
	d := newTestDecoder()
	untilQuiet(t)
	_, err := d.Decode(traceOf(t, func() {}), traceTime)
	require.NoError(t, err)
	const started = 2 + 2 + 1 + 9
	before := runtime.NumGoroutine()
	stop := run(loads["garbage"], loads["garbage"], loads["channels"], loads["timers"], loads["mutexes"])
	defer stop()
	for runtime.NumGoroutine() < before+started {
		time.Sleep(time.Millisecond)
	}
	want := dumpStates(t)
	for range 20 {
		s, err := d.Decode(flightOf(t, rounds(1)), time.Now())
		require.NoError(t, err)
		requireSane(t, s)
		_, digest := totals(s)
		assert.Equal(t, len(want), s.Total)
		assert.Equal(t, digestOf(want), digest)
	}
}
