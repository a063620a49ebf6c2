// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package pipeline writes what a check found in the formats that continuous
// integration reads: JUnit XML, SARIF and the annotations of GitHub Actions, and
// the same as text and JSON.
package pipeline

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/otelgoroutine/go/internal/report"
)

// Formats are the names of the formats.
var Formats = []string{"text", "json", "junit", "sarif", "github"}

// Write writes a result in a format.
func Write(w io.Writer, r *Result, format string) error {
	switch format {
	case "json":
		return writeJSON(w, r)
	case "junit":
		return writeJUnit(w, r)
	case "sarif":
		return writeSARIF(w, r)
	case "github":
		return writeGitHub(w, r)
	}
	return writeText(w, r)
}

// SchemaVersion is the version of the JSON. It changes when a field changes its
// meaning or is removed.
const SchemaVersion = "1"

// A Result is what a check found. docs/pipelines.md documents its JSON.
type Result struct {
	SchemaVersion string    `json:"schema_version"`
	Source        string    `json:"source"` // what was checked
	Time          time.Time `json:"time,omitzero"`
	Goroutines    int       `json:"goroutines,omitempty"`
	FailOn        string    `json:"fail_on,omitempty"` // the least confidence of a failure; empty: nothing fails
	Failed        bool      `json:"failed"`
	Rules         []Rule    `json:"rules"`
	Notes         []string  `json:"notes,omitempty"`
	Incomplete    string    `json:"incomplete,omitempty"` // what could not be read

	Version string `json:"-"` // of the command
}

// The statuses of rules.
const (
	Passed  = "passed"
	Warned  = "warned" // there are findings, none of which fails
	Failed  = "failed"
	Skipped = "skipped" // it could not judge
)

// A Rule is one kind of fault that was checked for.
type Rule struct {
	Name     string    `json:"name"`
	Status   string    `json:"status"`
	Reason   string    `json:"reason,omitempty"` // why it was skipped
	Findings []Finding `json:"findings,omitempty"`

	Doc string `json:"-"` // what it finds, in sentences
}

// A Finding is a finding, and where it is in the source tree.
type Finding struct {
	report.Finding
	Fails bool   `json:"fails"`
	File  string `json:"file,omitempty"` // relative to the current directory; empty: none of the source tree
	Line  int    `json:"line,omitempty"`
}

// Add adds a rule. reason is why it could not judge, unless it has findings.
func (r *Result) Add(name, doc, reason string, findings []Finding) {
	findings = slices.Clone(findings)
	for i := range findings {
		findings[i].clean()
	}
	rule := Rule{Name: name, Doc: doc, Status: Passed, Findings: findings}
	switch {
	case slices.ContainsFunc(findings, func(f Finding) bool { return f.Fails }):
		rule.Status, r.Failed = Failed, true
	case len(findings) > 0:
		rule.Status = Warned
	case reason != "":
		rule.Status, rule.Reason = Skipped, reason
	}
	r.Rules = append(r.Rules, rule)
}

// clean replaces what a terminal would obey in texts that may quote the program.
func (f *Finding) clean() {
	f.Message, f.Advice = printable(f.Message), printable(f.Advice)
	f.Evidence = slices.Clone(f.Evidence)
	for i := range f.Evidence {
		f.Evidence[i] = printable(f.Evidence[i])
	}
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// count returns how many rules have a status.
func (r *Result) count(status string) (n int) {
	for _, rule := range r.Rules {
		if rule.Status == status {
			n++
		}
	}
	return n
}

// Summary says in a sentence how the check ended.
func (r *Result) Summary() string {
	var parts []string
	for _, status := range []string{Failed, Warned, Passed, Skipped} {
		if n := r.count(status); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, status))
		}
	}
	verdict := "passed"
	switch {
	case r.Failed:
		verdict = "failed"
	case r.count(Passed)+r.count(Warned) == 0:
		verdict = "nothing could be judged"
	}
	return fmt.Sprintf("%s (%s)", verdict, strings.Join(parts, ", "))
}

// details returns what is said about a finding beside its message.
func (f *Finding) details() (lines []string) {
	for i := range f.Participants {
		lines = append(lines, f.Participants[i].String())
	}
	lines = append(lines, f.Evidence...)
	if f.Advice != "" {
		lines = append(lines, "Next: "+f.Advice)
	}
	return lines
}

// place says where a finding is, for people.
func (f *Finding) place() string {
	switch {
	case f.File != "" && f.Line > 0:
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	case f.File != "":
		return f.File
	case f.At != nil:
		return f.At.String()
	}
	return ""
}

// level returns the severity as one of three words.
func (f *Finding) level(info, warn, failure string) string {
	switch f.Severity {
	case "error":
		return failure
	case "warn":
		return warn
	}
	return info
}

// ordered returns the rules, those that failed first and those that were skipped
// last.
func (r *Result) ordered() []Rule {
	order := []string{Failed, Warned, Passed, Skipped}
	rules := slices.Clone(r.Rules)
	slices.SortStableFunc(rules, func(a, b Rule) int {
		return cmp.Compare(slices.Index(order, a.Status), slices.Index(order, b.Status))
	})
	return rules
}
