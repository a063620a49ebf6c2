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
	ours "github.com/otelgoroutine/go/internal/telemetry"
)

// TestMain lets the test binary be the server, as the program itself is.
func TestMain(m *testing.M) {
	lab.Child(serve)
	os.Exit(m.Run())
}

// call runs the program in this process, and its servers in processes of their
// own.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = lab.Status(t.Context(), "service", run, args, &out, &err)
	return status, out.String(), err.String()
}

func TestASmallRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.json")
	status, stdout, stderr := call(t, "-parked", "100", "-loads", "steady", "-duration", "150ms", "-warmup", "50ms", "-seed", "7", "-json", path)
	require.Zero(t, status, stderr)
	assert.Contains(t, stderr, "seed 7\n100 parked, calibration ... bears ")
	assert.Contains(t, stderr, "[5/5] 100 parked, steady, round 1, ")
	assert.Regexp(t, `\| +\| +off \| +off again \| +on \| +contrib \| +naive \|`, stdout)
	assert.Contains(t, stdout, "-warmup 50ms -seed 7")
	assert.Contains(t, stdout, "PASS every request answered")
	assert.Contains(t, stdout, "MISS a regular snapshot", "there is none in 150 ms")

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var r report
	require.NoError(t, json.Unmarshal(data, &r))
	require.Len(t, r.Scenarios, 1)
	s := &r.Scenarios[0]
	assert.Equal(t, s.Capacity/2, s.Rate)
	for _, variant := range variantNames {
		m := s.of(steady, variant, 0)
		require.NotNil(t, m, variant)
		checkMeasurement(t, m)
		checkArrived(t, m)
	}
}

// checkMeasurement holds what is true of every machine.
func checkMeasurement(t *testing.T, m *measurement) {
	t.Helper()
	assert.Positive(t, m.Requests, m.Variant)
	assert.Zero(t, m.Errors, "%s: %s", m.Variant, m.Error)
	assert.Empty(t, m.Troubles, m.Variant)
	assert.EqualValues(t, m.Requests, m.Hits+m.Reads+m.Writes, m.Variant)
	assert.Positive(t, m.P50, m.Variant)
	assert.GreaterOrEqual(t, m.P99, m.P50, m.Variant)
	assert.GreaterOrEqual(t, m.P999, m.P99, m.Variant)
	assert.GreaterOrEqual(t, m.Max, m.P999, m.Variant)
	if _, err := os.Stat("/proc/self/status"); err == nil {
		assert.Positive(t, m.CPU, m.Variant)
		assert.Positive(t, m.GeneratorCPU, m.Variant)
		assert.Positive(t, m.Resident, m.Variant)
		assert.GreaterOrEqual(t, m.Peak, m.Resident, m.Variant)
	}
}

// checkArrived checks that what a variant has to tell came over OTLP.
func checkArrived(t *testing.T, m *measurement) {
	t.Helper()
	a := m.Arrived
	switch m.Variant {
	case off, offAgain:
		assert.Zero(t, a.Exports, m.Variant)
		assert.Empty(t, a.Points, m.Variant)
	case on:
		assert.Positive(t, a.Points[ours.MetricCount])
		assert.Positive(t, a.Points[ours.MetricStackCount])
		assert.Equal(t, map[string]int{"profile": 1}, a.Snapshots, "the first snapshot is there")
	case contribOnly:
		assert.GreaterOrEqual(t, m.Seen, int64(100))
		assert.Positive(t, a.Points["go.memory.used"])
		assert.Zero(t, a.Points[ours.MetricCount])
	case naiveDump:
		assert.Equal(t, 1, a.Snapshots[dump])
		assert.Positive(t, a.Points[naiveCount], "states that were parsed")
		assert.Positive(t, m.Seen)
	}
}

func TestSaturation(t *testing.T) {
	var stderr bytes.Buffer
	p := plan{Parked: 10, Variant: off, Load: saturation, Duration: leastTime}
	m, err := measure(t.Context(), p, &stderr)
	require.NoError(t, err, stderr.String())
	checkMeasurement(t, &m)
	assert.Zero(t, m.Late)
}

func TestAServerThatFailsIsTold(t *testing.T) {
	var stderr bytes.Buffer
	_, err := measure(t.Context(), plan{Parked: 10, Variant: "none", Load: saturation, Duration: leastTime}, &stderr)
	assert.ErrorContains(t, err, "the server did not start")
	assert.Contains(t, stderr.String(), `no variant "none"`)
}

func TestWrongFlagsEndWithStatus2AndSayWhatIsAccepted(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"number not a number": {[]string{"-parked", "1k,many"}, []string{`"many"`, "1 to 300000"}},
		"none parked":         {[]string{"-parked", "0"}, []string{`"0"`, "1 to 300000"}},
		"too many parked":     {[]string{"-parked", "301k"}, []string{`"301k"`}},
		"number overflows":    {[]string{"-parked", "9223372036854775807k"}, []string{"-parked"}},
		"no number":           {[]string{"-parked", ""}, []string{`""`}},
		"unknown load":        {[]string{"-loads", "heavy"}, []string{`"heavy"`, "steady, saturation"}},
		"unknown variant":     {[]string{"-variants", "off,pprof"}, []string{`"pprof"`, "off again", "naive"}},
		"too many rounds":     {[]string{"-rounds", "101"}, []string{`"101"`, "1 to 100"}},
		"rounds do not match": {[]string{"-parked", "1,2,3", "-rounds", "1,2"}, []string{"2 numbers for 3"}},
		"too short":           {[]string{"-duration", "1ms"}, []string{"-duration 1ms", "100ms to 10m"}},
		"no time":             {[]string{"-duration", "0"}, []string{"-duration 0s"}},
		"negative warm-up":    {[]string{"-warmup", "-1s"}, []string{"-warmup -1s"}},
		"quick and parked":    {[]string{"-quick", "-parked", "10"}, []string{"-quick and -parked"}},
		"argument":            {[]string{"now"}, []string{`"now"`}},
		"unknown flag":        {[]string{"-round", "1"}, []string{"-round"}},
		"two mistakes":        {[]string{"-parked", "x", "-loads", "y"}, []string{`"x"`, `"y"`}},
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
	for _, want := range append(append([]string{"Examples:", "go run ./bench/service", "-parked", "-quick", "-seed"}, variantNames...), loadNames...) {
		assert.Contains(t, stdout, want)
	}
}
