// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"io"
)

// A Verdict says whether something that we promise holds in this run.
type Verdict struct {
	OK            bool
	What, Figures string
}

// Judge returns a verdict.
func Judge(ok bool, what, figures string) Verdict { return Verdict{ok, what, figures} }

// String begins with PASS or MISS.
func (v Verdict) String() string {
	return fmt.Sprintf("%s %s: %s", map[bool]string{true: "PASS", false: "MISS"}[v.OK], v.What, v.Figures)
}

// PrintChecks writes verdicts as a section of a document, if there are any.
func PrintChecks(w io.Writer, all []Verdict) {
	if len(all) > 0 {
		fmt.Fprint(w, "\n## Checks\n\n")
	}
	for _, v := range all {
		fmt.Fprintf(w, "- %s\n", v)
	}
}
