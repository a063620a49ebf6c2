// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jstemmer/go-junit-report/v2/junit"
)

// writeJUnit writes a test case for each rule. A case has at most one failure,
// because readers of JUnit show only one: it has all findings that fail. Other
// findings are its output.
func writeJUnit(w io.Writer, r *Result) error {
	suite := junit.Testsuite{Name: xmlText(r.Source), Time: "0.000"}
	if !r.Time.IsZero() {
		suite.SetTimestamp(r.Time.UTC().Truncate(time.Second))
	}
	suite.AddProperty("goroutines.version", r.Version)
	if r.FailOn != "" {
		suite.AddProperty("goroutines.fail_on", r.FailOn)
	}
	for i := range r.Rules {
		suite.AddTestcase(caseOf(&r.Rules[i]))
	}
	if r.Incomplete != "" {
		suite.AddTestcase(junit.Testcase{Name: "input", Classname: className, Time: "0.000",
			Error: &junit.Result{Message: "not all of the input could be read", Type: "input", Data: xmlText(r.Incomplete)}})
	}
	if len(r.Notes) > 0 {
		suite.SystemErr = &junit.Output{Data: xmlText(strings.Join(r.Notes, "\n"))}
	}
	suites := junit.Testsuites{Name: "goroutines check"}
	suites.AddSuite(suite)
	if _, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"); err != nil {
		return err
	}
	return suites.WriteXML(w)
}

const className = "goroutines"

func caseOf(rule *Rule) junit.Testcase {
	c := junit.Testcase{Name: rule.Name, Classname: className, Time: "0.000"}
	var failing, others []string
	for i := range rule.Findings {
		f := &rule.Findings[i]
		text := strings.Join(append([]string{f.Message, "at " + f.place(), "Confidence: " + f.Confidence}, f.details()...), "\n")
		if f.Fails {
			failing = append(failing, text)
		} else {
			others = append(others, text)
		}
	}
	if len(failing) > 0 {
		first, _, _ := strings.Cut(failing[0], "\n")
		if more := len(failing) - 1; more > 0 {
			first += fmt.Sprintf(" (and %d more)", more)
		}
		c.Failure = &junit.Result{Message: xmlText(first), Type: rule.Name, Data: xmlText(strings.Join(failing, "\n\n"))}
	}
	if len(others) > 0 {
		c.SystemOut = &junit.Output{Data: xmlText(strings.Join(others, "\n\n"))}
	}
	if rule.Status == Skipped {
		c.Skipped = &junit.Result{Message: xmlText(rule.Reason)}
	}
	return c
}

// xmlText replaces characters that XML cannot contain.
func xmlText(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r >= ' ' && r != 0xFFFE && r != 0xFFFF {
			return r
		}
		return '\uFFFD'
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
