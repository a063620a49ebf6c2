// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// stacksIn returns the section about stacks of a text.
func stacksIn(t *testing.T, r *Report) string {
	t.Helper()
	_, text, found := strings.Cut(textOf(t, r), "\nStacks (")
	require.True(t, found)
	text, _, _ = strings.Cut(text, "\nFunctions, ")
	return text
}

// The stacks of findings are shown, also if few goroutines have them.
func TestStacksOfFindingsAreShown(t *testing.T) {
	many, few, few2, other := group(9, goroutine.Select, "main.many"), group(1, goroutine.ChanSend, "main.few"), group(1, goroutine.MutexLock, "main.holder"), group(2, goroutine.Running, "main.other")
	f := detectors.Finding{Detector: "leak", Confidence: detectors.High, Stack: few.Stack, State: few.State,
		Participants: []detectors.Participant{{Stack: few2.Stack, State: few2.State}, {Stack: many.Stack, State: many.State}}}
	text := stacksIn(t, one(snapshot(at, many, few, few2, other), Options{Stacks: 1}, f))
	shown, found, ok := strings.Cut(text, "\n\nStacks of the findings that are not among these (2)\n\n")
	require.True(t, ok, text)
	assert.Contains(t, shown, "main.many")
	assert.Contains(t, found, "main.few")
	assert.Contains(t, found, "main.holder")
	assert.NotContains(t, text, "main.other")
}

// The code of the user comes first. Frames of the standard library share a line.
func TestFramesAreFolded(t *testing.T) {
	handler := group(1, goroutine.MutexLock, "internal/sync.(*Mutex).lockSlow", "sync.(*Mutex).Lock", "main.transfer", "sort.Slice", "main.handle",
		"net/http.HandlerFunc.ServeHTTP", "net/http.serverHandler.ServeHTTP", "net/http.(*conn).serve")
	for name, c := range map[string]struct {
		group  goroutine.Group
		unfold bool
		want   string
	}{
		"a handler": {handler, false, `
      main.transfer (/src/main.transfer.go:3)
        calls sync.(*Mutex).Lock, +1 frame of internal/sync
      sort.Slice (/src/sort.Slice.go:4)
      main.handle (/src/main.handle.go:5)
      +3 frames of net/http
`},
		"unfolded": {handler, true, `
      internal/sync.(*Mutex).lockSlow (/src/internal/sync.(*Mutex).lockSlow.go:1)
      sync.(*Mutex).Lock (/src/sync.(*Mutex).Lock.go:2)
      main.transfer (/src/main.transfer.go:3)
      sort.Slice (/src/sort.Slice.go:4)
      main.handle (/src/main.handle.go:5)
      net/http.HandlerFunc.ServeHTTP (/src/net/http.HandlerFunc.ServeHTTP.go:6)
      net/http.serverHandler.ServeHTTP (/src/net/http.serverHandler.ServeHTTP.go:7)
      net/http.(*conn).serve (/src/net/http.(*conn).serve.go:8)
`},
		"only the standard library": {group(1, goroutine.IOWait, "internal/poll.runtime_pollWait", "internal/poll.(*FD).Read", "net.(*conn).Read", "bufio.(*Reader).Peek", "net/http.(*conn).serve"), false, `
      net/http.(*conn).serve (/src/net/http.(*conn).serve.go:5)
        calls bufio.(*Reader).Peek, +3 frames of net, internal/poll
`},
		"many packages": {group(1, goroutine.IOWait, "internal/poll.a", "net.b", "crypto/tls.c", "bufio.d", "net/http.e", "main.f"), false, `
      main.f (/src/main.f.go:6)
        calls net/http.e, +4 frames of bufio, crypto/tls, net and 1 more package
`},
		"only the runtime": {group(1, goroutine.Waiting, "runtime.gopark", "runtime.bgsweep", "runtime.goexit"), false, `
      runtime.bgsweep (/src/runtime.bgsweep.go:2)
        calls runtime.gopark
      runtime.goexit (/src/runtime.goexit.go:3)
`},
	} {
		text := stacksIn(t, one(snapshot(at, c.group), Options{Unfold: c.unfold}))
		_, frames, _ := strings.Cut(text, string(c.group.Stack.ID))
		assert.Equal(t, c.want, frames, name)
		terse := stacksIn(t, one(snapshot(at, c.group), Options{Unfold: c.unfold, Terse: true}))
		assert.Equal(t, text, terse, "%s: a terse report has the same text", name)
	}
}

// created returns a copy of a group with other goroutines.
func created(g goroutine.Group, by string, wait time.Duration, lock uint64, ids ...uint64) goroutine.Group {
	g.CreatedBy = goroutine.Frame{Function: by, File: "/src/" + by + ".go", Line: 9}
	g.Count, g.IDs, g.Wait, g.Lock = len(ids), ids, wait, lock
	return g
}

// Stacks that differ only in what is not shown are one. Waits come longest first, with
// the goroutines; so do the go statements with the most goroutines.
func TestStacksAreMerged(t *testing.T) {
	base := group(0, goroutine.MutexLock, "main.f")
	s := snapshot(at,
		created(base, "main.a", time.Minute, 0xc000010000, 7, 8),
		created(base, "main.b", 34*time.Minute, 0xc000020000, 5, 9, 11),
		created(base, "main.a", 0, 0xc000030000, 6))
	waits := map[uint64]float64{7: 60, 8: 0, 5: 2040, 9: 0, 11: 2040, 6: 0}
	o := Options{Waits: func(_ *goroutine.Snapshot, g *goroutine.Group) (list []Wait) {
		for _, id := range g.IDs {
			list = append(list, Wait{id, waits[id]})
		}
		return list
	}}
	assert.Equal(t, fmt.Sprintf(`1 of 1)

     6  100.0%%  sync.Mutex.Lock  %s
      waiting 34 min (goroutines 5, 11), 1 min (7), < 1 min (6, 8, 9)
      main.f (/src/main.f.go:1)
      3 created by main.b (/src/main.b.go:9)
      3 created by main.a (/src/main.a.go:9)
`, base.Stack.ID), stacksIn(t, one(s, o)))

	r := one(s, o)
	require.Len(t, r.Stacks, 3, "the model tells them apart")
	assert.Equal(t, []Wait{{5, 2040}, {11, 2040}, {9, 0}}, r.Stacks[0].Waits)

	o.Values = true
	assert.Contains(t, stacksIn(t, one(s, o)), "3 of 3)", "locks that are shown differ")
	assert.Contains(t, stacksIn(t, one(s, Options{})), "\n      waiting up to 34 min; goroutines 5, 6, 7, 8, 9, 11\n", "the waits of single goroutines are unknown")
}

// Of equally many goroutines, those that have waited longest come first. A time that is
// not known is not shown.
func TestLongestWaitsComeFirst(t *testing.T) {
	a, b, c := group(1, goroutine.Select, "main.a"), group(1, goroutine.Select, "main.b"), group(1, goroutine.Select, "main.c")
	b.Wait, c.Wait = time.Hour, 9*24*time.Hour
	text := stacksIn(t, one(snapshot(at, a, b, c), Options{}))
	var order []int
	for _, f := range []string{"waiting up to 9 days\n      main.c ", "waiting up to 60 min\n      main.b ", "\n      main.a "} {
		require.Contains(t, text, f)
		order = append(order, strings.Index(text, f))
	}
	assert.IsIncreasing(t, order)
	assert.NotContains(t, text, "0 s")
	assert.NotContains(t, text, "< 1 min", "nothing says so")
}

func TestACutStackIsMarked(t *testing.T) {
	g := group(1, goroutine.Select, "main.a")
	g.Cut = true
	assert.Contains(t, stacksIn(t, one(snapshot(at, g), Options{})), "\n      frames are missing: the text of the dump is cut off or damaged here\n")
}

// Functions are those of the user: a lock counts for the function that takes it.
func TestFunctionsOfTheUser(t *testing.T) {
	r := one(snapshot(at,
		group(4, goroutine.MutexLock, "internal/sync.(*Mutex).lockSlow", "sync.(*Mutex).Lock", "main.transfer", "sort.Slice", "main.handle", "net/http.(*conn).serve"),
		group(2, goroutine.IOWait, "internal/poll.(*FD).Read", "bufio.(*Reader).Peek", "net/http.(*conn).serve"),
		group(2, goroutine.Running, "main.handle", "net/http.(*conn).serve")), Options{})
	assert.Equal(t, Functions{
		Distinct: 3,
		Flat:     []Function{{"main.transfer", 4, 50, 4, 50}, {"main.handle", 2, 25, 6, 75}, {"net/http.(*conn).serve", 2, 25, 2, 25}},
		Cumulative: []Function{{"main.handle", 2, 25, 6, 75}, {"main.transfer", 4, 50, 4, 50},
			{"net/http.(*conn).serve", 2, 25, 2, 25}},
	}, r.Functions)
}

// A filter leaves findings and health as they are, and is told.
func TestAFilterIsTold(t *testing.T) {
	all := snapshot(at, group(9, goroutine.MutexLock, "main.a"), group(1, goroutine.Select, "main.b"))
	part := snapshot(at, group(1, goroutine.Select, "main.b"))
	o := Options{Filter: &Filter{Conditions: []string{"state select", "label x"}}, Whole: all, Same: true}
	r := one(part, o)
	assert.Equal(t, &Filter{[]string{"state select", "label x"}, 1, 10}, r.Filter)
	assert.Contains(t, textOf(t, r), "1 goroutine at 2026-01-02T03:04:05Z (text)\nFilter: state select and label x. 1 of 10 goroutines are shown; findings and health are about all.\n")
	assert.Equal(t, LevelWarn, checkOf(r.Health, "mutex").Level)
	var b strings.Builder
	require.NoError(t, New([]*goroutine.Snapshot{part, part}, nil, o).Diff.Text(&b, 0))
	assert.Contains(t, b.String(), "Filter: state select and label x. 1 of 10 goroutines")
	assert.NotContains(t, textOf(t, one(all, Options{})), "Filter")
}

// marks is a style that shows what it was asked for.
type marks struct{}

func (marks) Paint(r Role, text string) string    { return fmt.Sprintf("<%d:%s>", r, text) }
func (marks) Wrap(line string, indent int) string { return fmt.Sprintf("%d|%s", indent, line) }
func (marks) File(path string) string             { return "short" }
func styled(t *testing.T, r *Report, s Style) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.Styled(&b, s))
	return b.String()
}

func TestStyle(t *testing.T) {
	text := styled(t, one(snapshot(at, group(2, goroutine.Select, "main.a")), Options{}), marks{})
	assert.Contains(t, text, fmt.Sprintf("\n8|  <%d:   2>  100.0%%  <%d:select>", RoleTitle, RoleState))
	assert.Contains(t, text, fmt.Sprintf("\n8|      main.a<%d: (short:1)>\n", RoleAside))
	for line := range strings.Lines(text) {
		if line != "\n" {
			assert.Regexp(t, `^\d+\|`, line, "every line is wrapped")
		}
	}
}
