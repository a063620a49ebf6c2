// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// check returns everything that prevents the checkout from being released, or nil.
// If final is set, it also checks what only the tagged commit has.
func check(r *repo, final bool) error {
	errs := []error{checkVersion(r), checkWorkspaces(r)}
	for _, m := range r.modules {
		errs = append(errs, checkModule(r, m))
		if final {
			errs = append(errs, checkSums(r, m))
		}
	}
	if final {
		errs = append(errs, checkChangelog(r), checkClean(r), checkCommand(r))
	}
	return errors.Join(errs...)
}

func checkVersion(r *repo) error {
	if !valid(r.version) {
		return fmt.Errorf("%s: version %q: must be of the form 1.2.3 or 1.2.3-rc.1", versionFile, r.version[1:])
	}
	return nil
}

// checkModule checks the go.mod of m. A module that is never installed may replace
// one that is not ours: the Collector builder writes such lines.
func checkModule(r *repo, m *mod) error {
	var errs []error
	name := path.Join(m.dir, "go.mod")
	for _, x := range m.file.Replace {
		if m.published() || r.find(x.Old.Path) != nil {
			errs = append(errs, fmt.Errorf("%s replaces %s: go install refuses such a module; replacements belong in go.work", name, x.Old.Path))
		}
	}
	for _, q := range r.requirements(m) {
		if q.Mod.Version != r.version {
			errs = append(errs, fmt.Errorf("%s requires %s %s; must be %s, as everywhere", name, q.Mod.Path, q.Mod.Version, r.version))
		}
		if m.published() && !r.find(q.Mod.Path).published() {
			errs = append(errs, fmt.Errorf("%s requires %s, which is not published", name, q.Mod.Path))
		}
	}
	return errors.Join(errs...)
}

// checkWorkspaces checks that every go.work replaces every module that another one
// requires, at the required version.
func checkWorkspaces(r *repo) error {
	var errs []error
	for _, w := range r.workspaces {
		for _, m := range r.required() {
			if !slices.ContainsFunc(w.file.Replace, func(x *modfile.Replace) bool {
				return x.Old == module.Version{Path: m.path, Version: r.version} && x.New.Path == w.to(m)
			}) {
				errs = append(errs, fmt.Errorf("%s must have the line: replace %s %s => %s", w.name, m.path, r.version, w.to(m)))
			}
		}
	}
	return errors.Join(errs...)
}

// required returns the modules that other modules require.
func (r *repo) required() (all []*mod) {
	seen := make(map[string]bool)
	for _, m := range r.modules {
		for _, q := range r.requirements(m) {
			if !seen[q.Mod.Path] {
				seen[q.Mod.Path] = true
				all = append(all, r.find(q.Mod.Path))
			}
		}
	}
	return all
}

// checkChangelog checks that the changelog has a heading for the version, with its
// date.
func checkChangelog(r *repo) error {
	text, err := os.ReadFile(r.file("CHANGELOG.md"))
	if err == nil && !strings.Contains(string(text), "\n## ["+r.version[1:]+"] - 2") {
		err = fmt.Errorf("CHANGELOG.md has no heading ## [%s] - DATE", r.version[1:])
	}
	return err
}

func checkClean(r *repo) error {
	changed, err := r.git("status", "--porcelain")
	if err == nil && changed != "" {
		err = fmt.Errorf("the tree has changes that are not committed:\n%s", changed)
	}
	return err
}

// checkCommand checks the version that the command reports.
func checkCommand(r *repo) error {
	out, err := command(r.root, "go", "run", "./cmd/goroutines", "--version")
	if err == nil && !strings.Contains(out, r.version[1:]) {
		err = fmt.Errorf("goroutines --version prints %q without %s", out, r.version[1:])
	}
	return err
}
