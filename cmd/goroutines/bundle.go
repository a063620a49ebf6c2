// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/graph"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/htmlreport"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
)

// writeBundle writes a folder with the report as text, JSON and HTML, the top
// functions, traces, a call graph, and the profiles for go tool pprof.
func writeBundle(dir string, r *report.Report, series []*goroutine.Snapshot) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("--bundle: %w", err)
	}
	files := []struct {
		name  string
		write func(io.Writer) error
	}{
		{"report.txt", r.Text},
		{"report.json", r.JSON},
		{"report.html", func(w io.Writer) error { return htmlreport.Write(w, r) }},
		{"top.txt", r.Top},
		{"traces.txt", r.Traces},
		{"graph.svg", func(w io.Writer) error { return graph.SVG(w, r) }},
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, writeFile(filepath.Join(dir, f.name), f.write))
	}
	for i, s := range series {
		name := "profile.pb.gz" // the latest, which the report describes
		if i < len(series)-1 {
			name = fmt.Sprintf("profile-%03d.pb.gz", i+1)
		}
		errs = append(errs, writeFile(filepath.Join(dir, name), func(w io.Writer) error { return parse.WriteProfile(w, s) }))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("--bundle: %w", err)
	}
	return nil
}
