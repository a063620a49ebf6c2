// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// tidy does the work of go mod tidy in every module. The go command cannot do it
// alone: it requests our modules from a module proxy, which does not have them
// before the release. So tidy works on copies of go.mod and go.sum that replace
// our modules with their folders. If it adds a requirement, it adds the
// replacement to every go.work. If dry is set, a difference is an error and
// nothing changes.
func tidy(r *repo, dry bool) error {
	var errs []error
	for _, m := range r.modules {
		errs = append(errs, r.tidy(m, dry))
	}
	after, err := open(r.root)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, after.setWorkspaces(r.version, dry))...)
}

func (r *repo) tidy(m *mod, dry bool) error {
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	before, err := readSums(r.goFile(m, "go.sum"))
	if err != nil {
		return err
	}
	if err := r.copyReplaced(m, dir, before); err != nil {
		return err
	}
	env := []string{"GOWORK=off", "GOFLAGS="}
	if _, err := commandWith(env, r.file(m.dir), "go", "mod", "tidy", "-modfile="+filepath.Join(dir, "go.mod")); err != nil {
		return err
	}
	gomod, err := r.withoutReplacements(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	after, err := readSums(filepath.Join(dir, "go.sum"))
	if err != nil {
		return err
	}
	return errors.Join(
		put(r.goFile(m, "go.mod"), string(gomod), dry),
		put(r.goFile(m, "go.sum"), sumText(after, r.ours(before)), dry),
	)
}

// copyReplaced writes the go.mod and go.sum of m to dir, with replacements for all
// of our modules, so that a new import of any of them is found.
func (r *repo) copyReplaced(m *mod, dir string, sums []string) error {
	text, err := m.file.Format()
	if err != nil {
		return err
	}
	file, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return err
	}
	for _, other := range r.modules {
		if other != m {
			if err := file.AddReplace(other.path, "", r.file(other.dir), ""); err != nil {
				return err
			}
		}
	}
	if text, err = file.Format(); err != nil {
		return err
	}
	return errors.Join(
		put(filepath.Join(dir, "go.mod"), string(text), false),
		put(filepath.Join(dir, "go.sum"), sumText(sums), false),
	)
}

// withoutReplacements returns the text of a go.mod written by copyReplaced, in the
// form in which the repository keeps it.
func (r *repo) withoutReplacements(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(name, text, nil)
	if err != nil {
		return nil, err
	}
	for _, m := range r.modules {
		if err := file.DropReplace(m.path, ""); err != nil {
			return nil, err
		}
	}
	for _, q := range file.Require {
		if r.find(q.Mod.Path) != nil {
			if err := file.AddRequire(q.Mod.Path, r.version); err != nil {
				return nil, err
			}
		}
	}
	file.Cleanup()
	return file.Format()
}

// put writes a file unless it already has that text. If dry is set, it returns an
// error instead. If the text is empty and the file does not exist, put does not
// create it.
func put(name, text string, dry bool) error {
	have, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(have) == text {
		return nil
	}
	if dry {
		return fmt.Errorf("%s is not tidy: go run ./internal/release tidy", name)
	}
	return os.WriteFile(name, []byte(text), 0o644)
}
