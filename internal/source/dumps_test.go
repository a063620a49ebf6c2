// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

func readDumps(data []byte) ([]located, error) {
	return newParsers().readAll(bytes.NewReader(data), taken, parse.Labels{}, unlimited)
}

// TestWrappedFiles reads a dump in wrappings that need to be recognized as text
// first. internal/parse has the tests of all others.
func TestWrappedFiles(t *testing.T) {
	page := "<!DOCTYPE html>\n<html><head><title>issue</title></head><body>" + strings.Repeat("<p>It hangs.</p>\n", 8000) +
		"<pre>" + html.EscapeString(oneGoroutine) + "</pre></body></html>"
	var wide bytes.Buffer
	require.NoError(t, binary.Write(&wide, binary.LittleEndian, utf16.Encode([]rune("\ufeff"+oneGoroutine))))
	record, err := json.Marshal(map[string]string{"level": "error", "stack": oneGoroutine})
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"a page":                   []byte(page),
		"UTF-16":                   wide.Bytes(),
		"a byte order mark":        []byte("\ufeff" + oneGoroutine),
		"a log with a hole":        append(make([]byte, 3*peekSize), oneGoroutine...),
		"a record":                 record,
		"a record, compressed":     zipped(record),
		"UTF-16, compressed":       zipped(wide.Bytes()),
		"each line with its time":  []byte("2026-01-01T00:00:00Z " + strings.ReplaceAll(strings.TrimSpace(oneGoroutine), "\n", "\n2026-01-01T00:00:01Z ")),
		"many lines, then a panic": []byte(strings.Repeat("2026/01/01 started\n", 20_000) + "panic: x\n\n" + oneGoroutine),
	} {
		t.Run(name, func(t *testing.T) {
			all, err := readDumps(data)
			require.NoError(t, err)
			require.Len(t, all, 1)
			assert.Equal(t, 1, all[0].Total)
			assert.Equal(t, 1, at(all[0].Snapshot, "main.work"))
			assert.Zero(t, all[0].line)
		})
	}
}

// TestCutFiles reads what is there, and says that there was more.
func TestCutFiles(t *testing.T) {
	var dump strings.Builder
	for i := range 200 {
		fmt.Fprintf(&dump, "goroutine %d [select]:\nmain.work(%#x)\n\t/app/main.go:%d +0x125\n\n", i+1, goroutine.DigestID(uint64(i)), i)
	}
	packed := zipped([]byte(dump.String()))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"compressed, small": {packed[:len(packed)*3/4], "decompressing: unexpected EOF: the compressed data is cut off, and only what comes before is read"},
		"in a line":         {[]byte(oneGoroutine + "\ngoroutine 9 [select]:\nmain.a()\n\t/a.go:1 +0x1\nmain.serve(0xc0000"), "line 9: goroutine 9 [select]: its text ends within a call; the 1 frames before are kept"},
	} {
		all, err := readDumps(c.data)
		require.ErrorContains(t, err, c.want, name)
		require.Len(t, all, 1, name)
		assert.Greater(t, all[0].Total, 1, name)
	}
}

// TestSeriesInOneFile reads a file with three dumps.
func TestSeriesInOneFile(t *testing.T) {
	later := strings.ReplaceAll(oneGoroutine, "main.go:29", "main.go:30")
	text := "panic: a\n\n" + oneGoroutine + "\npanic: b\n\n" + later + "\n" + oneGoroutine
	name := file(t, t.TempDir(), "log", text, taken)
	for label, c := range map[string]struct {
		last  bool
		every time.Duration
		names []string
		notes []string
	}{
		"a series":         {names: []string{name + ":3", name + ":13", name + ":21"}, notes: []string{name + ": has 3 goroutine dumps, which are read as a series, not as a sum; the last one is at line 21", "have no times of their own"}},
		"with --every":     {every: time.Minute, names: []string{name + ":3", name + ":13", name + ":21"}, notes: []string{"the last one is at line 21"}},
		"only the last":    {last: true, names: []string{name + ":21"}, notes: []string{name + ": has 3 goroutine dumps; the last one, at line 21, is taken"}},
		"the same as that": {last: true, every: time.Minute, names: []string{name + ":21"}, notes: []string{"the last one, at line 21, is taken"}},
	} {
		t.Run(label, func(t *testing.T) {
			var notes []string
			r := newReader(&notes)
			r.Last, r.Every = c.last, c.every
			series, err := r.Read(t.Context(), []string{name})
			require.NoError(t, err)
			require.NoError(t, series.Partial)
			assert.Equal(t, c.names, series.Names)
			require.Len(t, notes, len(c.notes), notes)
			for i, note := range c.notes {
				assert.Contains(t, notes[i], note)
			}
			for i, s := range series.Snapshots {
				assert.Equal(t, 1, s.Total)
				if i > 0 {
					assert.True(t, s.Time.After(series.Snapshots[i-1].Time))
				}
			}
		})
	}
}

// TestDumpsOfSeveralProcesses reports the process that the last dump is of.
func TestDumpsOfSeveralProcesses(t *testing.T) {
	var text strings.Builder
	for _, pod := range []string{"web-0", "web-1", "web-0"} {
		for line := range strings.Lines(oneGoroutine + "\n") {
			text.WriteString("[pod/" + pod + "/app] " + line)
		}
	}
	name := file(t, t.TempDir(), "log", text.String(), taken)
	var notes []string
	series, err := newReader(&notes).Read(t.Context(), []string{name})
	require.NoError(t, err)
	require.NoError(t, series.Partial)
	assert.Len(t, series.Snapshots, 2)
	require.NotEmpty(t, notes)
	assert.Equal(t, name+": has goroutine dumps of 2 processes, by the first word of their lines: [pod/web-0/app], [pod/web-1/app]; only that of the last dump is reported, [pod/web-0/app]; for another one, give only its lines", notes[0])
}
