// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/words"
)

// timedOut describes the end of a test binary by its time limit. The goroutine that
// panics is that of the timer: those of the running tests matter.
func (c *crash) timedOut(rest string) {
	limit, _, _ := strings.Cut(rest, "\n")
	var tests []string
	for _, m := range runningTest.FindAllStringSubmatch(rest, -1) {
		tests = append(tests, m[1])
	}
	c.Message = fmt.Sprintf("The test binary was ended by its time limit of %s.", limit)
	if len(tests) > 0 {
		c.Message = fmt.Sprintf("The test binary was ended by its time limit of %s: %s %s still running.", limit, strings.Join(tests, ", "), words.Verb(len(tests), "was", "were"))
	}
	c.Stack, c.State, c.IDs, c.CreatedBy, c.Count = goroutine.NewStack(nil), "", nil, goroutine.Frame{}, 0
	for i := range c.Goroutines {
		g := &c.Goroutines[i]
		if !ranBy(g, tests) {
			continue
		}
		c.note("Goroutine %d of %s was in %s at %s%s.", g.ID, testOf(g), g.State, where(g.Stack), waited(g.Wait))
		if c.Count == 0 {
			c.Stack, c.State, c.IDs, c.CreatedBy = g.Stack, g.State, []uint64{g.ID}, g.CreatedBy
		}
		c.Count++
	}
	if c.Count == 1 {
		c.Message += fmt.Sprintf(" Its goroutine %d is in %s at %s.", c.IDs[0], c.State, where(c.Stack))
	}
	c.Advice = "See what the running tests wait for: it is not the line of the panic, which only reports the time limit."
}

var runningTest = regexp.MustCompile(`(?m)^\s*(\S+) \([0-9.hms]+\)\s*$`)

// ranBy reports whether a goroutine runs one of the tests, by their top-level functions.
// The goroutine of a test that waits for a subtest is left out.
func ranBy(g *parse.Detail, tests []string) bool {
	if !g.Stack.Has("testing.tRunner") || len(g.Stack.Frames) == 0 || g.Stack.User().Standard() {
		return false
	}
	if g.Stack.Has("testing.(*T).Run") {
		return false
	}
	name := testOf(g)
	return len(tests) == 0 || name == "" || slices.ContainsFunc(tests, func(t string) bool {
		top, _, _ := strings.Cut(t, "/")
		return strings.Contains(name, top)
	})
}

// testOf returns the function that testing.tRunner called, without its package.
func testOf(g *parse.Detail) string {
	for i, f := range g.Stack.Frames {
		if f.Function == "testing.tRunner" && i > 0 {
			name := g.Stack.Frames[i-1].Function
			return strings.TrimPrefix(name[len(g.Stack.Frames[i-1].Package()):], ".")
		}
	}
	return ""
}
