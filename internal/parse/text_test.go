// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

var textTime = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func parseText(t testing.TB, text string) *goroutine.Snapshot {
	t.Helper()
	s, err := Text(strings.NewReader(text), textTime, NewStacks(), new(goroutine.Births))
	require.NoError(t, err)
	requireSane(t, s)
	return s
}

// groupAt returns the only group with this function on its stack.
func groupAt(t testing.TB, s *goroutine.Snapshot, function string) goroutine.Group {
	t.Helper()
	var found []goroutine.Group
	for _, g := range s.Groups {
		if g.Stack.Has(function) {
			found = append(found, g)
		}
	}
	require.Len(t, found, 1, "groups with %s", function)
	return found[0]
}

func TestTextFixtures(t *testing.T) {
	type counts map[goroutine.State]int
	scenes := map[string]counts{
		"ancestors": {goroutine.Running: 1, goroutine.ChanReceive: 2},
		"bubble": {
			goroutine.Running: 1, goroutine.ChanReceive: 4, goroutine.ChanSend: 1, goroutine.Select: 1, goroutine.Sleep: 1,
			goroutine.WaitGroupWait: 1, goroutine.CondWait: 1, goroutine.ChanReceiveNil: 1, "synctest.Run": 1, "synctest.Wait": 1,
		},
		"deep":      {goroutine.Running: 1, goroutine.ChanReceive: 2},
		"fatal":     {goroutine.Running: 1, goroutine.ChanReceive: 1},
		"labels":    {goroutine.Running: 1, goroutine.ChanReceive: 3},
		"leaked":    {goroutine.Running: 1, goroutine.ChanReceive: 1, goroutine.ChanReceiveNil: 1, goroutine.MutexLock: 1},
		"locked":    {goroutine.Running: 1, goroutine.ChanReceive: 1},
		"minutes":   {goroutine.Running: 1, goroutine.ChanReceive: 2, goroutine.Sleep: 1},
		"panic":     {goroutine.Running: 1, goroutine.ChanReceive: 1, goroutine.Runnable: 1},
		"quit":      {goroutine.Sleep: 1, goroutine.ChanReceive: 2},
		"running":   {goroutine.Running: 1, goroutine.ChanReceive: 1, goroutine.Runnable: 3},
		"system":    {goroutine.Running: 1, goroutine.ChanReceive: 1},
		"unstopped": {goroutine.Running: 2},
	}
	for _, version := range fixtureVersions {
		files, err := filepath.Glob(filepath.Join("testdata", "text", version, "*.txt"))
		require.NoError(t, err)
		require.Len(t, files, len(scenes)+1, "states.txt has a test of its own")
		for name, want := range scenes {
			t.Run(version+"/"+name, func(t *testing.T) {
				s := readText(t, filepath.Join("testdata", "text", version, name+".txt"))
				assert.Equal(t, counts(s.States()), want)
				assert.Zero(t, s.Missing)
				assert.Equal(t, goroutine.SourceText, s.Source)
			})
		}
	}
}

func TestTextDetails(t *testing.T) {
	for _, version := range fixtureVersions {
		t.Run(version, func(t *testing.T) {
			read := func(name string) *goroutine.Snapshot {
				return readText(t, filepath.Join("testdata", "text", version, name+".txt"))
			}

			states := read("states")
			mutex := groupAt(t, states, "main.mutexLock")
			assert.NotZero(t, mutex.Lock)
			assert.Equal(t, goroutine.Frame{Function: "main.locks", File: "./main.go", Line: mutex.CreatedBy.Line}, mutex.CreatedBy)
			assert.NotZero(t, mutex.CreatedBy.Line)
			assert.Len(t, mutex.IDs, 1)
			assert.NotZero(t, groupAt(t, states, "main.lockBehindWriter").Lock)
			assert.NotZero(t, groupAt(t, states, "main.onceDo").Lock)
			assert.Zero(t, groupAt(t, states, "main.lockBehindReaders").Lock, "marked as uncertain")
			assert.Zero(t, groupAt(t, states, "main.waitGroup").Lock, "not the state of a lock")
			assert.Zero(t, groupAt(t, states, "main.condWait").Lock)
			assert.Equal(t, goroutine.Frame{}, groupAt(t, states, "main.main").CreatedBy)
			directLock := slices.IndexFunc(states.Groups, func(g goroutine.Group) bool {
				return g.Lock == mutex.Lock && g.Stack.Entry().Function == "sync.(*Mutex).Lock"
			})
			assert.NotEqual(t, -1, directLock, "go mu.Lock() waits for the same lock")
			assert.True(t, groupAt(t, states, "main.panicking").Stack.Has("runtime.gopanic"))
			assert.Equal(t, "iter.Pull[...]", groupAt(t, states, "main.coroutine").CreatedBy.Function)

			minutes := read("minutes")
			assert.Equal(t, time.Minute, groupAt(t, minutes, "main.receive").Wait)
			assert.Equal(t, time.Minute, groupAt(t, minutes, "main.sleep").Wait)

			deep := read("deep")
			for _, g := range deep.Groups {
				if g.State == goroutine.ChanReceive {
					assert.Contains(t, []int{50, 100}, len(g.Stack.Frames))
				}
			}

			for _, g := range read("unstopped").Groups {
				if len(g.Stack.Frames) == 0 {
					assert.Equal(t, "main.unstopped", g.CreatedBy.Function)
				}
			}

			ancestors := read("ancestors")
			inner := groupAt(t, ancestors, "main.ancestors.func1.1")
			assert.Len(t, inner.Stack.Frames, 1, "the frames of ancestors are not its own")
			assert.Equal(t, "main.ancestors.func1", inner.CreatedBy.Function)
		})
	}
}

// TestTextHeaders assembles headers from every combination of their parts.
func TestTextHeaders(t *testing.T) {
	ids := []string{"1", "18446744073709551615"}
	fields := []string{"", " gp=0xc000006380 m=nil", " gp=0xc000006380 m=0 mp=0x745ae0"}
	states := []string{"running", "chan receive", "chan receive (nil chan)", "GC worker (idle)", "sync.Mutex.Lock", "state of a later Go"}
	leaked := []string{"", " (leaked)"}
	scan := []string{"", " (scan)"}
	durable := []string{"", " (durable)"}
	minutes := []string{"", ", 7 minutes"}
	locked := []string{"", ", locked to thread"}
	bubble := []string{"", ", synctest bubble 12", ", attribute of a later Go (with parentheses)"}
	labels := []string{
		"]", "] {k: v}", `] {"a]b,c}d\"e\\": v.w/x_y, k: }`, `] {"]:": "\u00fc\xff, {["}`,
		` labels:{"k": "v"}]`, ` labels:{"a]b,c}d\"e\\": "]: {", "": ""}]`,
	}
	type fragments [][]string
	n := 0
	var build func(prefix string, rest fragments, check func(string))
	build = func(prefix string, rest fragments, check func(string)) {
		if len(rest) == 0 {
			check(prefix)
			return
		}
		for _, f := range rest[0] {
			build(prefix+f, rest[1:], check)
		}
	}
	for _, id := range ids {
		for _, state := range states {
			build("", fragments{leaked, scan, durable, minutes, locked, bubble, labels, {":"}}, func(rest string) {
				for _, field := range fields {
					n++
					line := "goroutine " + id + field + " [" + state + rest
					h, ok, err := parseHeader([]byte(line), false)
					if !ok || err != nil || h.state != state || fmt.Sprint(h.id) != id || (h.wait == 7*time.Minute) != strings.Contains(line, "minutes") {
						t.Fatalf("%s: %+v %v %v", line, h, ok, err)
					}
				}
			})
		}
	}
	assert.Greater(t, n, 10_000)
}

func TestTextNotHeaders(t *testing.T) {
	for _, line := range []string{
		"goroutine ", "goroutine 7 finished:", "goroutine seven [running]:", "goroutine 7 of 9 [done]:", "goroutine 7 [running] was seen",
		"goroutine -1 [running]:", "goroutine 7[running]:", "goroutine profile: total 7", "goroutine 7:",
	} {
		_, ok, _ := parseHeader([]byte(line), false)
		assert.False(t, ok, line)
	}
}

func TestTextBadHeaders(t *testing.T) {
	for line, message := range map[string]string{
		"goroutine 7 [running:":                             "goroutine 7: the header is cut off",
		`goroutine 7 [running labels:{"k]":`:                "goroutine 7: the header is cut off",
		"goroutine 99999999999999999999999999999 [select]:": "too large",
	} {
		s, err := Text(strings.NewReader(line+"\nmain.main()\n\t/x.go:1\n\n"+one), textTime, NewStacks(), nil)
		assert.ErrorContains(t, err, message)
		assert.ErrorContains(t, err, "line 1: ")
		assert.Equal(t, 1, s.Missing)
		assert.Equal(t, 1, s.Total, "the next one is read")
	}
}

// one is the text of one goroutine.
const one = `goroutine 8 [chan receive, 3 minutes]:
main.(*T[...]).Wait.func1.2({0x1, 0x2}, 0x3?, ...)
	/src/my project/a.go:12 +0x1d
main.Run(...)
	C:/src/b.go:34
created by main.Start in goroutine 1
	/src/c.go:56 +0x2a
`

func TestTextFrames(t *testing.T) {
	s := parseText(t, one)
	require.Len(t, s.Groups, 1)
	assert.Equal(t, goroutine.Group{
		Stack: goroutine.NewStack([]goroutine.Frame{
			{Function: "main.(*T[...]).Wait.func1.2", File: "/src/my project/a.go", Line: 12},
			{Function: "main.Run", File: "C:/src/b.go", Line: 34},
		}),
		State:     goroutine.ChanReceive,
		Count:     1,
		Births:    []goroutine.Cohort{{Epoch: 0, Count: 1, Digest: goroutine.DigestID(8)}},
		IDs:       []uint64{8},
		CreatedBy: goroutine.Frame{Function: "main.Start", File: "/src/c.go", Line: 56},
		Wait:      3 * time.Minute,
	}, s.Groups[0])
	assert.Equal(t, []goroutine.Epoch{{LastID: 8, End: textTime}}, s.Epochs)
	assert.Equal(t, int64(len(one)), s.Bytes)
	assert.Equal(t, textTime, s.Time)
}

// TestTextForms reads one goroutine in several forms.
func TestTextForms(t *testing.T) {
	want := parseText(t, one).Groups
	for name, text := range map[string]string{
		"CRLF":                     strings.ReplaceAll(one, "\n", "\r\n"),
		"no last line end":         strings.TrimSpace(one),
		"text around":              "2026/11/01 log\npanic: x (y)\n\n" + one + "\nexit status 2\nmain.f(x)\n\t/y.go:3\n",
		"text at its end":          one + "exit status 2\nmore (of it)\n",
		"noise between lines":      strings.ReplaceAll(one, "\n\t", "\n2026/11/01 log (something): else\n\t"),
		"noise without spaces":     strings.Replace(one, "main.(*T", "noise\nmain.(*T", 1),
		"noise before creation":    strings.Replace(one, "created", "noise\ncreated", 1),
		"registers":                strings.ReplaceAll(one, "+0x1d", "+0x1d fp=0xc000 sp=0xc001 pc=0x4"),
		"elided frames":            strings.Replace(one, "main.Run", "...51 frames elided...\nmain.Run", 1),
		"ancestors":                one + "[originating from goroutine 1]:\nmain.f(...)\n\t/y.go:3\ncreated by main.h\n\t/y.go:4\n",
		"long labels":              strings.Replace(one, "]:", `] {k: "`+strings.Repeat("x ]:}\\\"", 1<<17)+`"}:`, 1),
		"long noise":               strings.Replace(one, "main.Run", strings.Repeat("log (x) ", 1<<17)+"\nmain.Run", 1),
		"long arguments":           strings.Replace(one, "0x1, ", strings.Repeat("0x1, ", 1<<12), 1),
		"g0 and the runtime's own": "goroutine 0 gp=0x7 m=0 mp=0x7 [idle]:\npthread_cond_wait\n\tx.c:1 pc=0x1\n\ngoroutine 2 gp=0x8 m=nil [force gc (idle)]:\nruntime.gopark()\n\tp.go:1\nruntime.goexit({})\n\ta.s:1\n\n" + one,
	} {
		t.Run(name, func(t *testing.T) {
			s := parseText(t, text)
			assert.Equal(t, want, s.Groups)
			assert.Equal(t, int64(len(text)), s.Bytes)
		})
	}
}

func TestTextOneByteAtATime(t *testing.T) {
	s, err := Text(iotest.OneByteReader(strings.NewReader(one)), textTime, NewStacks(), new(goroutine.Births))
	require.NoError(t, err)
	assert.Equal(t, parseText(t, one).Groups, s.Groups)
}

func TestTextForeignFrames(t *testing.T) {
	s := parseText(t, "goroutine 1 [syscall]:\nnon-Go function\n\tpc=0x7f01\npthread_join\n\t/usr/src/nptl.c:47 pc=0x7f02\nmain._Cfunc_join(0x1)\n\t_cgo_gotypes.go:47 +0x4b\n")
	assert.Equal(t, []goroutine.Frame{
		{Function: "pthread_join", File: "/usr/src/nptl.c", Line: 47},
		{Function: "main._Cfunc_join", File: "_cgo_gotypes.go", Line: 47},
	}, s.Groups[0].Stack.Frames)
}

func TestTextGroups(t *testing.T) {
	gs := func(id int, state, arguments, by string) string {
		return fmt.Sprintf("goroutine %d [%s]:\ninternal/sync.(*Mutex).lockSlow(%s)\n\t/m.go:1 +0x1\nmain.f(0x%x)\n\t/f.go:2 +0x%x\ncreated by %s in goroutine %d\n\t/g.go:3 +0x9\n\n",
			id, state, arguments, id, id, by, id/2)
	}
	s := parseText(t, gs(30, "sync.Mutex.Lock, 2 minutes", "0xa", "main.a")+
		gs(10, "sync.Mutex.Lock, 5 minutes, locked to thread", "0xa, 0x1", "main.a")+
		gs(20, "sync.Mutex.Lock", "0xa", "main.a")+
		gs(40, "sync.Mutex.Lock", "0xb", "main.a")+ // another lock
		gs(50, "sync.Mutex.Lock", "0xa?", "main.a")+ // an uncertain lock
		gs(60, "sync.Mutex.Lock", "0xa", "main.b")+ // created elsewhere
		gs(70, "runnable", "0xa", "main.a")) // another state, no lock
	require.Len(t, s.Groups, 5)
	g := s.Groups[0]
	assert.Equal(t, 3, g.Count)
	assert.Equal(t, []uint64{10, 20, 30}, g.IDs)
	assert.Equal(t, 5*time.Minute, g.Wait)
	assert.Equal(t, uint64(0xa), g.Lock)
	assert.Equal(t, "main.a", g.CreatedBy.Function)
	locks := map[uint64]int{}
	for _, g := range s.Groups {
		locks[g.Lock] += g.Count
		assert.Same(t, s.Groups[0].Stack, g.Stack)
	}
	assert.Equal(t, map[uint64]int{0xa: 4, 0xb: 1, 0: 2}, locks)
}

func TestTextLocks(t *testing.T) {
	for _, c := range []struct {
		state, call string
		want        uint64
	}{
		{"sync.Mutex.Lock", "sync.(*Mutex).lockSlow(0xc000010020)", 0xc000010020},
		{"sync.Mutex.Lock", "internal/sync.(*Mutex).lockSlow(0xc000010020)", 0xc000010020},
		{"sync.Mutex.Lock", "internal/sync.(*Mutex).lockSlow(0xc000010020?)", 0},
		{"sync.Mutex.Lock", "internal/sync.(*Mutex).lockSlow(...)", 0},
		{"sync.Mutex.Lock", "internal/sync.(*Mutex).lockSlow()", 0},
		{"sync.Mutex.Lock", "internal/sync.(*Mutex).lockSlow({0xc000010020})", 0},
		{"sync.Mutex.Lock", "internal/sync.(*Mutex).lockSlow(0xfffffffffffffffff)", 0},
		{"sync.Mutex.Lock", "main.(*Mutex).lockSlow(0xc000010020)", 0},
		{"sync.RWMutex.Lock", "sync.(*RWMutex).Lock(0xc0a)", 0xc0a},
		{"sync.RWMutex.RLock", "sync.(*RWMutex).RLock(0xc0a)", 0xc0a},
		{"sync.RWMutex.Lock", "sync.(*RWMutex).Lock(0x0?)", 0},
		{"sync.WaitGroup.Wait", "sync.(*WaitGroup).Wait(0xc0a)", 0},
		{"running", "sync.(*Mutex).lockSlow(0xc000010020)", 0},
	} {
		s := parseText(t, "goroutine 5 ["+c.state+"]:\n"+c.call+"\n\t/m.go:1 +0x1\n")
		assert.Equal(t, c.want, s.Groups[0].Lock, "[%s] %s", c.state, c.call)
	}
}

// TestTextBirths reads three dumps of one process.
func TestTextBirths(t *testing.T) {
	stacks, births := NewStacks(), new(goroutine.Births)
	read := func(minute int, ids ...int) *goroutine.Snapshot {
		var text strings.Builder
		for _, id := range ids {
			fmt.Fprintf(&text, "goroutine %d [select]:\nmain.f()\n\t/f.go:1\n\n", id)
		}
		s, err := Text(strings.NewReader(text.String()), textTime.Add(time.Duration(minute)*time.Minute), stacks, births)
		require.NoError(t, err)
		requireSane(t, s)
		return s
	}
	cohort := func(epoch int, ids ...uint64) goroutine.Cohort {
		c := goroutine.Cohort{Epoch: epoch, Count: len(ids)}
		for _, id := range ids {
			c.Digest += goroutine.DigestID(id)
		}
		return c
	}
	first := read(0, 9, 3)
	second := read(1, 9, 20, 3)
	third := read(2, 25, 3, 30, 20)
	assert.Equal(t, []goroutine.Cohort{cohort(0, 3, 9)}, first.Groups[0].Births)
	assert.Equal(t, []goroutine.Cohort{cohort(0, 3, 9), cohort(1, 20)}, second.Groups[0].Births)
	assert.Equal(t, []goroutine.Cohort{cohort(0, 3), cohort(1, 20), cohort(2, 25, 30)}, third.Groups[0].Births)
	assert.Equal(t, []uint64{3, 20, 25, 30}, third.Groups[0].IDs)
	assert.Same(t, first.Groups[0].Stack, third.Groups[0].Stack)
	require.Len(t, third.Epochs, 3)
	assert.Equal(t, uint64(9), third.Epochs[0].LastID)
}

func TestTextWithoutBirths(t *testing.T) {
	s, err := Text(strings.NewReader(one), textTime, NewStacks(), nil)
	require.NoError(t, err)
	assert.Nil(t, s.Epochs)
	assert.Nil(t, s.Groups[0].Births)
	assert.Equal(t, []uint64{8}, s.Groups[0].IDs)
}

func TestTextNothing(t *testing.T) {
	for _, text := range []string{"", "\n\n", "a log\nof something\n", "goroutine profile: total 3\n1 @ 0x1\n", "\x1f\x8b\x08"} {
		s, err := Text(strings.NewReader(text), textTime, NewStacks(), new(goroutine.Births))
		assert.ErrorContains(t, err, "no goroutine found", "%q", text)
		assert.Zero(t, s.Total)
		assert.Empty(t, s.Epochs)
	}
}

func TestTextErrors(t *testing.T) {
	for name, c := range map[string]struct{ text, message string }{
		"place without call": {"\ngoroutine 5 [select]:\n\t/f.go:1\nmain.f()\n\t/f.go:1\n", "line 2: goroutine 5 [select]: line 3 is the place of a missing call"},
		"call without place": {"goroutine 5 [select]:\nmain.f()\ncreated by main.g\n\t/f.go:1\n", "line 1: goroutine 5 [select]: line 3 comes before the place of the last call"},
		"end after a call":   {"goroutine 5 [select]:\nmain.f()\n\n", "line 1: goroutine 5 [select]: its text ends within a call"},
		"end in creation":    {"goroutine 5 [select]:\nmain.f()\n\t/f.go:1\ncreated by main.g in goroutine 1\n", "its text ends within a call"},
		"end in a call":      {"goroutine 5 [select]:\nmain.f()\n\t/f.go:1\nmain.g(0x1, ", "its text ends within a call"},
		"end in a header":    {"goroutine 5 [select, 3 min", "line 1: goroutine 5 [select]: the header is cut off"},
	} {
		s, err := Text(strings.NewReader(c.text), textTime, NewStacks(), nil)
		assert.ErrorContains(t, err, c.message, name)
		assert.Equal(t, 1, s.Missing, name)
		assert.Zero(t, s.Total, name)
	}
}

func TestTextManyErrors(t *testing.T) {
	bad := strings.Repeat("goroutine 5 [select]:\nmain.f()\n\n", 25)
	s, err := Text(strings.NewReader(bad+one), textTime, NewStacks(), nil)
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	assert.Len(t, lines, maxProblems+1)
	assert.Equal(t, "line 4: goroutine 5 [select]: its text ends within a call", lines[1])
	assert.Equal(t, "and 5 more", lines[maxProblems])
	assert.Equal(t, 25, s.Missing)
	assert.Equal(t, 1, s.Total)
}

func TestTextErrorsHideLabels(t *testing.T) {
	for _, header := range []string{`goroutine 5 [select] {user: secret}:`, `goroutine 5 [select labels:{"user": "secret"}]:`, `goroutine 5 [select labels:{"user": "secret":`} {
		_, err := Text(strings.NewReader(header+"\nmain.f()\n"), textTime, NewStacks(), nil)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "secret")
	}
}

func TestTextReaderFails(t *testing.T) {
	broken := errors.New("connection reset")
	s, err := Text(io.MultiReader(strings.NewReader(one+"\n"), iotest.ErrReader(broken)), textTime, NewStacks(), new(goroutine.Births))
	assert.ErrorIs(t, err, broken)
	assert.Equal(t, 1, s.Total)

	long := strings.Repeat("x", 3*maxLine)
	s, err = Text(io.MultiReader(strings.NewReader(one+long), iotest.ErrReader(broken)), textTime, NewStacks(), new(goroutine.Births))
	assert.ErrorIs(t, err, broken)
	assert.Equal(t, 1, s.Total)
}

// TestTextCutAnywhere cuts every short fixture after every byte, and the long ones
// after every 17th. Each goroutine must be read whole, or be missing, or be the
// last one and lack frames at its end.
func TestTextCutAnywhere(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "text", "go1.*", "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		whole, err := Text(bytes.NewReader(data), textTime, NewStacks(), nil)
		require.NoError(t, err)
		known := make(map[goroutine.StackID]bool)
		for _, g := range whole.Groups {
			known[g.Stack.ID] = true
		}
		step := 1
		if len(data) > 1500 {
			step = 17 // the same lines repeat, and steps of 17 cut them at every place
		}
		for n := 0; n < len(data); n += step {
			s, _ := Text(bytes.NewReader(data[:n]), textTime, NewStacks(), new(goroutine.Births))
			total, unknown := 0, 0
			for _, g := range s.Groups {
				total += g.Count
				if !known[g.Stack.ID] {
					unknown += g.Count
				}
			}
			if total != s.Total || total+s.Missing > whole.Total+1 || unknown > 1 { // one goroutine of the runtime may not be recognizable yet
				t.Fatalf("%s cut at %d: %d of %d goroutines, %d missing, %d unknown", file, n, s.Total, total, s.Missing, unknown)
			}
			if n%61 == 0 {
				requireSane(t, s)
			}
		}
	}
}

// manyGoroutines generates a dump of n goroutines while it is read.
type manyGoroutines struct {
	n, next int
	write   func(w io.Writer, i int)
	buffer  bytes.Buffer
}

func (m *manyGoroutines) Read(p []byte) (int, error) {
	for m.buffer.Len() < len(p) && m.next < m.n {
		m.next++
		m.write(&m.buffer, m.next)
	}
	return m.buffer.Read(p)
}

func TestTextManyStacks(t *testing.T) {
	const n = 150_000
	states := []string{"select", "chan receive", "sync.Mutex.Lock"}
	births, stacks := new(goroutine.Births), NewStacks()
	s, err := Text(&manyGoroutines{n: n, write: func(w io.Writer, i int) {
		fmt.Fprintf(w, "goroutine %d [%s]:\nmain.f%d(0x1)\n\t/f.go:%d +0x1\nmain.g()\n\t/g.go:1\n\n", i, states[i%len(states)], i, i)
	}}, textTime, stacks, births)
	require.NoError(t, err)
	requireSane(t, s)
	assert.Equal(t, n, s.Total)
	assert.Len(t, s.Groups, MaxGroups+len(states))
	assert.Less(t, len(stacks.current), maxDistinct/(groupCost+2*frameCost), "what is kept while it is read")
	for state, count := range s.States() {
		assert.Equal(t, n/3, count, state)
	}
}

func TestTextManyStates(t *testing.T) {
	s, err := Text(&manyGoroutines{n: 1000, write: func(w io.Writer, i int) {
		fmt.Fprintf(w, "goroutine %d [state %d]:\nmain.f()\n\t/f.go:1\n\n", i, i)
	}}, textTime, NewStacks(), nil)
	require.NoError(t, err)
	assert.Len(t, s.States(), maxStates+1)
	assert.Equal(t, 1000-maxStates, s.States()[goroutine.Waiting])
}

// TestTextAncestors has a goroutine whose go statement a dump does not show.
func TestTextAncestors(t *testing.T) {
	s := parseText(t, "goroutine 7 [select]:\nmain.f()\n\t/f.go:1\n[originating from goroutine 1]:\nmain.main(...)\n\t/y.go:3\ncreated by main.h\n\t/y.go:4\n")
	assert.Len(t, s.Groups[0].Stack.Frames, 1)
	assert.Equal(t, goroutine.Frame{}, s.Groups[0].CreatedBy)
}

func TestTextBoundsNames(t *testing.T) {
	long := strings.Repeat("x", 10*maxName)
	frame := "main." + long + "end()\n\t/" + long + "/end.go:7\n"
	s := parseText(t, "goroutine 5 ["+long+"]:\n"+strings.Repeat(frame, 2*maxFrames)+"created by main."+long+"by\n\t/c.go:1\n")
	g := s.Groups[0]
	assert.Len(t, g.Stack.Frames, maxFrames)
	for _, f := range append(g.Stack.Frames, g.CreatedBy) {
		assert.LessOrEqual(t, len(f.Function), maxName)
		assert.LessOrEqual(t, len(f.File), maxName)
	}
	assert.True(t, strings.HasSuffix(g.Stack.Frames[0].Function, "xend"))
	assert.True(t, strings.HasSuffix(g.CreatedBy.Function, "xby"))
	assert.Equal(t, 7, g.Stack.Frames[0].Line)
	assert.Equal(t, goroutine.Waiting, g.State)
}

// TestTextAllocates checks that memory depends on the stacks, not on the
// goroutines.
func TestTextAllocates(t *testing.T) {
	allocations := func(n int) float64 {
		return testing.AllocsPerRun(3, func() {
			text := strings.Repeat(one+"\n", n)
			if _, err := Text(strings.NewReader(text), textTime, NewStacks(), new(goroutine.Births)); err != nil {
				t.Fatal(err)
			}
		})
	}
	assert.Less(t, (allocations(2000)-allocations(1000))/1000, 4.0, "for each goroutine more")
}

// BenchmarkText reads a dump of 100,000 goroutines, 10 frames deep, with 6
// distinct stacks. Each goroutine has its own addresses.
func BenchmarkText(b *testing.B) {
	var text bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&text, "goroutine %d [chan receive, %d minutes]:\n", i+1, i%60+1)
		for f := range 10 {
			fmt.Fprintf(&text, "github.com/example/service/internal/worker%d.(*Pool).run%d(0xc%09x, {0xc%09x?, 0x1})\n", i%6, f, i, i)
			fmt.Fprintf(&text, "\t/go/src/github.com/example/worker/pool.go:%d +0x1d\n", 100+f)
		}
		fmt.Fprintf(&text, "created by github.com/example/service/internal/worker%d.(*Pool).Start in goroutine %d\n\t/go/src/pool.go:1 +0x2a\n\n", i%6, i)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		s, err := Text(bytes.NewReader(text.Bytes()), textTime, NewStacks(), new(goroutine.Births))
		if err != nil || s.Total != 100_000 || len(s.Groups) != 6 {
			b.Fatal(s.Total, len(s.Groups), err)
		}
	}
}
