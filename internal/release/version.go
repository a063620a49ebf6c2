// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// setVersion sets the version that the checkout carries: in the constant, in the
// modules' requirements of one another, and in go.work. It removes the hashes of
// the previous version from every go.sum.
func setVersion(r *repo, version string) error {
	if !valid(version) {
		return fmt.Errorf("version %q: must be of the form v1.2.3 or v1.2.3-rc.1", version)
	}
	text, err := os.ReadFile(r.file(versionFile))
	if err != nil {
		return err
	}
	text = declaration.ReplaceAll(text, []byte(`const Version = "`+strings.TrimPrefix(version, "v")+`"`))
	if err := os.WriteFile(r.file(versionFile), text, 0o644); err != nil {
		return err
	}
	if err := r.setWorkspaces(version, false); err != nil {
		return err
	}
	for _, m := range r.modules {
		if err := r.setModule(m, version); err != nil {
			return err
		}
	}
	r.version = version
	return nil
}

// valid reports whether a version may be released. It must be a complete semantic
// version without build metadata, which the go command does not support.
func valid(version string) bool {
	return semver.Canonical(version) == version && semver.Build(version) == ""
}

// setWorkspaces makes every go.work replace the modules that others require, at
// this version. If dry is set, a difference is an error and nothing changes.
func (r *repo) setWorkspaces(version string, dry bool) error {
	for _, w := range r.workspaces {
		for _, x := range w.file.Replace {
			if r.find(x.Old.Path) != nil {
				if err := w.file.DropReplace(x.Old.Path, x.Old.Version); err != nil {
					return err
				}
			}
		}
		for _, m := range r.required() {
			if err := w.file.AddReplace(m.path, version, w.to(m), ""); err != nil {
				return err
			}
		}
		w.file.Cleanup()
		if err := put(r.file(w.name), string(modfile.Format(w.file.Syntax)), dry); err != nil {
			return err
		}
	}
	return nil
}

func (r *repo) setModule(m *mod, version string) error {
	for _, q := range r.requirements(m) {
		if err := m.file.AddRequire(q.Mod.Path, version); err != nil {
			return err
		}
	}
	text, err := m.file.Format()
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.goFile(m, "go.mod"), text, 0o644); err != nil {
		return err
	}
	return r.setSums(m, nil)
}
