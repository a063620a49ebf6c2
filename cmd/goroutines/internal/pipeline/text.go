// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

func writeJSON(w io.Writer, r *Result) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func writeText(w io.Writer, r *Result) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s: %s\n", r.Source, r.Summary())
	for _, rule := range r.ordered() {
		writeRule(out, &rule)
	}
	if r.Incomplete != "" {
		fmt.Fprintf(out, "Not all of it could be read: %s\n", r.Incomplete)
	}
	return out.Flush()
}

func writeRule(out io.Writer, rule *Rule) {
	if len(rule.Findings) == 0 {
		fmt.Fprintf(out, "  %-8s%s", rule.Status, rule.Name)
		if rule.Reason != "" {
			fmt.Fprintf(out, ": %s", rule.Reason)
		}
		fmt.Fprintln(out)
		return
	}
	for i := range rule.Findings {
		f := &rule.Findings[i]
		status := Warned
		if f.Fails {
			status = Failed
		}
		fmt.Fprintf(out, "  %-8s%s (%s): %s\n", status, rule.Name, f.Confidence, f.Message)
		if place := f.place(); place != "" {
			fmt.Fprintf(out, "          at %s\n", place)
		}
		for _, line := range f.details() {
			fmt.Fprintf(out, "          %s\n", strings.ReplaceAll(line, "\n", " "))
		}
	}
}
