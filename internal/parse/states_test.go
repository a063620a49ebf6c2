// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// fixtureVersions are the Go versions with which testdata/text/gen was run.
var fixtureVersions = []string{"go1.26", "go1.27"}

// stateOfFunction maps a function on the stack of each goroutine that
// testdata/text/gen starts to the state in which that goroutine waits.
var stateOfFunction = map[string]goroutine.State{
	"main.mutexLock":          goroutine.MutexLock,
	"main.onceDo":             goroutine.MutexLock,
	"main.lockBehindWriter":   goroutine.MutexLock,
	"main.lockBehindReaders":  goroutine.RWMutexLock,
	"main.rLock":              goroutine.RWMutexRLock,
	"main.waitGroup":          goroutine.WaitGroupWait,
	"main.condWait":           goroutine.CondWait,
	"main.chanSend":           goroutine.ChanSend,
	"main.chanReceive":        goroutine.ChanReceive,
	"main.chanRange":          goroutine.ChanReceive,
	"main.selectOne":          goroutine.ChanReceive,
	"main.selectMany":         goroutine.Select,
	"main.timer":              goroutine.ChanReceive,
	"main.nilSend":            goroutine.ChanSendNil,
	"main.nilReceive":         goroutine.ChanReceiveNil,
	"main.nilReceive2":        goroutine.ChanReceiveNil,
	"main.selectNone":         goroutine.SelectNoCases,
	"main.sleep":              goroutine.Sleep,
	"main.ioWait":             goroutine.IOWait,
	"main.read":               goroutine.IOWait,
	"main.fdLock":             goroutine.Semacquire,
	"main.syscallRead":        goroutine.Syscall,
	"os/signal.loop":          goroutine.Syscall,
	"main.coroutine":          goroutine.Coroutine,
	"runtime.corostart":       goroutine.Coroutine,
	"main.generic[...]":       goroutine.ChanReceive,
	"main.(*box[...]).method": goroutine.ChanReceive,
	"main.nested[...]":        goroutine.ChanReceive,
	"main.shapes.func1.1":     goroutine.ChanReceive,
	"main.reflected":          goroutine.ChanReceive,
	"main.panicking":          goroutine.ChanReceive,
	"main.exiting":            goroutine.ChanReceive,
	"main.recursive":          goroutine.ChanReceive,
	"main.value.receive":      goroutine.ChanReceive,

	"github.com/otelgoroutine/go/internal/parse/testdata/text/gen/dotted%2ev3.Wait": goroutine.ChanReceive,
}

// TestStatesAgreeWithDump starts a process whose goroutines wait in every possible
// way. It compares the states derived from its profile with those in its dump. It
// uses another process because some goroutines never end, and some locks are never
// released.
func TestStatesAgreeWithDump(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir := t.TempDir()
	c := exec.Command("go", "run", "-trimpath", filepath.Join("testdata", "text", "gen", "main.go"), "-states", "-out", dir)
	message, err := c.CombinedOutput()
	require.NoError(t, err, "%s", message)
	requireSourcesAgree(t, filepath.Join(dir, "states.txt"), filepath.Join(dir, "states.pb.gz"))
}

// TestStatesAgreeInFixtures does the same for all fixture versions of Go.
func TestStatesAgreeInFixtures(t *testing.T) {
	for _, version := range fixtureVersions {
		t.Run(version, func(t *testing.T) {
			requireSourcesAgree(t,
				filepath.Join("testdata", "text", version, "states.txt"),
				filepath.Join("testdata", "profile", version, "states.pb.gz"))
		})
	}
}

func requireSourcesAgree(t *testing.T, textFile, profileFile string) {
	t.Helper()
	text, prof := readText(t, textFile), readProfile(t, profileFile)
	require.Equal(t, byStackAndState(text), byStackAndState(prof))
	require.Equal(t, text.Total, prof.Total)
	for function, state := range stateOfFunction {
		assert.Equal(t, []goroutine.State{state}, statesAt(text, function), "%s in the dump", function)
		if function == "runtime.corostart" {
			continue // below every coroutine in a profile, and hidden in a dump
		}
		assert.Equal(t, []goroutine.State{state}, statesAt(prof, function), "%s in the profile", function)
	}
}

func readText(t *testing.T, file string) *goroutine.Snapshot {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	s, err := Text(f, time.Unix(1, 0), NewStacks(), new(goroutine.Births))
	require.NoError(t, err)
	requireSane(t, s)
	return s
}

func readProfile(t *testing.T, file string) *goroutine.Snapshot {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	s, err := Profile(data, time.Unix(1, 0), NewStacks(), Labels{})
	require.NoError(t, err)
	return s
}

// byStackAndState counts goroutines. It leaves out the goroutine that writes the
// dump and the profile, which cannot be in both places at once. The user's frame
// and the entry function identify the stack, and must agree as well.
func byStackAndState(s *goroutine.Snapshot) map[string]int {
	m := make(map[string]int)
	for _, g := range s.Groups {
		if !g.Stack.Has("main.main") {
			m[fmt.Sprintf("%s [%s] at %v from %s", g.Stack.ID, g.State, g.Stack.User(), g.Stack.Entry().Function)] += g.Count
		}
	}
	return m
}

func statesAt(s *goroutine.Snapshot, function string) []goroutine.State {
	var found []goroutine.State
	seen := make(map[goroutine.State]bool)
	for _, g := range s.Groups {
		if g.Stack.Has(function) && !seen[g.State] {
			seen[g.State] = true
			found = append(found, g.State)
		}
	}
	return found
}

// TestParkedState covers what those processes do not have: stacks of other Go
// versions, and stacks without a rule.
func TestParkedState(t *testing.T) {
	leaf := func(functions ...any) []goroutine.Frame {
		var frames []goroutine.Frame
		for _, f := range functions {
			switch f := f.(type) {
			case string:
				frames = append(frames, goroutine.Frame{Function: f})
			case int:
				frames[len(frames)-1].Line = f
			}
		}
		return frames
	}
	for _, c := range []struct {
		name   string
		frames []goroutine.Frame
		want   goroutine.State
	}{
		{"no frames", nil, goroutine.Running},
		{"user code", leaf("main.main"), goroutine.Running},
		{"parked by a linkname", leaf("runtime.gopark", "gvisor.dev/sleep.(*Sleeper).nextWaker"), goroutine.Waiting},
		{"a nil channel of another Go version", leaf("runtime.gopark", "runtime.chanrecv", 999, "runtime.chanrecv1", "main.f"), goroutine.ChanReceive},
		{"the runtime's own lock", leaf("runtime.gopark", "runtime.goparkunlock", "runtime.semacquire1", "runtime.semacquire", "runtime.stopTheWorldGC", "runtime.ReadMemStats"), goroutine.Semacquire},
		{"older WaitGroup", leaf("runtime.gopark", "runtime.semacquire1", "sync.runtime_Semacquire", "sync.(*WaitGroup).Wait"), goroutine.WaitGroupWait},
		{"a rule below user code does not count", leaf("main.f", "time.Sleep"), goroutine.Running},
		{"cgo", leaf("runtime.cgocall", "main._Cfunc_sleep"), goroutine.Syscall},
		{"preempted", leaf("runtime.asyncPreempt2", "runtime.asyncPreempt", "main.f"), goroutine.Runnable},
		{"yielded", leaf("runtime.goschedIfBusy", "main.f"), goroutine.Runnable},
		{"synctest", leaf("runtime.gopark", "internal/synctest.Wait"), "synctest.Wait"},
	} {
		assert.Equal(t, c.want, stateOf(c.frames), c.name)
	}
}

func TestSystemGoroutines(t *testing.T) {
	for _, c := range []struct {
		name   string
		stack  []string // leaf first
		system bool
	}{
		{"none", nil, false},
		{"main", []string{"main.main", "runtime.main", "runtime.goexit"}, false},
		{"main before main", []string{"runtime.gopark", "runtime.main", "runtime.goexit"}, false},
		{"user", []string{"runtime.gopark", "main.f", "runtime.goexit"}, false},
		{"worker", []string{"runtime.gopark", "runtime.bgsweep", "runtime.gcenable.gowrap1", "runtime.goexit"}, true},
		{"worker, cut", []string{"runtime.gopark", "runtime.bgsweep"}, true},
		{"coroutine", []string{"runtime.coroswitch", "iter.Pull.func1.1", "main.f", "iter.Pull.func1", "runtime.corostart", "runtime.goexit"}, false},
		{"coroutine, new", []string{"runtime.corostart", "runtime.goexit"}, false},
		{"finalizers, idle", []string{"runtime.gopark", "runtime.runFinalizers", "runtime.goexit"}, true},
		{"finalizer that blocks", []string{"runtime.gopark", "runtime.chanrecv", "main.finalize", "runtime.runFinalizers", "runtime.goexit"}, false},
		{"cleanup that blocks", []string{"runtime.gopark", "main.clean", "runtime.runCleanups", "runtime.goexit"}, false},
		{"cleanups, busy within", []string{"internal/runtime/atomic.Load", "runtime.runCleanups", "runtime.goexit"}, true},
	} {
		var frames []goroutine.Frame
		for _, f := range c.stack {
			frames = append(frames, goroutine.Frame{Function: f})
		}
		assert.Equal(t, c.system, system(frames), c.name)
	}
}
