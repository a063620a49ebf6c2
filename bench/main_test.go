package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
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
	status = lab.Status(t.Context(), "bench", run, args, &out, &err)
	return status, out.String(), err.String()
}

func TestASmallRun(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.json")
	status, stdout, stderr := call(t, "-sizes", "200", "-shapes", "distinct,convoy", "-rounds", "2", "-json", path, "-plot", dir)
	require.Zero(t, status, stderr)
	assert.Contains(t, stderr, "[2/3] 200 goroutines, convoy ... ")

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var r report
	require.NoError(t, json.Unmarshal(data, &r))
	require.Len(t, r.Results, 3)
	assert.Empty(t, r.Checks, "the promises are about more goroutines")
	for _, result := range r.Results[:2] {
		assert.Contains(t, stdout, "## "+result.String())
		assert.Positive(t, result.TraceBytes)
		for _, m := range result.Methods {
			assert.Contains(t, stdout, "| "+m.Name)
			assert.Len(t, m.Samples, 2, m.Name)
			checkSamples(t, m)
		}
		assert.Equal(t, hasLeakProof(), result.method(leakProof) != nil)
	}
	checkReadings(t, stdout, &r.Results[2])
	for _, name := range []string{"time-shapes", "stop-shapes", "allocated-shapes", "reading"} {
		assert.FileExists(t, filepath.Join(dir, name+".svg"))
	}
	assert.NoFileExists(t, filepath.Join(dir, "time.svg"), "of a shape that was not measured")

	status, again, stderr := call(t, "-load", path)
	require.Zero(t, status, stderr)
	assert.Equal(t, stdout, again)
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

// checkReadings holds that every reader read: our instruments show 20 stacks
// with their ages, the states and more.
func checkReadings(t *testing.T, stdout string, r *result) {
	t.Helper()
	assert.Contains(t, stdout, "## One collection of metrics")
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
		assert.GreaterOrEqual(t, r.method(ours).Samples[0].Memory, int64(0))
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

	status, _, text := call(t, "-sizes", "200", "-shapes", "shallow", "-rounds", "1", "-json", filepath.Join(t.TempDir(), "none", "f"))
	assert.Equal(t, 1, status)
	assert.Contains(t, text, "-json")
}

func TestWhatCannotBeLoadedOrDrawnEndsWithStatus1(t *testing.T) {
	dir := t.TempDir()
	saved, broken, empty := filepath.Join(dir, "saved"), filepath.Join(dir, "broken"), filepath.Join(dir, "empty")
	require.NoError(t, lab.SaveJSON(saved, example()))
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o666))
	require.NoError(t, os.WriteFile(empty, []byte("{}"), 0o666))
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no such file":      {[]string{"-load", filepath.Join(dir, "none")}, "-load: open"},
		"not JSON":          {[]string{"-load", broken}, "is not what -json saves"},
		"no results":        {[]string{"-load", empty}, "has no results"},
		"no such directory": {[]string{"-load", saved, "-plot", filepath.Join(dir, "none")}, "-plot: open"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, stderr := call(t, tt.args...)
			assert.Equal(t, 1, status)
			assert.Contains(t, stderr, tt.want)
		})
	}
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
		"no rounds":         {[]string{"-rounds", "0"}, []string{"-rounds 0", "1 to 100"}},
		"too many rounds":   {[]string{"-rounds", "101"}, []string{"1 to 100"}},
		"rounds not a word": {[]string{"-rounds", "x"}, []string{"rounds"}},
		"argument":          {[]string{"now"}, []string{`"now"`}},
		"unknown flag":      {[]string{"-size", "1k"}, []string{"-size"}},
		"loads and sizes":   {[]string{"-load", "f", "-sizes", "1k", "-large"}, []string{"-sizes says", "-large says"}},
		"two mistakes":      {[]string{"-sizes", "x", "-rounds", "0"}, []string{`"x"`, "-rounds 0"}},
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
	for _, want := range append([]string{"Examples:", "go run ./bench", "-sizes", "-rounds", "-json", "-large", "-check", "-load", "-plot"}, shapeNames()...) {
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
