// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// writeProxy writes the published modules, in the version that the checkout
// carries, to a folder that GOPROXY=file://dir can serve.
func writeProxy(r *repo, dir string) error {
	f, err := r.freeze()
	if err != nil {
		return err
	}
	defer f.close()
	for _, m := range r.modules {
		if m.published() {
			if err := f.serve(m, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// A frozen repository is what would be tagged if the changes in the working tree
// were committed. It does not include files that git does not track yet.
type frozen struct {
	version  string
	revision string // if anything has changed, a commit on no branch
	clone    string // has the revision but no files
}

// freeze makes a commit of the working tree. It also makes a clone for package
// zip, which does not support git worktrees. close removes the clone.
func (r *repo) freeze() (*frozen, error) {
	revision, err := r.git("-c", "user.name=release", "-c", "user.email=release", "stash", "create")
	if err != nil {
		return nil, err
	}
	f := &frozen{version: r.version, revision: strings.TrimSpace(revision)}
	if f.revision == "" {
		f.revision = "HEAD"
	}
	if f.clone, err = os.MkdirTemp("", "release-"); err != nil {
		return nil, err
	}
	if _, err = r.git("clone", "--quiet", "--shared", "--no-checkout", r.root, f.clone); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *frozen) close() { _ = os.RemoveAll(f.clone) } // a folder that cannot be removed is left for the system to clean up

// serve writes one module to a proxy folder.
func (f *frozen) serve(m *mod, dir string) error {
	gomod, err := command(f.clone, "git", "show", f.revision+":"+path.Join(m.dir, "go.mod"))
	if err != nil {
		return err
	}
	date, err := command(f.clone, "git", "show", "-s", "--format=%cI", f.revision)
	if err != nil {
		return err
	}
	info, err := json.Marshal(map[string]string{"Version": f.version, "Time": strings.TrimSpace(date)})
	if err != nil {
		return err
	}
	to := folder(m, dir)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{"list": f.version + "\n", f.version + ".info": string(info), f.version + ".mod": gomod} {
		if err := put(filepath.Join(to, name), text, false); err != nil {
			return err
		}
	}
	return f.zip(m, filepath.Join(to, f.version+".zip"))
}

// zip writes a module's zip file in the same way as module proxies.
func (f *frozen) zip(m *mod, name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	version := module.Version{Path: m.path, Version: f.version}
	if err := zip.CreateFromVCS(file, version, f.clone, f.revision, strings.TrimPrefix(m.dir, ".")); err != nil {
		return err
	}
	return file.Close()
}

// folder returns the path of m in a proxy folder. Our paths contain no letters
// that module proxies escape.
func folder(m *mod, dir string) string {
	return filepath.Join(dir, filepath.FromSlash(m.path), "@v")
}
