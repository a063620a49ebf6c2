package dumps

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/DataDog/gostackparse"
	"github.com/maruel/panicparse/v2/stack"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"bufio"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A reading is what a reader says about a goroutine.
type reading struct {
	id     uint64
	state  string
	frames []frame // innermost first
	by     string  // function of the go statement
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

// ours reads a text, and returns all goroutines of all dumps.
func ours(text string) (all []reading, missing int, err error) {
	in := parse.NewTextReader(bufio.NewReader(strings.NewReader(text)))
	dumps, err := parse.Dumps(in, time.Time{}, parse.NewStacks(), new(goroutine.Births))
	for _, d := range dumps {
		missing += d.Snapshot.Missing
		for i := range d.Snapshot.Groups {
			g := &d.Snapshot.Groups[i]
			for _, id := range g.IDs {
				all = append(all, readingOf(g, id))
			}
		}
	}
	return all, missing, err
}

func readingOf(g *goroutine.Group, id uint64) reading {
	r := reading{id: id, state: string(g.State), by: g.CreatedBy.Function}
	for _, f := range g.Stack.Frames {
		r.frames = append(r.frames, frame{f.Function, filepath.Base(f.File), f.Line})
	}
	return r
}

// requireAtLeast checks that everything in theirs is in ours. Both readers and the
// runtime differ in two names, on purpose: "panic" is runtime.gopanic. Goroutines of
// the runtime itself are left out.
func requireAtLeast(t *testing.T, theirs, ours []reading) {
	t.Helper()
	for _, want := range theirs {
		if want.id == 0 || ofRuntime(want) {
			continue
		}
		var best *reading
		for i := range ours {
			if got := &ours[i]; got.id == want.id && contains(got.frames, want.frames) {
				best = got
			}
		}
		if !assert.NotNil(t, best, "goroutine %d\nwant %+v\nhave %+v", want.id, want, ours) {
			continue
		}
		assert.Equal(t, want.state, best.state, "goroutine %d", want.id)
		if want.by != "" {
			assert.Equal(t, want.by, best.by, "goroutine %d", want.id)
		}
	}
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
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var theirs []reading
			list, _ := gostackparse.Parse(bytes.NewReader(text))
			for _, g := range list {
				r := reading{id: uint64(g.ID), state: g.State}
				for _, f := range g.Stack {
					r.frames = append(r.frames, frame{f.Func, filepath.Base(f.File), f.Line})
				}
				if g.CreatedBy != nil {
					r.by = g.CreatedBy.Func
				}
				theirs = append(theirs, r)
			}
			mine, _, _ := ours(string(text))
			requireAtLeast(t, theirs, mine)
		})
	}
}

func TestPanicparse(t *testing.T) {
	dir := filepath.Join(moduleDir(t, "github.com/maruel/panicparse/v2"), "stack")
	inputs := inputsIn(t, filepath.Join(dir, "context_test.go"))
	require.Greater(t, len(inputs), 20)
	for i, text := range inputs {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			theirs := panicparse(text)
			mine, _, err := ours(text)
			if testing.Verbose() {
				t.Logf("%s\n%v", text[max(0, len(text)-2000):], err)
			}
			requireAtLeast(t, theirs, mine)
		})
	}
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
	r := reading{id: uint64(g.ID), state: g.State}
	for _, c := range g.Stack.Calls {
		if c.Func.Complete != "" { // its frame for a stack that is unavailable
			r.frames = append(r.frames, frame{escaped(c.Func.Complete), filepath.Base(c.RemoteSrcPath), c.Line})
		}
	}
	if calls := g.CreatedBy.Calls; len(calls) > 0 {
		r.by = escaped(calls[0].Func.Complete)
	}
	return r
}

// escaped returns a name as the runtime has it: panicparse decodes it.
func escaped(name string) string { return strings.ReplaceAll(name, "yaml.v2.", "yaml%2ev2.") }

// inputsIn returns the inputs that a test file has as fields "in" of its cases, and
// as arguments of strings.Join: lists of lines.
func inputsIn(t *testing.T, file string) (inputs []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	ast.Inspect(parsed, func(n ast.Node) bool {
		list, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		array, ok := list.Type.(*ast.ArrayType)
		if !ok || fmt.Sprint(array.Elt) != "string" {
			return true
		}
		var lines []string
		for _, e := range list.Elts {
			lines = append(lines, textOf(e))
		}
		if text := strings.Join(lines, "\n"); strings.Contains(text, "oroutine ") {
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
