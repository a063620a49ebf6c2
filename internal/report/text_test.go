package report

import (
	"errors"
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
			{Stack: goroutine.NewStack(nil), State: goroutine.Running, Count: 1},
		},
	}
	return s
}

func TestText(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Text(&b, sample(), []detectors.Finding{{
		Detector: "leak", Confidence: detectors.Suspected, Message: "Three are stuck.", Evidence: []string{"They were two."}}}))
	id := string(sample().Groups[0].Stack.ID)
	empty := string(sample().Groups[1].Stack.ID)
	assert.Equal(t, `4 goroutines at 2026-01-02T03:04:05Z (trace, took 1.235ms)
2 more could not be described.

States
        3   75.0%  chan send
        1   25.0%  running

Findings
  leak (suspected): Three are stuck.
    - They were two.

Stacks (2 of 2)

        3   75.0%  chan send  `+id+`  oldest at least 1m30s
           main.worker(...)
           	/src/main.go:42

        1   25.0%  running  `+empty+`
`, b.String())
}

func TestTextWithoutASnapshot(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Text(&b, nil, nil))
	assert.Equal(t, "No snapshot has been taken yet.\n", b.String())
}

func TestTextShowsNoLabelValues(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Text(&b, sample(), nil))
	assert.NotContains(t, b.String(), "secret")
	assert.Contains(t, b.String(), "  none\n")
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestTextReturnsTheWritersError(t *testing.T) {
	assert.ErrorContains(t, Text(broken{}, sample(), nil), "disk full")
}

func TestTextIsBounded(t *testing.T) {
	s := sample()
	s.Groups = nil
	for range 1000 {
		var frames []goroutine.Frame
		for range 128 {
			frames = append(frames, goroutine.Frame{Function: "main." + strings.Repeat("f", 500), File: "/x.go", Line: 1})
		}
		s.Groups = append(s.Groups, goroutine.Group{Stack: goroutine.NewStack(frames), State: goroutine.Select, Count: 1})
	}
	var b strings.Builder
	require.NoError(t, Text(&b, s, nil))
	assert.Less(t, b.Len(), textStacks*(textTrace*2)+2000)
}
