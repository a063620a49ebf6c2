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
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/report"
)

// waiting is a goroutine that waits.
func waitingDump(id int) string {
	return fmt.Sprintf("goroutine %d [select, 2 minutes]:\nmain.f(0x%x)\n\t/app/f.go:12 +0x1\ncreated by main.main in goroutine 1\n\t/app/m.go:34 +0x1\n\n", id, id)
}

// TestWhatCouldNotBeRead has every kind of loss: what is there is reported, what is not
// is named with its line, and the exit status is 2.
func TestWhatCouldNotBeRead(t *testing.T) {
	two := waitingDump(7) + waitingDump(8)
	nine := waitingDump(9)
	upTo := func(end string) string { return two + nine[:strings.Index(nine, end)+len(end)] }
	many := strings.Repeat("panic: x\n\n"+waitingDump(7), 300)
	packed := gzipped(t, []byte(manyGoroutines(3000)))
	var stacks strings.Builder
	for i := range 120_000 {
		fmt.Fprintf(&stacks, "goroutine %d [select]:\nmain.f%d()\n\t/app/f.go:%d +0x1\n\n", i+1, i, i)
	}
	old, err := os.ReadFile("../../internal/parse/testdata/trace/go1.22.trace")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		text  string
		want  string
		total int // 0: not known
		args  []string
	}{
		"a header that is cut":             {text: two + "goroutine 9 [sel", want: "line 13: goroutine 9: the header is cut off", total: 2},
		"a header that is damaged":         {text: strings.Replace(two, "goroutine 8 [select, 2 minutes]:", "goroutine 8 [select, 2 min", 1), want: "line 7: goroutine 8", total: 1},
		"an ID that is damaged":            {text: strings.Replace(two, "goroutine 8 ", "goroutine 88888888888888888888888 ", 1), want: "line 7: goroutine 0: the ID 88888888888888888888… is too large", total: 1},
		"a call that is cut":               {text: upTo("main.f(0x"), want: "line 13: goroutine 9 [select]: its text ends within a call", total: 3},
		"a name that is cut":               {text: upTo("main.f"), want: "line 13: goroutine 9 [select]: its text ends within a call", total: 3},
		"a place that is cut":              {text: upTo("/app/f.g"), want: "line 13: goroutine 9 [select]: its text ends within a call", total: 3},
		"a number that is cut":             {text: upTo("/app/f.go:1"), want: "line 13: goroutine 9 [select]: its text ends within a place", total: 3},
		"the creator's function is cut":    {text: upTo("created by ma"), want: "line 13: goroutine 9 [select]: its text ends within a call", total: 3},
		"the creator's number is cut":      {text: upTo("/app/m.go:3"), want: "line 13: goroutine 9 [select]: its text ends within a place", total: 3},
		"the outer frames are lost":        {text: upTo("f.go:12 +0x1\n"), want: "line 13: goroutine 9 [select]: its text ends before its creator, which all others have", total: 3},
		"a place is lost":                  {text: strings.Replace(two, "\t/app/f.go:12 +0x1\n", "", 1), want: "line 1: goroutine 7 [select]: line 3 comes before the place of the last call", total: 2},
		"a call is lost":                   {text: strings.Replace(two, "main.f(0x8)\n", "", 1), want: "line 7: goroutine 8 [select]: line 8 is the place of a missing call", total: 2},
		"compressed data that is cut":      {text: string(packed[:len(packed)*3/4]), want: "decompressing: unexpected EOF: the compressed data is cut off, and only what comes before is read"},
		"compressed data that is damaged":  {text: string(damaged(packed)), want: "decompressing: "},
		"more than the limit":              {text: manyGoroutines(3000), want: "over 64 KiB of data (the limit is --max-size)", args: []string{"--max-size", "64KiB"}},
		"more dumps than are read":         {text: many, want: "only the first 256 dumps are read, and 44 more are not"},
		"more processes than are told":     {text: manyPods(), want: "line 17: only 16 processes are told apart by the first word of their lines; further ones are read as one with pod-a"},
		"more stacks than are kept":        {text: stacks.String(), want: "goroutines are counted by state only: their stacks are beyond the 64 MiB that are kept", total: 120_000},
		"a record that is cut":             {text: `{"a":1}` + "\n" + `{"msg":` + strings.TrimSuffix(jsonOf(upTo("main.f(0x")), `"`), want: "line 2: goroutine 9 [select]: its text ends within a call", total: 3},
		"a trace without stacks":           {text: string(old), want: "28 of 53 goroutines have no stack: Go 1.22 writes none", total: 53},
		"a race report of too many frames": {text: longRace(), want: "line 1: a race report has 88 lines more than are read", total: 1},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "input")
			require.NoError(t, os.WriteFile(file, []byte(c.text), 0o666))
			status, stdout, stderr := call(t, "", append([]string{"report", "--format", "json", file}, c.args...)...)
			requireOneLine(t, status, stderr, c.want, file)
			var r report.Report
			require.NoError(t, json.Unmarshal([]byte(stdout), &r), stdout)
			assert.Positive(t, r.Total)
			if c.total > 0 {
				assert.Equal(t, c.total, r.Total)
			}
			if len(c.text) < 1<<20 {
				status, _, stderr = call(t, "", append([]string{"diff", file, file}, c.args...)...)
				assert.Equal(t, statusBad, status, stderr)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "input")
	require.NoError(t, os.WriteFile(file, []byte(two+nine), 0o666))
	status, _, stderr := call(t, "", "report", file)
	assert.Zero(t, status, stderr)
	assert.NotContains(t, stderr, "goroutine ")
}

func manyGoroutines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(waitingDump(i + 7))
	}
	return b.String()
}

// manyPods has dumps of 20 pods, a line at a time.
func manyPods() string {
	var b strings.Builder
	dump := strings.Split(strings.TrimSpace(waitingDump(7)), "\n")
	for _, line := range dump {
		for pod := range 20 {
			fmt.Fprintf(&b, "pod-%c %s\n", 'a'+pod, line)
		}
	}
	return b.String()
}

func damaged(packed []byte) []byte {
	packed = append([]byte(nil), packed...)
	for i := len(packed) / 2; i < len(packed)/2+64; i++ {
		packed[i] ^= 0x5a
	}
	return packed
}

func jsonOf(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// longRace is a race report with 600 lines of calls.
func longRace() string {
	var b strings.Builder
	b.WriteString("WARNING: DATA RACE\nWrite at 0x00c0000e4030 by goroutine 7:\n")
	for i := range 300 {
		fmt.Fprintf(&b, "  main.f%d()\n      /app/main.go:%d +0x3b\n", i, i+1)
	}
	return b.String()
}

// TestDumpsOfALogHaveTimes finds what needs two dumps in one log, without --every.
func TestDumpsOfALogHaveTimes(t *testing.T) {
	stuck := "goroutine 21 [chan send]:\nmain.publish()\n\t/app/p.go:5 +0x1\ncreated by main.main in goroutine 1\n\t/app/m.go:3 +0x1\n\n"
	dump := func(id int) string {
		return fmt.Sprintf("goroutine %d [running]:\nmain.dump()\n\t/app/d.go:1 +0x1\ncreated by main.main in goroutine 1\n\t/app/m.go:3 +0x1\n\n", id) + stuck
	}
	began := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	log := func(line func(at time.Time, text string) string) string {
		var b strings.Builder
		for i, at := range []time.Time{began, began.Add(30 * time.Minute)} {
			for text := range strings.Lines("SIGQUIT: quit\n\n" + dump(30+i)) {
				b.WriteString(line(at, strings.TrimSuffix(text, "\n")) + "\n")
			}
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		text  string
		timed bool
	}{
		"kubectl --timestamps": {log(func(at time.Time, text string) string { return at.Format(time.RFC3339) + " " + text }), true},
		"Docker": {log(func(at time.Time, text string) string {
			return fmt.Sprintf(`{"log":%s,"stream":"stderr","time":%q}`, jsonOf(text+"\n"), at.Format(time.RFC3339Nano))
		}), true},
		"zap": {log(func(at time.Time, text string) string {
			return fmt.Sprintf(`{"ts":%d.5,"msg":%s}`, at.Unix(), jsonOf(text))
		}), true},
		"nothing": {log(func(_ time.Time, text string) string { return text }), false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			require.NoError(t, os.WriteFile(file, []byte(c.text), 0o666))
			status, stdout, stderr := call(t, "", "report", "--format", "json", file)
			require.Zero(t, status, stderr)
			var r report.Report
			require.NoError(t, json.Unmarshal([]byte(stdout), &r))
			said := fmt.Sprintf("%+v", r.Findings)
			if !c.timed {
				assert.NotContains(t, said, "main.publish")
				assert.Contains(t, fmt.Sprint(r.Notes), "have no times of their own")
				return
			}
			assert.Contains(t, said, "main.publish", "it stands since the first dump")
			assert.WithinDuration(t, began.Add(30*time.Minute), r.Time, time.Second)
			assert.NotContains(t, fmt.Sprint(r.Notes), "times of their own")
		})
	}
}
