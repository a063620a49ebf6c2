// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// twoDumps are two dumps of a process, in which the same goroutine waits.
const twoDumps = "goroutine 7 [running]:\nmain.dump()\n\t/d.go:1 +0x1\n\ngoroutine 8 [select]:\nmain.work()\n\t/w.go:2 +0x1\n\n" +
	"goroutine 9 [running]:\nmain.dump()\n\t/d.go:1 +0x1\n\ngoroutine 8 [select]:\nmain.work()\n\t/w.go:2 +0x1\n"

// TestTimesOfLogs gives each dump the time of the line that it begins on.
func TestTimesOfLogs(t *testing.T) {
	began := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	by := func(format func(at time.Time, line string) string) string {
		return eachLine(func(i int, line string) string { return format(began.Add(time.Duration(i)*time.Second), line) })(twoDumps)
	}
	stamped := func(layout, before, after string) string {
		return by(func(at time.Time, line string) string { return before + at.Format(layout) + after + line })
	}
	field := func(key string, value func(time.Time) string) string {
		return by(func(at time.Time, line string) string {
			return fmt.Sprintf(`{"log":%s,%q:%s,"stream":"stderr"}`, quotedJSON(line+"\n"), key, value(at))
		})
	}
	number := func(format string, unit time.Duration) func(time.Time) string {
		return func(at time.Time) string { return fmt.Sprintf(format, at.UnixNano()/int64(unit)) }
	}
	for name, c := range map[string]struct {
		text  string
		timed bool
	}{
		"RFC 3339":                 {stamped(time.RFC3339, "", " "), true},
		"with a fraction":          {stamped(time.RFC3339Nano, "", " stderr F "), true},
		"with a zone":              {stamped("2006-01-02T15:04:05+00:00", "", " "), true},
		"behind a pod":             {stamped(time.RFC3339, "[pod/web/app] ", " "), true},
		"logfmt":                   {stamped(time.RFC3339, "time=", " msg="), true},
		"the name of Docker":       {field("time", func(at time.Time) string { return quotedJSON(at.Format(time.RFC3339Nano)) }), true},
		"the name of go test":      {field("Time", func(at time.Time) string { return quotedJSON(at.Format(time.RFC3339Nano)) }), true},
		"seconds":                  {field("ts", number("%d.25", time.Second)), true},
		"milliseconds":             {field("timestamp", number("%d", time.Millisecond)), true},
		"microseconds":             {field("timestamp", number("%d", time.Microsecond)), true},
		"nanoseconds, in quotes":   {field("@timestamp", number(`"%d"`, time.Nanosecond)), true},
		"without a zone":           {stamped("2006-01-02T15:04:05", "", " "), false},
		"without a date":           {stamped("15:04:05", "", " "), false},
		"another name":             {field("started", func(at time.Time) string { return quotedJSON(at.Format(time.RFC3339)) }), false},
		"twice":                    {field("time", func(time.Time) string { return `"2026-11-27T09:00:00Z","x":{"time":"2026-11-27T09:00:01Z"}` }), false},
		"a number without a unit":  {field("time", func(time.Time) string { return "12" }), false},
		"nothing":                  {twoDumps, false},
		"the same time everywhere": {prefixed("2026-11-27T09:00:00Z ").wrap(twoDumps), false},
		"the newest first": {eachLine(func(i int, line string) string {
			return began.Add(-time.Duration(i)*time.Second).Format(time.RFC3339) + " " + line
		})(twoDumps), false},
		"of one dump only": {"2026-11-27T09:00:00Z " + twoDumps, false},
	} {
		t.Run(name, func(t *testing.T) {
			births := new(goroutine.Births)
			dumps, err := Dumps(strings.NewReader(c.text), textTime, NewStacks(), births)
			require.NoError(t, err, c.text)
			require.Len(t, dumps, 2, c.text)
			for i, d := range dumps {
				assert.Equal(t, c.timed, d.Timed)
				want := textTime.Add(time.Duration(i) * time.Millisecond)
				if c.timed {
					want = began.Add(time.Duration(8*i) * time.Second)
				}
				assert.WithinDuration(t, want, d.Snapshot.Time, 300*time.Millisecond)
				for _, e := range d.Snapshot.Epochs {
					assert.False(t, e.End.After(d.Snapshot.Time), "%v after %v", e.End, d.Snapshot.Time)
				}
			}
		})
	}
}

func TestRedateMovesEpochs(t *testing.T) {
	births := new(goroutine.Births)
	dumps, err := Dumps(strings.NewReader(twoDumps), textTime, NewStacks(), births)
	require.NoError(t, err)
	a, b := textTime.Add(time.Hour), textTime.Add(2*time.Hour)
	Redate([]*goroutine.Snapshot{dumps[0].Snapshot, dumps[1].Snapshot}, []time.Time{a, b})
	assert.Equal(t, a, dumps[0].Snapshot.Time)
	assert.Equal(t, []goroutine.Epoch{{LastID: 8, End: a}, {LastID: 9, End: b}}, dumps[1].Snapshot.Epochs)
}

// TestRaceReportsInLogs reads race reports behind prefixes and in records.
func TestRaceReportsInLogs(t *testing.T) {
	report := "==================\nWARNING: DATA RACE\nWrite at 0x00c0000e4030 by goroutine 7:\n  main.write()\n      /app/main.go:15 +0x3b\n\n" +
		"Previous read at 0x00c0000e4030 by main goroutine:\n  main.main()\n      /app/main.go:9 +0x44\n\n" +
		"Goroutine 7 (finished) created at:\n  main.main()\n      /app/main.go:8 +0x2\n==================\n"
	want := described(oneDump(t, report))
	for name, w := range wrappings() {
		if w.kind == layoutWrapping || name == "the same stack twice" || name == "ANSI at headers" {
			continue // the report has no line of the length of a terminal, and indents with spaces
		}
		t.Run(name, func(t *testing.T) {
			wrapped := "2026/11/27 09:00:00 started\n" + w.wrap(report)
			if w.kind == byteWrapping {
				wrapped = w.wrap(report)
			}
			dumps, err := Dumps(NewTextReader(newBuffered(strings.NewReader(wrapped))), textTime, NewStacks(), new(goroutine.Births))
			require.NoError(t, err, wrapped)
			require.Len(t, dumps, 1, wrapped)
			assert.Equal(t, want, described(dumps[0].Snapshot), wrapped)
		})
	}
}

// TestCSV reads a dump in a column of a table, by lines.
func TestCSV(t *testing.T) {
	text := "goroutine 7 [select] {\"a\": \"b, c\"}:\nmain.work(0x1, 0x2)\n\t/w.go:2 +0x1\ncreated by main.main in goroutine 1\n\t/m.go:3 +0x4\n"
	want := described(oneDump(t, text))
	table := "time,level,message,host\n" + eachLine(func(_ int, line string) string {
		return `"2026-11-27T09:00:00Z","error","` + strings.ReplaceAll(line, `"`, `""`) + `","main.host(0x1)"`
	})(text)
	assert.Equal(t, want, described(oneDump(t, table)), table)
}

// TestEndOfTheInput marks a goroutine that the end of the input has cut.
func TestEndOfTheInput(t *testing.T) {
	whole := "goroutine 1 [select]:\nmain.main()\n\t/m.go:1 +0x1\n\ngoroutine 8 [select]:\nmain.f()\n\t/f.go:12 +0x1\ncreated by main.main in goroutine 1\n\t/m.go:34 +0x1\n\n"
	last := strings.ReplaceAll(whole[strings.Index(whole, "goroutine 8"):], "goroutine 8", "goroutine 9")
	cutAfter := func(s string) string { return whole + last[:strings.Index(last, s)+len(s)] }
	for name, c := range map[string]struct {
		text, problem, want string
	}{
		"whole":                             {whole + last, "", "2 [8 9] [select] 0s 0x0 main.main (/m.go:34) cut false"},
		"without the last end of a line":    {whole + strings.TrimSpace(last), "", ""},
		"in the number of a frame":          {cutAfter("/f.go:1"), "line 11: goroutine 9 [select]: its text ends within a place; the 1 frames before are kept", "main.f /f.go:0\n"},
		"in the number of a creator":        {cutAfter("/m.go:3"), "its text ends within a place", "main.main (/m.go:0) cut true\n\tmain.f /f.go:12\n"},
		"before the creator":                {cutAfter("+0x1\n"), "its text ends before its creator, which all others have; the 1 frames before are kept", "cut true\n\tmain.f /f.go:12\n"},
		"before the creator, in one dump":   {last[:strings.Index(last, "created")], "", "cut false\n\tmain.f /f.go:12\n"},
		"a main goroutine at the end":       {last + whole[:strings.Index(whole, "goroutine 8")], "", "1 [1] "},
		"a goroutine of C at the end":       {whole + "goroutine 9 [running, locked to thread]:\nmain.f()\n\t/f.go:12 +0x1\nruntime.goexit({})\n\t/r.s:1 +0x1\n", "", "1 [9] "},
		"others have no creator either":     {strings.ReplaceAll(whole, "created by main.main in goroutine 1\n\t/m.go:34 +0x1\n", "") + cutAfter("+0x1\n")[len(whole):], "", "cut false"},
		"no place has anything behind it":   {"goroutine 8 [select]:\nmain.f()\n\t/f.go:12\nmain.g()\n\t/g.go:1", "", "main.g /g.go:1\n"},
		"a number that ends with its line":  {cutAfter("/f.go:12"), "its text ends within a place", "main.f /f.go:0\n"},
		"the same in a record, by its text": {`{"msg":` + quotedJSON(cutAfter("+0x1\n")) + "}\n", "line 1: goroutine 9 [select]: its text ends before its creator", "cut true"},
	} {
		t.Run(name, func(t *testing.T) {
			dumps, err := dumpsOf(c.text)
			if c.problem == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.problem)
			}
			require.Len(t, dumps, 1)
			requireSane(t, dumps[0].Snapshot)
			assert.Contains(t, described(dumps[0].Snapshot), c.want)
		})
	}
}

// TestReaderIsBounded checks the buffers after inputs that try to make them grow.
func TestReaderIsBounded(t *testing.T) {
	read := func(text string) (*series, *unwrapper) {
		s := &series{stacks: NewStacks(), births: new(goroutine.Births), at: textTime, room: maxDistinct}
		l := &layout{out: s}
		u := newUnwrapper(l, &s.number, 0)
		for line := range strings.Lines(text) {
			s.number++
			for i := 0; i < len(line); i += maxLine {
				u.take([]byte(line[i:min(len(line), i+maxLine)]), i == 0, i+maxLine >= len(line))
			}
		}
		return s, u
	}
	_, u := read(`{"msg":"goroutine 7 [running]:\nmain.f(` + strings.Repeat(`\t`, 10*maxLine) + `\u00e9` + strings.Repeat(`\u4e16`, maxLine) + `"}`)
	assert.LessOrEqual(t, cap(u.fields.line), 4*maxLine)

	s, _ := read("goroutine 7 [running]:\nmain.f()\n\t/f.go:1 +0x1\n" + strings.Repeat("\n", 100*maxHeldLines))
	assert.LessOrEqual(t, cap(s.held.lines), 4*maxHeldLines)
	assert.False(t, s.holding)

	_, u = read(strings.Repeat("a b ", 200) + "goroutine 7 [select]:\n" + strings.Repeat("no such line\n", 1000))
	assert.Equal(t, maxTried, u.prefix.tried, "not on each line")

	var many strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&many, "goroutine %d [select]:\n", 1000+i)
	}
	s, _ = read(many.String())
	assert.LessOrEqual(t, len(s.seen), 200_000/64+2, "64 IDs in a word")

	long := strings.Repeat("<a", maxLine/2)
	assert.Equal(t, long, string(withoutTags([]byte(long))))
	assert.Equal(t, "x", string(withoutTags([]byte(`<a href="`+strings.Repeat("y", 1000)+`">x</a>`))))
}

// TestOldDumpsLoseDetails keeps the details of single goroutines only of the dumps that
// a report compares.
func TestOldDumpsLoseDetails(t *testing.T) {
	dumps, err := dumpsOf(strings.Repeat("panic: x\n\n"+one+"\n", 4))
	require.NoError(t, err)
	for i, want := range []int{0, 0, 1, 1} {
		assert.Len(t, dumps[i].Details.Goroutines, want)
		assert.Equal(t, CrashPanic, dumps[i].Details.Crash.Kind)
	}
}
