// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// published are the folders of the modules that users get. The others are only for
// this repository: they are never tagged, and no published module may require one
// of them.
var published = []string{".", "internal/otlptest", "otlpprofiles", "cmd/goroutines", "collector/goroutinereceiver"}

// versionFile is the file that declares the constant Version, relative to the
// root.
const versionFile = "internal/telemetry/metrics.go"

// A repo is a checkout of the repository.
type repo struct {
	root       string // absolute
	version    string // the version that the checkout carries, such as "v0.1.0"
	modules    []*mod // the root module first
	workspaces []*workspace
}

// A mod is a module of the repository.
type mod struct {
	path string // such as "github.com/otelgoroutine/go/cmd/goroutines"
	dir  string // relative to the root, with slashes; "." for the root module
	file *modfile.File
}

// published reports whether users get m.
func (m *mod) published() bool { return slices.Contains(published, m.dir) }

// published returns the modules that users get.
func (r *repo) published() (all []*mod) {
	for _, m := range r.modules {
		if m.published() {
			all = append(all, m)
		}
	}
	return all
}

// tag returns the git tag of m for a version.
func (m *mod) tag(version string) string {
	return path.Join(m.dir, version)
}

// A workspace is a go.work of the repository.
type workspace struct {
	name string // relative to the root, with slashes
	file *modfile.WorkFile
}

// to returns the path of m's folder as w writes it.
func (w *workspace) to(m *mod) string {
	up := strings.Repeat("../", strings.Count(w.name, "/"))
	return cmp.Or(up, "./") + strings.TrimPrefix(m.dir, ".")
}

// open reads the repository that contains dir.
func open(dir string) (*repo, error) {
	root, err := command(dir, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	r := &repo{root: strings.TrimSpace(root)}
	if err := r.readAll(); err != nil {
		return nil, err
	}
	r.version, err = r.declaredVersion()
	return r, err
}

// readAll reads every go.mod and go.work that git tracks or could track.
func (r *repo) readAll() error {
	names, err := r.git("ls-files", "-co", "--exclude-standard", "go.mod", "*/go.mod", "go.work", "*/go.work")
	if err != nil {
		return err
	}
	for _, name := range strings.Fields(names) {
		text, err := os.ReadFile(r.file(name))
		if err != nil {
			return err
		}
		if path.Base(name) == "go.work" {
			file, err := modfile.ParseWork(name, text, nil)
			if err != nil {
				return err
			}
			r.workspaces = append(r.workspaces, &workspace{name, file})
			continue
		}
		file, err := modfile.Parse(name, text, nil)
		if err != nil {
			return err
		}
		r.modules = append(r.modules, &mod{path: file.Module.Mod.Path, dir: path.Dir(name), file: file})
	}
	slices.SortFunc(r.modules, func(a, b *mod) int { return strings.Compare(a.path, b.path) })
	return nil
}

// find returns the module with this path, or nil.
func (r *repo) find(path string) *mod {
	i := slices.IndexFunc(r.modules, func(m *mod) bool { return m.path == path })
	if i < 0 {
		return nil
	}
	return r.modules[i]
}

// requirements returns the modules of this repository that m requires.
func (r *repo) requirements(m *mod) (all []*modfile.Require) {
	for _, q := range m.file.Require {
		if r.find(q.Mod.Path) != nil {
			all = append(all, q)
		}
	}
	return all
}

// declaration matches the constant Version in versionFile.
var declaration = regexp.MustCompile(`(?m)^const Version = "([^"]*)"$`)

// declaredVersion returns the value of the constant, with the "v" that tags have.
func (r *repo) declaredVersion() (string, error) {
	text, err := os.ReadFile(r.file(versionFile))
	if err != nil {
		return "", err
	}
	found := declaration.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%s has no line that matches %s", versionFile, declaration)
	}
	return "v" + string(found[1]), nil
}

// file returns the path of a file whose name is relative to the root.
func (r *repo) file(name string) string { return filepath.Join(r.root, filepath.FromSlash(name)) }

// goFile returns the path of the go.mod or go.sum of m.
func (r *repo) goFile(m *mod, name string) string { return r.file(path.Join(m.dir, name)) }

// git runs git in the root of the repository and returns what it prints.
func (r *repo) git(args ...string) (string, error) { return command(r.root, "git", args...) }

// command runs a program in a folder and returns what it prints.
func command(dir, name string, args ...string) (string, error) {
	return commandWith(nil, dir, name, args...)
}

// commandWith is like command, with additional environment variables.
func commandWith(env []string, dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out, &stderr)
	}
	return string(out), nil
}
