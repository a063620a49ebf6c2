// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// A host is the program in testdata/proof/host. It runs in a process of its own,
// because it may be meant to die.
type host struct{ path string }

// newHost builds the program with the runtime's leak proof, which is an experiment
// in Go 1.26, and always without the race detector.
func newHost(t *testing.T) host {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a program")
	}
	h := host{filepath.Join(t.TempDir(), "host.exe")}
	build := exec.Command("go", "build", "-o", h.path, "./testdata/proof/host")
	build.Env = os.Environ()
	if !hasProof() {
		build.Env = append(build.Env, "GOEXPERIMENT=goroutineleakprofile")
	}
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return h
}

func hasProof() bool { return pprof.Lookup("goroutineleak") != nil }

// An outcome is what a host reported, and how it ended.
type outcome struct {
	Base    goroutine.Source
	Taken   bool
	Reason  Reason
	Error   string
	Groups  map[string]int
	Bare    int
	CPU     time.Duration
	Stop    time.Duration
	Survive bool   `json:"-"`
	Hung    bool   `json:"-"` // it did not end, and was killed
	Stderr  string `json:"-"`
}

// hostTime is how long a host may take. The most expensive convoy takes seconds.
const hostTime = 2 * time.Minute

func (h host) run(t *testing.T, args ...string) outcome {
	t.Helper()
	o := h.runFor(t, hostTime, args...)
	require.False(t, o.Hung, "%v: no end after %v: %.2000s", args, hostTime, o.Stderr)
	return o
}

func (h host) runFor(t *testing.T, most time.Duration, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, h.path, args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if ctx.Err() != nil {
		return outcome{Hung: true, Stderr: stderr.String()}
	}
	lines := bufio.NewScanner(&stdout)
	require.True(t, lines.Scan(), "%v: no report: %v: %.2000s", args, err, &stderr)
	var o outcome
	require.NoError(t, json.Unmarshal(lines.Bytes(), &o))
	o.Survive = err == nil && lines.Scan() && lines.Text() == "survived"
	o.Stderr = stderr.String()
	return o
}

func TestLeakProof(t *testing.T) {
	h := newHost(t)

	t.Run("a leaked goroutine is proven and a healthy one is not", func(t *testing.T) {
		o := h.run(t, "leak", "guarded", "50")
		assert.True(t, o.Taken, o.Error)
		assert.True(t, o.Survive, o.Stderr)
		assert.Equal(t, 50, o.Groups["main.leaked"])
		assert.NotContains(t, o.Groups, "main.healthy")
	})
	t.Run("the record without a stack is left out", func(t *testing.T) {
		if o := h.run(t, "leak", "bare", "1"); o.Bare == 0 {
			t.Skipf("%s has none", runtime.Version())
		}
		o := h.run(t, "leak", "guarded", "1")
		assert.True(t, o.Taken, o.Error)
		assert.NotContains(t, o.Groups, "")
	})

	// This is what gVisor does. Without the guard it ends the process, so the
	// tests of the guard are able to fail.
	t.Run("parked past the runtime, unguarded", func(t *testing.T) {
		h.requireDeath(t, "parked", "bare")
	})
	for _, tt := range []struct{ scenario, how string }{
		{"parked", "guarded"},
		{"parked", "profiled"},
		{"parking", "guarded"},
	} {
		t.Run(tt.scenario+" past the runtime, "+tt.how, func(t *testing.T) {
			o := h.run(t, tt.scenario, tt.how)
			assert.Equal(t, ReasonUnsafe, o.Reason)
			assert.Contains(t, o.Error, "main.sleep parks goroutines itself")
			assert.True(t, o.Survive, o.Stderr)
		})
	}

	// No snapshot shows this, so the documentation of WithLeakProof warns of it:
	// with or without the guard, a goroutine that is reached through a weak
	// pointer after the proof ends the process. If this test fails because the
	// process survives, the warning can be removed.
	t.Run("reached through a weak pointer", func(t *testing.T) {
		assert.True(t, h.requireDeath(t, "weak", "guarded").Taken)
		h.requireDeath(t, "weak", "bare")
	})

	// A queue of 20,000 at one mutex would freeze the process for 3 s, twice.
	t.Run("a convoy over the pause budget", func(t *testing.T) {
		o := h.run(t, "convoy", "guarded", "20000")
		assert.Equal(t, ReasonPause, o.Reason, o.Error)
		assert.Equal(t, goroutine.SourceTrace, o.Base)
		assert.True(t, o.Survive, o.Stderr)
	})
	t.Run("a convoy over the CPU budget", func(t *testing.T) {
		o := h.run(t, "convoy", "poor", "8000")
		assert.Equal(t, ReasonBudget, o.Reason, o.Error)
		assert.True(t, o.Survive, o.Stderr)
	})
	for _, waiters := range []int{1_000, 5_000} {
		t.Run("a convoy is predicted", func(t *testing.T) {
			o := h.run(t, "convoy", "bare", strconv.Itoa(waiters))
			require.True(t, o.Survive, o.Stderr)
			work, pause := newProofSource().predict(queued(waiters))
			t.Logf("%d waiters: %v CPU time, %v predicted; %v stopped, %v predicted", waiters, o.CPU, work, o.Stop, pause)
			assert.Less(t, o.CPU, work)
			if waiters > 1_000 {
				assert.Greater(t, o.Stop, 10*time.Millisecond, "otherwise there is nothing to guard against")
			}
		})
	}
}

// requireDeath runs a host that must die because a leaked goroutine is woken. Once
// in hundreds of runs, a runtime that finds its state broken hangs instead and
// ignores even SIGQUIT; then requireDeath runs the host again.
func (h host) requireDeath(t *testing.T, args ...string) outcome {
	t.Helper()
	const tries = 3
	for range tries {
		o := h.runFor(t, 20*time.Second, args...)
		if o.Hung {
			t.Logf("%v hung: %.2000s", args, o.Stderr)
			continue
		}
		require.False(t, o.Survive)
		require.Contains(t, o.Stderr, "fatal error: bad g->status in ready")
		return o
	}
	t.Fatalf("%v hung %d times", args, tries)
	return outcome{}
}

// queued returns a snapshot of n goroutines in the queue of one mutex.
func queued(n int) *goroutine.Snapshot { return waiting(goroutine.MutexLock, n) }

// waiting returns a snapshot of groups of these sizes, all in one state.
func waiting(state goroutine.State, counts ...int) *goroutine.Snapshot {
	s := &goroutine.Snapshot{Source: goroutine.SourceTrace}
	for i, n := range counts {
		stack := goroutine.NewStack([]goroutine.Frame{{Function: "runtime.gopark"}, {Function: "sync.f"}, {Function: "main.f", Line: i}})
		s.Groups = append(s.Groups, goroutine.Group{Stack: stack, State: state, Count: n})
		s.Total += n
	}
	return s
}

// The CPU time and the longest stop measured with Go 1.26.8 and 1.27.4, whichever
// is higher. The tests above run the cases that do not take minutes.
func TestThePredictionCoversWhatWasMeasured(t *testing.T) {
	for _, tt := range []struct {
		name          string
		s             *goroutine.Snapshot
		links         int
		work, longest time.Duration
	}{
		{"1,000 at a mutex, queued out of order", queued(1_000), 0, 8600 * time.Microsecond, 2500 * time.Microsecond},
		{"10,000", queued(10_000), 0, 890 * time.Millisecond, 450 * time.Millisecond},
		{"20,000", queued(20_000), 0, 9200 * time.Millisecond, 5300 * time.Millisecond},
		{"40,000", queued(40_000), 0, 37 * time.Second, 17400 * time.Millisecond},
		{"40,000 from two places", waiting(goroutine.MutexLock, 15_000, 25_000), 0, 37 * time.Second, 17400 * time.Millisecond},
		{"10,000 readers", waiting(goroutine.RWMutexRLock, 10_000), 0, 300 * time.Millisecond, 150 * time.Millisecond},
		{"10,000 at a wait group", waiting(goroutine.WaitGroupWait, 10_000), 0, 300 * time.Millisecond, 165 * time.Millisecond},
		{"10,000 at a condition variable", waiting(goroutine.CondWait, 10_000), 0, 11 * time.Millisecond, 2 * time.Millisecond},
		{"100,000 leaked", waiting(goroutine.ChanSend, 100_000), 0, 185 * time.Millisecond, 20 * time.Millisecond},
		{"a chain of 100, once counted", waiting(goroutine.ChanReceive, 100), 100, 9 * time.Millisecond, 0},
		{"a chain of 1,000, once counted", waiting(goroutine.ChanReceive, 1_000), 1_000, 58 * time.Millisecond, 0},
		{"a chain of 10,000, once counted", waiting(goroutine.ChanReceive, 10_000), 10_000, 1750 * time.Millisecond, 0},
		{"a chain of 1,000 beside 100,000 leaked", waiting(goroutine.ChanReceive, 1_000, 100_000), 1_000, 4900 * time.Millisecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProofSource()
			p.links = max(p.links, tt.links)
			work, pause := p.predict(tt.s)
			assert.GreaterOrEqual(t, work, tt.work)
			assert.GreaterOrEqual(t, pause, tt.longest)
		})
	}
}

// A guard that refuses everything would be useless: an ordinary service must pass,
// with the default budget of 10 ms and within the governor's loan.
func TestAnOrdinaryServiceMayBeProven(t *testing.T) {
	s := waiting(goroutine.ChanReceive, 4_000, 500)
	for i, n := range []int{3, 20, 400} {
		s.Groups = append(s.Groups, waiting(goroutine.MutexLock, n).Groups...)
		s.Groups[2+i].Lock = uint64(i)
		s.Total += n
	}
	s.Groups = append(s.Groups, waiting(goroutine.CondWait, 1_000).Groups...)
	work, pause := newProofSource().predict(s)
	assert.Less(t, pause, 10*time.Millisecond)
	assert.Less(t, work-proofPerKiB*time.Duration(liveHeap()>>10), loan)
	assert.Nil(t, unseen(s))
}

func TestWaitersOfDifferentLocksAreDifferentQueues(t *testing.T) {
	s := waiting(goroutine.MutexLock, 1_000, 1_000)
	assert.EqualValues(t, 2_000*2_000, pairs(s), "of all locks it may be one")
	s.Groups[0].Lock, s.Groups[1].Lock = 0x10, 0x20
	assert.EqualValues(t, 2*1_000*1_000, pairs(s), "it is known to be two")
	s.Groups[1].State = goroutine.RWMutexRLock
	assert.EqualValues(t, 2*1_000*1_000, pairs(s))
	assert.EqualValues(t, 1_000*1_000, pairs(waiting(goroutine.Waiting, 1_000)), "it may be a lock")
	assert.Zero(t, pairs(waiting(goroutine.CondWait, 1_000)))
	assert.Zero(t, pairs(waiting(goroutine.IOWait, 1_000)))
}

func TestForeignPark(t *testing.T) {
	for _, tt := range []struct {
		name    string
		state   goroutine.State
		frames  string
		foreign string
	}{
		{"a channel", goroutine.ChanReceive, "runtime.gopark runtime.chanrecv runtime.chanrecv1 main.f", ""},
		{"a mutex", goroutine.MutexLock, "runtime.gopark runtime.goparkunlock runtime.semacquire1 internal/sync.runtime_SemacquireMutex main.f", ""},
		{"the standard library", goroutine.Sleep, "runtime.gopark time.Sleep main.f", ""},
		{"a module", goroutine.Select, "runtime.gopark gvisor.dev/gvisor/pkg/sleep.(*Sleeper).nextWaker main.f", "gvisor.dev/gvisor/pkg/sleep.(*Sleeper).nextWaker"},
		{"a module that holds a lock", goroutine.Waiting, "runtime.gopark runtime.goparkunlock example.com/park.f main.f", "example.com/park.f"},
		{"a module without a dot", goroutine.Waiting, "runtime.gopark service/park.f main.f", "service/park.f"},
		{"woken, and not run yet", goroutine.Runnable, "runtime.gopark example.com/park.f main.f", "example.com/park.f"},
		{"parked while it was traced", goroutine.Select, "example.com/park.f main.f", "example.com/park.f"},
		{"the runtime, while it was traced", goroutine.Select, "runtime.selectgo main.f", ""},
		{"running", goroutine.Running, "main.f", ""},
		{"preempted", goroutine.Runnable, "main.f", ""},
		{"in C", goroutine.Syscall, "main._Cfunc_f main.f", ""},
		{"no frames", goroutine.Running, "", ""},
		{"gopark alone", goroutine.Waiting, "runtime.gopark", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var frames []goroutine.Frame
			for f := range strings.FieldsSeq(tt.frames) {
				frames = append(frames, goroutine.Frame{Function: f})
			}
			f, found := foreignPark(tt.state, frames)
			assert.Equal(t, tt.foreign, f.Function)
			assert.Equal(t, tt.foreign != "", found)
		})
	}
}

func TestWhatASnapshotDoesNotShowIsUnsafe(t *testing.T) {
	known := waiting(goroutine.ChanReceive, 10)
	require.Nil(t, unseen(known))
	for _, tt := range []struct {
		name string
		s    goroutine.Snapshot
	}{
		{"missing goroutines", goroutine.Snapshot{Missing: 1}},
		{"a dump, which hides gopark", goroutine.Snapshot{Source: goroutine.SourceText}},
		{"stacks summed up", goroutine.Snapshot{Groups: []goroutine.Group{{Stack: &goroutine.Stack{ID: goroutine.OtherStacks}, State: goroutine.ChanReceive}}}},
		{"parked somewhere", goroutine.Snapshot{Groups: []goroutine.Group{{Stack: goroutine.NewStack(nil), State: goroutine.Waiting}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			refusal := unseen(&tt.s)
			require.NotNil(t, refusal)
			assert.Equal(t, ReasonUnsafe, refusal.Reason)
			assert.False(t, refusal.Forever, "the next snapshot may show it")
		})
	}
	assert.Nil(t, unseen(&goroutine.Snapshot{Groups: []goroutine.Group{
		{Stack: goroutine.NewStack(nil), State: goroutine.Running},
		{Stack: goroutine.NewStack(nil), State: goroutine.Coroutine},
	}}))
}

// A function that parks goroutines is remembered, because all of its goroutines
// may be running in the current snapshot.
func TestAFunctionThatParksIsRemembered(t *testing.T) {
	shown := waiting(goroutine.Select, 1)
	shown.Groups[0].Stack = goroutine.NewStack([]goroutine.Frame{{Function: "runtime.gopark"}, {Function: "example.com/park.f"}})
	c := capturerOf(&fake{as: goroutine.SourceTrace, does: func() (*goroutine.Snapshot, error) { return shown, nil }})
	c.proof = newProofSource()
	s, _ := c.Take()
	require.NotNil(t, s)
	_, skip := c.Prove(waiting(goroutine.Running, 1))
	require.NotNil(t, skip)
	if hasProof() {
		assert.Equal(t, ReasonUnsafe, skip.Reason)
	}
	assert.Equal(t, "example.com/park.f", c.safety.parks.Function)
	_, skip = c.Prove(waiting(goroutine.Running, 1))
	assert.Nil(t, skip, "it is skipped once: the proof is retired")
}

func TestProofWithoutTheRuntimesIsRetired(t *testing.T) {
	if hasProof() {
		t.Skipf("%s has the goroutineleak profile", runtime.Version())
	}
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, LeakProof: true})
	s, skip := c.Prove(queued(1))
	assert.Nil(t, s)
	require.NotNil(t, skip)
	assert.Equal(t, ReasonVersion, skip.Reason)
	s, skip = c.Prove(queued(1))
	assert.Nil(t, s)
	assert.Nil(t, skip, "it is skipped once")
}

func TestProofNotOptedInto(t *testing.T) {
	s, skip := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}}).Prove(queued(1))
	assert.Nil(t, s)
	assert.Nil(t, skip)
}

func TestProofsAreSpacedAndCountTheirStops(t *testing.T) {
	if !hasProof() {
		t.Skipf("%s has no goroutineleak profile", runtime.Version())
	}
	const links = 200
	first := make(chan struct{})
	last := first
	var begun sync.WaitGroup
	for range links {
		next := make(chan struct{})
		begun.Add(1)
		go func(own, next chan struct{}) { begun.Done(); <-own; close(next) }(last, next)
		last = next
	}
	begun.Wait() // some of the waiting goroutines are the runtime's own
	for ReadScheduler().Waiting < links {
		runtime.Gosched()
	}
	c := New(Config{Budget: Budget{CPU: 1, Pause: time.Second}, LeakProof: true})
	s, skip := c.Prove(waiting(goroutine.ChanReceive, links))
	require.NotNil(t, s, "%v", skip)
	assert.Equal(t, goroutine.SourceProof, s.Source)
	assert.GreaterOrEqual(t, c.proof.links, links, "one stop for each link")
	_, skip = c.Prove(waiting(goroutine.ChanReceive, links))
	require.NotNil(t, skip)
	assert.Equal(t, ReasonBudget, skip.Reason)
	assert.ErrorContains(t, skip, "at least 10m0s apart")
	require.Nil(t, c.proof.due(time.Now().Add(ProofSpacing)))
	close(first)
	<-last
}
