package main

import (
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

// published are the folders of the modules that users get. The others are for
// this repository: they are never tagged, and no published module may require
// one of them.
var published = []string{".", "cmd/goroutines"}

// versionFile declares the constant Version, relative to the root.
const versionFile = "internal/telemetry/metrics.go"

// A repo is a checkout of the repository.
type repo struct {
	root    string // absolute
	version string // that the checkout carries, as in "v0.1.0"
	modules []*mod // the root module first
}

// A mod is a module of the repository.
type mod struct {
	path string // as in "github.com/otelgoroutine/go/cmd/goroutines"
	dir  string // relative to the root, with slashes; "." for the root module
	file *modfile.File
}

// published reports whether users get m.
func (m *mod) published() bool { return slices.Contains(published, m.dir) }

// tag is the tag of m in git at a version.
func (m *mod) tag(version string) string {
	return path.Join(m.dir, version)
}

// fromRoot is the folder of m as go.work has it.
func (m *mod) fromRoot() string { return "./" + strings.TrimPrefix(m.dir, ".") }

// open reads the repository that dir is in.
func open(dir string) (*repo, error) {
	root, err := command(dir, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	r := &repo{root: strings.TrimSpace(root)}
	files, err := r.git("ls-files", "-co", "--exclude-standard", "go.mod", "*/go.mod")
	if err != nil {
		return nil, err
	}
	dirs := strings.Fields(strings.ReplaceAll(files, "go.mod", ""))
	for _, d := range append([]string{"."}, dirs...) {
		m, err := r.read(path.Clean(d))
		if err != nil {
			return nil, err
		}
		r.modules = append(r.modules, m)
	}
	r.version, err = r.declaredVersion()
	return r, err
}

func (r *repo) read(dir string) (*mod, error) {
	name := r.file(path.Join(dir, "go.mod"))
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(name, text, nil)
	if err != nil {
		return nil, err
	}
	return &mod{path: file.Module.Mod.Path, dir: dir, file: file}, nil
}

// find returns the module with a path, or nil.
func (r *repo) find(path string) *mod {
	i := slices.IndexFunc(r.modules, func(m *mod) bool { return m.path == path })
	if i < 0 {
		return nil
	}
	return r.modules[i]
}

// requirements are the modules of this repository that m requires.
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

// declaredVersion returns the value of the constant, with the "v" of tags.
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

// file returns the path of a file, given relative to the root.
func (r *repo) file(name string) string { return filepath.Join(r.root, filepath.FromSlash(name)) }

// goFile returns the path of the go.mod or go.sum of m.
func (r *repo) goFile(m *mod, name string) string { return r.file(path.Join(m.dir, name)) }

// git runs git in the root of the repository and returns what it prints.
func (r *repo) git(args ...string) (string, error) { return command(r.root, "git", args...) }

// command runs a program in a folder and returns what it prints.
func command(dir, name string, args ...string) (string, error) {
	return commandWith(nil, dir, name, args...)
}

// commandWith is command with further variables in the environment.
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
