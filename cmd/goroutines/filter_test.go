// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
)

// dumpText returns goroutines of a dump: with this state and, unless it is 0, this wait in
// minutes, one for each ID, in a function.
func dumpText(state string, minutes int, function string, ids ...int) string {
	var b strings.Builder
	for _, id := range ids {
		wait := ""
		if minutes > 0 {
			wait = fmt.Sprintf(", %d minutes", minutes)
		}
		fmt.Fprintf(&b, "goroutine %d [%s%s]:\nmain.%s()\n\t/src/main.go:7 +0x1d\ncreated by main.main in goroutine 1\n\t/src/main.go:9 +0x1d\n\n", id, state, wait, function)
	}
	return b.String()
}

func numbers(from, to int) (list []int) {
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

func fileOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dump.txt")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// sampleDump has 100 waiting receivers, of which goroutine n has waited n minutes from 10 on,
// 20 locks, a worker that runs, and 3 goroutines that send.
func sampleDump(t *testing.T) string {
	text := dumpText("chan receive", 0, "receive", numbers(1, 9)...)
	for i := 10; i <= 100; i++ {
		text += dumpText("chan receive", i, "receive", i)
	}
	text += dumpText("sync.Mutex.Lock", 12, "lock", numbers(200, 209)...) + dumpText("sync.Mutex.Lock", 1, "lock", numbers(210, 219)...)
	text += dumpText("running", 0, "work", 300) + dumpText("chan send", 0, "sendAll", numbers(400, 402)...)
	return fileOf(t, text)
}

func TestFilters(t *testing.T) {
	path := sampleDump(t)
	whole := jsonReport(t, path)
	require.Equal(t, 124, whole.Total)
	require.NotEmpty(t, whole.Findings)
	for name, c := range map[string]struct {
		args   []string
		states map[string]int
		said   string
	}{
		"a state":              {[]string{"--state", "chan send"}, map[string]int{"chan send": 3}, "state chan send"},
		"in another case":      {[]string{"--state", "Chan Send"}, map[string]int{"chan send": 3}, "state chan send"},
		"several states":       {[]string{"--state", "chan send,running"}, map[string]int{"chan send": 3, "running": 1}, "state chan send or running"},
		"repeated":             {[]string{"--state", "chan send", "--state", "running"}, map[string]int{"chan send": 3, "running": 1}, "state chan send or running"},
		"a state without any":  {[]string{"--state", "select"}, map[string]int{}, "state select"},
		"a function":           {[]string{"--function", `\.send`}, map[string]int{"chan send": 3}, `function matches "\\.send"`},
		"two functions":        {[]string{"--function", "main", "--function", "lock$"}, map[string]int{"sync.Mutex.Lock": 20}, `function matches "main" and function matches "lock$"`},
		"a wait":               {[]string{"--min-wait", "12m"}, map[string]int{"chan receive": 89, "sync.Mutex.Lock": 10}, "waited at least 12m"},
		"a long wait":          {[]string{"--min-wait", "1h30m"}, map[string]int{"chan receive": 11}, "waited at least 1h30m"},
		"the shortest wait":    {[]string{"--min-wait", "1m"}, map[string]int{"chan receive": 91, "sync.Mutex.Lock": 20}, "waited at least 1m"},
		"a goroutine":          {[]string{"--goroutine", "55"}, map[string]int{"chan receive": 1}, "goroutine 55"},
		"goroutines":           {[]string{"--goroutine", "300,2", "--goroutine", "401"}, map[string]int{"chan receive": 1, "chan send": 1, "running": 1}, "goroutine 2, 300 or 401"},
		"all conditions":       {[]string{"--goroutine", "200,210,50,300", "--min-wait", "10m", "--state", "sync.Mutex.Lock"}, map[string]int{"sync.Mutex.Lock": 1}, "state sync.Mutex.Lock and waited at least 10m and goroutine 50, 200, 210 or 300"},
		"nothing is left":      {[]string{"--state", "running", "--function", "lock"}, map[string]int{}, `state running and function matches "lock"`},
		"many goroutines":      {[]string{"--goroutine", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(numbers(1, 60))), ","), "[]")}, map[string]int{"chan receive": 60}, "goroutine 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 or 50 more"},
		"a name with a dollar": {[]string{"--function", "^main.work$"}, map[string]int{"running": 1}, `function matches "^main.work$"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := jsonReport(t, append(c.args, path)...)
			assert.Equal(t, c.states, states(r))
			total := 0
			for _, n := range c.states {
				total += n
			}
			assert.Equal(t, total, r.Total)
			require.NotNil(t, r.Filter)
			assert.Equal(t, []int{total, 124}, []int{r.Filter.Shown, r.Filter.Total})
			assert.Equal(t, whole.Findings, r.Findings, "findings are about all")
			assert.Equal(t, whole.Health, r.Health)
			shown := 0
			for _, s := range r.Stacks {
				shown += s.Count
			}
			assert.Equal(t, total, shown)

			status, text, stderr := call(t, "", append([]string{"report", path}, c.args...)...)
			require.Zero(t, status, stderr)
			assert.Contains(t, text, fmt.Sprintf("\nFilter: %s. %d of 124 goroutines are shown; findings and health are about all.\n", c.said, total))
			assert.NotContains(t, stderr, "is known by its ID")
		})
	}
	assert.Nil(t, whole.Filter)
}

// What a filter leaves has the IDs, the waits and the ages of its goroutines.
func TestWhatAFilterLeaves(t *testing.T) {
	path := sampleDump(t)
	_, text, _ := call(t, "", "report", "--min-wait", "95m", path)
	assert.Contains(t, text, "\n      waiting 100 min (goroutine 100), 99 min (99), 98 min (98), 97 min (97), 96 min (96), 95 min (95)\n      main.receive (/src/main.go:7)\n      created by main.main (/src/main.go:9)\n")
	_, text, _ = call(t, "", "report", "--goroutine", "7,55,9", path)
	assert.Contains(t, text, "\n      waiting 55 min (goroutine 55), < 1 min (7, 9)\n", "it is a dump with waits, and shows none of theirs")
	_, text, _ = call(t, "", "report", "--state", "chan receive", path)
	assert.Contains(t, text, "\n      waiting 100 min (goroutine 100), 99 min (99), 98 min (98), 97 min (97), 96 min (96), 95 min (95), 94 min (94), 93 min (93), 92 min (92), 91 min (91) and 90 more\n")
	_, text, _ = call(t, "", "report", "--state", "running", path)
	assert.Contains(t, text, "\n      goroutine 300\n", "what runs does not wait")

	r := jsonReport(t, "--goroutine", "55", path)
	require.Len(t, r.Stacks, 1)
	assert.Equal(t, []uint64{55}, r.Stacks[0].IDs)
	assert.Equal(t, []report.Wait{{ID: 55, Seconds: 55 * 60}}, r.Stacks[0].Waits)
	assert.Equal(t, 55*60.0, r.Stacks[0].Waiting)
}

// Waits in a diff are those of the side that is shown.
func TestWaitsInADiff(t *testing.T) {
	before := fileOf(t, dumpText("chan send", 6, "goes", 1, 2)+dumpText("select", 3, "stays", 3))
	after := fileOf(t, dumpText("select", 9, "stays", 3, 4)+dumpText("chan receive", 0, "comes", 5))
	for _, args := range [][]string{nil, {"--function", "main"}} {
		status, text, stderr := call(t, "", append([]string{"diff", before, after}, args...)...)
		require.Zero(t, status, stderr)
		assert.Regexp(t, `-2  2 to 0  chan send [^\n]*\n      waiting 6 min \(goroutines 1, 2\)\n      main.goes `, text)
		assert.Regexp(t, `\+1  1 to 2  select [^\n]*\n      waiting 9 min \(goroutines 3, 4\)\n      main.stays `, text)
		assert.Regexp(t, `\+1  0 to 1  chan receive [^\n]*\n      waiting < 1 min \(goroutine 5\)\n      main.comes `, text)
	}
}

// A goroutine that is not there is told, and so is one that cannot be found among many.
func TestUnknownGoroutines(t *testing.T) {
	status, text, stderr := call(t, "", "report", "--goroutine", "55,777", sampleDump(t))
	assert.Zero(t, status)
	assert.Contains(t, text, "1 goroutine at")
	assert.Contains(t, stderr, "note: no goroutine 777 is known by its ID")

	many := fileOf(t, dumpText("select", 0, "f", numbers(1, 200)...))
	status, text, stderr = call(t, "", "report", "--goroutine", "5", many)
	assert.Zero(t, status, stderr)
	assert.Contains(t, text, "1 goroutine at")
	_, _, stderr = call(t, "", "report", "--goroutine", "150", many)
	assert.Contains(t, stderr, "note: no goroutine 150 is known by its ID: there is none, or it is one of so many at one stack that only some are listed")
}

func TestFiltersOfOtherFormats(t *testing.T) {
	dir := files(t)
	of := func(name string, args ...string) *report.Report {
		return jsonReport(t, append(args, filepath.Join(dir, name))...)
	}
	assert.Equal(t, map[string]int{"sync.Mutex.Lock": 7}, states(of("trace.out", "--state", "sync.Mutex.Lock")))
	assert.Equal(t, map[string]int{"sync.Mutex.Lock": 7}, states(of("profile.pb.gz", "--function", "main.locked")))
	id := of("trace.out", "--function", "main.nilReceive").Stacks[0].IDs[0]
	assert.Equal(t, map[string]int{"chan receive (nil chan)": 1}, states(of("trace.out", "--goroutine", fmt.Sprint(id))))

	labelled := of("profile.pb.gz", "--label", "user=secret-value")
	assert.Equal(t, 1, labelled.Total)
	assert.Equal(t, 1, of("debug1.txt", "--label", "user").Total)
	assert.Zero(t, of("profile.pb.gz", "--label", "user=other").Total)
	assert.Equal(t, []string{"label user=…"}, labelled.Filter.Conditions)
	assert.Equal(t, []string{`label user="secret-value"`}, of("profile.pb.gz", "--label", "user=secret-value", "--values").Filter.Conditions)

	bundle := filepath.Join(t.TempDir(), "bundle")
	status, _, stderr := call(t, "", "report", "--bundle", bundle, "--label", "user=secret-value", filepath.Join(dir, "profile.pb.gz"))
	require.Zero(t, status, stderr)
	for _, name := range []string{"report.txt", "report.json", "report.html", "traces.txt", "graph.svg", "profile.pb.gz"} {
		data := contents(t, filepath.Join(bundle, name))
		assert.NotContains(t, data, "secret-value", name)
		assert.NotContains(t, data, "main.locked", "%s has only what was chosen", name)
	}
}

func TestFilteredDiff(t *testing.T) {
	before := fileOf(t, dumpText("select", 5, "f", 1, 2)+dumpText("running", 0, "g", 3))
	after := fileOf(t, dumpText("select", 9, "f", 1, 2, 4)+dumpText("chan send", 0, "h", 5))
	status, text, stderr := call(t, "", "diff", "--state", "select", before, after)
	require.Zero(t, status, stderr)
	assert.Contains(t, text, "2 to 3 goroutines (+1)")
	assert.Contains(t, text, "Filter: state select. 3 of 4 goroutines are shown")
	assert.NotContains(t, text, "main.h")
	status, out, stderr := call(t, "", "diff", "--state", "select", "--format", "json", before, after)
	require.Zero(t, status, stderr)
	var d report.Diff
	require.NoError(t, json.Unmarshal([]byte(out), &d))
	require.Len(t, d.Stacks, 1)
	assert.Equal(t, &report.Filter{Conditions: []string{"state select"}, Shown: 3, Total: 4}, d.Filter)
}

func TestFilterErrors(t *testing.T) {
	dump, profile := sampleDump(t), filepath.Join(files(t), "profile.pb.gz")
	for _, c := range []struct {
		want string
		args []string
	}{
		{`--state "chan recieve" is unknown; did you mean "chan receive"? it must be running, runnable,`, []string{"--state", "chan recieve", dump}},
		{`--state "xyzzy" is unknown; it must be running,`, []string{"--state", "xyzzy", dump}},
		{`--function "(" is no regular expression: `, []string{"--function", "(", dump}},
		{`--label "=x" has no key; it must be key=value or key`, []string{"--label", "=x", dump}},
		{`--min-wait 30s is too short; it must be at least 1m`, []string{"--min-wait", "30s", dump}},
		{`--min-wait -1h0m0s is too short`, []string{"--min-wait", "-1h", dump}},
		{`--goroutine "main" is no ID; it must be a number such as 42`, []string{"--goroutine", "main", dump}},
		{`--goroutine "0" is no ID`, []string{"--goroutine", "0", dump}},
		{`--goroutine: the input has no goroutine IDs`, []string{"--goroutine", "1", profile}},
		{`--min-wait: the input has no waits`, []string{"--min-wait", "1m", profile}},
		{`--label: no goroutine of the input has such a label`, []string{"--label", "x", dump}},
	} {
		status, stdout, stderr := call(t, "", append([]string{"report"}, c.args...)...)
		requireOneLine(t, status, stderr, c.want)
		assert.Empty(t, stdout)
	}
}

// A header that stands for several goroutines has a wait but no IDs.
func TestFilterOfHeadersWithoutIDs(t *testing.T) {
	path := fileOf(t, "48 goroutines [semacquire, 4 minutes]:\nmain.f()\n\t/src/main.go:7 +0x1d\n\n")
	assert.Equal(t, 48, jsonReport(t, "--min-wait", "4m", path).Total)
	assert.Zero(t, jsonReport(t, "--min-wait", "5m", path).Total)
}

// Groups with one stack and state share what the details say only about the place.
func TestMembersAreCountedOnce(t *testing.T) {
	m := &members{detailed: map[groupRef][]member{}, waiting: map[goroutine.GroupKey][]member{}}
	stack := goroutine.NewStack([]goroutine.Frame{{Function: "main.f"}})
	a := goroutine.Group{Stack: stack, State: goroutine.Select, Count: 3, IDs: []uint64{1}, CreatedBy: goroutine.Frame{Function: "main.a"}}
	b := goroutine.Group{Stack: stack, State: goroutine.Select, Count: 2, IDs: []uint64{2}, CreatedBy: goroutine.Frame{Function: "main.b"}}
	m.detailed[refOf(&a)] = []member{{1, 60}}
	m.waiting[a.Key()] = []member{{10, 1}, {11, 1}, {12, 1}, {13, 1}}
	assert.Equal(t, []member{{1, 60}, {10, 1}, {11, 1}}, m.take(&a))
	assert.Equal(t, []member{{2, 0}, {12, 1}}, m.take(&b))
}
