// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/pipeline"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/source"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A kind is a kind of fault that sources are checked for.
type kind struct {
	name, doc string
	// fromDump says that a single goroutine dump suffices, and onlyDump that nothing
	// else does.
	fromDump, onlyDump bool
}

// kinds returns the kinds of faults, first those that a dump says by itself.
func kinds() []kind {
	all := []kind{
		{name: "crash", doc: "The process ended by a panic, a fatal error of the runtime, a signal, or the time limit of a test.", fromDump: true, onlyDump: true},
		{name: "long_wait", doc: "Goroutines have waited far longer than others at the same place, or for what should not take that long.", fromDump: true, onlyDump: true},
	}
	for _, d := range detectors.Default() {
		all = append(all, kind{name: d.Name, doc: d.Doc, fromDump: d.Name == "deadlock"})
	}
	return all
}

// unjudged says why a snapshot does not suffice to judge faults of a kind.
func (k kind) unjudged(s *goroutine.Snapshot, seen *report.Sight) string {
	switch {
	case k.fromDump && s.Source == goroutine.SourceText:
		return ""
	case k.onlyDump:
		return "a goroutine dump is needed"
	}
	for _, d := range seen.Detectors {
		if d.Name == k.name && !d.Judging {
			return d.Detail
		}
	}
	return ""
}

// condition returns what --fail-on says.
func (f *checkFlags) condition() (failOn, error) {
	if f.failOn == "none" {
		return failOn{}, nil
	}
	fail, err := parseFailOn(f.failOn)
	switch {
	case err != nil:
		return fail, fmt.Errorf("%w, or none", err)
	case fail.health:
		return fail, errors.New("--fail-on health is for report; of check it must be any, none, or a confidence (" + confidenceWords() + ")")
	}
	return fail, nil
}

// checkSources judges sources as report does.
func (f *checkFlags) checkSources(c *cobra.Command, args []string) error {
	fail, err := f.condition()
	if err != nil {
		return err
	}
	if err := f.checkSeries(args); err != nil {
		return err
	}
	tree, err := pipeline.NewTree(f.roots)
	if err != nil {
		return fmt.Errorf("--source-root: %w", err)
	}
	series, notes, err := f.read(c, args)
	if f.allowNone && errors.Is(err, parse.ErrNoGoroutine) && len(args) == 1 && !source.IsURL(args[0]) {
		return f.writeResult(c, func(w io.Writer, format string) error {
			return pipeline.Write(w, withoutGoroutines(args, fail), format)
		})
	}
	if err != nil {
		return err
	}
	r, _, _, err := f.report(series, notes)
	if err != nil {
		return err
	}
	result := f.result(series, r, fail)
	for i := range result.Rules {
		for k := range result.Rules[i].Findings {
			tree.Locate(&result.Rules[i].Findings[k])
		}
	}
	err = f.writeResult(c, func(w io.Writer, format string) error { return pipeline.Write(w, result, format) })
	tell(c.ErrOrStderr(), r.Notes)
	err = cmp.Or(err, series.Partial)
	if err == nil && result.Failed {
		err = errFindings
	}
	return err
}

// meets reports whether a finding of a confidence, by its name, fails.
func (f failOn) meets(confidence string) bool {
	return f.confidence > 0 && slices.ContainsFunc(detectors.Confidences(), func(c detectors.Confidence) bool {
		return c.String() == confidence && c >= f.confidence
	})
}

func newResult(name string, fail failOn) *pipeline.Result {
	r := &pipeline.Result{SchemaVersion: pipeline.SchemaVersion, Source: name, Version: otelgoroutine.Version}
	if fail.confidence > 0 {
		r.FailOn = fail.confidence.String()
	}
	return r
}

// result returns what the detectors and the diagnosis found, by kind.
func (f *checkFlags) result(series *source.Series, r *report.Report, fail failOn) *pipeline.Result {
	result := newResult(r.Target, fail)
	result.Time, result.Goroutines, result.Notes = r.Time, r.Total, r.Notes
	if series.Partial != nil {
		result.Incomplete = series.Partial.Error()
	}
	found := make(map[string][]pipeline.Finding)
	all := kinds()
	for _, d := range r.Findings {
		found[d.Detector] = append(found[d.Detector], pipeline.Finding{Finding: d, Fails: fail.meets(d.Confidence)})
		if !slices.ContainsFunc(all, func(k kind) bool { return k.name == d.Detector }) {
			all = append(all, kind{name: d.Detector})
		}
	}
	last := series.Snapshots[len(series.Snapshots)-1]
	for _, k := range all {
		result.Add(k.name, k.doc, k.unjudged(last, r.Sight), found[k.name])
	}
	return result
}

// withoutGoroutines returns the result for a source without goroutines: nothing
// crashed, and nothing else can be judged.
func withoutGoroutines(args []string, fail failOn) *pipeline.Result {
	result := newResult(args[len(args)-1], fail)
	for _, k := range kinds() {
		reason := "the input has no goroutines"
		if k.name == "crash" {
			reason = ""
		}
		result.Add(k.name, k.doc, reason, nil)
	}
	return result
}
