// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

func detailsOf(t *testing.T, dump string) (*goroutine.Snapshot, *Details) {
	t.Helper()
	s, d, err := Read(strings.NewReader(dump), time.Time{}, NewStacks(), nil)
	require.NoError(t, err)
	return s, d
}

const running = "\n\ngoroutine 7 [running]:\nmain.f(0xc000012340, 0x3, 0xc000010000?)\n\t/app/main.go:5 +0x1d\n"

func TestCrash(t *testing.T) {
	for text, want := range map[string]Crash{
		"":            {},
		"panic: boom": {Kind: CrashPanic, Message: "boom", Goroutine: 7},
		"2026/01/02 03:04:05 starting\npanic: a b":                           {Kind: CrashPanic, Message: "a b", Goroutine: 7},
		"panic: a [recovered]\n\tpanic: b":                                   {Kind: CrashPanic, Message: "b", Recovered: []string{"a"}, Goroutine: 7},
		"panic: a [recovered, repanicked]":                                   {Kind: CrashPanic, Message: "a", Recovered: []string{"a"}, Goroutine: 7},
		"panic: a\n\tpanic: b":                                               {Kind: CrashPanic, Message: "b", Recovered: []string{"a"}, Goroutine: 7},
		"panic: two\nlines":                                                  {Kind: CrashPanic, Message: "two\nlines", Goroutine: 7},
		"panic: test timed out after 2s\n\trunning tests:\n\t\tTestA (2s)\n": {Kind: CrashPanic, Message: "test timed out after 2s\n\trunning tests:\n\t\tTestA (2s)", Goroutine: 7},
		"panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x490d6e]": {
			Kind: CrashPanic, Message: "runtime error: invalid memory address or nil pointer dereference",
			Signal: "SIGSEGV: segmentation violation", Address: 0x18, HasAddress: true, Goroutine: 7,
		},
		"fatal error: all goroutines are asleep - deadlock!": {Kind: CrashFatal, Message: "all goroutines are asleep - deadlock!", Goroutine: 7},
		"runtime: goroutine stack exceeds 1000000000-byte limit\nfatal error: stack overflow\n\nruntime stack:\nruntime.throw({0x1, 0x2})\n\truntime/panic.go:1 +0x1": {
			Kind: CrashFatal, Message: "stack overflow", Notes: []string{"runtime: goroutine stack exceeds 1000000000-byte limit"}, Goroutine: 7,
		},
		"SIGQUIT: quit\nPC=0x49aa21 m=0 sigcode=0\n\ngoroutine 0 gp=0x1 m=0 mp=0x2 [idle]:\nruntime.futex(0x1)\n\truntime/sys.s:5 +0x1": {Kind: CrashSignal, Message: "SIGQUIT: quit", HasSignalCode: true, Goroutine: 7},
		"2026/01/02 03:04:05 http: panic serving 127.0.0.1:80: boom":                                                                    {Kind: CrashRecorded, Message: "boom", Goroutine: 7},
	} {
		_, d := detailsOf(t, text+running)
		d.Crash.told = 0
		assert.Equal(t, want, d.Crash, text)
	}
}

// A logger's prefix is in front of the message, too.
func TestCrashBehindAPrefix(t *testing.T) {
	for _, prefix := range []string{"Nov 24 20:17:59 host app[123]: ", "web-1  | ", `{"log":"`} {
		end := map[bool]string{true: `\n","stream":"stderr"}`}[strings.HasPrefix(prefix, "{")]
		_, d := detailsOf(t, prefix+"starting"+end+"\n"+prefix+"panic: boom [recovered]"+end+"\n"+prefix+"\tpanic: again"+end+"\n"+prefix+end+running)
		d.Crash.told = 0
		assert.Equal(t, Crash{Kind: CrashPanic, Message: "again", Recovered: []string{"boom"}, Goroutine: 7}, d.Crash, prefix)
	}
	for _, between := range []string{"\nserving", strings.Repeat("\nhandler: serving", maxRecent)} {
		_, d := detailsOf(t, "handler: recovered from panic: boom"+between+running)
		assert.Equal(t, NoCrash, d.Crash.Kind, "the process went on")
	}
	_, d := detailsOf(t, "E1127 09:00:00 panic: boom\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x1]"+running)
	assert.Equal(t, "boom", d.Crash.Message)
}

// The first message counts: what a process logs after its dump is not why it ended.
func TestTheFirstCrashCounts(t *testing.T) {
	_, d := detailsOf(t, "panic: first"+running+"\npanic: second"+strings.ReplaceAll(running, "7", "8"))
	assert.Equal(t, "first", d.Crash.Message)
	assert.Equal(t, uint64(7), d.Crash.Goroutine)
	_, d = detailsOf(t, running[2:]+"\nexit status 2\nFAIL")
	assert.Equal(t, NoCrash, d.Crash.Kind)
}

func TestDetails(t *testing.T) {
	s, d := detailsOf(t, "goroutine 3 [chan send (leaked), 9 minutes]:\nmain.send(0xc000012340, 0x3, 0xc000010000?)\n\t/app/main.go:5 +0x1d\n...7 frames elided...\nmain.main()\n\t/app/main.go:9 +0x1\ncreated by main.start in goroutine 1\n\t/app/main.go:2 +0x1\n")
	require.Len(t, d.Goroutines, 1)
	g := d.Goroutines[0]
	assert.Equal(t, []Pointer{{0, 0, 0xc000012340}}, g.Pointers, "neither what is uncertain nor what is no address")
	assert.Equal(t, 7, g.Elided)
	assert.Equal(t, "main.start", g.CreatedBy.Function)
	assert.Equal(t, []Wait{{3, 1, 9 * time.Minute, s.Groups[0].Key()}}, d.Waits)
	assert.Equal(t, map[goroutine.GroupKey]int{s.Groups[0].Key(): 1}, d.Leaked)
	assert.Len(t, s.Groups[0].Stack.Frames, 2)
}

func TestDetailsAreBounded(t *testing.T) {
	_, d := detailsOf(t, "panic: "+strings.Repeat("x", 1<<20)+"\n"+strings.Repeat("more\n", 1000)+strings.Repeat(running, 1000))
	assert.LessOrEqual(t, len(d.Crash.Message), maxMessage)
	assert.Len(t, d.Goroutines, maxOfGroup)
	_, d = detailsOf(t, strings.Repeat("panic: a\n\tpanic: b\n", 1000)+running)
	assert.LessOrEqual(t, len(d.Crash.Recovered), maxRecovered)
}

// What older versions called semacquire is what today's call it.
func TestOldStates(t *testing.T) {
	for calls, want := range map[string]goroutine.State{
		"sync.runtime_Semacquire sync.(*Mutex).Lock main.f":                          goroutine.MutexLock,
		"sync.runtime_SemacquireMutex sync.(*Mutex).lockSlow sync.(*Mutex).Lock m.f": goroutine.MutexLock,
		"sync.runtime_SemacquireMutex sync.(*RWMutex).RLock m.f":                     goroutine.RWMutexRLock,
		"sync.runtime_SemacquireMutex sync.(*RWMutex).Lock m.f":                      goroutine.RWMutexLock,
		"sync.runtime_SemacquireMutex sync.(*Mutex).Lock sync.(*RWMutex).Lock m.f":   goroutine.MutexLock,
		"sync.runtime_Semacquire sync.(*WaitGroup).Wait m.f":                         goroutine.WaitGroupWait,
		"internal/poll.runtime_Semacquire internal/poll.(*fdMutex).rwlock m.f":       goroutine.Semacquire,
		"m.f sync.(*Mutex).Lock": goroutine.Semacquire,
	} {
		dump := "goroutine 5 [semacquire, 9 minutes]:\n"
		frames := []goroutine.Frame{{Function: "runtime.gopark"}, {Function: "runtime.semacquire1"}}
		for call := range strings.FieldsSeq(calls) {
			dump += call + "(0x1)\n\t/a.go:1 +0x1\n"
			frames = append(frames, goroutine.Frame{Function: call})
		}
		s, _ := detailsOf(t, dump)
		assert.Equal(t, want, s.Groups[0].State, calls)
		if !strings.HasPrefix(calls, "m.") {
			assert.Equal(t, want, stateOf(frames), "in a profile: %s", calls)
		}
	}
}

// The dump of a signal shows the wrappers of go statements, which nothing else does.
func TestWrappersOfGoStatementsAreHidden(t *testing.T) {
	s, _ := detailsOf(t, "goroutine 5 [chan receive]:\nruntime.gopark(0x1)\n\t/p.go:1 +0x1\nmain.serve(0xc000012340)\n\t/a.go:1 +0x1\nmain.main.gowrap3()\n\t/a.go:9 +0x1\nruntime.goexit({})\n\t/asm.s:1 +0x1\n")
	assert.Equal(t, "main.serve", s.Groups[0].Stack.Entry().Function)
	assert.Len(t, s.Groups[0].Stack.Frames, 2)
	s, _ = detailsOf(t, "goroutine 5 [chan receive]:\nmain.main.gowrap3()\n\t/a.go:9 +0x1\n")
	assert.Len(t, s.Groups[0].Stack.Frames, 1, "there is nothing else")
}
