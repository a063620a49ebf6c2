// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package htmlreport writes a report as one self-contained HTML file. It shows
// states, findings, an icicle graph of all goroutines by stack, a filter and,
// for two snapshots, what changed.
//
// The file runs only its own script and loads nothing. Everything from the
// report is shown as text.
package htmlreport

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/webui"
)

// Write writes r as HTML. It returns the first error of w.
func Write(w io.Writer, r *report.Report) error {
	data, err := json.Marshal(dataOf(r))
	if err != nil { // a number that JSON cannot represent
		return fmt.Errorf("HTML report: %w", err)
	}
	_, err = io.WriteString(w, webui.Report(titleOf(r), data))
	return err
}

func titleOf(r *report.Report) string {
	title := fmt.Sprintf("%d goroutines", r.Total)
	if r.Target != "" {
		title += " · " + r.Target
	}
	return title
}

// data is the report in the form that the script reads: a table contains each
// frame once.
type data struct {
	*report.Report
	Stacks  []stack        `json:"stacks"`
	Changes []change       `json:"changes"`
	Diff    *comparison    `json:"diff,omitempty"`
	Frames  []report.Frame `json:"frames"`
}

// A comparison is a diff without its stacks, which are in data.Changes.
type comparison struct {
	*report.Diff
	Stacks []struct{} `json:"stacks,omitempty"`
}

// A stack has calls instead of frames, as on the live page.
type stack struct {
	report.Stack
	Calls  []int      `json:"calls"` // indices into data.Frames
	Frames []struct{} `json:"frames,omitempty"`
}

type change struct {
	report.StackChange
	Stack stack `json:"stack"`
}

func dataOf(r *report.Report) *data {
	d := &data{Report: r, Stacks: make([]stack, len(r.Stacks)), Changes: []change{}}
	t := report.FrameTable{Frames: []report.Frame{}}
	for i, s := range r.Stacks {
		d.Stacks[i] = stack{Stack: s, Calls: t.Calls(s.Frames)}
	}
	if r.Diff != nil {
		d.Diff = &comparison{Diff: r.Diff}
		for _, c := range r.Diff.Stacks {
			d.Changes = append(d.Changes, change{c, stack{Stack: c.Stack, Calls: t.Calls(c.Stack.Frames)}})
		}
	}
	d.Frames = t.Frames
	return d
}
