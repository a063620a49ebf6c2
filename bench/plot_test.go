// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot"
)

// texts parses an SVG and returns what is written in it.
func texts(t *testing.T, svg []byte) []string {
	t.Helper()
	var all []string
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		if text, ok := token.(xml.CharData); ok && strings.TrimSpace(string(text)) != "" {
			all = append(all, string(text))
		}
	}
}

func TestPlots(t *testing.T) {
	dir := t.TempDir()
	assert.ErrorContains(t, drawAll(example(), filepath.Join(dir, "none")), "-plot: open")
	require.NoError(t, drawAll(example(), dir))
	for name, want := range map[string][]string{
		"time":             {"Time of one snapshot of all goroutines (deep12)", "10 k", "100 k", "1 M", "10 ms", "1 s", "our snapshot", "pprof debug=0"},
		"stop":             {"10 µs", "1 ms", "our snapshot", "runtime's leak profile"},
		"allocated":        {"1 MB", "100 MB", "goroutines"},
		"allocated-shapes": {"convoy", "our snapshot"},
		"reading":          {"Time of one collection of metrics", "our instruments", "client_golang, Go collector"},
	} {
		svg, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		require.NoError(t, err)
		written := texts(t, svg)
		for _, text := range want {
			assert.Contains(t, written, text, name)
		}
		assert.NotContains(t, written, "pprof debug=1 (text)", "what was not measured is not in the legend")
		assert.Less(t, len(svg), 100_000)
	}
}

// What is 0 has no place on a logarithmic axis: not a point, and not the foot
// of a bar.
func TestNothingIsDrawnAtZero(t *testing.T) {
	r := result{
		scenario: scenario{Shape: baseShape, Size: 1000},
		Methods: []measured{
			{Name: ours, Samples: []sample{{Stop: 0}, {Stop: 20_000}, {Stop: 40_000}}},
			{Name: records, Samples: []sample{{}}},
		},
	}
	d := drawing{figure: seconds(stop), unit: "s", lines: snapshotLines, shapes: []string{baseShape}}
	points := d.points(ours, []*result{&r})
	require.Len(t, points.XYs, 1)
	assert.InEpsilon(t, 1e-5, points.YErrors[0].Low, 1e-9)
	assert.Empty(t, d.points(records, []*result{&r}).XYs)
	panels, _, err := d.panels([]result{r})
	require.NoError(t, err)
	require.Len(t, panels, 1)
	assert.InEpsilon(t, 1e-5, panels[0].Y.Min, 1e-9)
	assert.InEpsilon(t, 1e-4, panels[0].Y.Max, 1e-9)

	r.Methods = r.Methods[1:]
	svg, err := d.svg([]result{r})
	require.NoError(t, err)
	assert.Empty(t, svg)
}

func TestMarks(t *testing.T) {
	var labels []string
	for _, tick := range decades("s").Ticks(1e-7, 10) {
		assert.False(t, tick.IsMinor(), tick)
		labels = append(labels, tick.Label)
	}
	assert.Equal(t, []string{"100 ns", "1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"}, labels)
	assert.Equal(t, []plot.Tick{{Value: 100, Label: "100 B"}, {Value: 1000, Label: "1 kB"}}, decades("B").Ticks(100, 1000))
	assert.Equal(t, []plot.Tick{{Value: 1e6, Label: "1 M"}}, decades("").Ticks(1e6, 1e6))
}

// Lines must be told apart.
func TestNoTwoLinesLookTheSame(t *testing.T) {
	for _, lines := range [][]line{snapshotLines, readingLines} {
		seen := make(map[line]bool)
		for _, l := range lines {
			l.method, l.label = "", ""
			assert.False(t, seen[l], l)
			seen[l] = true
		}
	}
}
