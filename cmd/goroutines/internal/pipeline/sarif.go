// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/owenrumney/go-sarif/v2/sarif"

	"github.com/otelgoroutine/go/internal/report"
)

const (
	informationURI = "https://github.com/otelgoroutine/go"
	helpURI        = informationURI + "/blob/main/docs/pipelines.md"
	// sourceRoot is what relative paths are relative to. Readers put the root of the
	// repository in its place.
	sourceRoot = "%SRCROOT%"
)

// writeSARIF writes a log of SARIF 2.1.0 with a rule for each kind of fault and a
// result for each finding.
func writeSARIF(w io.Writer, r *Result) error {
	log, err := sarif.New(sarif.Version210)
	if err != nil {
		return err
	}
	run := sarif.NewRunWithInformationURI("goroutines", informationURI)
	run.Tool.Driver.WithVersion(r.Version)
	for i := range r.Rules {
		addRule(run, &r.Rules[i], r.Source)
	}
	run.AddInvocation(true)
	invocation := run.Invocations[0]
	successful := r.Incomplete == ""
	invocation.ExecutionSuccessful = &successful
	notify(invocation, r)
	log.AddRun(run)
	if err := log.PrettyWrite(w); err != nil {
		return err
	}
	_, err = io.WriteString(w, "\n")
	return err
}

// notify adds what was not judged or read.
func notify(invocation *sarif.Invocation, r *Result) {
	add := func(level, text string) {
		invocation.ToolExecutionNotifications = append(invocation.ToolExecutionNotifications,
			sarif.NewNotification().WithLevel(level).WithTextMessage(text))
	}
	if r.Incomplete != "" {
		add("error", "not all of the input could be read: "+r.Incomplete)
	}
	for _, rule := range r.Rules {
		if rule.Status == Skipped {
			add("note", rule.Name+" could not judge: "+rule.Reason)
		}
	}
	for _, note := range r.Notes {
		add("note", note)
	}
}

func addRule(run *sarif.Run, rule *Rule, source string) {
	doc := strings.Join(strings.Fields(cmp.Or(rule.Doc, rule.Name)), " ")
	summary, _, _ := strings.Cut(doc, ". ")
	descriptor := run.AddRule(rule.Name).WithName(rule.Name).
		WithShortDescription(sarif.NewMultiformatMessageString(strings.TrimSuffix(summary, ".") + ".")).
		WithFullDescription(sarif.NewMultiformatMessageString(doc)).
		WithHelpURI(helpURI)
	descriptor.DefaultConfiguration = sarif.NewReportingConfiguration().WithLevel("warning")
	for i := range rule.Findings {
		run.AddResult(resultOf(rule, &rule.Findings[i], source))
	}
}

func resultOf(rule *Rule, f *Finding, source string) *sarif.Result {
	text := strings.Join(append([]string{f.Message}, f.details()...), "\n")
	result := sarif.NewRuleResult(rule.Name).WithLevel(f.level("note", "warning", "error")).WithMessage(sarif.NewTextMessage(text))
	result.AddLocation(locationOf(f, source))
	if len(f.Frames) > 0 {
		result.Stacks = append(result.Stacks, stackOf(f.Frames))
	}
	if f.StackID != "" {
		result.PartialFingerprints = map[string]any{"goroutineStack/v1": rule.Name + ":" + f.State + ":" + f.StackID}
	}
	result.Properties = sarif.Properties{"confidence": f.Confidence, "fails": f.Fails, "goroutines": f.Count}
	return result
}

// locationOf returns what was checked for a finding without a place, because GitHub
// refuses a log with a result that has none.
func locationOf(f *Finding, source string) *sarif.Location {
	switch {
	case f.File != "":
		return physical(sarif.NewArtifactLocation().WithUri(uriOf(f.File)).WithUriBaseId(sourceRoot), f.Line)
	case f.At != nil && f.At.File != "":
		at := outside(f.At)
		at.LogicalLocations = []*sarif.LogicalLocation{sarif.NewLogicalLocation().WithFullyQualifiedName(f.At.Function).WithKind("function")}
		return at
	case strings.Contains(source, "://"):
		return physical(sarif.NewArtifactLocation().WithUri(source), 0)
	}
	return physical(sarif.NewArtifactLocation().WithUri(uriOf(filepath.ToSlash(source))), 0)
}

// outside returns the place of a frame that is not of the source tree.
func outside(at *report.Frame) *sarif.Location {
	return physical(sarif.NewArtifactLocation().WithUri(uriOf(at.File)), at.Line)
}

func physical(artifact *sarif.ArtifactLocation, line int) *sarif.Location {
	p := sarif.NewPhysicalLocation().WithArtifactLocation(artifact)
	if line > 0 {
		p.WithRegion(sarif.NewSimpleRegion(line, line))
	}
	return sarif.NewLocation().WithPhysicalLocation(p)
}

// uriOf returns the URI of a file as the compiler recorded it.
func uriOf(file string) string {
	switch {
	case path.IsAbs(file):
		return (&url.URL{Scheme: "file", Path: file}).String()
	case len(file) > 2 && file[1] == ':': // of Windows
		return (&url.URL{Scheme: "file", Path: "/" + file}).String()
	}
	return (&url.URL{Path: file}).String()
}

func stackOf(frames []report.Frame) *sarif.Stack {
	stack := sarif.NewStack()
	for _, f := range frames {
		at := sarif.NewLocation()
		if f.File != "" {
			at = outside(&f)
		}
		text := fmt.Sprint(&f)
		at.WithMessage(sarif.NewTextMessage(text))
		stack.AddFrame(sarif.NewStackFrame().WithLocation(at))
	}
	return stack
}
