// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package htmlreport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
)

func snapshot(counts map[string]int) *goroutine.Snapshot {
	s := &goroutine.Snapshot{Time: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Source: goroutine.SourceTrace}
	for name, n := range counts {
		stack := goroutine.NewStack([]goroutine.Frame{{Function: "net.(*conn).Read", File: "net.go", Line: 1}, {Function: name, File: "a.go", Line: 2}, {Function: "main.main", File: "a.go", Line: 3}})
		s.Groups = append(s.Groups, goroutine.Group{Stack: stack, State: goroutine.IOWait, Count: n})
		s.Total += n
	}
	s.Sort()
	return s
}

// written is the data that the script of the page reads.
type written struct {
	Target string `json:"target"`
	Total  int    `json:"total"`
	Stacks []struct {
		ID    string
		Count int
		Calls []int
		User  int
	} `json:"stacks"`
	Changes []struct {
		Kind          string
		Before, After int
		Stack         struct{ Calls []int }
	} `json:"changes"`
	Diff *struct {
		States []any
		Stacks []any
	} `json:"diff"`
	Frames []report.Frame `json:"frames"`
}

func write(t *testing.T, r *report.Report) (page string, w written) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, r))
	_, rest, ok := strings.Cut(b.String(), `<script type="application/json" id="report">`)
	require.True(t, ok)
	data, _, _ := strings.Cut(rest, "</script>")
	require.NoError(t, json.Unmarshal([]byte(data), &w))
	return b.String(), w
}

func TestTheDataHasEveryFrameOnce(t *testing.T) {
	_, w := write(t, report.New([]*goroutine.Snapshot{snapshot(map[string]int{"main.a": 5, "main.b": 2})}, nil, report.Options{Target: "shop"}))
	assert.Equal(t, "shop", w.Target)
	assert.Equal(t, 7, w.Total)
	require.Len(t, w.Stacks, 2)
	assert.Len(t, w.Frames, 4)
	first := w.Stacks[0]
	assert.Equal(t, 5, first.Count)
	require.Len(t, first.Calls, 3)
	assert.Equal(t, "main.a", w.Frames[first.Calls[first.User]].Function, "the innermost frame outside the standard library")
	assert.True(t, w.Frames[first.Calls[0]].Standard)
	assert.Nil(t, w.Diff)
}

func TestADiffIsThere(t *testing.T) {
	series := []*goroutine.Snapshot{snapshot(map[string]int{"main.a": 5, "main.gone": 3}), snapshot(map[string]int{"main.a": 9, "main.new": 1})}
	_, w := write(t, report.New(series, nil, report.Options{}))
	require.NotNil(t, w.Diff)
	assert.NotEmpty(t, w.Diff.States)
	assert.Empty(t, w.Diff.Stacks, "they are in changes, once")
	kinds := map[string][2]int{}
	for _, c := range w.Changes {
		kinds[c.Kind] = [2]int{c.Before, c.After}
		assert.Len(t, c.Stack.Calls, 3)
	}
	assert.Equal(t, map[string][2]int{"grew": {5, 9}, "gone": {3, 0}, "appeared": {0, 1}}, kinds)
}

func TestMarkupStaysText(t *testing.T) {
	hostile := `</script><script>alert(1)</script>`
	s := snapshot(map[string]int{"main." + hostile: 1})
	page, w := write(t, report.New([]*goroutine.Snapshot{s}, nil, report.Options{Target: hostile, Notes: []string{hostile}}))
	assert.NotContains(t, page, "<script>alert")
	assert.Equal(t, hostile, w.Target, "and is kept as it is")
}

func TestWithoutASnapshotThePageSaysSo(t *testing.T) {
	_, w := write(t, report.New(nil, nil, report.Options{}))
	assert.Empty(t, w.Stacks)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestAnErrorOfTheWriterIsReturned(t *testing.T) {
	assert.ErrorContains(t, Write(broken{}, report.New(nil, nil, report.Options{})), "no space")
}

// 4,000 stacks must fit into a file that mail and browsers accept.
func TestALargeReportIsSmallEnough(t *testing.T) {
	counts := make(map[string]int)
	for i := range 4000 {
		counts[fmt.Sprintf("github.com/some-company/service/internal/handlers.(*Handler).Method%d", i)] = i + 1
	}
	page, _ := write(t, report.New([]*goroutine.Snapshot{snapshot(counts)}, nil, report.Options{}))
	assert.Less(t, len(page), 3<<20)
}
