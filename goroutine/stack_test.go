// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func frames(functions ...string) []Frame {
	var list []Frame
	for i, f := range functions {
		list = append(list, Frame{Function: f, File: "/src/" + f + ".go", Line: i + 1})
	}
	return list
}

func TestPackage(t *testing.T) {
	for function, want := range map[string]string{
		"":                               "",
		"main.main":                      "main",
		"main.(*T).Method":               "main",
		"main.T.Method-fm":               "main",
		"net/http.(*conn).serve":         "net/http",
		"github.com/a/b.F.func1.2":       "github.com/a/b",
		"gopkg.in/yaml%2ev3.Unmarshal":   "gopkg.in/yaml%2ev3",
		"main.F[...]":                    "main",
		"main.F[github.com/a/b.T].func1": "main",
		"github.com/a/b.(*T[net/http.Client]).Do":        "github.com/a/b",
		"github.com/a/b.(*T[...]).Do.gowrap1":            "github.com/a/b",
		"nodots":                                         "nodots",
		"runtime.gopark":                                 "runtime",
		"internal/runtime/syscall.Syscall6":              "internal/runtime/syscall",
		"vendor/golang.org/x/net/http2/hpack.NewDecoder": "vendor/golang.org/x/net/http2/hpack",
	} {
		assert.Equal(t, want, Frame{Function: function}.Package(), function)
	}
}

func TestStandard(t *testing.T) {
	for function, want := range map[string]bool{
		"net/http.(*conn).serve":         true,
		"sync.(*Mutex).Lock":             true,
		"runtime.gopark":                 true,
		"internal/poll.(*FD).Read":       true,
		"vendor/golang.org/x/net/idna.F": true,
		"main.main":                      false,
		"myservice/http.Serve":           false, // a module without a dot in its path
		"github.com/a/b.F":               false,
		"golang.org/x/sync.F":            false,
		"network.F":                      false,
		"0xabc":                          false,
		"main.F[net/http.Client]":        false,
	} {
		assert.Equal(t, want, Frame{Function: function}.Standard(), function)
	}
}

// TestStandardRootsAreAll compares the table with what the go command lists.
// The table holds those of Go 1.27; an older one may have fewer.
func TestStandardRootsAreAll(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go tool")
	}
	out, err := exec.Command("go", "list", "std").Output()
	require.NoError(t, err)
	listed := make(map[string]bool)
	for path := range strings.FieldsSeq(string(out)) {
		root, _, _ := strings.Cut(path, "/")
		listed[root] = true
	}
	require.Greater(t, len(listed), 40)
	for root := range listed {
		assert.True(t, standardRoots[root], "%s is missing from the table", root)
	}
	newer := map[string]bool{"simd": true, "uuid": true}
	for root := range standardRoots {
		assert.True(t, listed[root] || newer[root] || root == "vendor", "%s is in the table alone", root)
	}
}

func TestStackIDForm(t *testing.T) {
	id := NewStack(frames("main.f")).ID
	assert.Regexp(t, "^[0-9a-f]{16}$", string(id))
	assert.Equal(t, StackID("71cee207cf0efcec"), NewStack(frames("main.f", "main.main")).ID, "an ID must not change from release to release")
	assert.NotEqual(t, OtherStacks, NewStack(nil).ID)
}

// TestStackIDIgnores has stacks that are one, as different sources and builds
// see it.
func TestStackIDIgnores(t *testing.T) {
	want := NewStack(frames("sync.(*Mutex).Lock", "main.G[...].func1", "main.deferred", "main.f")).ID
	for name, list := range map[string][]Frame{
		"leaf of a profile":        frames("runtime.gopark", "runtime.semacquire1", "sync.(*Mutex).Lock", "main.G[...].func1", "main.deferred", "main.f"),
		"outermost of a profile":   frames("sync.(*Mutex).Lock", "main.G[...].func1", "main.deferred", "main.f", "runtime.goexit"),
		"middle that a dump hides": frames("sync.(*Mutex).Lock", "main.G[...].func1", "main.deferred", "runtime.gopanic", "runtime.panicmem", "main.f"),
		"type arguments in full":   frames("sync.(*Mutex).Lock", "main.G[go.shape.[]int].func1", "main.deferred", "main.f"),
		"two lists of them":        frames("sync.(*Mutex).Lock", "main.G[...].Inner[...].func1", "main.deferred", "main.f"),
	} {
		assert.Equal(t, want, NewStack(list).ID, name)
	}
	moved := frames("sync.(*Mutex).Lock", "main.G[...].func1", "main.deferred", "main.f")
	for i := range moved {
		moved[i].Line, moved[i].File = 99, "elsewhere.go"
	}
	assert.Equal(t, want, NewStack(moved).ID, "lines and files")
}

func TestStackIDTells(t *testing.T) {
	seen := map[StackID][]string{}
	for _, functions := range [][]string{
		{}, {"main.f"}, {"main.g"}, {"main.f", "main.g"}, {"main.g", "main.f"}, {"main.fmain.g"}, {"main.f", "main.f"},
		{"main.F[...]"}, {"main.F"}, {"main.F[...].func1"}, {"internal/runtime/maps.f"}, {"runtime/pprof.Do"}, {"main.f\nmain.g\n"},
	} {
		id := NewStack(frames(functions...)).ID
		assert.Nil(t, seen[id], "%v and %v", functions, seen[id])
		seen[id] = append(functions, "")
	}
}

// TestStackIDDepth has stacks that a source cut: the ID must not see the cut.
func TestStackIDDepth(t *testing.T) {
	var deep []string
	for i := range 100 {
		deep = append(deep, fmt.Sprintf("main.f%d", i))
	}
	whole := NewStack(frames(deep...)).ID
	assert.Equal(t, whole, NewStack(frames(deep[:idDepth]...)).ID)
	assert.NotEqual(t, whole, NewStack(frames(deep[:idDepth-1]...)).ID)
	runtimes := []string{"runtime.gopark", "runtime.goparkunlock", "runtime.semacquire1", "runtime.a", "runtime.b", "runtime.c", "runtime.d"}
	profile := append(slices.Clone(runtimes), deep...)[:32]
	assert.Equal(t, whole, NewStack(frames(profile...)).ID, "a profile has 32 frames")
}

func TestUserEntryVisible(t *testing.T) {
	for _, c := range []struct {
		name        string
		stack       []string
		user, entry string
		visible     int
	}{
		{"none", nil, "", "", 0},
		{"usual", []string{"runtime.gopark", "sync.(*Mutex).Lock", "main.f", "main.g", "runtime.goexit"}, "main.f", "main.g", 3},
		{"standard library alone", []string{"runtime.gopark", "sync.(*Mutex).Lock", "runtime.goexit"}, "sync.(*Mutex).Lock", "sync.(*Mutex).Lock", 1},
		{"a server's own loop", []string{"runtime.gopark", "internal/poll.runtime_pollWait", "net.(*conn).Read", "net/http.(*conn).serve", "runtime.goexit"}, "net/http.(*conn).serve", "net/http.(*conn).serve", 3},
		{"runtime alone", []string{"runtime.corostart", "runtime.goexit"}, "runtime.corostart", "runtime.corostart", 2},
		{"goexit alone", []string{"runtime.goexit"}, "", "", 1},
		{"runtime in the middle", []string{"main.deferred", "runtime.gopanic", "main.f", "runtime.main"}, "main.deferred", "main.f", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewStack(frames(c.stack...))
			assert.Equal(t, c.user, s.User().Function)
			assert.Equal(t, c.entry, s.Entry().Function)
			assert.Len(t, s.Visible(), c.visible)
		})
	}
}

func TestHas(t *testing.T) {
	s := NewStack(frames("runtime.gopark", "main.f"))
	assert.True(t, s.Has("runtime.gopark"))
	assert.True(t, s.Has("main.f"))
	assert.False(t, s.Has("main"))
	assert.False(t, NewStack(nil).Has(""))
}

func TestText(t *testing.T) {
	s := NewStack([]Frame{{Function: "runtime.gopark"}, {Function: "main.f", File: "/f.go", Line: 7}, {Function: "main.g"}})
	assert.Equal(t, "main.f(...)\n\t/f.go:7\nmain.g(...)\n", s.Text(1000))
	assert.Empty(t, NewStack(nil).Text(1000))
}

// TestTextIsBounded tries every length: it is never exceeded, never cuts a
// frame, and a cut shows where there is room for the mark.
func TestTextIsBounded(t *testing.T) {
	s := NewStack(frames("main.f", "main.g", "main.h", "main.i"))
	whole := s.Text(1 << 20)
	for limit := -1; limit <= len(whole)+4; limit++ {
		text := s.Text(limit)
		require.LessOrEqual(t, len(text), max(limit, 0))
		cut, marked := strings.CutSuffix(text, "...\n")
		if text == whole {
			continue
		}
		require.Equal(t, limit >= len("...\n"), marked, "%d: %q", limit, text)
		if marked {
			require.True(t, strings.HasPrefix(whole, cut), "%d: %q", limit, text)
			require.True(t, cut == "" || strings.HasSuffix(cut, "\n"), "%d: %q", limit, text)
		}
	}
	assert.Equal(t, whole, s.Text(len(whole)+4))
}

func TestFrameString(t *testing.T) {
	assert.Equal(t, "main.f (/f.go:7)", Frame{"main.f", "/f.go", 7}.String())
	assert.Equal(t, "main.f", Frame{Function: "main.f"}.String())
}
