package main

import (
	"fmt"
	"io"
	"strings"
)

// tag prints the tags of this release and how they are pushed. If do is set, it
// makes them, all or none. Either way everything must be ready: check with final
// set says what is not.
func tag(r *repo, out io.Writer, do bool) error {
	if err := check(r, true); err != nil {
		return err
	}
	var tags []string
	for _, m := range r.modules {
		if m.published() {
			tags = append(tags, m.tag(r.version))
		}
	}
	have, err := r.git(append([]string{"tag", "--list"}, tags...)...)
	if err != nil {
		return err
	}
	if have != "" {
		return fmt.Errorf("tags that exist already: %s; a version is released once", strings.Join(strings.Fields(have), ", "))
	}
	for _, t := range tags {
		fmt.Fprintln(out, t)
		if do {
			if _, err := r.git("tag", "--annotate", "--message", t, t); err != nil {
				return err
			}
		}
	}
	if !do {
		fmt.Fprintln(out, "not made; -do makes them")
		return nil
	}
	fmt.Fprintln(out, "to push them: git push --atomic origin", strings.Join(tags, " "))
	return nil
}
