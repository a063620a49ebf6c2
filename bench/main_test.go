// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// TestMain lets the test binary be the process of a scenario, as bench is.
func TestMain(m *testing.M) {
	lab.Child(measureScenario)
	os.Exit(m.Run())
}

// call runs bench in this process, and its scenarios in processes of their own.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = lab.Status(t.Context(), run, args, &out, &err)
	return status, out.String(), err.String()
}

func TestASmallRun(t *testing.T) {
	dir := t.TempDir()
	status, stdout, stderr := call(t, "-sizes", "200", "-shapes", "distinct", "-rounds", "1", "-plot", dir)
	require.Zero(t, status, stderr)
	assert.Contains(t, stderr, "[1/2] 200 goroutines, distinct ... ")
	assert.Contains(t, stdout, "## 200 goroutines, distinct")
	assert.Contains(t, stdout, "| "+ours)
	assert.Contains(t, stdout, "## One collection of metrics")
	assert.Contains(t, stdout, "| "+readOurs)
	assert.NotContains(t, stdout, "## Checks", "the promises are about more goroutines")
	for _, name := range []string{"time-shapes", "stop-shapes", "allocated-shapes", "reading"} {
		assert.FileExists(t, filepath.Join(dir, name+".svg"))
	}
	assert.NoFileExists(t, filepath.Join(dir, "time.svg"), "of a shape that was not measured")
}

func TestEveryMethodSeesEveryGoroutine(t *testing.T) {
	r := measureInChild(t, scenario{Shape: lockShape, Size: 200, Rounds: 2})
	assert.Positive(t, r.TraceBytes)
	assert.Equal(t, hasLeakProof(), r.method(leakProof) != nil)
	for _, m := range r.Methods {
		assert.Len(t, m.Samples, 2, m.Name)
		checkSamples(t, m)
	}
}

// checkSamples holds what is true of every machine.
func checkSamples(t *testing.T, m measured) {
	t.Helper()
	for _, s := range m.Samples {
		assert.Positive(t, s.Wall, m.Name)
		assert.Positive(t, s.Delay, m.Name)
		assert.GreaterOrEqual(t, s.Existing, 200, m.Name)
		switch m.Name {
		case nothing, tracerAlone:
			assert.Equal(t, notCounted, s.Seen, m.Name)
			assert.Equal(t, "–", m.completeness())
		case expDecoder: // it is not ours to vouch for
			assert.GreaterOrEqual(t, s.Seen, 200, m.Name)
		case leakProof:
			assert.Equal(t, "0 leaked", m.completeness())
			assert.Positive(t, s.Stop, "those of the garbage collection count")
		default:
			assert.Equal(t, s.Existing, s.Seen, m.Name)
		}
	}
}

// Every reader reads: our instruments show 20 stacks with their ages, the states
// and more.
func TestReadings(t *testing.T) {
	r := measureInChild(t, scenario{Shape: readingShape, Size: 200, Rounds: 2, Reading: true})
	require.Len(t, r.Methods, 4)
	for name, series := range map[string]int{readOurs: 40, readContrib: 7, readGo: 20, readGoAll: 80} {
		m := r.method(name)
		require.NotNil(t, m, name)
		assert.Len(t, m.Samples, 2, name)
		for _, s := range m.Samples {
			assert.Positive(t, s.Wall, name)
			assert.Positive(t, s.Objects, name)
			assert.GreaterOrEqual(t, s.Seen, series, name)
		}
	}
}

// With -large, the methods are those that bear it, and memory is measured.
func TestALargeScenarioInSmall(t *testing.T) {
	s := scenario{Shape: baseShape, Size: 300, Rounds: 1, Large: true}
	r := measureInChild(t, s)
	assert.Equal(t, s, r.scenario)
	assert.Nil(t, r.method(textParse))
	assert.Nil(t, r.method(textPanic))
	assert.Nil(t, r.method(expDecoder))
	require.NotNil(t, r.method(ours))
	if _, err := os.Stat("/proc/self/status"); err == nil {
		assert.Positive(t, r.method(ours).Samples[0].Peak)
	}
}

// What a snapshot holds counts, and what it gives back before does not.
func TestMemoryIsWhatASnapshotAdds(t *testing.T) {
	if _, now := lab.ResidentMemory(); now == 0 {
		t.Skip("this system does not tell the resident memory")
	}
	hold := func(size int) func() (int, error) {
		return func() (int, error) {
			memory := make([]byte, size)
			for i := 0; i < size; i += 4 << 10 {
				memory[i] = 1
			}
			runtime.KeepAlive(memory)
			return 1, nil
		}
	}
	const held = 64 << 20
	m := newMeter(true)
	for _, tt := range []struct {
		size        int
		least, most int64
	}{{held, held / 2, 8 * held}, {1, 0, held / 4}} {
		s, err := m.turn(method{name: "holds", take: hold(tt.size)})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, s.Memory, tt.least, "%d bytes", tt.size)
		assert.LessOrEqual(t, s.Memory, tt.most, "%d bytes", tt.size)
	}
}

// measureInChild measures a scenario in a process of its own.
func measureInChild(t *testing.T, s scenario) (r result) {
	t.Helper()
	require.NoError(t, lab.Ask(t.Context(), scenarioTime, "", s, &r))
	return r
}

func TestEveryShapeHasItsGoroutines(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			r := measureInChild(t, scenario{Shape: s.name, Size: 200, Rounds: 1})
			m := r.method(ours)
			require.NotNil(t, m)
			assert.Equal(t, m.Samples[0].Existing, m.Samples[0].Seen)
		})
	}
}

func TestAFailedScenarioEndsWithStatus1(t *testing.T) {
	var stderr bytes.Buffer
	results, err := runAll(t.Context(), []scenario{{Shape: "none", Size: 200, Rounds: 1}}, &stderr)
	assert.Empty(t, results)
	assert.ErrorContains(t, err, `200 goroutines, none: exit status 1; its standard error: no shape "none"`)
}

func TestWrongFlagsEndWithStatus2AndSayWhatIsAccepted(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"size not a number": {[]string{"-sizes", "1k,many"}, []string{`"many"`, "100 to 1000000"}},
		"size too small":    {[]string{"-sizes", "10"}, []string{`"10"`, "100 to 1000000"}},
		"size too large":    {[]string{"-sizes", "1001k"}, []string{`"1001k"`}},
		"size overflows":    {[]string{"-sizes", "9223372036854775807k"}, []string{"-sizes"}},
		"negative size":     {[]string{"-sizes", "-1k"}, []string{`"-1k"`}},
		"no size":           {[]string{"-sizes", ""}, []string{`""`}},
		"unknown shape":     {[]string{"-shapes", "deep"}, []string{`"deep"`, "deep12", "busy"}},
		"all with another":  {[]string{"-shapes", "all,busy"}, []string{`"all"`}},
		"no rounds":         {[]string{"-rounds", "0"}, []string{"-rounds", "1 to 100"}},
		"too many rounds":   {[]string{"-rounds", "101"}, []string{"1 to 100"}},
		"rounds not a word": {[]string{"-rounds", "x"}, []string{"rounds"}},
		"argument":          {[]string{"now"}, []string{`"now"`}},
		"unknown flag":      {[]string{"-size", "1k"}, []string{"-size"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := call(t, tt.args...)
			assert.Equal(t, 2, status)
			assert.Empty(t, stdout)
			for _, want := range append(tt.want, "--help") {
				assert.Contains(t, stderr, want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	status, stdout, stderr := call(t, "--help")
	assert.Zero(t, status)
	assert.Empty(t, stderr)
	for _, want := range append([]string{"go run -C bench .", "-sizes", "-rounds", "-large", "-plot"}, shapeNames()...) {
		assert.Contains(t, stdout, want)
	}
}

func TestScenarios(t *testing.T) {
	o, err := parseOptions([]string{"-sizes", "10k,1k,1000", "-shapes", "busy,deep12", "-rounds", "9", "-large"}, nil)
	require.NoError(t, err)
	assert.Equal(t, []scenario{
		{Shape: "busy", Size: 1000, Rounds: 9},
		{Shape: "deep12", Size: 1000, Rounds: 9},
		{Shape: "distinct", Size: 1000, Rounds: 9, Reading: true},
		{Shape: "busy", Size: 10_000, Rounds: 9},
		{Shape: "deep12", Size: 10_000, Rounds: 9},
		{Shape: "distinct", Size: 10_000, Rounds: 9, Reading: true},
		{Shape: "deep12", Size: 1_000_000, Rounds: 3, Large: true},
		{Shape: "distinct", Size: 1_000_000, Rounds: 3, Reading: true},
	}, o.scenarios())
}
