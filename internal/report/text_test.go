// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func sample() *goroutine.Snapshot {
	s := &goroutine.Snapshot{
		Time: at, Source: goroutine.SourceTrace, Duration: 1234567 * time.Nanosecond, Total: 4, Missing: 2,
		Epochs: []goroutine.Epoch{{LastID: 9, End: at.Add(-90 * time.Second)}},
		Groups: []goroutine.Group{
			{Stack: goroutine.NewStack([]goroutine.Frame{{Function: "runtime.gopark", File: "proc.go", Line: 1}, {Function: "main.worker", File: "/src/main.go", Line: 42}}),
				State: goroutine.ChanSend, Count: 3, Births: []goroutine.Cohort{{Count: 3}}, Labels: []goroutine.Label{{Key: "user", Value: "secret"}}},
			{Stack: goroutine.NewStack(nil), State: goroutine.Running, Count: 1, Births: []goroutine.Cohort{{Count: 1}}},
		},
	}
	return s
}

func textOf(t *testing.T, r *Report) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.Text(&b))
	return b.String()
}

func one(s *goroutine.Snapshot, o Options, findings ...detectors.Finding) *Report {
	return New([]*goroutine.Snapshot{s}, findings, o)
}

func TestText(t *testing.T) {
	text := textOf(t, one(sample(), Options{}, detectors.Finding{
		Detector: "leak", Confidence: detectors.Suspected, Message: "Three are stuck.", Evidence: []string{"They were two."}, Advice: "See the receiver."}))
	id := string(sample().Groups[0].Stack.ID)
	empty := string(sample().Groups[1].Stack.ID)
	assert.Equal(t, `4 goroutines at 2026-01-02T03:04:05Z (trace, took 1.235ms)
2 more could not be described.
  3 chan send, 1 running

Findings
  leak (suspected): Three are stuck.
    - They were two.
    Next: See the receiver.

Stacks (2 of 2)

     3   75.0%  chan send  `+id+`  user=…
      oldest at least 90 s
      main.worker (/src/main.go:42)

     1   25.0%  running  `+empty+`
      oldest at least 90 s

Functions, flat and cumulative (1 of 1)
  flat   flat%   cum    cum%
     3   75.0%     3   75.0%  main.worker

States
     3   75.0%  chan send
     1   25.0%  running

Categories
     3   75.0%  channel
     1   25.0%  running

Health: 1 of 4 checks over the threshold; faults are under Findings
  note  75.0% are waiting on channels, over 50%: usual for idle workers
`, text)
}

func TestTextWithoutASnapshot(t *testing.T) {
	assert.Equal(t, "No snapshot has been taken yet.\n", textOf(t, New(nil, nil, Options{})))
	assert.Equal(t, "No snapshot has been taken yet.\n", textOf(t, New([]*goroutine.Snapshot{nil}, nil, Options{})))
}

func TestTextShowsNoLabelValuesUnlessAskedFor(t *testing.T) {
	text := textOf(t, one(sample(), Options{}))
	assert.NotContains(t, text, "secret")
	assert.Contains(t, text, "  none\n")
	assert.Contains(t, textOf(t, one(sample(), Options{Values: true})), `user="secret"`)
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWritersErrorsAreReturned(t *testing.T) {
	r := New([]*goroutine.Snapshot{sample(), sample()}, nil, Options{})
	assert.ErrorContains(t, r.Text(broken{}), "disk full")
	assert.ErrorContains(t, r.JSON(broken{}), "disk full")
	assert.ErrorContains(t, r.Diff.Text(broken{}, 0), "disk full")
	assert.ErrorContains(t, r.Diff.JSON(broken{}), "disk full")
}

func TestTextIsBounded(t *testing.T) {
	s := sample()
	s.Groups = nil
	for i := range 100 {
		var frames []goroutine.Frame
		for j := range 128 {
			frames = append(frames, goroutine.Frame{Function: fmt.Sprintf("main.%s%d_%d", strings.Repeat("f", 500), i, j), File: "/x.go", Line: 1})
		}
		s.Groups = append(s.Groups, goroutine.Group{Stack: goroutine.NewStack(frames), State: goroutine.Select, Count: 1})
	}
	assert.Less(t, len(textOf(t, one(s, Options{}))), defaultTop*(textTrace*2)+2*defaultTop*1000+2000)
	few := textOf(t, one(s, Options{Stacks: 2, Functions: 3}))
	assert.Contains(t, few, "Stacks (2 of 100)")
	assert.Contains(t, few, "Functions, flat and cumulative (3 of 12800)")
}
