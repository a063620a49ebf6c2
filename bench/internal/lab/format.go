// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"io"
	"strconv"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Duration formats with three digits; 0 is what could not be measured, or was
// not there.
func Duration(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return scaled(float64(d), 1000, "ns", "µs", "ms", "s")
}

// Size formats bytes with three digits.
func Size(n int64) string { return scaled(float64(n), 1024, "B", "KiB", "MiB", "GiB") }

// scaled formats with three digits in the smallest unit that has no more before
// the point; each is step times the one before.
func scaled(f, step float64, units ...string) string {
	for len(units) > 1 && f >= 999.5 {
		f, units = f/step, units[1:]
	}
	return Digits(f) + " " + units[0]
}

// Digits formats f with three digits, one or two below 1.
func Digits(f float64) string {
	switch {
	case f == 0 || f >= 99.95:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 9.995:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case f < 0.0995:
		return strconv.FormatFloat(f, 'f', 3, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// Thousands formats n with commas.
func Thousands(n int) string { return humanize.Comma(int64(n)) }

// A Row of a table is text and numbers.
type Row = table.Row

// Table writes Markdown whose columns line up in the source, too. The first row
// is the head, the first column is text and the others are numbers.
func Table(w io.Writer, rows []Row) {
	t := table.NewWriter()
	t.Style().Markdown.PadContent = true
	columns := []table.ColumnConfig{{Number: 1, Align: text.AlignLeft, AlignHeader: text.AlignLeft}}
	for i := range rows[0][1:] {
		columns = append(columns, table.ColumnConfig{Number: i + 2, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	t.AppendHeader(rows[0])
	t.AppendRows(rows[1:])
	_, _ = io.WriteString(w, t.RenderMarkdown()+"\n")
}
