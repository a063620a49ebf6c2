// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/otelgoroutine/go/internal/report"
)

// A Tree finds the files of a checkout that frames are in, wherever the program
// was built.
type Tree struct{ roots []root }

// A root is a directory of the checkout, mostly one with a go.mod.
type root struct {
	dir    string // absolute
	shown  string // what its files are shown below: its path in the current directory, or nothing
	module string // empty: it has no go.mod
}

// NewTree returns the tree of some directories.
func NewTree(dirs []string) (*Tree, error) {
	t := &Tree{}
	for _, dir := range dirs {
		r, err := openRoot(dir)
		if err != nil {
			return nil, err
		}
		t.roots = append(t.roots, r)
	}
	return t, nil
}

func openRoot(dir string) (r root, err error) {
	if info, err := os.Stat(dir); err != nil {
		return r, err
	} else if !info.IsDir() {
		return r, fmt.Errorf("%s is no directory", dir)
	}
	if r.dir, err = filepath.Abs(dir); err != nil {
		return r, err
	}
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, r.dir); err == nil && filepath.IsLocal(rel) {
			r.shown = filepath.ToSlash(rel)
		}
	}
	if data, err := os.ReadFile(filepath.Join(r.dir, "go.mod")); err == nil {
		r.module = modfile.ModulePath(data)
	}
	return r, nil
}

// Locate sets where a finding is in the tree: the frame that names its place, or
// else the first frame of the tree on its stack, on those of its participants and
// among the creators.
func (t *Tree) Locate(f *Finding) {
	for _, frame := range framesOf(f) {
		if file := t.file(frame); file != "" {
			f.File, f.Line = file, frame.Line
			return
		}
	}
}

func framesOf(f *Finding) (frames []*report.Frame) {
	add := func(at *report.Frame, stack []report.Frame) {
		if at != nil {
			frames = append(frames, at)
		}
		for i := range stack {
			frames = append(frames, &stack[i])
		}
	}
	add(f.At, f.Frames)
	for i := range f.Participants {
		add(f.Participants[i].At, f.Participants[i].Frames)
	}
	add(f.CreatedBy, nil)
	return frames
}

// file returns the file of a frame, or nothing if it is none of the tree.
func (t *Tree) file(f *report.Frame) string {
	if f.Standard || f.File == "" {
		return ""
	}
	for _, r := range t.roots {
		if rel := r.file(f); rel != "" {
			return path.Join(r.shown, rel)
		}
	}
	return ""
}

func (r *root) file(f *report.Frame) string {
	if strings.Contains(f.File, "@") {
		return "" // of a module in the module cache
	}
	if rel := r.first(slices.Concat(r.below(f.File), r.ofPackage(f))); rel != "" {
		return rel
	}
	if f.Function == "main.main" {
		return "" // every program has it, and many at the same line
	}
	if rel := r.first(ofMain(f)); rel != "" && declares(filepath.Join(r.dir, filepath.FromSlash(rel)), f) {
		return rel
	}
	return ""
}

// declares reports whether a file has the function of a frame at its line: that the
// end of a path exists does not suffice.
func declares(name string, f *report.Frame) bool {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	_, name, _ = strings.Cut(f.Function, ".")
	names := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune(".()*[]", r) })
	return slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
		function, ok := d.(*ast.FuncDecl)
		return ok && slices.Contains(names, function.Name.Name) &&
			files.Position(function.Pos()).Line <= f.Line && f.Line <= files.Position(function.End()).Line
	})
}

// first returns the first of some paths that is a file of the root.
func (r *root) first(paths []string) string {
	for _, p := range paths {
		if !filepath.IsLocal(filepath.FromSlash(p)) {
			continue
		}
		if info, err := os.Stat(filepath.Join(r.dir, filepath.FromSlash(p))); err == nil && info.Mode().IsRegular() {
			return p
		}
	}
	return ""
}

// below returns the path of a file that was compiled in this directory, or with
// -trimpath in its module.
func (r *root) below(file string) []string {
	for _, prefix := range []string{filepath.ToSlash(r.dir), r.module} {
		if rel, ok := strings.CutPrefix(file, prefix+"/"); ok && prefix != "" {
			return []string{rel}
		}
	}
	return nil
}

// ofPackage returns the path of a file by the import path of its package, which
// does not depend on where it was compiled.
func (r *root) ofPackage(f *report.Frame) []string {
	if r.module == "" {
		return nil
	}
	pkg := packageOf(f.Function)
	for _, p := range []string{pkg, strings.TrimSuffix(pkg, "_test")} {
		if p == r.module {
			return []string{path.Base(f.File)}
		}
		if dir, ok := strings.CutPrefix(p, r.module+"/"); ok {
			return []string{path.Join(dir, path.Base(f.File)), path.Join(strings.TrimSuffix(dir, "_test"), path.Base(f.File))}
		}
	}
	return nil
}

// ofMain returns paths of a file of package main, whose import path no function
// shows: the longest end of its path that exists here.
func ofMain(f *report.Frame) (ends []string) {
	if packageOf(f.Function) != "main" {
		return nil
	}
	rest := strings.TrimPrefix(f.File, "/")
	for rest != "" {
		ends = append(ends, rest)
		_, after, ok := strings.Cut(rest, "/")
		if !ok {
			break
		}
		rest = after
	}
	return ends
}

// packageOf returns the import path in the name of a function, where the linker
// escapes dots of its last element.
func packageOf(function string) string {
	function, _, _ = strings.Cut(function, "[") // type arguments have paths, too
	slash := strings.LastIndexByte(function, '/')
	dot := strings.IndexByte(function[slash+1:], '.')
	if dot < 0 {
		return ""
	}
	pkg := function[:slash+1+dot]
	if plain, err := url.PathUnescape(pkg); err == nil {
		return plain
	}
	return pkg
}
