// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// spelledOut are texts on one line, or in a box, that have no escapes with a backslash.
var spelledOut = map[string]func(text string) string{
	"rsyslog": func(text string) string {
		return "Nov 27 09:00:00 web app[12]: " + strings.NewReplacer("\n", "#012", "\t", "#011").Replace(text) + "\n"
	},
	"tags of HTML": func(text string) string {
		return "<p>" + strings.NewReplacer("\n", "<br/>", "\t", "&nbsp;&nbsp;&nbsp;&nbsp;").Replace(html.EscapeString(text)) + "</p>\n"
	},
	"entities of XML": func(text string) string {
		return "<event><message>" + strings.NewReplacer("\n", "&#10;", "\t", "&#9;").Replace(html.EscapeString(text)) + "</message></event>\n"
	},
	"an address":       url.PathEscape,
	"carriage returns": func(text string) string { return strings.ReplaceAll(text, "\n", "\r") },
	"a box": eachLine(func(_ int, line string) string {
		return fmt.Sprintf("│ %-120s │", line)
	}),
	"a box in a log": eachLine(func(i int, line string) string {
		return fmt.Sprintf("09:00:%02d web-1 | %-120s ║", i%60, line)
	}),
}

// maxSpelled is the longest text that is compared: it is one line, which is read up to
// the size of a buffer.
const maxSpelled = 20 << 10

func TestTextsThatAreSpelledOut(t *testing.T) {
	for _, seed := range wrappingSeeds(t) {
		if len(seed) > maxSpelled {
			continue
		}
		plain := described(oneDump(t, seed))
		for name, spell := range spelledOut {
			dumps, err := Dumps(NewTextReader(newBuffered(strings.NewReader(spell(seed)))), textTime, NewStacks(), new(goroutine.Births))
			require.NoError(t, err, name)
			require.Len(t, dumps, 1, name)
			requireSame(t, plain, described(dumps[0].Snapshot), name)
		}
	}
}

// What the runtime says before the first goroutine is behind the same prefix as that, in
// which numbers may change and after which a blank line has no blanks.
func TestTheEndOfAProcessIsSpelledOut(t *testing.T) {
	text := "fatal error: all goroutines are asleep - deadlock!\n\n" + one
	for name, spell := range map[string]func(string) string{
		"rsyslog":         spelledOut["rsyslog"],
		"entities of XML": spelledOut["entities of XML"],
		"a box":           spelledOut["a box"],
		"quoted twice":    eachLine(func(_ int, line string) string { return strings.TrimRight("> > "+line, " ") }),
		"numbered rows":   eachLine(func(i int, line string) string { return fmt.Sprintf("<tr><td>%d</td><td>%s</td></tr>", i, line) }),
	} {
		dumps, err := Dumps(strings.NewReader(spell(text)), textTime, NewStacks(), new(goroutine.Births))
		require.NoError(t, err, name)
		require.Len(t, dumps, 1, name)
		assert.Equal(t, CrashFatal, dumps[0].Details.Crash.Kind, name)
		assert.Equal(t, "all goroutines are asleep - deadlock!", dumps[0].Details.Crash.Message, name)
	}
}

// A border is learned from a header only, and nothing else is cut.
func TestWhatIsNoBorder(t *testing.T) {
	for line, want := range map[string]string{
		"│ goroutine 1 [select]:      │":            "│ goroutine 1 [select]:",
		`{"log":"goroutine 1 [select]:"}`:           `{"log":"goroutine 1 [select]:"}`,
		"goroutine 1 [select]: {a: b}:":             "goroutine 1 [select]: {a: b}:",
		"goroutine 1 [select]: in the background |": "goroutine 1 [select]: in the background |",
	} {
		var b border
		assert.Equal(t, want, string(b.cut([]byte(line), findStart([]byte(line)))))
	}
	var b border
	assert.Equal(t, "main.or(0x1) |", string(b.cut([]byte("main.or(0x1) |"), found{at: -1})))
}
