// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// writeGitHub writes workflow commands that become annotations of the changed
// files, those that fail first: GitHub shows ten of a level. What follows says the
// same in the log, where commands are not shown as they are.
func writeGitHub(w io.Writer, r *Result) error {
	out := bufio.NewWriter(w)
	for _, rule := range r.ordered() {
		for i := range rule.Findings {
			writeAnnotation(out, &rule, &rule.Findings[i])
		}
	}
	if r.Incomplete != "" {
		fmt.Fprintf(out, "::error title=goroutines::%s\n", escapeData("not all of "+r.Source+" could be read: "+r.Incomplete))
	}
	fmt.Fprintf(out, "goroutines check %s: %s\n", strings.ReplaceAll(r.Source, "\n", " "), r.Summary())
	return out.Flush()
}

func writeAnnotation(out io.Writer, rule *Rule, f *Finding) {
	level := "notice"
	switch {
	case f.Fails:
		level = "error"
	case f.Severity != "info":
		level = "warning"
	}
	var properties []string
	if f.File != "" {
		properties = append(properties, "file="+escapeProperty(f.File))
		if f.Line > 0 {
			properties = append(properties, fmt.Sprintf("line=%d", f.Line))
		}
	}
	properties = append(properties, "title="+escapeProperty(fmt.Sprintf("goroutines: %s (%s)", rule.Name, f.Confidence)))
	text := f.Message
	if f.File == "" && f.place() != "" {
		text += "\nat " + f.place()
	}
	text = strings.Join(append([]string{text}, f.details()...), "\n")
	fmt.Fprintf(out, "::%s %s::%s\n", level, strings.Join(properties, ","), escapeData(text))
}

var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func escapeData(text string) string     { return dataEscapes.Replace(text) }
func escapeProperty(text string) string { return propertyEscapes.Replace(text) }
