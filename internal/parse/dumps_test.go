// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

func dumpsOf(text string) ([]Dump, error) {
	return Dumps(strings.NewReader(text), textTime, NewStacks(), new(goroutine.Births))
}

// oneDump returns the only dump of a text, which must be readable completely.
func oneDump(t testing.TB, text string) *goroutine.Snapshot {
	t.Helper()
	dumps, err := dumpsOf(text)
	require.NoError(t, err, text)
	require.Len(t, dumps, 1, text)
	requireSane(t, dumps[0].Snapshot)
	return dumps[0].Snapshot
}

// described says everything that a dump shows of goroutines, a line for each group.
func described(s *goroutine.Snapshot) string {
	var b strings.Builder
	for i := range s.Groups {
		g := &s.Groups[i]
		fmt.Fprintf(&b, "%d %v [%s] %v %#x %+v cut %v\n", g.Count, g.IDs, g.State, g.Wait, g.Lock, g.CreatedBy, g.Cut)
		for _, f := range g.Stack.Frames {
			fmt.Fprintf(&b, "\t%s %s:%d\n", f.Function, f.File, f.Line)
		}
	}
	return b.String()
}

// TestPasted reads inputs as people paste them.
func TestPasted(t *testing.T) {
	worker := "1 [7] [sync.Mutex.Lock] 34m0s 0x0 main.main (/app/main.go:23) cut false\n" +
		"\tsync.(*Mutex).Lock /go/src/sync/mutex.go:46\n\tmain.work /app/main.go:29\n"
	account := func(id int, lock string) string {
		return fmt.Sprintf("1 [%d] [sync.Mutex.Lock] 0s %s  cut false\n", id, lock) +
			"\tinternal/sync.(*Mutex).lockSlow /go/src/internal/sync/mutex.go:149\n\tsync.(*Mutex).Lock /go/src/sync/mutex.go:46\n" +
			"\tmain.(*Account).Deposit /app/main.go:30\n\tmain.(*Account).Transfer /app/main.go:24\n"
	}
	old := func(id int, wait, function string, line int) string {
		return fmt.Sprintf("1 [%d] [sync.Mutex.Lock] %s 0x0  cut false\n", id, wait) +
			"\tsync.runtime_Semacquire /go/src/runtime/sema.go:43\n\tsync.(*Mutex).Lock /go/src/sync/mutex.go:82\n" +
			fmt.Sprintf("\t%s /app/main.go:%d\n", function, line)
	}
	for name, c := range map[string]struct {
		want    []string // parts of the description, each a group
		problem string
		preface []string
	}{
		"all-asleep.txt": {
			want:    []string{"1 [1] [sync.WaitGroup.Wait] 0s 0x0  cut false\n\tsync.(*WaitGroup).Wait /go/src/sync/waitgroup.go:129\n\tmain.main /app/main.go:121\n"},
			preface: []string{"fatal error: all goroutines are asleep - deadlock!"},
		},
		"ansi-at-headers.txt": {want: []string{worker}},
		"byte-order-mark.txt": {want: []string{worker}},
		"cut-in-a-line.txt": {
			want:    []string{"1 [9] [chan receive] 12m0s 0x0  cut true\n\tmain.consume /app/main.go:50\n"},
			problem: "line 1: goroutine 9 [chan receive]: its text ends within a call; the 1 frames before are kept",
		},
		"double-spaced-main-select.txt": {want: []string{"1 [1] [select (no cases)] 1h0m0s 0x0  cut false\n\tmain.main /app/main.go:9\n"}},
		"go-test-json.jsonl":            {want: []string{worker}},
		"indent-lost.txt":               {want: []string{worker}},
		"lock-order-two.txt":            {want: []string{account(24, "0xc0000a160"), account(25, "0xc0000a140")}},
		"old-mutex-semacquire.txt":      {want: []string{old(7997, "1h36m0s", "main.status", 388), old(7593, "7h28m0s", "main.logs", 436)}},
		"spaces-for-tabs.txt":           {want: []string{worker}},
		"stack-overflow-elided.txt": {
			want:    []string{"1 [21] [running] 0s 0x0  cut false\n\tmain.w /app/main.go:14\n\tmain.main /app/main.go:66\n"},
			preface: []string{"fatal error: stack overflow"},
		},
		"trailing-blanks.txt": {want: []string{worker}},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := os.Open(filepath.Join("testdata", "pasted", name))
			require.NoError(t, err)
			defer file.Close()
			dumps, err := Dumps(NewTextReader(newBuffered(file)), textTime, NewStacks(), new(goroutine.Births))
			if c.problem == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, c.problem)
			}
			require.Len(t, dumps, 1)
			s := dumps[0].Snapshot
			requireSane(t, s)
			for _, group := range c.want {
				assert.Contains(t, described(s), group)
			}
			assert.Equal(t, len(c.want), s.Total)
			assert.Zero(t, s.Missing)
			assert.Equal(t, c.preface, dumps[0].Preface)
		})
	}
	files, err := os.ReadDir(filepath.Join("testdata", "pasted"))
	require.NoError(t, err)
	assert.Len(t, files, 12, "each has a case above")
}

// TestDumpsReadsWhatTextReads reads every fixture in both ways.
func TestDumpsReadsWhatTextReads(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "text", "go1.*", "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		want, err := Text(bytes.NewReader(data), textTime, NewStacks(), new(goroutine.Births))
		require.NoError(t, err)
		for _, in := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data))} {
			dumps, err := Dumps(in, textTime, NewStacks(), new(goroutine.Births))
			require.NoError(t, err, file)
			require.Len(t, dumps, 1, file)
			require.Equal(t, described(want), described(dumps[0].Snapshot), file)
			require.Equal(t, want.Bytes, dumps[0].Snapshot.Bytes)
		}
	}
}

// TestWrappings reads a dump of two goroutines in wrappings of all kinds.
func TestWrappings(t *testing.T) {
	text := one + "\ngoroutine 9 gp=0xc000006380 m=nil [select (no cases), 61 minutes, locked to thread]:\nmain.idle({0xc000010000, 0xc000010000}, 0xc000010000, 0xc000010000, {0xc000010000, 0xc000010000, 0xc000010000})\n\t/src/with/a/long/name/d.go:78 +0x2a fp=0xc000010000 sp=0xc000010000 pc=0x4a8f20\ncreated by main.main in goroutine 1\n\t/src/d.go:9 +0x7\n"
	want := described(oneDump(t, text))
	for name, w := range wrappings() {
		t.Run(name, func(t *testing.T) {
			wrapped := w.wrap(text)
			require.NotEqual(t, text, wrapped)
			dumps, err := Dumps(NewTextReader(newBuffered(strings.NewReader(wrapped))), textTime, NewStacks(), new(goroutine.Births))
			require.NoError(t, err, wrapped)
			require.Len(t, dumps, 1, wrapped)
			assert.Equal(t, want, described(dumps[0].Snapshot), wrapped)
		})
	}
}

// TestSeries reads inputs with several dumps.
func TestSeries(t *testing.T) {
	gor := func(id int, state string) string {
		return fmt.Sprintf("goroutine %d [%s]:\nmain.f(0x%x)\n\t/f.go:%d +0x1\n\n", id, state, id, id)
	}
	for name, c := range map[string]struct {
		text string
		want [][]int // IDs
		line []int
	}{
		"one":                         {gor(1, "select") + gor(2, "select"), [][]int{{1, 2}}, []int{1}},
		"the same IDs":                {gor(1, "select") + gor(2, "select") + gor(1, "select") + gor(3, "select"), [][]int{{1, 2}, {1, 3}}, []int{1, 9}},
		"each begins with its reader": {gor(7, "running") + gor(1, "select") + gor(2, "select") + gor(9, "running") + gor(1, "select"), [][]int{{7, 1, 2}, {9, 1}}, []int{1, 13}},
		"other running goroutines":    {gor(7, "running") + gor(1, "select") + gor(9, "running") + gor(2, "select"), [][]int{{7, 1, 9, 2}}, []int{1}},
		"running at the end":          {gor(7, "select") + gor(9, "running"), [][]int{{7, 9}}, []int{1}},
		"a thread's stack":            {gor(7, "running") + "goroutine 9 [running]:\n\tgoroutine running on other thread; stack unavailable\ncreated by main.f\n\t/f.go:1 +0x1\n\n" + gor(2, "select"), [][]int{{7, 9, 2}}, []int{1}},
		"two panics":                  {"panic: a\n\n" + gor(18, "running") + "exit status 2\nrestart\npanic: b\n\n" + gor(22, "running"), [][]int{{18}, {22}}, []int{3, 11}},
		"recovered panics":            {"http: panic serving 1.2.3.4:5: x\n" + gor(18, "running") + "http: panic serving 1.2.3.4:6: x\n" + gor(22, "running"), [][]int{{18}, {22}}, []int{2, 7}},
		"signal, all asleep":          {"SIGQUIT: quit\nPC=0x1 m=0 sigcode=0\n\n" + gor(1, "select") + gor(5, "select") + "rax    0x0\n\nfatal error: all goroutines are asleep - deadlock!\n\n" + gor(2, "select"), [][]int{{1, 5}, {2}}, []int{4, 16}},
		"threads of one crash":        {"SIGQUIT: quit\n\n" + gor(1, "running") + gor(5, "select") + "-----\n\nSIGQUIT: quit\n\n" + gor(5, "running") + gor(6, "select"), [][]int{{1, 5, 6}}, []int{3}},
	} {
		t.Run(name, func(t *testing.T) {
			dumps, err := dumpsOf(c.text)
			require.NoError(t, err)
			var ids [][]int
			var lines []int
			for _, d := range dumps {
				requireSane(t, d.Snapshot)
				var of []int
				for _, g := range d.Snapshot.Groups {
					for _, id := range g.IDs {
						of = append(of, int(id))
					}
				}
				ids, lines = append(ids, of), append(lines, d.Line)
			}
			require.Len(t, ids, len(c.want))
			for i := range ids {
				assert.ElementsMatch(t, c.want[i], ids[i])
			}
			assert.Equal(t, c.line, lines)
		})
	}
}

func TestSeriesIsBounded(t *testing.T) {
	dumps, err := dumpsOf(strings.Repeat("panic: x\n\n"+one+"\n", MaxDumps+3))
	require.ErrorContains(t, err, "only the first 256 dumps are read, and 3 more are not")
	assert.Len(t, dumps, MaxDumps)

	dumps, err = dumpsOf(strings.Repeat(strings.Repeat("x", 2*maxPrefaceLine)+"\n", 2*maxPreface) + one)
	require.NoError(t, err)
	require.Len(t, dumps[0].Preface, maxPreface)
	assert.Len(t, dumps[0].Preface[0], maxPrefaceLine)
}

// TestDumpsSays says what could not be read, and where.
func TestDumpsSays(t *testing.T) {
	for name, c := range map[string]struct {
		text, problem  string
		total, missing int
	}{
		"nothing":                    {"hello\n", "no goroutine found", 0, 0},
		"a header that is cut":       {one + "\ngoroutine 9 [chan rec", "line 9: goroutine 9: the header is cut off", 1, 1},
		"a damaged header":           {"goroutine 9 [chan rec\nmain.f()\n\t/f.go:1 +0x1\n\n" + one, "line 1: goroutine 9: the header is cut off", 1, 1},
		"a name that is cut":         {one + "\ngoroutine 9 [select]:\nmain.f()\n\t/f.go:1 +0x1\nmain.Fo", "line 9: goroutine 9 [select]: its text ends within a call; the 1 frames before are kept", 2, 0},
		"a place that is cut":        {one + "\ngoroutine 9 [select]:\nmain.f()\n\t/f.go:1 +0x1\nmain.g()\n\t/g.g", "the 2 frames before are kept", 2, 0},
		"a creation that is cut":     {one + "\ngoroutine 9 [select]:\nmain.f()\n\t/f.go:1 +0x1\ncreated by ma", "the 1 frames before are kept", 2, 0},
		"a lost place":               {"goroutine 9 [select]:\nmain.f()\n\t/f.go:1 +0x1\nmain.g()\ncreated by main.h\n\t/h.go:1 +0x1\n\n" + one, "line 1: goroutine 9 [select]: line 5 comes before the place of the last call; the 2 frames before are kept", 2, 0},
		"a lost call":                {"goroutine 9 [select]:\n\t/f.go:1 +0x1\n\n" + one, "line 1: goroutine 9 [select]: line 2 is the place of a missing call; the 0 frames before are kept", 2, 0},
		"the first call is cut":      {one + "\ngoroutine 9 [select]:\nmain.f(0x1, ", "line 9: goroutine 9 [select]: its text ends within a call; the 0 frames before are kept", 2, 0},
		"in a record, with its line": {`{"a":1}` + "\n" + `{"msg":"goroutine 9 [select]:\nmain.f()\n\t/f.go:1 +0x1\nmain.g(0x"}` + "\n", "line 2: goroutine 9 [select]: its text ends within a call", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dumps, err := dumpsOf(c.text)
			require.ErrorContains(t, err, c.problem)
			total, missing := 0, 0
			for _, d := range dumps {
				requireSane(t, d.Snapshot)
				total += d.Snapshot.Total
				missing += d.Snapshot.Missing
			}
			assert.Equal(t, c.total, total)
			assert.Equal(t, c.missing, missing)
		})
	}
}

func TestManyGoroutinesUnderOneHeader(t *testing.T) {
	s := oneDump(t, "48 goroutines [semacquire, 4 minutes]:\nmain.f()\n\t/f.go:1 +0x1\n\n7 goroutines [select]:\nmain.g()\n\t/g.go:1 +0x1\n")
	assert.Equal(t, 55, s.Total)
	assert.Equal(t, 48, groupAt(t, s, "main.f").Count)
	assert.Equal(t, 4*time.Minute, groupAt(t, s, "main.f").Wait)
	assert.False(t, s.HasIDs())
}

// TestRaceReports reads what the race detector prints, as goroutines.
func TestRaceReports(t *testing.T) {
	report := func(id int) string {
		return fmt.Sprintf("==================\nWARNING: DATA RACE\nWrite at 0x00c0000e4030 by goroutine %d:\n  main.write()\n      /app/main.go:15 +0x3b\n  main.start.func1()\n      /app/main.go:20 +0x1\n\n"+
			"Previous read at 0x00c0000e4030 by main goroutine:\n  main.main()\n      /app/main.go:9 +0x44\n\n"+
			"Goroutine %d (finished) created at:\n  main.start()\n      /app/main.go:18 +0xa1\n  main.main()\n      /app/main.go:8 +0x2\n==================\n", id, id)
	}
	dumps, err := dumpsOf(report(7) + "FAIL\n" + report(8) + one)
	require.NoError(t, err)
	require.Len(t, dumps, 3)
	for i, line := range []int{3, 22, 38} {
		assert.Equal(t, line, dumps[i].Line)
		requireSane(t, dumps[i].Snapshot)
	}
	assert.Equal(t, 2, dumps[0].Snapshot.Total)
	got := described(dumps[0].Snapshot)
	assert.Contains(t, got, "1 [7] [finished] 0s 0x0 main.start (/app/main.go:18) cut false\n\tmain.write /app/main.go:15\n\tmain.start.func1 /app/main.go:20\n")
	assert.Contains(t, got, "1 [1] [running] 0s 0x0  cut false\n\tmain.main /app/main.go:9\n")
	assert.Equal(t, described(oneDump(t, one)), described(dumps[2].Snapshot))
	assert.Contains(t, dumps[1].Preface, "WARNING: DATA RACE")
}

// TestDumpsOfOtherRuntimes reads what older and other runtimes write.
func TestDumpsOfOtherRuntimes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"Go 1.0": {
			"goroutine 1 [chan receive]:\nmain.main()\n\t/tmp/x.go:5 +0x4c\n\ngoroutine 2 [syscall]:\ncreated by runtime.main\n\t/usr/lib/go/src/pkg/runtime/proc.c:221\n",
			"1 [1] [chan receive] 0s 0x0  cut false\n\tmain.main /tmp/x.go:5\n",
		},
		"Go 1.4": {
			"goroutine 16 [finalizer wait, 3 minutes]:\nruntime.park(0x4135d0, 0x5e8f98, 0x5e7b69)\n\t/usr/local/go/src/pkg/runtime/proc.c:1369 +0x89\nruntime.goexit()\n\t/usr/local/go/src/pkg/runtime/proc.c:1445\n\ngoroutine 19 [select]:\nmain.func·001(0x1)\n\t/app/main.go:20 +0x1d\ncreated by main.main\n\t/app/main.go:9 +0x1\n",
			"1 [19] [select] 0s 0x0 main.main (/app/main.go:9) cut false\n\tmain.func·001 /app/main.go:20\n",
		},
		"gccgo": {
			"goroutine 5 [chan receive]:\nruntime.gopark\n\t../../../libgo/go/runtime/proc.go:421\nruntime.chanrecv\n\t../../../libgo/go/runtime/chan.go:535\nmain.f..func1\n\t/app/main.go:12\ncreated by main.f\n\t/app/main.go:11\n",
			"1 [5] [chan receive] 0s 0x0 main.f (/app/main.go:11) cut false\n\truntime.gopark ../../../libgo/go/runtime/proc.go:421\n\truntime.chanrecv ../../../libgo/go/runtime/chan.go:535\n\tmain.f..func1 /app/main.go:12\n",
		},
		"cgo": {
			"goroutine 1 [syscall]:\nnon-Go function\n\tpc=0x7f01\npthread_join\n\t/usr/src/nptl.c:47 pc=0x7f02\nruntime.cgocall(0x1, 0x2)\n\t/go/src/runtime/cgocall.go:157 +0x5c fp=0x1 sp=0x2 pc=0x3\nmain._Cfunc_join(0x1)\n\t_cgo_gotypes.go:47 +0x4b\n",
			"1 [1] [syscall] 0s 0x0  cut false\n\tpthread_join /usr/src/nptl.c:47\n\truntime.cgocall /go/src/runtime/cgocall.go:157\n\tmain._Cfunc_join _cgo_gotypes.go:47\n",
		},
		"registers": {
			"SIGQUIT: quit\nPC=0x46e0e1 m=0 sigcode=0\n\ngoroutine 0 gp=0x1 m=0 mp=0x2 [idle]:\nruntime.futex(0x1)\n\t/go/src/runtime/sys.s:557 +0x21 fp=0x1 sp=0x2 pc=0x3\n\n" + one + "\nrax    0xca\nrbx    0x0\nrip    0x46e0e1\nrflags 0x286\ncs     0x33\nexit status 2\n",
			described(oneDump(t, one)),
		},
		"Windows": {
			"goroutine 3 [select]:\r\nmain.f(0x1)\r\n\tC:/Users/a b/main.go:7 +0x1d\r\ncreated by main.main in goroutine 1\r\n\tC:/Users/a b/main.go:3 +0x1\r\n",
			"1 [3] [select] 0s 0x0 main.main (C:/Users/a b/main.go:3) cut false\n\tmain.f C:/Users/a b/main.go:7\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for wrapping, w := range wrappings() {
				if w.kind == layoutWrapping && strings.Contains(wrapping, "wrapped") {
					continue // names without parentheses cannot be told from beginnings of others
				}
				dumps, err := Dumps(NewTextReader(newBuffered(strings.NewReader(w.wrap(c.text)))), textTime, NewStacks(), new(goroutine.Births))
				require.NoError(t, err, wrapping)
				require.Len(t, dumps, 1, wrapping)
				require.Contains(t, described(dumps[0].Snapshot), c.want, wrapping)
			}
		})
	}
}
