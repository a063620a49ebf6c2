// Package htmlreport writes a report as one HTML file that needs nothing else:
// states, findings, an icicle graph of all goroutines by stack, a filter, and,
// of two snapshots, what grew and what shrank.
//
// The file runs no script but its own, and refers to nothing. Everything from
// the report is shown as text.
package htmlreport

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/webui"
)

// Write writes r as HTML. It returns the first error of w.
func Write(w io.Writer, r *report.Report) error {
	data, err := json.Marshal(dataOf(r))
	if err != nil { // a number that JSON has no word for
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

// data is the report as the script reads it. It has every frame once: that is
// a tenth of the size.
type data struct {
	*report.Report
	Stacks  []stack     `json:"stacks"`
	Changes []change    `json:"changes"`
	Diff    *comparison `json:"diff,omitempty"`
	Frames  []frame     `json:"frames"`
	Files   []string    `json:"files"`
}

// A comparison is a diff without its stacks, which are in data.Changes.
type comparison struct {
	*report.Diff
	Stacks []struct{} `json:"stacks,omitempty"`
}

type stack struct {
	report.Stack
	Frames []int `json:"frames"` // into data.Frames
	User   int   `json:"user"`   // the one that names the place
}

type change struct {
	report.StackChange
	Stack stack `json:"stack"`
}

type frame struct {
	Function string `json:"f"`
	File     int    `json:"file"` // into data.Files
	Line     int    `json:"l"`
	Standard bool   `json:"std,omitempty"`
}

func dataOf(r *report.Report) *data {
	d := &data{Report: r, Stacks: []stack{}, Changes: []change{}}
	t := table{frames: make(map[report.Frame]int), files: make(map[string]int), allFrames: []frame{}, allFiles: []string{}}
	for i := range r.Stacks {
		d.Stacks = append(d.Stacks, t.stack(&r.Stacks[i]))
	}
	if r.Diff != nil {
		d.Diff = &comparison{Diff: r.Diff}
		for i := range r.Diff.Stacks {
			c := &r.Diff.Stacks[i]
			d.Changes = append(d.Changes, change{*c, t.stack(&c.Stack)})
		}
	}
	d.Frames, d.Files = t.allFrames, t.allFiles
	return d
}

// A table has every frame and every file once.
type table struct {
	frames    map[report.Frame]int
	files     map[string]int
	allFrames []frame
	allFiles  []string
}

func (t *table) stack(s *report.Stack) stack {
	out := stack{Stack: *s, Frames: []int{}, User: -1}
	for i, f := range s.Frames {
		n := t.frame(f)
		out.Frames = append(out.Frames, n)
		if out.User < 0 && !t.allFrames[n].Standard {
			out.User = i
		}
	}
	if out.User < 0 { // as goroutine.Stack.User
		out.User = max(0, len(s.Frames)-1)
	}
	return out
}

func (t *table) frame(f report.Frame) int {
	n, known := t.frames[f]
	if !known {
		n = len(t.allFrames)
		t.frames[f] = n
		standard := goroutine.Frame{Function: f.Function}.Standard()
		t.allFrames = append(t.allFrames, frame{f.Function, t.file(f.File), f.Line, standard})
	}
	return n
}

func (t *table) file(name string) int {
	n, known := t.files[name]
	if !known {
		n = len(t.allFiles)
		t.files[name] = n
		t.allFiles = append(t.allFiles, name)
	}
	return n
}
