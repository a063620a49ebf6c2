package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// setVersion makes version the one that the checkout carries: in the constant,
// in what the modules require of one another, and in go.work. The hashes of the
// version before leave every go.sum.
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
	if err := setWorkspace(r, version); err != nil {
		return err
	}
	for _, m := range r.modules {
		if err := setModule(r, m, version); err != nil {
			return err
		}
	}
	r.version = version
	return nil
}

// valid reports whether a version may be released: semantic, complete, and
// without the build metadata that the go command does not know.
func valid(version string) bool {
	return semver.Canonical(version) == version && semver.Build(version) == ""
}

func setWorkspace(r *repo, version string) error {
	work, err := r.workspace()
	if err != nil {
		return err
	}
	for _, x := range work.Replace {
		if r.find(x.Old.Path) != nil {
			if err := work.DropReplace(x.Old.Path, x.Old.Version); err != nil {
				return err
			}
		}
	}
	for _, m := range r.required() {
		if err := work.AddReplace(m.path, version, m.fromRoot(), ""); err != nil {
			return err
		}
	}
	work.Cleanup()
	return os.WriteFile(r.file("go.work"), modfile.Format(work.Syntax), 0o644)
}

func setModule(r *repo, m *mod, version string) error {
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
