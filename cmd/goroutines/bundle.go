package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/graph"
	"github.com/otelgoroutine/go/cmd/goroutines/internal/source"
	"github.com/otelgoroutine/go/internal/htmlreport"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
)

// writeBundle writes everything there is to know into a folder, each file for
// the tool or the person that wants it.
func writeBundle(dir string, r *report.Report, series *source.Series) error {
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
		{"top.txt", func(w io.Writer) error { return writeTop(w, r) }},
		{"traces.txt", func(w io.Writer) error { return writeTraces(w, r) }},
		{"graph.svg", func(w io.Writer) error { return graph.SVG(w, r) }},
	}
	var errs []error
	for _, f := range files {
		errs = append(errs, writeFile(filepath.Join(dir, f.name), f.write))
	}
	for i, s := range series.Snapshots {
		name := "profile.pb.gz" // the last: what the report is about
		if i < len(series.Snapshots)-1 {
			name = fmt.Sprintf("profile-%03d.pb.gz", i+1)
		}
		errs = append(errs, writeFile(filepath.Join(dir, name), func(w io.Writer) error { return parse.WriteProfile(w, s) }))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("--bundle: %w", err)
	}
	return nil
}

// writeTop writes all functions, as go tool pprof -top does.
func writeTop(w io.Writer, r *report.Report) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "%d goroutines\n%9s %6s %9s %6s\n", r.Total, "flat", "flat%", "cum", "cum%")
	for _, f := range report.FunctionsOf(r.Stacks, r.Total, len(r.Stacks)*100).Cumulative {
		fmt.Fprintf(b, "%9d %5.1f%% %9d %5.1f%%  %s\n", f.Flat, f.FlatPercent, f.Cumulative, f.CumulativePercent, f.Name)
	}
	return b.Flush()
}

// writeTraces writes all stacks, as go tool pprof -traces does.
func writeTraces(w io.Writer, r *report.Report) error {
	b := bufio.NewWriter(w)
	for i := range r.Stacks {
		s := &r.Stacks[i]
		fmt.Fprintf(b, "-----------+-------------------------------------------------------\n%9d  %5.1f%%  %s\n", s.Count, s.Percent, s.State)
		for j := range s.Frames {
			fmt.Fprintf(b, "             %s\n", s.Frames[j].String())
		}
	}
	return b.Flush()
}
