// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"cmp"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/trace"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/detectors"
)

var update = flag.Bool("update", false, "write the table of docs/environment.md anew")

// clearEnvironment keeps the environment in which the tests run from deciding.
func clearEnvironment() {
	for _, v := range variables {
		os.Unsetenv(environmentPrefix + v.name)
	}
}

// configured returns the configuration that Start would use, and what is reported.
func configured(t *testing.T, environment map[string]string, opts ...Option) (c config, errs []error) {
	t.Helper()
	misread = new(complaints)
	for name, value := range environment {
		t.Setenv(environmentPrefix+name, value)
	}
	errs = handled(func() {
		var err error
		c, err = newConfig(opts)
		require.NoError(t, err)
	})
	return c, errs
}

func TestVariablesSetOptions(t *testing.T) {
	dir := t.TempDir()
	list := filepath.Join(dir, "known.json")
	require.NoError(t, os.WriteFile(list, []byte(`{"exclusions": [{"name": "janitor", "reason": "waits", "waits": "main.janitor"}]}`), 0o600))
	own := &detectors.Detector{Name: "own", Run: func(*detectors.Pass) error { return nil }}
	for _, tt := range []struct {
		name, value string
		options     []Option
		is          func(config) any
		want        any
	}{
		{"INTERVAL", "30s", []Option{WithInterval(time.Minute)}, func(c config) any { return c.interval }, 30 * time.Second},
		{"INTERVAL", " 30s ", nil, func(c config) any { return c.interval }, 30 * time.Second},
		{"INTERVAL", "", nil, func(c config) any { return c.interval }, 15 * time.Second},
		{"BUDGET_CPU", "0.01", nil, func(c config) any { return c.budget }, Budget{0.01, 10 * time.Millisecond}},
		{"BUDGET_CPU", "0.25 %", nil, func(c config) any { return c.budget }, Budget{0.0025, 10 * time.Millisecond}},
		{"BUDGET_PAUSE", "2ms", []Option{WithBudget(Budget{0.1, time.Second})}, func(c config) any { return c.budget }, Budget{0.1, 2 * time.Millisecond}},
		{"SOURCE", "profile_only", nil, func(c config) any { return c.source }, SourceProfileOnly},
		{"SOURCE", "Auto", []Option{WithSource(SourceProfileOnly)}, func(c config) any { return c.source }, SourceAuto},
		{"SOURCE", "profile_only", []Option{WithFlightRecorder(new(trace.FlightRecorder))}, func(c config) any { return c.recorder }, (*trace.FlightRecorder)(nil)},
		{"DETECTORS", "none", nil, detectorNames, []string{}},
		{"DETECTORS", "leak, hang", nil, detectorNames, []string{"hang", "leak"}},
		{"DETECTORS", "-surge,-stall", []Option{WithDetectors(detectors.Default()[6:]...)}, detectorNames, []string{"contention"}},
		{"DETECTORS", "all,-own", []Option{WithDetectors(own)}, detectorNames, namesOf(detectors.Default())},
		{"DETECTORS", "own,leak", []Option{WithDetectors(own)}, detectorNames, []string{"own", "leak"}},
		{"DETECTORS", "all,none,leak", nil, detectorNames, []string{"leak"}},
		{"TOP_STACKS", "7", nil, func(c config) any { return c.topStacks }, 7},
		{"PROFILE_DIR", dir, nil, func(c config) any { return []any{c.profileDir, c.profileKeep} }, []any{dir, defaultProfileKeep}},
		{"PROFILE_DIR", dir, []Option{WithProfileDir(t.TempDir(), 3)}, func(c config) any { return []any{c.profileDir, c.profileKeep} }, []any{dir, 3}},
		{"PROFILE_DIR", "none", []Option{WithProfileDir(dir, 3)}, func(c config) any { return c.profileDir }, ""},
		{"PROFILE_KEEP", "9", []Option{WithProfileDir(dir, 3)}, func(c config) any { return c.profileKeep }, 9},
		{"PROFILE_DIR", "none", []Option{WithProfileDir(dir, 3), WithPeriodicProfiles(time.Hour, 2)}, func(c config) any { return c.period }, time.Duration(0)},
		{"PROFILE_INTERVAL", "10m", []Option{WithProfileDir(dir, 3)}, func(c config) any { return []any{c.period, c.periodKeep} }, []any{10 * time.Minute, defaultProfileKeep}},
		{"PROFILE_INTERVAL", "none", []Option{WithProfileDir(dir, 3), WithPeriodicProfiles(time.Hour, 2)}, func(c config) any { return c.period }, time.Duration(0)},
		{"PROFILE_INTERVAL_KEEP", "7", []Option{WithProfileDir(dir, 3), WithPeriodicProfiles(time.Hour, 2)}, func(c config) any { return []any{c.period, c.periodKeep} }, []any{time.Hour, 7}},
		{"CAPTURE_SIGNAL", "SIGUSR1", nil, func(c config) any { return c.signals }, (<-chan os.Signal)(nil)},
		{"FINDING_LABELS", "tenant, route", []Option{WithFindingLabels("x")}, func(c config) any { return c.findingLabels }, []string{"tenant", "route"}},
		{"FINDING_LABELS", "none", []Option{WithFindingLabels("x")}, func(c config) any { return c.findingLabels }, []string(nil)},
		{"LABEL_KEYS", "tenant, route", []Option{WithLabelKeys("x")}, func(c config) any { return c.labelKeys }, []string{"tenant", "route"}},
		{"LABEL_KEYS", "none", []Option{WithLabelKeys("x")}, func(c config) any { return c.labelKeys }, []string(nil)},
		{"KNOWN_STACKS", list, nil, func(c config) any { return len(c.known) }, 1},
		{"LEAK_PROOF", "TRUE", nil, func(c config) any { return c.leakProof }, true},
		{"LEAK_PROOF", "false", []Option{WithLeakProof()}, func(c config) any { return c.leakProof }, false},
		{"ENABLED", "false", nil, func(c config) any { return c.off }, true},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			plain, err := newConfig(tt.options)
			require.NoError(t, err)
			c, errs := configured(t, map[string]string{tt.name: tt.value}, tt.options...)
			assert.Empty(t, errs)
			assert.Equal(t, tt.want, tt.is(c))

			c, _ = configured(t, nil, append([]Option{WithoutEnvironment()}, tt.options...)...)
			assert.Equal(t, tt.is(plain), tt.is(c), "the code alone")
		})
	}
}

func detectorNames(c config) any { return namesOf(c.detectors) }

func TestADetectorOfTheCodeKeepsItsConfiguration(t *testing.T) {
	own := detectors.NewLeak(detectors.DefaultLeakConfig())
	c, errs := configured(t, map[string]string{"DETECTORS": "leak"}, WithDetectors(own))
	assert.Empty(t, errs)
	require.Len(t, c.detectors, 1)
	assert.Same(t, own, c.detectors[0])
}

func TestADirectoryAndANumberOfProfiles(t *testing.T) {
	dir := t.TempDir()
	c, errs := configured(t, map[string]string{"PROFILE_KEEP": "5", "PROFILE_DIR": dir})
	assert.Empty(t, errs)
	assert.Equal(t, dir, c.profileDir)
	assert.Equal(t, 5, c.profileKeep)
}

func TestMistakesInTheEnvironmentAreToldAndNotFatal(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.json")
	require.NoError(t, os.WriteFile(broken, []byte(`{"exclusions": [{}]}`), 0o600))
	for _, tt := range []struct{ name, value, says string }{
		{"ENABLED", "no", `OTELGOROUTINE_ENABLED="no" is ignored: it must be true or false`},
		{"INTERVAL", "15", "it must be a duration from 100ms to 1h0m0s, such as 30s"},
		{"INTERVAL", "1ms", "WithInterval(1ms): the interval must be 100ms to 1h0m0s"},
		{"BUDGET_CPU", "lots", "it must be a share of one core, above 0 and at most 1, or a percentage"},
		{"BUDGET_CPU", "NaN", "it must be a share"},
		{"BUDGET_CPU", "200%", "CPU is 2; it must be a share of one core"},
		{"BUDGET_PAUSE", "1m", "Pause is 1m0s; it must be above 0 and at most 1s"},
		{"SOURCE", "trace", "it must be auto or profile_only"},
		{"DETECTORS", "leek", `there is no detector "leek"; it must be a list of hang, leak,`},
		{"DETECTORS", ",", "it must be a list of detector names"},
		{"TOP_STACKS", "0", "WithTopStacks(0): the number must be 1 to 400"},
		{"TOP_STACKS", "many", "it must be a number from 1 to 400"},
		{"PROFILE_DIR", filepath.Join(dir, "missing"), "the directory does not exist"},
		{"PROFILE_KEEP", "5", "set OTELGOROUTINE_PROFILE_DIR as well"},
		{"PROFILE_INTERVAL", "10m", "there is no place for profiles"},
		{"PROFILE_INTERVAL", "soon", "it must be a duration from 1s to 168h0m0s"},
		{"PROFILE_INTERVAL_KEEP", "5", "set OTELGOROUTINE_PROFILE_INTERVAL as well"},
		{"CAPTURE_SIGNAL", "SIGKILL", "it must be SIGUSR1, SIGUSR2 or SIGHUP, or none"},
		{"FINDING_LABELS", "a,b,c,d,e,f,g,h,i", "there must be 1 to 8"},
		{"LABEL_KEYS", "a,b,c,d,e,f,g,h,i", "there are 9 keys; there must be 1 to 8"},
		{"KNOWN_STACKS", filepath.Join(dir, "missing.json"), "no such file"},
		{"KNOWN_STACKS", dir, "it must be a regular file"},
		{"KNOWN_STACKS", broken, "entry 0"},
		{"LEAK_PROOF", "1", "it must be true or false"},
		{"INTERVALL", "15s", "OTELGOROUTINE_INTERVALL is not known; the nearest name is OTELGOROUTINE_INTERVAL"},
		{"BUDGET", "1%", "the nearest name is OTELGOROUTINE_BUDGET_CPU"},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			plain, err := newConfig([]Option{WithoutEnvironment()})
			require.NoError(t, err)
			c, errs := configured(t, map[string]string{tt.name: tt.value})
			require.Len(t, errs, 1)
			assert.ErrorContains(t, errs[0], tt.says)
			assert.ErrorContains(t, errs[0], "otelgoroutine: OTELGOROUTINE_"+tt.name)
			assert.Equal(t, 1, strings.Count(errs[0].Error(), "otelgoroutine: "))
			c.early, plain.early, c.detectors, plain.detectors = nil, nil, nil, nil // functions are never equal
			plain.noEnvironment = false
			assert.Equal(t, plain, c, "the values of the code stay")

			again := handled(func() { _, _ = newConfig(nil) })
			assert.Empty(t, again, "once in a process")
		})
	}
}

func TestAVariableMustNotContradictTheCode(t *testing.T) {
	v := variable{name: "BOTH", set: func(c *config, _ string) error {
		c.recorder, c.source = new(trace.FlightRecorder), SourceProfileOnly
		return nil
	}}
	c, err := newConfig(nil)
	require.NoError(t, err)
	assert.ErrorContains(t, v.apply(&c, "x"), "leave one out")
	assert.Nil(t, c.recorder)
	assert.Empty(t, c.errs, "Start does not fail because of a variable")
}

func TestEveryMistakeInTheEnvironmentIsTold(t *testing.T) {
	c, errs := configured(t, map[string]string{"INTERVAL": "x", "TOP_STACKS": "x", "SORCE": "auto", "LEAK_PROOF": "true"})
	assert.Len(t, errs, 3)
	assert.True(t, c.leakProof, "what is right is used")
}

func TestAValueIsNotRepeatedInFull(t *testing.T) {
	_, errs := configured(t, map[string]string{"SOURCE": strings.Repeat("x", 5000), strings.Repeat("X", 5000): "x"})
	require.Len(t, errs, 2)
	for _, err := range errs {
		assert.Less(t, len(err.Error()), 1000)
	}
}

func TestAnErrorHandlerMayPanic(t *testing.T) {
	misread = new(complaints)
	t.Setenv("OTELGOROUTINE_INTERVAL", "x")
	m, err := Start(provider(), withCapturer(parked(1)), WithLoggerProvider(logsTo(&memory{})))
	require.NoError(t, err)
	require.NoError(t, m.Shutdown(t.Context()))
}

// Whatever is wrong in the code, an operator can turn the library off.
func TestDisabledMeansNothingAtAll(t *testing.T) {
	t.Setenv("OTELGOROUTINE_ENABLED", "false")
	reader := sdkmetric.NewManualReader()
	mp, c := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), parked(1)
	before := runtime.NumGoroutine()
	m, err := Start(mp, withCapturer(c), WithInterval(0), WithProfileDir("/does/not/exist", 1), WithDetectors(nil))
	require.NoError(t, err)
	assert.LessOrEqual(t, runtime.NumGoroutine(), before)
	assert.Zero(t, c.taken.Load())
	assert.Empty(t, claimed())
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	assert.Empty(t, all.ScopeMetrics)
	assert.Nil(t, m.Snapshot())
	assert.Empty(t, m.Findings())
	assert.Zero(t, m.Status())
	m.Subscribe(func(Update) { t.Error("called") })()
	assert.ErrorContains(t, m.WriteReport(nil), "OTELGOROUTINE_ENABLED=false")
	<-m.Done()
	require.NoError(t, m.Shutdown(t.Context()))

	m, err = Start(mp, withCapturer(c), WithoutEnvironment())
	require.NoError(t, err, "the code decides")
	assert.NotZero(t, m.Interval())
	require.NoError(t, m.Shutdown(t.Context()))
}

func TestSettingsWinOverOptionsAndTheEnvironmentOverBoth(t *testing.T) {
	c, errs := configured(t, map[string]string{"INTERVAL": "20s"},
		WithSettings(map[string]any{
			"interval": "10s", "budget_cpu": 0.01, "top_stacks": 5, "leak_proof": true,
			"detectors": []any{"leak", "hang"}, "label_keys": []any{"tenant"}, "source": nil,
		}),
		WithInterval(time.Minute), WithTopStacks(30))
	assert.Empty(t, errs)
	assert.Equal(t, 20*time.Second, c.interval)
	assert.Equal(t, 0.01, c.budget.CPU)
	assert.Equal(t, 5, c.topStacks)
	assert.True(t, c.leakProof)
	assert.Equal(t, []string{"hang", "leak"}, namesOf(c.detectors))
	assert.Equal(t, []string{"tenant"}, c.labelKeys)

	c, errs = configured(t, nil, WithSettings(nil))
	assert.Empty(t, errs)
	assert.Equal(t, 20*time.Second, c.interval)
}

func TestMistakesInSettingsAreToldAndNotFatal(t *testing.T) {
	c, errs := configured(t, nil, WithSettings(map[string]any{"intervall": "10s", "top_stacks": []any{1, 2}, "source": map[string]any{"x": 1}}))
	require.Len(t, errs, 3)
	all := fmt.Sprint(errs)
	assert.Contains(t, all, "setting intervall is not known; the nearest name is interval")
	assert.Contains(t, all, `setting top_stacks="1,2" is ignored: it must be a number`)
	assert.Contains(t, all, `setting source="(map[string]interface {})" is ignored: it must be auto or profile_only`)
	assert.Equal(t, 20, c.topStacks)
}

// misspelt are names that documents and tests have as examples of mistakes.
var misspelt = []string{"OTELGOROUTINE_INTERVALL", "OTELGOROUTINE_TOP_STACK"}

// A variable that a test suite or a document of this repository names is either one of
// Start's or reserved, so that none is reported as unknown.
func TestEveryNameWithThePrefixIsKnown(t *testing.T) {
	const here = "environment_test.go" // has wrong names on purpose
	names := regexp.MustCompile(`\bOTELGOROUTINE_[A-Z_]*[A-Z]\b`)
	require.NoError(t, filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == ".git" {
			return cmp.Or(err, fs.SkipDir)
		}
		if d.IsDir() || d.Name() == here || !isText(path) {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, name := range names.FindAllString(string(text), -1) {
			rest := strings.TrimPrefix(name, environmentPrefix)
			assert.True(t, isVariable(rest) || isReserved(rest) || slices.Contains(misspelt, name), "%s in %s", name, path)
		}
		return err
	}))
}

func isText(path string) bool {
	switch filepath.Ext(path) {
	case ".go", ".md", ".yaml", ".yml", "":
		return true
	}
	return false
}

const (
	environmentFile = "../docs/environment.md"
	tableBegin      = "<!-- table: go test ./otelgoroutine -update -->\n"
	tableEnd        = "<!-- end of table -->\n"
)

func TestTheTableIsWhatDocsSay(t *testing.T) {
	text, err := os.ReadFile(environmentFile)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), tableBegin)
	require.True(t, ok)
	table, tail, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok)
	if *update {
		table = environmentTable()
		require.NoError(t, os.WriteFile(environmentFile, []byte(head+tableBegin+table+tableEnd+tail), 0o644))
	}
	assert.Equal(t, environmentTable(), table, "run: go test ./otelgoroutine -update")
}

// environmentTable returns the variables as a table in Markdown.
func environmentTable() string {
	var b strings.Builder
	b.WriteString("\n| variable | accepted | |\n|---|---|---|\n")
	for _, v := range variables {
		fmt.Fprintf(&b, "| `%s%s` | %s | %s |\n", environmentPrefix, v.name, v.accepts, v.effect)
	}
	return b.String() + "\n"
}
