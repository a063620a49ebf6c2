// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// parkDeep starts n goroutines that wait at the end of a stack of the given depth
// until the test ends.
func parkDeep(t testing.TB, n, depth int) {
	t.Helper()
	gate := make(chan struct{})
	var arrived, ended sync.WaitGroup
	arrived.Add(n)
	for range n {
		ended.Go(func() { descend(depth, &arrived, gate) })
	}
	t.Cleanup(func() { close(gate); ended.Wait() })
	arrived.Wait()
}

//go:noinline
func descend(depth int, arrived *sync.WaitGroup, gate chan struct{}) {
	if depth == 0 {
		arrived.Done()
		<-gate
		return
	}
	descend(depth-1, arrived, gate)
}

// at returns the groups whose innermost user function has this name.
func at(s *goroutine.Snapshot, name string) (groups []goroutine.Group) {
	for _, g := range s.Groups {
		if strings.HasSuffix(g.Stack.User().Function, "."+name) {
			groups = append(groups, g)
		}
	}
	return groups
}

func TestTextHasWhatNoOtherSourceHas(t *testing.T) {
	var locks [2]struct {
		sync.Mutex
		waiters sync.WaitGroup
	}
	for i := range locks {
		locks[i].Lock()
		for range 3 + i {
			locks[i].waiters.Go(func() { lockHere(&locks[i].Mutex) })
		}
	}
	defer func() {
		for i := range locks {
			locks[i].Unlock()
			locks[i].waiters.Wait()
		}
	}()
	text := newTextSource()
	var s result
	for began, all := time.Now(), false; !all || s.States()[goroutine.MutexLock] < 7; {
		require.Less(t, time.Since(began), 30*time.Second)
		before := runtime.NumGoroutine()
		var err error
		s, err = text.take(nil)
		require.NoError(t, err)
		require.LessOrEqual(t, s.Total, before)
		all = s.Total >= runtime.NumGoroutine() // the runtime may start one more, to run a finalizer
	}
	groups := at(s.Snapshot, "lockHere")
	require.Len(t, groups, 2)
	for i, g := range []goroutine.Group{groups[1], groups[0]} { // the largest comes first
		assert.Equal(t, 3+i, g.Count)
		assert.Equal(t, goroutine.MutexLock, g.State)
		assert.EqualValues(t, uintptr(unsafe.Pointer(&locks[i].Mutex)), g.Lock)
		assert.Len(t, g.IDs, 3+i)
		assert.Equal(t, "sync.(*WaitGroup).Go", g.CreatedBy.Function)
	}
	assert.Zero(t, s.Missing)
	assert.Equal(t, goroutine.SourceText, s.Source)
	assert.Positive(t, s.Bytes)
}

//go:noinline
func lockHere(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
}

// worldStops returns how often the world was stopped, excluding garbage
// collections.
func worldStops(t *testing.T) (n uint64) {
	t.Helper()
	sample := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(sample)
	require.Equal(t, metrics.KindFloat64Histogram, sample[0].Value.Kind())
	for _, count := range sample[0].Value.Float64Histogram().Counts {
		n += count
	}
	return n
}

func TestTextStopsTheWorldOnce(t *testing.T) {
	parkDeep(t, 500, 10)
	text := newTextSource()
	for range 3 {
		before := worldStops(t)
		r, err := text.take(nil)
		require.NoError(t, err)
		assert.EqualValues(t, 1, worldStops(t)-before)
		assert.Positive(t, r.stop)
	}
}

func TestADumpThatDoesNotFit(t *testing.T) {
	parkDeep(t, 100, 98) // as deep as a dump shows
	text := newTextSource()
	stops := worldStops(t)
	r, err := text.take(nil)
	require.NoError(t, err, "it is taken again at once")
	assert.Greater(t, worldStops(t)-stops, uint64(1))
	found := 0
	for _, g := range at(r.Snapshot, "descend") {
		found += g.Count
	}
	assert.Equal(t, 100, found)
	_, err = text.take(nil)
	assert.NoError(t, err, "and the size is remembered")

	text.size = 1 // far too small, also after two times
	r, err = text.take(nil)
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, ReasonSize, refusal.Reason)
	assert.False(t, refusal.Forever)
	assert.Positive(t, r.stop, "it was paid for all the same")
}

func TestTheSizeAssumedIsBounded(t *testing.T) {
	text := newTextSource()
	text.size = maxText
	_, err := text.take(nil)
	require.NoError(t, err)
	assert.Less(t, text.size, maxText)
}

func TestTheDumpIsNotKept(t *testing.T) {
	parkDeep(t, 1000, 60)
	text := newTextSource()
	text.size = 16 << 10
	before := heapInUse()
	s, err := text.take(nil)
	require.NoError(t, err)
	require.Greater(t, s.Bytes, int64(4<<20))
	assert.Less(t, heapInUse()-before, s.Bytes/4)
	runtime.KeepAlive(s)
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestADumpReadInPart(t *testing.T) {
	const good = "goroutine 7 [chan receive]:\nmain.f()\n\t/f.go:1\n\n"
	const bad = "goroutine 8 [chan receive]:\nmain.f()\n"
	text := newTextSource()
	s, err := text.read([]byte(good+good+bad), time.Now(), nil)
	require.NoError(t, err, "most of it is there")
	assert.Equal(t, 2, s.Total)
	assert.Equal(t, 1, s.Missing)
	assert.Empty(t, s.Locks)
	for _, dump := range []string{"", "something else", bad, good + bad} {
		_, err := text.read([]byte(dump), time.Now(), nil)
		assert.Error(t, err, "%q", dump)
	}
}

func TestTextIsGoverned(t *testing.T) {
	c := New(Config{Budget: Budget{CPU: 1, Pause: 10 * time.Millisecond}})
	c.governor.credit = time.Hour
	s, skip := c.Text()
	require.Nil(t, skip)
	assert.Equal(t, goroutine.SourceText, s.Source)
	assert.Positive(t, s.Duration)

	park(t, 20_000)
	s, skip = c.Text()
	assert.Nil(t, s)
	require.NotNil(t, skip)
	assert.Equal(t, goroutine.SourceText, skip.Source)
	assert.Equal(t, ReasonPause, skip.Reason)

	c.governor.budget.Pause = time.Minute
	s, skip = c.Text()
	require.Nil(t, skip)
	assert.Equal(t, 20_000, parkedIn(s))
}

func TestTheGovernorLearnsTheStopsOfText(t *testing.T) {
	parkDeep(t, 1000, 40) // stops the world for 15 ms
	c := New(Config{Budget: Budget{CPU: 1, Pause: 10 * time.Millisecond}})
	c.governor.credit = time.Hour
	c.governor.rates[goroutine.SourceText] = rate{pause: time.Nanosecond}
	c.text.size = 16 << 10
	_, skip := c.Text()
	require.Nil(t, skip)
	assert.Greater(t, c.governor.rates[goroutine.SourceText].pause, time.Microsecond)

	c.governor.rates[goroutine.SourceText] = rate{pause: time.Nanosecond}
	c.text.size = 1
	_, skip = c.Text()
	require.NotNil(t, skip)
	assert.Equal(t, ReasonSize, skip.Reason)
	assert.Greater(t, c.governor.rates[goroutine.SourceText].pause, 100*time.Nanosecond, "also of a dump that did not fit")
}

// The stop and the work per goroutine, which firstRates assumes.
func BenchmarkText(b *testing.B) {
	for _, depth := range []int{1, 10, 40} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			const n = 1000
			parkDeep(b, n, depth)
			text := newTextSource()
			text.size = 16 << 10
			var stopped time.Duration
			for b.Loop() {
				r, err := text.take(nil)
				if err != nil {
					b.Fatal(err)
				}
				stopped += r.stop
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/goroutine")
			b.ReportMetric(float64(stopped.Nanoseconds())/float64(b.N*n), "ns-stopped/goroutine")
		})
	}
}

func TestADumpForPeopleIsWhatTheRuntimeWrites(t *testing.T) {
	parkDeep(t, 3, 2)
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, Tracing: true})
	dump, skip := c.Dump()
	require.Nil(t, skip)
	assert.Regexp(t, `^goroutine \d+ \[running[^\n]*\]:\n`, string(dump.Text))
	assert.Equal(t, 3*3, strings.Count(string(dump.Text), "internal/capture.descend("))
	assert.WithinDuration(t, time.Now(), dump.Time, time.Minute)

	s, skip := c.Text()
	require.Nil(t, skip)
	assert.NotEmpty(t, at(s, "descend"), "the next dump is read as before")
	c.Configure(Config{Budget: Budget{CPU: 1, Pause: time.Nanosecond}})
	dump, skip = c.Dump()
	assert.Nil(t, dump)
	require.NotNil(t, skip)
	assert.Equal(t, ReasonPause, skip.Reason)
}
