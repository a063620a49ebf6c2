// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

var update = flag.Bool("update", false, "write the golden files anew")

// took returns one sample for each duration. The other figures follow from it.
func took(seen int, durations ...time.Duration) []sample {
	var all []sample
	for _, d := range durations {
		all = append(all, sample{
			Wall: d, CPU: 3 * d / 2, Stop: d / 1000, Delay: d / 10,
			Allocated: int64(d / 20), Objects: int64(d / 5000), Memory: int64(d), Peak: int64(10 * d),
			Seen: seen, Existing: 100_003,
		})
	}
	return all
}

const ms = time.Millisecond

// example is results with everything that a report can have.
func example() []result {
	return []result{
		{
			scenario: scenario{Shape: baseShape, Size: 10_000, Rounds: 3}, Doc: "12 frames", TraceBytes: 200_000,
			Methods: []measured{
				{Name: nothing, Samples: took(notCounted, 100*ms)},
				{Name: ours, Samples: took(100_003, 13*ms)},
				{Name: pprofParse, Samples: took(100_003, 25*ms)},
			},
		},
		{
			scenario: scenario{Shape: readingShape, Size: 10_000, Rounds: 3, Reading: true}, Doc: "2,000 stacks",
			Methods: []measured{{Name: readOurs, Samples: took(53, ms/30)}, {Name: readGo, Samples: took(29, ms/20)}},
		},
		{
			scenario: scenario{Shape: baseShape, Size: 100_000, Rounds: 3}, Doc: "12 frames", Note: "A note.", TraceBytes: 2_000_000,
			Methods: []measured{
				{Name: nothing, Samples: took(notCounted, 100*ms)},
				{Name: ours, Samples: took(100_003, 130*ms, 120*ms, 180*ms)},
				{Name: pprofParse, Samples: took(100_003, 260*ms, 250*ms, 300*ms)},
				{Name: tracerAlone, Samples: took(notCounted, 100*ms)},
				{Name: expDecoder},
				{Name: textParse, Samples: took(79_043, 5800*ms)},
				{Name: leakProof, Samples: took(0, 200*ms)},
			},
		},
		{
			scenario: scenario{Shape: lockShape, Size: 100_000, Rounds: 1}, Doc: "one lock", TraceBytes: 2_000_000,
			Methods: []measured{{Name: ours, Samples: took(100_003, 130*ms)}, {Name: leakProof, LeftOut: "it would take minutes"}},
		},
		{
			scenario: scenario{Shape: readingShape, Size: 100_000, Rounds: 3, Reading: true}, Doc: "2,000 stacks",
			Methods: []measured{{Name: readOurs, Samples: took(53, ms/29)}, {Name: readGo, Samples: took(29, ms/18)}},
		},
		{
			scenario: scenario{Shape: baseShape, Size: 1_000_000, Rounds: 1, Large: true}, Doc: "12 frames", TraceBytes: 20_000_000,
			Methods: []measured{{Name: ours, Samples: took(1_000_003, 1300*ms)}, {Name: pprofParse, Samples: took(1_000_003, 2*time.Second)}},
		},
	}
}

func TestReport(t *testing.T) {
	var b bytes.Buffer
	machine := lab.Machine{Go: "go1.26.8", System: "linux/amd64", CPU: "Abacus", Cores: 2, Modules: map[string]string{"b": "v2", "a": "v1"}}
	require.NoError(t, printReport(&b, machine, example()))
	_, rest, _ := strings.Cut(b.String(), "\n\n## ") // what stands before depends on the runtime
	path := filepath.Join("testdata", "report.golden")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(rest), 0o666))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), rest)
	assert.Contains(t, b.String(), "go1.26.8, linux/amd64, 2 cores, Abacus, a v1, b v2\n")
}

func TestSpread(t *testing.T) {
	m := measured{Samples: took(0, 5*ms, 1*ms, 9*ms, 7*ms)}
	assert.Equal(t, spread[time.Duration]{1 * ms, 7 * ms, 9 * ms}, spreadOf(&m, wall))
}

func TestRatioComparesWhatWasMeasuredInOneRound(t *testing.T) {
	m := measured{Samples: took(0, 5*ms, 1*ms, 9*ms, 7*ms)}
	x, told := ratio(&m, &measured{Samples: took(0, 10*ms, 1*ms, 3*ms)}, wall)
	assert.True(t, told)
	assert.Equal(t, spread[float64]{0.5, 1, 3}, x)

	_, told = ratio(&m, nil, wall)
	assert.False(t, told)
	_, told = ratio(&m, &measured{Samples: []sample{{}}}, cpu)
	assert.False(t, told, "a system that does not tell the CPU time")
}

func TestExponent(t *testing.T) {
	linear, square := good(100_000), good(1_000_000)
	e, told := exponent([]*result{&linear, &square}, ours)
	assert.True(t, told)
	assert.InDelta(t, 1, e, 1e-9)

	square.method(ours).Samples[0].Wall *= 10
	e, _ = exponent([]*result{&linear, &square}, ours)
	assert.InDelta(t, 2, e, 1e-9)

	small := good(1000)
	_, told = exponent([]*result{&small, &linear}, ours)
	assert.False(t, told, "small ones do not count")
}

func TestTheMeanOfEqualSnapshots(t *testing.T) {
	s := sample{Wall: 10 * ms, CPU: 20 * ms, Stop: ms, Delay: 2 * ms, Allocated: 30, Objects: 40, Seen: 7, Existing: 8}
	assert.Equal(t, sample{Wall: ms, CPU: 2 * ms, Stop: ms, Delay: 2 * ms, Allocated: 3, Objects: 4, Seen: 7, Existing: 8}, s.mean(10))
}

func TestALeakProfileIsLeftOutWhereItMayTakeTooLong(t *testing.T) {
	assert.Empty(t, tooLong(scenario{Shape: lockShape, Size: 10_000}))
	assert.Contains(t, tooLong(scenario{Shape: lockShape, Size: 100_000}), "300 s")
	assert.Empty(t, tooLong(scenario{Shape: baseShape, Size: 1_000_000}))
}
