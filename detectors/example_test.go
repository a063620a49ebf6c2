// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

func TestSleepers(t *testing.T) {
	poll := detectortest.At(goroutine.Sleep, "time.Sleep", "main.poll:12")
	wait := detectortest.At(goroutine.Select, "main.wait:30")

	p := detectortest.NewProcess(4)
	p.Go(wait, 5000)
	p.Go(poll, 99)
	series := detectortest.Series(p, 10, 15*time.Second, func(i int) {
		if i == 5 {
			p.Go(poll, 1) // now there are a hundred
		}
	})

	steps := detectortest.Run(t, newSleepers(100), series...)
	detectortest.Compare(t, steps[4].Findings) // the healthy twin: nothing
	detectortest.Compare(t, steps[9].Findings, detectortest.Want{
		Function: "main.poll", Line: 12, State: goroutine.Sleep, Count: 100,
	})
}

// TestCustomDetectorPage holds the page that teaches this to the code above:
// each of its blocks of Go is in a file of these tests, but for indentation.
func TestCustomDetectorPage(t *testing.T) {
	page, err := os.ReadFile("../docs/custom-detector.md")
	require.NoError(t, err)
	var code string
	for _, file := range []string{"example_detector_test.go", "example_builtin_test.go", "example_test.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		code += unindented(string(text))
	}
	blocks := strings.Split(strings.ReplaceAll(string(page), "\r\n", "\n"), "```")
	found := 0
	for i := 1; i < len(blocks); i += 2 {
		if block, ok := strings.CutPrefix(blocks[i], "go\n"); ok {
			found++
			assert.Contains(t, code, unindented(block))
		}
	}
	assert.Equal(t, 3, found)
}

func unindented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
