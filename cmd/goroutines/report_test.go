// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/log/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// states returns the counts of a report by state.
func states(r *report.Report) map[string]int {
	m := make(map[string]int)
	for _, s := range r.States {
		m[s.Name] = s.Count
	}
	return m
}

// requireTarget checks what is known about the target in every format.
func requireTarget(t *testing.T, r *report.Report) {
	t.Helper()
	assert.GreaterOrEqual(t, r.Total, 22)
	counts := states(r)
	assert.GreaterOrEqual(t, counts["sync.Mutex.Lock"], 7)
	total := 0
	for _, n := range counts {
		total += n
	}
	assert.Equal(t, r.Total, total)
	flat := make(map[string]report.Function)
	for _, f := range r.Functions.Cumulative {
		flat[f.Name] = f
	}
	assert.Equal(t, 13, flat["main.worker"].Cumulative)
	assert.Equal(t, 7, flat["main.locked"].Cumulative)
	assert.InDelta(t, 100*13/float64(r.Total), flat["main.worker"].CumulativePercent, 0.01)
	var names []string
	for _, c := range r.Health.Checks {
		names = append(names, c.Name)
	}
	assert.Equal(t, []string{"goroutines", "blocked", "mutex", "channel"}, names)
}

func TestReportOfEachFormat(t *testing.T) {
	dir := files(t)
	for name, c := range map[string]struct {
		ids   bool
		state string // expected state of main.nilReceive
	}{
		"profile.pb.gz": {false, "chan receive (nil chan)"},
		"debug1.txt":    {false, "waiting"},
		"debug2.txt":    {true, "chan receive (nil chan)"},
		"trace.out":     {true, "chan receive (nil chan)"},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			renamed := filepath.Join(t.TempDir(), "anything")
			require.NoError(t, os.WriteFile(renamed, data, 0o666))
			r := jsonReport(t, renamed)
			requireTarget(t, r)
			assert.Equal(t, c.ids, r.IDs)
			assert.Positive(t, states(r)[c.state])
			require.NotNil(t, r.Sight)
			assert.Less(t, r.Sight.Judging, len(r.Sight.Detectors), "one snapshot cannot show growth")
			if c.state != "waiting" {
				require.NotEmpty(t, r.Findings)
				assert.Equal(t, "blocked_forever", r.Findings[0].Detector)
			}

			status, stdout, stderr := call(t, string(data), "report", "-")
			assert.Zero(t, status, stderr)
			assert.Contains(t, stdout, fmt.Sprintf("%d goroutines at ", r.Total))
			assert.Contains(t, stdout, fmt.Sprintf("\n  Judging: %d of 9 detectors. Newest snapshot ", r.Sight.Judging))
			if c.ids {
				assert.Contains(t, stdout, "  Not judging: leak (7 snapshots over at least 45 min are needed; there is 1)\n")
			} else {
				assert.Contains(t, stdout, "  Not judging: hang, leak, growth, deadlock, contention, stall (snapshots have no goroutine IDs)\n")
			}

			if name == "profile.pb.gz" {
				z, err := gzip.NewReader(bytes.NewReader(data))
				require.NoError(t, err)
				data, err = io.ReadAll(z)
				require.NoError(t, err)
			} else {
				data = gzipped(t, data)
			}
			status, packed, stderr := call(t, string(data), "report", "--format=json", "-")
			assert.Zero(t, status, stderr)
			assert.Contains(t, packed, fmt.Sprintf(`"total": %d`, r.Total))
		})
	}
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	require.NoError(t, errors.Join(err, z.Close()))
	return b.Bytes()
}

func TestReportOfAProcess(t *testing.T) {
	addr, _ := start(t, "-leaks", "200")
	r := jsonReport(t, "http://"+addr)
	requireTarget(t, r)
	assert.Equal(t, "trace", r.Source)
	assert.True(t, r.IDs)
	for endpoint, source := range map[string]string{"profile": "labelled_profile", "dump": "text", "trace": "trace"} {
		assert.Equal(t, source, jsonReport(t, "--endpoint", endpoint, addr).Source)
	}
	assert.Equal(t, "text", jsonReport(t, "http://"+addr+"/debug/pprof/goroutine?debug=2").Source)
	assert.Equal(t, "trace", jsonReport(t, "http://"+addr+"/debug/pprof/").Source)

	series := jsonReport(t, "--samples", "3", "--every", "300ms", addr)
	require.NotNil(t, series.Trend)
	assert.Len(t, series.Trend.Points, 3)
	assert.Greater(t, series.Trend.To, series.Trend.From)
	require.NotNil(t, series.Diff)
	assert.True(t, series.Diff.Identity)
	assert.Positive(t, series.Diff.Born)
	assert.Equal(t, "main.leaked", series.Diff.Stacks[0].Stack.Frames[0].Function)
}

func TestReportOfAPanicInALog(t *testing.T) {
	c := target(t, "-panic")
	c.Env = append(os.Environ(), "GOTRACEBACK=all")
	dump, err := c.CombinedOutput()
	require.Error(t, err)
	lines := strings.Split(strings.TrimRight(string(dump), "\n"), "\n")
	with := func(prefix func(int, string) string) string {
		var b strings.Builder
		b.WriteString(prefix(0, "something else that was logged before") + "\n")
		for i, line := range lines {
			b.WriteString(strings.TrimRight(prefix(i, line), " ") + "\n")
		}
		b.WriteString(prefix(0, "exit status 2") + "\n")
		return b.String()
	}
	for name, text := range map[string]string{
		"alone":      string(dump),
		"in a log":   "2026/01/02 03:04:05 starting\n" + string(dump) + "\nexit status 2\n",
		"journald":   with(func(i int, l string) string { return fmt.Sprintf("Nov 24 20:%02d:00 host app[123]: %s", i%60, l) }),
		"kubernetes": with(func(i int, l string) string { return fmt.Sprintf("2026-11-24T20:17:59.%09dZ stderr F %s", i, l) }),
		"compose":    with(func(_ int, l string) string { return "web-1  | " + l }),
		"docker": with(func(_ int, l string) string {
			return fmt.Sprintf(`{"log":%q,"stream":"stderr","time":"2026-11-24T20:17:59Z"}`, l+"\n")
		}),
		"one field": fmt.Sprintf(`{"level":"error","msg":%q}`, dump) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "service.log")
			require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
			r := jsonReport(t, file)
			requireTarget(t, r)
			assert.Zero(t, r.Missing)
			require.NotEmpty(t, r.Findings)
			assert.Equal(t, "crash", r.Findings[0].Detector, "why the process ended comes first")
			assert.Contains(t, r.Findings[0].Message, "Panic in goroutine 1 (main) at main.main")
		})
	}
}

func TestSecretsAreScrubbed(t *testing.T) {
	dir := files(t)
	for _, name := range []string{"profile.pb.gz", "debug1.txt"} {
		file := filepath.Join(dir, name)
		for _, format := range []string{"text", "json"} {
			_, stdout, _ := call(t, "", "report", "-format", format, file)
			assert.Contains(t, stdout, "user")
			assert.NotContains(t, stdout, "secret-value")
			_, stdout, _ = call(t, "", "report", "-format", format, "-values", file)
			assert.Contains(t, stdout, "secret-value")
			_, stdout, _ = call(t, "", "report", "-format", format, "-values", "-labels", "other", file)
			assert.NotContains(t, stdout, "secret-value")
		}
	}
	_, stdout, _ := call(t, "", "report", filepath.Join(dir, "debug2.txt"))
	assert.NotContains(t, stdout, "0xc0")
}

// TestWhatIsSavedOpensInPprof runs every command of go tool pprof that works
// without Graphviz.
func TestWhatIsSavedOpensInPprof(t *testing.T) {
	dir := files(t)
	for _, name := range []string{"profile.pb.gz", "debug1.txt", "debug2.txt", "trace.out"} {
		saved := filepath.Join(t.TempDir(), "saved.pb.gz")
		status, _, stderr := call(t, "", "report", "-format", "pprof", "-o", saved, filepath.Join(dir, name))
		require.Zero(t, status, stderr)
		c := exec.Command("go", "tool", "pprof", saved)
		c.Stdin = strings.NewReader("top 100\ntraces\npeek main.worker\nlist main.worker\n")
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		answers := strings.Split(string(out), "(pprof) ")
		require.Len(t, answers, 6, "%s", out)
		for i, command := range []string{"top", "traces", "peek", "list"} {
			assert.Contains(t, answers[i+1], "main.worker", "%s of %s", command, name)
		}
	}
}

func TestBundle(t *testing.T) {
	dir := files(t)
	bundle := filepath.Join(t.TempDir(), "new", "incident")
	status, stdout, stderr := call(t, "", "report", "-bundle", bundle, filepath.Join(dir, "debug2.txt"))
	require.Zero(t, status, stderr)
	assert.Empty(t, stdout)
	for name, want := range map[string]string{
		"report.txt": "Health: ", "report.json": `"total":`, "report.html": "main.worker",
		"top.txt": "main.worker", "traces.txt": "main.locked", "graph.svg": "main.worker", "profile.pb.gz": "\x1f\x8b",
	} {
		data, err := os.ReadFile(filepath.Join(bundle, name))
		if assert.NoError(t, err) {
			assert.Contains(t, string(data), want, name)
		}
	}
	data, err := os.ReadFile(filepath.Join(bundle, "graph.svg"))
	require.NoError(t, err)
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		if _, err := d.Token(); err != nil {
			require.Equal(t, io.EOF, err, "the SVG is well-formed")
			break
		}
	}
	out, err := exec.Command("go", "tool", "pprof", "-top", filepath.Join(bundle, "profile.pb.gz")).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestHTML(t *testing.T) {
	dir := files(t)
	dump := filepath.Join(dir, "debug2.txt")
	page := filepath.Join(t.TempDir(), "page.html")
	for _, args := range [][]string{{"report", "-format", "html", "-o", page, dump}, {"diff", "-format", "html", "-o", page, dump, dump}} {
		status, stdout, stderr := call(t, "", args...)
		require.Zero(t, status, stderr)
		assert.Empty(t, stdout)
		data, err := os.ReadFile(page)
		require.NoError(t, err)
		assert.True(t, bytes.HasPrefix(bytes.ToLower(data), []byte("<!doctype html>")))
		assert.Contains(t, string(data), "main.worker")
		assert.NotRegexp(t, `(src|href)="http`, string(data), "everything is in the file")
	}
}

// What a list excludes is not judged.
func TestKnownStacks(t *testing.T) {
	dump := filepath.Join(files(t), "debug2.txt")
	list := func(content string) string {
		path := filepath.Join(t.TempDir(), "known.json")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
		return path
	}
	entry := func(condition string) string {
		return list(`{"exclusions":[{"name":"x","reason":"a test",` + condition + `}]}`)
	}
	for condition, want := range map[string]int{`"function":"main.*"`: 0, `"function":"other.f"`: 1} {
		status, _, stderr := call(t, "", "report", "-known-stacks", entry(condition), "-fail-on", "any", dump)
		assert.Equal(t, want, status, "%s: %s", condition, stderr)
	}
	status, _, stderr := call(t, "", "report", "-known-stacks", entry(`"owned":true`), dump)
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, "it has no condition")
	status, _, stderr = call(t, "", "report", "-known-stacks", "missing.json", dump)
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, "--known-stacks: open missing.json")
}

func TestFailOn(t *testing.T) {
	dump := filepath.Join(files(t), "debug2.txt")
	for value, want := range map[string]int{
		"": 0, "any": 1, "info": 1, "suspected": 0, "certain": 0, "suspected,health": 1, "health": 1,
	} {
		status, stdout, stderr := call(t, "", "report", "-fail-on", value, dump)
		assert.Equal(t, want, status, "%q: %s", value, stderr)
		assert.Contains(t, stdout, "Stacks (", "the report comes all the same")
	}
	status, _, _ := call(t, "", "report", "-fail-on", "any", filepath.Join(filepath.Dir(dump), "debug1.txt"))
	assert.Zero(t, status, "debug=1 has no states to judge by")

	status, _, stderr := call(t, "", "diff", "-fail-on", "suspected", dump, filepath.Join(filepath.Dir(dump), "debug1.txt"))
	assert.Zero(t, status)
	assert.Regexp(t, `note: Judging: \d of 9 detectors\. Not judging: .*leak.*no goroutine IDs`, stderr, "diff shows no findings, and its exit code is no promise")
}

// TestDiff compares a dump and a trace of one process, whose file times are in
// the wrong order, and then two different processes.
func TestDiff(t *testing.T) {
	addr, _ := start(t)
	dir := t.TempDir()
	save := func(name, page string) string {
		response, err := http.Get("http://" + addr + "/debug/pprof/" + page)
		require.NoError(t, err)
		defer response.Body.Close()
		data, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, data, 0o600))
		return file
	}
	untilLeaked := func(n int) {
		require.Eventually(t, func() bool {
			return states(jsonReport(t, "--endpoint", "profile", addr))["chan send"] >= n
		}, 2*time.Minute, 20*time.Millisecond)
	}
	untilLeaked(1)
	a := save("a", "goroutine?debug=2")
	data, err := os.ReadFile(a)
	require.NoError(t, err)
	untilLeaked(bytes.Count(data, []byte("[chan send")) + 1)
	b := save("b", "trace?seconds=0.01")
	require.NoError(t, os.Chtimes(a, time.Now(), time.Now().Add(time.Hour)))

	status, stdout, stderr := call(t, "", "diff", a, b)
	require.Zero(t, status, stderr)
	assert.Contains(t, stdout, "created since and still there")
	assert.Regexp(t, `(?s)Grew \(\d+ of \d+ stacks\)\n.* \+\d+ [^\n]*chan send [^\n]* created since, 0 exited or moved on\n[^\n]*\n +main\.leaked`, stdout)

	other := filepath.Join(files(t), "profile.pb.gz")
	status, stdout, stderr = call(t, "", "diff", "-format", "json", a, other)
	require.Zero(t, status, stderr)
	assert.Contains(t, stdout, `"identity": false`)
	assert.Contains(t, stdout, `"kind": "gone"`)
}

// TestReportIsTheLibrarys saves the last snapshot of a monitor. The command's
// report of it must equal the monitor's, byte for byte, but for the age of the
// snapshot, and for when detectors can judge: of a file, they never can.
func TestReportIsTheLibrarys(t *testing.T) {
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(),
		otelgoroutine.WithLoggerProvider(noop.NewLoggerProvider()), otelgoroutine.WithSource(otelgoroutine.SourceProfileOnly),
		otelgoroutine.WithInterval(otelgoroutine.MaxInterval)) // one snapshot
	require.NoError(t, err)
	require.Eventually(t, func() bool { return m.Status().Judging() > 0 }, time.Minute, 5*time.Millisecond)
	var library bytes.Buffer
	require.NoError(t, m.WriteReport(&library))
	require.NoError(t, m.Shutdown(t.Context()))

	file := filepath.Join(t.TempDir(), "saved")
	var saved bytes.Buffer
	require.NoError(t, parse.WriteProfile(&saved, m.Snapshot()))
	require.NoError(t, os.WriteFile(file, saved.Bytes(), 0o666))
	status, command, stderr := call(t, "", "report", file)
	require.Zero(t, status, stderr)
	age := regexp.MustCompile(`Newest snapshot \d+ (s|min) old`)
	possible := regexp.MustCompile(`; possible from [0-9:]+ [A-Z0-9+-]+`)
	assert.Regexp(t, possible, library.String())
	assert.NotRegexp(t, possible, command)
	assert.Equal(t, age.ReplaceAllString(possible.ReplaceAllString(library.String(), ""), ""), age.ReplaceAllString(command, ""))
	assert.Regexp(t, age, command)
}
