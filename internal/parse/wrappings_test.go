// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

func newBuffered(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, maxLine) }

// A wrapping is what a tool, a logger or a person does to a dump.
type wrapping struct {
	kind wrappingKind
	wrap func(text string) string
}

// The kinds, in the order in which they happen to a dump.
type wrappingKind int

const (
	layoutWrapping wrappingKind = iota // of lines
	linePrefix
	recordWrapping
	byteWrapping
)

func eachLine(wrap func(i int, line string) string) func(string) string {
	return func(text string) string {
		var b strings.Builder
		i := 0
		for line := range strings.Lines(text) {
			b.WriteString(wrap(i, strings.TrimSuffix(line, "\n")))
			b.WriteByte('\n')
			i++
		}
		return b.String()
	}
}

func prefixed(format string) wrapping {
	return wrapping{linePrefix, eachLine(func(i int, line string) string {
		return strings.ReplaceAll(strings.ReplaceAll(format, "%i", strconv.Itoa(i+1)), "%t", fmt.Sprintf("%02d:%02d:%02d", i/3600, i/60%60, i%60)) + line
	})}
}

// trimmed is a prefix whose blanks at the end are lost on blank lines.
func trimmed(w wrapping) wrapping {
	return wrapping{w.kind, func(text string) string {
		return eachLine(func(_ int, line string) string { return strings.TrimRight(line, " ") })(w.wrap(text))
	}}
}

func layoutOf(old, instead string) wrapping {
	return wrapping{layoutWrapping, func(text string) string { return strings.ReplaceAll(text, old, instead) }}
}

// records writes each line, or the whole text, as a record.
func records(whole bool, record func(i int, text string) string) wrapping {
	if whole {
		return wrapping{recordWrapping, func(text string) string { return record(0, text) + "\n" }}
	}
	return wrapping{recordWrapping, eachLine(record)}
}

func quotedJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// hard wraps lines at a width, as a terminal does.
func hard(width int) wrapping {
	return wrapping{layoutWrapping, eachLine(func(_ int, line string) string {
		var b strings.Builder
		for len(line) > width {
			b.WriteString(line[:width] + "\n")
			line = line[width:]
		}
		return b.String() + line
	})}
}

// soft wraps lines at spaces, as a mail program does.
func soft(width int) wrapping {
	return wrapping{layoutWrapping, eachLine(func(_ int, line string) string {
		var b strings.Builder
		for len(line) > width {
			i := strings.LastIndexByte(line[:width], ' ')
			if i <= 0 {
				break
			}
			b.WriteString(line[:i] + "\n")
			line = line[i+1:]
		}
		return b.String() + line
	})}
}

func wrappings() map[string]wrapping {
	clock := func(i int) string {
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("2026-11-27T09:%02d:%02d.%09d", i/60%60, i%60, int64(i)*37_000_000%1_000_000_000), "0"), ".") + "Z"
	}
	return map[string]wrapping{
		"spaces for tabs":       layoutOf("\n\t", "\n        "),
		"four spaces":           layoutOf("\n\t", "\n    "),
		"no indentation":        layoutOf("\n\t", "\n"),
		"double-spaced":         layoutOf("\n", "\n\n"),
		"trailing blanks":       layoutOf("\n", "  \n"),
		"trailing tabs":         layoutOf("\n", "\t\n"),
		"CRLF":                  layoutOf("\n", "\r\n"),
		"wrapped at 60":         hard(60),
		"wrapped at 80":         hard(80),
		"wrapped at 100":        hard(100),
		"wrapped at words, 72":  soft(72),
		"wrapped at words, 100": soft(100),

		"compose": prefixed("web-1  | "),
		"compose, with others": {linePrefix, eachLine(func(i int, line string) string {
			text := "web-1  | " + line
			if i%7 == 3 {
				text += "\ndb-1   | 2026-11-27 09:00:00 UTC [1] LOG:  checkpoint complete (x): wrote 4 buffers\nweb-1  | 2026/11/27 09:00:00 GET /x (200): 12 ms"
			}
			return text
		})},
		"kubectl --prefix": prefixed("[pod/web-7d4b9c-x2x/app] "),
		"journald":         prefixed("Nov 27 %t host app[4711]: "),
		"CRI": {linePrefix, eachLine(func(i int, line string) string {
			return clock(i) + " stderr F " + line
		})},
		"kubectl --timestamps": {linePrefix, eachLine(func(i int, line string) string { return clock(i) + " " + line })},
		"a level that changes": {linePrefix, eachLine(func(i int, line string) string {
			return fmt.Sprintf("%s %x %s %s", clock(i), int64(i)*0x9e3779b9, []string{"ERROR", "INFO"}[i%2], line)
		})},
		"grep -n": prefixed("%i:"),
		"grep -A": {linePrefix, eachLine(func(i int, line string) string {
			return fmt.Sprintf("dump.txt%c%d%c", ":-"[min(i, 1)], i+1, ":-"[min(i, 1)]) + line
		})},
		"less -N":              {linePrefix, eachLine(func(i int, line string) string { return fmt.Sprintf("%7d %s", i+1, line) })},
		"cat -n":               {linePrefix, eachLine(func(i int, line string) string { return fmt.Sprintf("%6d\t%s", i+1, line) })},
		"Markdown":             prefixed("> "),
		"a mail that is cited": prefixed("> > "),
		"blanks trimmed":       trimmed(prefixed("> ")),
		"indented":             trimmed(prefixed("    ")),
		"the first line only":  {linePrefix, func(text string) string { return "2026/11/27 09:00:00 main.go:12: stack: " + text }},
		"klog":                 {linePrefix, func(text string) string { return "E1127 09:22:18.123456   12345 main.go:12] " + text }},
		"ANSI at headers": {linePrefix, eachLine(func(_ int, line string) string {
			if strings.HasPrefix(line, "goroutine ") {
				return "\x1b[31m" + line + "\x1b[0m"
			}
			return line
		})},
		"ANSI everywhere": {linePrefix, eachLine(func(_ int, line string) string { return "\x1b[2m" + line + "\x1b[0m\x1b[K" })},
		"HTML": {linePrefix, func(text string) string {
			return "<html><body><pre>" + html.EscapeString(text) + "</pre></body></html>\n"
		}},
		"marked up": {linePrefix, eachLine(func(_ int, line string) string {
			return `<span class="hljs-title">` + html.EscapeString(line) + `</span>`
		})},

		"Docker": records(false, func(i int, line string) string {
			return quotedJSON(map[string]string{"log": line + "\n", "stream": "stderr", "time": clock(i)})
		}),
		"go test -json": records(false, func(i int, line string) string {
			return fmt.Sprintf(`{"Time": %q, "Action": "output", "Package": "x", "Output": %s}`, clock(i), quotedJSON(line+"\n"))
		}),
		"GCP, a line a record": records(false, func(i int, line string) string {
			return quotedJSON(map[string]any{"insertId": fmt.Sprintf("%x", int64(i)*0x9e3779b9), "jsonPayload": map[string]string{"message": line, "logger": "main.go:12"}, "severity": "ERROR"})
		}),
		"zap, in one": records(true, func(_ int, text string) string {
			return quotedJSON(map[string]string{"level": "error", "msg": "it panicked", "caller": "app/main.go:12", "stack": text})
		}),
		"the same stack twice": records(true, func(_ int, text string) string {
			return `{"error":` + quotedJSON("x\n"+text) + `,"stack":` + quotedJSON(text) + `}`
		}),
		"logfmt, in one":   records(true, func(_ int, text string) string { return "time=now level=error msg=" + strconv.Quote(text) + " n=1" }),
		"logfmt, by lines": records(false, func(i int, line string) string { return "time=" + clock(i) + " level=error msg=" + strconv.Quote(line) }),
		"escaped":          records(true, func(_ int, text string) string { q := strconv.Quote(text); return "app: " + q[1:len(q)-1] }),
		"Loki": {recordWrapping, func(text string) string {
			var values [][2]string
			for line := range strings.Lines(text) {
				values = append(values, [2]string{fmt.Sprint(int64(1764230400000000000) + int64(len(values))), strings.TrimSuffix(line, "\n")})
			}
			return quotedJSON(map[string]any{"data": map[string]any{"result": []any{map[string]any{"stream": map[string]string{"app": "web"}, "values": values}}}}) + "\n"
		}},
		"CloudWatch": {recordWrapping, func(text string) string {
			var events []any
			for line := range strings.Lines(text) {
				events = append(events, map[string]any{"timestamp": int64(1764230400000) + int64(len(events)), "message": strings.TrimSuffix(line, "\n"), "ingestionTime": 1})
			}
			b, _ := json.MarshalIndent(map[string]any{"events": events, "nextForwardToken": "f/1"}, "", "    ")
			return string(b) + "\n"
		}},
		"records with others": records(false, func(i int, line string) string {
			text := quotedJSON(map[string]string{"level": "error", "msg": line})
			if i%5 == 2 {
				text += "\n" + `{"level":"info","msg":"GET /x (200): 12 ms","caller":"app/main.go:12"}` + "\n" + `{"level":"info","event":"tick","n":3}`
			}
			return text
		}),
		"an array of lines": records(true, func(_ int, text string) string {
			return `{"level":"error","stack":` + quotedJSON(strings.Split(strings.TrimSuffix(text, "\n"), "\n")) + `,"msg":"x"}`
		}),
		"Python": records(false, func(_ int, line string) string {
			q := strconv.Quote(line)
			return "{'log': '" + strings.NewReplacer(`\"`, `"`, "'", `\'`).Replace(q[1:len(q)-1]) + "', 'n': 1}"
		}),

		"UTF-16":             {byteWrapping, func(text string) string { return asUTF16(binary.LittleEndian, "\ufeff"+text) }},
		"UTF-16, big endian": {byteWrapping, func(text string) string { return asUTF16(binary.BigEndian, "\ufeff"+text) }},
		"UTF-16, no mark":    {byteWrapping, func(text string) string { return asUTF16(binary.LittleEndian, text) }},
		"UTF-8 with a mark":  {byteWrapping, func(text string) string { return "\ufeff" + text }},
		"leading NULs":       {byteWrapping, func(text string) string { return strings.Repeat("\x00", 5000) + text }},
	}
}

func asUTF16(order binary.ByteOrder, text string) string {
	var b bytes.Buffer
	for _, unit := range utf16.Encode([]rune(text)) {
		_ = binary.Write(&b, order, unit)
	}
	return b.String()
}

// seeds are dumps by real programs.
func wrappingSeeds(t testing.TB) []string {
	files, err := filepath.Glob(filepath.Join("testdata", "text", "go1.*", "*.txt"))
	require.NoError(t, err)
	var seeds []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		if len(data) < 64<<10 {
			seeds = append(seeds, string(data))
		}
	}
	return append(seeds, benchDump(20), one, one+"\n"+strings.ReplaceAll(one, "goroutine 8", "goroutine 9"))
}

// compose chooses wrappings at random: at most one for the layout of lines, up to
// two that put something before them or into records, and one of bytes.
func compose(r *rand.Rand, text string) (wrapped, how string) {
	by := make(map[wrappingKind][]string)
	all := wrappings()
	for _, name := range sortedKeys(all) {
		by[all[name].kind] = append(by[all[name].kind], name)
	}
	pick := func(kind wrappingKind) {
		name := by[kind][r.IntN(len(by[kind]))]
		if strings.Contains(how, "wrapped") && strings.Contains(name, "with others") {
			return // lines of others within one that was wrapped: nothing tells them apart
		}
		text = all[name].wrap(text)
		how += " + " + name
	}
	if r.IntN(3) > 0 {
		pick(layoutWrapping)
	}
	for range r.IntN(3) {
		pick(linePrefix + wrappingKind(r.IntN(2)))
	}
	if r.IntN(4) == 0 {
		pick(byteWrapping)
	}
	return text, how
}

func sortedKeys(m map[string]wrapping) []string { return slices.Sorted(maps.Keys(m)) }

// FuzzWrappings wraps dumps at random, and compares what is read with the plain
// dump.
func FuzzWrappings(f *testing.F) {
	seeds := wrappingSeeds(f)
	plain := make([]string, len(seeds))
	for i, seed := range seeds {
		plain[i] = described(oneDump(f, seed))
	}
	for i := range uint64(2500) {
		f.Add(i)
	}
	f.Fuzz(func(t *testing.T, choice uint64) {
		r := rand.New(rand.NewPCG(choice, 1))
		i := r.IntN(len(seeds))
		wrapped, how := compose(r, seeds[i])
		dumps, err := Dumps(NewTextReader(newBuffered(strings.NewReader(wrapped))), textTime, NewStacks(), new(goroutine.Births))
		require.NoError(t, err, how)
		require.Len(t, dumps, 1, how)
		requireSame(t, plain[i], described(dumps[0].Snapshot), how)
	})
}

// requireSame says where two descriptions differ first.
func requireSame(t *testing.T, want, got, how string) {
	t.Helper()
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	slices.Sort(wants) // the order of groups depends on nothing but their stacks
	slices.Sort(gots)
	for i := range min(len(wants), len(gots)) {
		require.Equal(t, wants[i], gots[i], how)
	}
	require.Len(t, gots, len(wants), how)
}
