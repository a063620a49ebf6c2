// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
)

// tag prints the tags of this release and how to push them. If do is set, it also
// makes the tags, all or none, signed by whom git knows as the signer. The message of
// a tag has the hashes of its module, as go.sum has them: the signature vouches for
// what the module proxy serves. Everything must be ready: check with final set reports
// what is not.
func tag(r *repo, out io.Writer, do bool) error {
	if err := check(r, true); err != nil {
		return err
	}
	tags := r.tags()
	have, err := r.git(append([]string{"tag", "--list"}, tags...)...)
	if err != nil {
		return err
	}
	if have != "" {
		return fmt.Errorf("tags that exist already: %s; a version is released once", strings.Join(strings.Fields(have), ", "))
	}
	if do {
		if err := r.makeTags(); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, strings.Join(tags, "\n"))
	if !do {
		fmt.Fprintln(out, "not made; -do makes them")
		return nil
	}
	fmt.Fprintln(out, "to push them: git push --atomic origin", strings.Join(tags, " "))
	return nil
}

// tags returns the tags of the published modules.
func (r *repo) tags() (all []string) {
	for _, m := range r.published() {
		all = append(all, m.tag(r.version))
	}
	return all
}

// makeTags makes the tags. If one cannot be made, it removes those before it.
func (r *repo) makeTags() error {
	var made []string
	for _, m := range r.published() {
		t := m.tag(r.version)
		hashes, err := r.hashesOf(m)
		if err == nil {
			_, err = r.git("tag", "--sign", "--message", t+"\n\n"+strings.Join(hashes, "\n"), t)
		}
		if err != nil {
			if len(made) > 0 {
				_, _ = r.git(append([]string{"tag", "--delete"}, made...)...) // the first error says what is wrong
			}
			return fmt.Errorf("no tag was made: %w", err)
		}
		made = append(made, t)
	}
	return nil
}

// checksums prints the hashes of the published modules, as go.sum has them.
func checksums(r *repo, out io.Writer) error {
	lines, err := r.hashesOf(r.published()...)
	if err != nil {
		return err
	}
	fmt.Fprint(out, sumText(lines))
	return nil
}
