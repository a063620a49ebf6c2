// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// writeSums writes the hashes of the modules to be tagged to the go.sum of each
// module that requires them. A module's hash covers its own go.sum, so each module
// comes after those that it requires.
func writeSums(r *repo) error {
	if err := check(r, false); err != nil {
		return err
	}
	for _, m := range r.ordered() {
		lines, err := r.hashes(m)
		if err != nil {
			return err
		}
		if err := r.setSums(m, lines); err != nil {
			return err
		}
	}
	return nil
}

// setSums makes lines the only lines about our own modules in the go.sum of m.
func (r *repo) setSums(m *mod, lines []string) error {
	name := r.goFile(m, "go.sum")
	all, err := readSums(name)
	if err != nil {
		return err
	}
	return put(name, sumText(r.foreign(all), lines), false)
}

// checkSums checks that the go.sum of m has the hashes of the modules to be
// tagged.
func checkSums(r *repo, m *mod) error {
	have, err := readSums(r.goFile(m, "go.sum"))
	if err != nil {
		return err
	}
	want, err := r.hashes(m)
	if err == nil && !slices.Equal(r.ours(have), want) {
		err = fmt.Errorf("%s/go.sum lacks the hashes of our modules: go run ./internal/release sums", m.dir)
	}
	return err
}

// ordered returns the modules, each one after the modules that it requires.
func (r *repo) ordered() (all []*mod) {
	var add func(m *mod)
	add = func(m *mod) {
		if slices.Contains(all, m) {
			return
		}
		for _, q := range r.requirements(m) {
			add(r.find(q.Mod.Path))
		}
		all = append(all, m)
	}
	for _, m := range r.modules {
		add(m)
	}
	return all
}

// hashes returns the go.sum lines for those of our modules that m requires,
// computed from the checkout.
func (r *repo) hashes(m *mod) ([]string, error) {
	var required []*mod
	for _, q := range r.requirements(m) {
		required = append(required, r.find(q.Mod.Path))
	}
	return r.hashesOf(required...)
}

// hashesOf returns the go.sum lines for modules, computed from the checkout.
func (r *repo) hashesOf(modules ...*mod) ([]string, error) {
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	f, err := r.freeze()
	if err != nil {
		return nil, err
	}
	defer f.close()
	var lines []string
	for _, m := range modules {
		of, err := f.hash(m, dir)
		if err != nil {
			return nil, err
		}
		lines = append(lines, of...)
	}
	slices.SortFunc(lines, compareSums)
	return lines, nil
}

// hash returns the two go.sum lines for m. It leaves files in dir.
func (f *frozen) hash(m *mod, dir string) ([]string, error) {
	if err := f.serve(m, dir); err != nil {
		return nil, err
	}
	stem := filepath.Join(folder(m, dir), f.version)
	zip, err := dirhash.HashZip(stem+".zip", dirhash.Hash1)
	if err != nil {
		return nil, err
	}
	gomod, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return os.Open(stem + ".mod") })
	return []string{m.path + " " + f.version + " " + zip, m.path + " " + f.version + "/go.mod " + gomod}, err
}

// ours returns the lines of a go.sum that are about our own modules; foreign
// returns the others.
func (r *repo) ours(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !r.isOurs(line) })
}

func (r *repo) foreign(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), r.isOurs)
}

func (r *repo) isOurs(line string) bool { return r.find(ofSum(line).Path) != nil }

// readSums returns the lines of a go.sum, or none if the file does not exist.
func readSums(name string) ([]string, error) {
	text, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return strings.FieldsFunc(string(bytes.TrimSpace(text)), func(c rune) bool { return c == '\n' }), nil
}

// sumText returns the text of a go.sum with these lines, in the order that the go
// command uses.
func sumText(lines ...[]string) string {
	all := slices.Concat(lines...)
	slices.SortFunc(all, compareSums)
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, "\n") + "\n"
}

// compareSums orders the lines of a go.sum as the go command does: by module,
// then by version.
func compareSums(a, b string) int {
	first := ofSum(a)
	pair := []module.Version{first, ofSum(b)}
	if pair[0] == pair[1] {
		return strings.Compare(a, b)
	}
	if module.Sort(pair); pair[0] == first {
		return -1
	}
	return 1
}

// ofSum returns what a line of a go.sum is about. In lines for a go.mod alone, the
// version ends in /go.mod.
func ofSum(line string) module.Version {
	path, rest, _ := strings.Cut(line, " ")
	version, _, _ := strings.Cut(rest, " ")
	return module.Version{Path: path, Version: version}
}
