// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/lockcode"
)

func TestWords(t *testing.T) {
	for arguments, want := range map[string]words{
		")":                                  {},
		"...)":                               {inlined: true},
		"0x1)":                               {n: 1, value: [maxWords]uint64{1}},
		"0x1, 0x2?, 0xff":                    {n: 3, value: [maxWords]uint64{1, 0, 0xff}},
		"{0x1, 0x2}, 0x3)":                   {n: 3, value: [maxWords]uint64{1, 2, 3}},
		"{{0x1}, _}, {...}, 0x2)":            {n: 2, value: [maxWords]uint64{1}},
		"{}, 0x1, {{}, 0x2}, {{}}, 0x3)":     {n: 3, value: [maxWords]uint64{1, 2, 3}},
		"0xfffffffffffffffff)":               {n: 1},
		"1, 0x, 0xg)":                        {n: 3},
		strings.Repeat("0x7, ", 20) + "...)": {n: maxWords, value: [maxWords]uint64{7, 7, 7, 7, 7, 7, 7, 7, 7, 7}},
	} {
		assert.Equal(t, want, wordsOf([]byte(arguments)), arguments)
	}
}

func TestOffsets(t *testing.T) {
	for line, want := range map[string]uint64{
		"/f.go:5 +0x1d": 0x1d, "/f.go:5": 0, "/f.go:5 +0x1 fp=0xc000 sp=0xc001": 1, "/a +0x3/f.go:5": 0, "/f.go:5 +0xzz": 0, "": 0,
	} {
		assert.Equal(t, want, offsetOf([]byte(line)), line)
	}
}

// written is code that says what it is told about functions.
type written map[string]lockcode.Point

func (w written) At(function string, _ uintptr) lockcode.Point {
	p, ok := w[function]
	p.Read = p.Read || ok
	return p
}

// waiting returns the text of a goroutine that waits for a lock in a function.
func waiting(id int, lock, call string) string {
	return fmt.Sprintf("goroutine %d [sync.Mutex.Lock]:\ninternal/sync.(*Mutex).lockSlow(%s)\n\t/m.go:1 +0x1\nsync.(*Mutex).Lock(...)\n\t/m.go:2\n%s\n\t/f.go:5 +0x1\ncreated by main.a in goroutine 1\n\t/g.go:3 +0x9\n\n", id, lock, call)
}

func at(id int, state string, calls ...string) string {
	text := fmt.Sprintf("goroutine %d [%s]:\n", id, state)
	for _, c := range calls {
		text += c + "\n\t/f.go:7 +0x1\n"
	}
	return text + "\n"
}

func siteOf(pc uintptr, kind lockcode.Kind, offset int64) lockcode.Site {
	return lockcode.Site{PC: pc, Kind: kind, Argument: 1, Offset: offset, Sure: true, Frame: goroutine.Frame{Function: fmt.Sprintf("main.site%d", pc)}}
}

// TestLocks has short dumps and code that the test makes up. Tests in detectors have
// programs that are really stuck.
func TestLocks(t *testing.T) {
	mutex, read, write := siteOf(1, lockcode.Mutex, 8), siteOf(2, lockcode.Read, 0), siteOf(3, lockcode.Write, 0)
	global := lockcode.Site{PC: 4, Kind: lockcode.Mutex, Address: 0xc008, Sure: true}
	other := lockcode.Site{PC: 5, Kind: lockcode.Mutex, Address: 0xd008, Sure: true}
	unsure, second := mutex, mutex
	unsure.Sure, second.Argument = false, 2
	code := written{
		"main.sometimes": {Holds: []lockcode.Site{unsure}},
		"main.second":    {Holds: []lockcode.Site{second}},
		"main.frees":     {Frees: true},
		"main.(*T).f":    {Waits: mutex},
		"main.(*T).past": {Holds: []lockcode.Site{mutex}},
		"main.reads":     {Holds: []lockcode.Site{read}},
		"main.writes":    {Holds: []lockcode.Site{write}},
		"main.wantsRead": {Waits: read},
		"main.global":    {Holds: []lockcode.Site{global}},
		"main.other":     {Holds: []lockcode.Site{other}},
		"main.helped":    {Holds: []lockcode.Site{{PC: 6, Helper: true}}},
		"main.hands":     {Hands: true},
		"main.idle":      {},
		"main.sender":    {Later: lockcode.Sends},
		"main.main":      {Later: lockcode.Sends | lockcode.Receives},
		"log.output":     {Holds: []lockcode.Site{mutex}},
	}
	stuck := waiting(10, "0xc008", "main.(*T).f(0xc000, 0x1)")
	for name, tt := range map[string]struct {
		dump    string
		holders string // ID, ! if certain, wakers
		open    bool
	}{
		"none":                  {stuck, "", false},
		"no longer":             {stuck + at(7, "chan send", "main.idle(0xc000)"), "", false},
		"past":                  {stuck + at(7, "sleep", "main.(*T).past(0xc000)"), "7!", false},
		"past, another object":  {stuck + at(7, "sleep", "main.(*T).past(0xd000)"), "", false},
		"on one of two ways":    {stuck + at(7, "sleep", "main.sometimes(0xc000)"), "7", false},
		"one of two, another":   {stuck + at(7, "sleep", "main.sometimes(0xd000)"), "", false},
		"second argument":       {stuck + at(7, "sleep", "main.second(0xd000, 0xc000)"), "7!", false},
		"not the first":         {stuck + at(7, "sleep", "main.second(0xc000, 0xd000)"), "", false},
		"second, not saved":     {stuck + at(7, "sleep", "main.second(0xc000, 0xd000?)"), "7", false},
		"second, not shown":     {stuck + at(7, "sleep", "main.second(0xc000, ...)"), "7", false},
		"released by a callee":  {stuck + at(7, "sleep", "main.frees()", "main.(*T).past(0xc000)"), "7", false},
		"released further out":  {stuck + at(7, "sleep", "main.(*T).past(0xc000)", "main.frees()"), "7!", false},
		"while it panics":       {stuck + at(7, "sleep", "panic({0x1, 0x2})", "main.(*T).past(0xc000)"), "7", false},
		"calls unread code":     {stuck + at(7, "sleep", "main.unknown()", "main.(*T).past(0xc000)"), "7", false},
		"past, uncertain":       {stuck + at(7, "sleep", "main.(*T).past(0xc000?)"), "7", false},
		"further out":           {stuck + at(7, "sleep", "main.idle()", "main.(*T).past(0xc000)"), "7!", false},
		"several":               {stuck + at(7, "sleep", "main.(*T).past(0x1)") + at(8, "sleep", "main.(*T).past(0xc000)"), "8!", false},
		"at package level":      {stuck + at(7, "sleep", "main.global()") + at(8, "sleep", "main.(*T).past(0x1)"), "7!", false},
		"another global":        {stuck + at(7, "sleep", "main.other()"), "", false},
		"of another kind":       {stuck + at(7, "sleep", "main.reads()") + at(8, "sleep", "main.writes()"), "", false},
		"through a helper":      {stuck + at(7, "sleep", "main.helped()"), "7", false},
		"handed over":           {stuck + at(7, "sleep", "main.hands()"), "7", false},
		"code not read":         {stuck + at(7, "sleep", "main.unknown()"), "7", false},
		"of a library":          {stuck + at(7, "sleep", "log.output()"), "", false},
		"waiter's code unknown": {waiting(10, "0xc008", "main.unknown(0xc000)"), "10", true},
		"on a condition":        {stuck + at(7, "sync.Cond.Wait", "main.(*T).past(0xc000)"), "", false},
		"locked twice":          {strings.Replace(stuck, "created", "main.(*T).past(0xc000)\n\t/f.go:9 +0x1\ncreated", 1), "10!", false},
		"waits to be woken":     {stuck + at(7, "chan receive", "main.(*T).past(0xc000)") + at(8, "sleep", "main.sender()"), "7!<8", false},
		"main does not wake":    {stuck + at(7, "chan receive", "main.(*T).past(0xc000)") + at(1, "select", "main.main()"), "7!", false},
		"a monitor's goroutine": {stuck + at(7, "select", "github.com/otelgoroutine/go/otelgoroutine.(*Monitor).step()"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			queues := Locks(strings.NewReader(tt.dump), code)
			require.Len(t, queues, 1)
			q := queues[0]
			assert.Equal(t, []uint64{10}, q.Waiters)
			assert.EqualValues(t, 0xc008, q.Lock)
			assert.Equal(t, tt.holders, holdersOf(&q))
			assert.Equal(t, tt.open, q.Open)
		})
	}
	t.Run("a writer that waits for readers", func(t *testing.T) {
		queues := Locks(strings.NewReader(
			at(10, "sync.RWMutex.RLock", "main.wantsRead(0xc000)")+
				at(11, "sync.RWMutex.RLock", "main.wantsRead(0xc000)", "main.reads()")+
				strings.Replace(at(12, "sync.RWMutex.Lock", "sync.(*RWMutex).Lock(0xc000)", "main.(*T).g()"), "\n\n", "\n\n", 1)), written{
			"main.wantsRead": {Waits: read}, "main.reads": {Holds: []lockcode.Site{read}}, "main.(*T).g": {Waits: write},
		})
		require.Len(t, queues, 2)
		assert.Equal(t, []uint64{10, 11}, queues[0].Waiters)
		assert.Equal(t, "12", strings.Trim(holdersOf(&queues[0]), "!"), "the writer is next")
		assert.Equal(t, "11", holdersOf(&queues[1]))
		assert.True(t, queues[1].Holders[0].Reads)
		assert.Equal(t, 0, queues[1].Holders[0].Queue)
	})
}

func holdersOf(q *goroutine.LockQueue) string {
	var all []string
	for _, h := range q.Holders {
		text := fmt.Sprint(h.ID)
		if h.Certain {
			text += "!"
		}
		for _, w := range h.Wakers {
			text += fmt.Sprintf("<%d", w.ID)
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func TestLocksAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 3 * goroutine.MaxLocks {
		for k := range 2 * goroutine.MaxWaiters {
			b.WriteString(waiting(1000*i+k+1, fmt.Sprintf("%#x", 0x10008+i*0x1000), "main.(*T).f(0x1)"))
		}
	}
	for i := range 2 * goroutine.MaxHolders {
		b.WriteString(at(1_000_000+i, "select", "main.past(0x10000)"))
	}
	site := siteOf(1, lockcode.Mutex, 8)
	queues := Locks(strings.NewReader(b.String()), written{"main.(*T).f": {Waits: site}, "main.past": {Holds: []lockcode.Site{site}}})
	assert.LessOrEqual(t, len(queues), goroutine.MaxLocks)
	for _, q := range queues {
		assert.Len(t, q.Waiters, goroutine.MaxWaiters)
		assert.True(t, q.Open, "what was left out may hold it")
		assert.LessOrEqual(t, len(q.Holders), goroutine.MaxHolders)
	}
}

func FuzzLocks(f *testing.F) {
	addFiles(f, "text/go1.*/*.txt")
	f.Add([]byte(waiting(10, "0xc008", "main.(*T).f(0xc000, 0x1)") + at(7, "chan send", "main.(*T).past(0xc000, 0x1)")))
	f.Add([]byte(at(1, "sync.RWMutex.RLock", "main.(*T).f(0xd000)") + at(2, "sync.RWMutex.Lock", "main.(*T).past(0xc000)")))
	site := siteOf(1, lockcode.Mutex, 8)
	code := written{
		"main.(*T).f":    {Waits: site, Later: lockcode.Sends},
		"main.(*T).past": {Holds: []lockcode.Site{site, siteOf(2, lockcode.Read, 0)}},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _ := Text(bytes.NewReader(data), textTime, NewStacks(), nil)
		queues := Locks(bytes.NewReader(data), code)
		requireLocks(t, queues, s.Total)
		require.Equal(t, queues, Locks(bytes.NewReader(data), code), "the same each time")
	})
}

// requireLocks checks that queues are bounded and consistent.
func requireLocks(t *testing.T, queues []goroutine.LockQueue, total int) {
	t.Helper()
	waiters := 0
	for i, q := range queues {
		require.LessOrEqual(t, len(q.Waiters), min(q.Count, goroutine.MaxWaiters))
		require.True(t, q.State.Lock())
		require.LessOrEqual(t, len(q.Holders), goroutine.MaxHolders)
		require.True(t, i == 0 || queues[i-1].Count >= q.Count)
		for _, h := range q.Holders {
			require.GreaterOrEqual(t, h.Queue, -1)
			require.Less(t, h.Queue, len(queues))
			require.Positive(t, h.Count)
			require.LessOrEqual(t, len(h.Wakers), goroutine.MaxHolderWakers)
		}
		waiters += q.Count
	}
	require.LessOrEqual(t, waiters, total)
}

func BenchmarkLocks(b *testing.B) {
	var text strings.Builder
	for i := range 10_000 {
		text.WriteString(at(i+100, "select", "main.(*T).g(0x10000, 0x20000)", "main.(*T).h({0x1, 0x2}, 0x3?)"))
	}
	text.WriteString(waiting(10, "0xc008", "main.(*T).f(0xc000, 0x1)"))
	dump := []byte(text.String())
	site := siteOf(1, lockcode.Mutex, 8)
	code := written{"main.(*T).f": {Waits: site}, "main.(*T).g": {}, "main.(*T).h": {}}
	b.SetBytes(int64(len(dump)))
	for b.Loop() {
		Locks(bytes.NewReader(dump), code)
	}
}
