// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package dumps

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/DataDog/gostackparse"
	"github.com/maruel/panicparse/v2/stack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A reading is what a reader says about a goroutine.
type reading struct {
	id      uint64
	state   string
	wait    time.Duration // whole minutes
	frames  []frame       // innermost first
	creator frame         // the go statement
}

type frame struct {
	function string
	file     string // its base
	line     int
}

// moduleDir returns the directory of a module in the module cache.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// ours reads a text, and returns all goroutines of all dumps. Those of a group of which
// the ID is not kept have the ID 0.
func ours(text string) (all []reading, missing int, err error) {
	in := parse.NewTextReader(bufio.NewReader(strings.NewReader(text)))
	dumps, err := parse.Dumps(in, time.Time{}, parse.NewStacks(), new(goroutine.Births))
	for _, d := range dumps {
		missing += d.Snapshot.Missing
		if len(d.Details.Goroutines) > 0 {
			all = append(all, detailed(d.Details)...)
		} else { // single goroutines are kept of the last two dumps only
			all = append(all, grouped(d.Snapshot)...)
		}
	}
	return all, missing, err
}

func detailed(d *parse.Details) (all []reading) {
	for _, g := range d.Goroutines {
		r := readingOf(g.ID, g.State, g.Wait, g.Stack, g.CreatedBy)
		all = append(all, r)
		r.id = 0
		all = append(all, slices.Repeat([]reading{r}, g.More)...)
	}
	return all
}

func grouped(s *goroutine.Snapshot) (all []reading) {
	for i := range s.Groups {
		g := &s.Groups[i]
		r := readingOf(0, g.State, g.Wait, g.Stack, g.CreatedBy)
		all = append(all, slices.Repeat([]reading{r}, g.Count-len(g.IDs))...)
		for _, r.id = range g.IDs {
			all = append(all, r)
		}
	}
	return all
}

func readingOf(id uint64, state goroutine.State, wait time.Duration, stack *goroutine.Stack, creator goroutine.Frame) reading {
	r := reading{id: id, state: string(state), wait: wait, creator: frameOf(creator)}
	for _, f := range stack.Frames {
		r.frames = append(r.frames, frameOf(f))
	}
	return r
}

func frameOf(f goroutine.Frame) frame {
	if f.Function == "" {
		return frame{}
	}
	return frame{f.Function, filepath.Base(f.File), f.Line}
}

// requireAtLeast checks that everything in theirs is in ours, each goroutine as often.
// Both readers and the runtime differ in two names, on purpose: "panic" is
// runtime.gopanic. Goroutines of the runtime itself are left out, and so is
// runtime.goexit, which is below each goroutine but shown by some dumps only.
func requireAtLeast(t *testing.T, theirs, ours []reading) {
	t.Helper()
	for _, want := range theirs {
		if want.id == 0 || ofRuntime(want) {
			continue
		}
		if n := len(want.frames) - 1; n >= 0 && want.frames[n].function == "runtime.goexit" {
			want.frames = want.frames[:n]
		}
		best := find(ours, want.id, want.frames)
		if best < 0 {
			best = find(ours, 0, want.frames)
		}
		if !assert.GreaterOrEqual(t, best, 0, "goroutine %d\nwant %+v\nhave %+v", want.id, want, ours) {
			continue
		}
		got := ours[best]
		ours = slices.Delete(ours, best, best+1)
		if want.state != "semacquire" || !strings.HasPrefix(got.state, "sync.") { // which lock, by the frames
			assert.Equal(t, want.state, got.state, "goroutine %d", want.id)
		}
		assert.Equal(t, want.wait, got.wait, "goroutine %d", want.id)
		if want.creator.function != "" {
			assert.True(t, contains([]frame{got.creator}, []frame{want.creator}), "goroutine %d: want %+v, have %+v", want.id, want.creator, got.creator)
		}
	}
}

// find returns the index of a goroutine with an ID, and all of these frames, or -1.
func find(all []reading, id uint64, frames []frame) int {
	return slices.IndexFunc(all, func(r reading) bool { return r.id == id && contains(r.frames, frames) })
}

func ofRuntime(r reading) bool {
	for _, f := range r.frames {
		if !strings.HasPrefix(f.function, "runtime.") {
			return false
		}
	}
	return len(r.frames) > 0
}

// contains reports whether frames has all of wanted, in their order. A wanted one
// may have no place.
func contains(frames, wanted []frame) bool {
	for _, w := range wanted {
		if w.function == "panic" {
			w.function = "runtime.gopanic"
		}
		for len(frames) > 0 && frames[0] != w && !(w.line == 0 && w.function == frames[0].function) {
			frames = frames[1:]
		}
		if len(frames) == 0 {
			return false
		}
		frames = frames[1:]
	}
	return true
}

func TestGostackparse(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(moduleDir(t, "github.com/DataDog/gostackparse"), "test-fixtures", "*.txt"))
	require.NoError(t, err)
	require.Len(t, files, 13)
	read := 0
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			theirs := gostackparsed(string(text))
			read += len(theirs)
			mine, _, _ := ours(string(text))
			requireAtLeast(t, theirs, mine)
		})
	}
	assert.GreaterOrEqual(t, read, 24, "goroutines compared")
}

func gostackparsed(text string) (all []reading) {
	list, _ := gostackparse.Parse(strings.NewReader(text))
	for _, g := range list {
		r := reading{id: uint64(g.ID), state: g.State, wait: g.Wait}
		for _, f := range g.Stack {
			r.frames = append(r.frames, gostackparsedFrame(f))
		}
		if g.CreatedBy != nil {
			r.creator = gostackparsedFrame(g.CreatedBy)
		}
		all = append(all, r)
	}
	return all
}

func gostackparsedFrame(f *gostackparse.Frame) frame {
	return frame{f.Func, filepath.Base(f.File), f.Line}
}

// TestPanicparse reads the inputs that are written in the tests of panicparse, and the
// outputs of its program panicweb, which it keeps for its benchmarks.
func TestPanicparse(t *testing.T) {
	dir := moduleDir(t, "github.com/maruel/panicparse/v2")
	files, err := filepath.Glob(filepath.Join(dir, "stack", "*_test.go"))
	require.NoError(t, err)
	static, err := filepath.Glob(filepath.Join(dir, "internal", "internaltest", "static_*.go"))
	require.NoError(t, err)
	require.Len(t, static, 2)
	inputs := make(map[string]string)
	for _, file := range append(files, static...) {
		for i, text := range inputsIn(t, file) {
			inputs[fmt.Sprintf("%s %d", filepath.Base(file), i)] = text
		}
	}
	requirePanicparse(t, inputs, 100)
	assert.GreaterOrEqual(t, len(inputs), 30)
}

// requirePanicparse reads inputs as panicparse does, which finds at least this many
// goroutines in them.
func requirePanicparse(t *testing.T, inputs map[string]string, least int) {
	read := 0
	for name, text := range inputs {
		t.Run(name, func(t *testing.T) {
			theirs := panicparse(text)
			read += len(theirs)
			mine, _, err := ours(text)
			if testing.Verbose() {
				t.Logf("%d goroutines\n%s\n%v", len(theirs), text[max(0, len(text)-2000):], err)
			}
			requireAtLeast(t, theirs, mine)
		})
	}
	assert.GreaterOrEqual(t, read, least, "goroutines compared")
}

// TestPanicparseProgram runs the program that panicparse makes its other inputs with:
// it ends in each of its ways. The one of a race needs the race detector.
func TestPanicparseProgram(t *testing.T) {
	dir := t.TempDir()
	plain := buildPanic(t, filepath.Join(dir, "panic"))
	race := buildPanic(t, filepath.Join(dir, "race"), "-race")
	inputs := make(map[string]string)
	for command := range strings.FieldsSeq(outputOf(plain, "dump_commands")) {
		program := plain
		if strings.HasPrefix(command, "race") {
			program = race
		}
		inputs[command] = outputOf(program, command)
		require.NotEmpty(t, inputs[command], command)
	}
	require.Greater(t, len(inputs), 20)
	requirePanicparse(t, inputs, 200)
}

// buildPanic builds the program, as panicparse does.
func buildPanic(t *testing.T, to string, flags ...string) string {
	args := append([]string{"build", "-gcflags", "-l", "-o", to}, flags...)
	out, err := exec.Command("go", append(args, "github.com/maruel/panicparse/v2/cmd/panic")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return to
}

// outputOf returns what a program writes before it ends, in whichever way.
func outputOf(program string, args ...string) string {
	c := exec.Command(program, args...)
	c.Env = append(os.Environ(), "GOTRACEBACK=all")
	out, _ := c.CombinedOutput()
	return string(out)
}

// panicparse reads all snapshots in a text.
func panicparse(text string) (all []reading) {
	in := io.Reader(strings.NewReader(text))
	for range 100 {
		s, suffix, err := stack.ScanSnapshot(in, io.Discard, &stack.Opts{})
		if s != nil {
			for _, g := range s.Goroutines {
				all = append(all, panicparsed(g))
			}
		}
		if err != nil || s == nil {
			break
		}
		in = io.MultiReader(bytes.NewReader(suffix), in)
	}
	return all
}

func panicparsed(g *stack.Goroutine) reading {
	r := reading{id: uint64(g.ID), state: g.State, wait: time.Duration(g.SleepMax) * time.Minute}
	for i := range g.Stack.Calls {
		if c := &g.Stack.Calls[i]; c.Func.Complete != "" { // its frame for a stack that is unavailable
			r.frames = append(r.frames, panicparsedFrame(c))
		}
	}
	if calls := g.CreatedBy.Calls; len(calls) > 0 {
		r.creator = panicparsedFrame(&calls[0])
	}
	return r
}

func panicparsedFrame(c *stack.Call) frame {
	function, _, _ := strings.Cut(c.Func.Complete, " in goroutine ") // as it reads a creator
	return frame{escaped(function), filepath.Base(c.RemoteSrcPath), c.Line}
}

// escaped returns a name as the runtime has it: panicparse decodes it.
func escaped(name string) string { return strings.ReplaceAll(name, "yaml.v2.", "yaml%2ev2.") }

// inputsIn returns the texts with goroutines that a file has as lists of lines, or in one
// piece.
func inputsIn(t *testing.T, file string) (inputs []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	ast.Inspect(parsed, func(n ast.Node) bool {
		text := ""
		switch n := n.(type) {
		case *ast.CompositeLit:
			if array, ok := n.Type.(*ast.ArrayType); ok && fmt.Sprint(array.Elt) == "string" {
				var lines []string
				for _, e := range n.Elts {
					lines = append(lines, textOf(e))
				}
				text = strings.Join(lines, "\n")
			}
		case *ast.BasicLit:
			if text = textOf(n); strings.Count(text, "\n") < 2 {
				text = "" // a line of a list
			}
		}
		if strings.Contains(text, "oroutine ") {
			inputs = append(inputs, text)
		}
		return true
	})
	return inputs
}

// textOf returns a text that is written in quotes, or as a sum of such.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return textOf(e.X) + textOf(e.Y)
	}
	return "" // a call, such as strings.Repeat: a long line of noise
}
