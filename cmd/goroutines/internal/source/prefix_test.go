package source

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// unwrap returns what unprefixed makes of a text.
func unwrap(t testing.TB, text string) string {
	t.Helper()
	out, err := io.ReadAll(unprefixed(bufio.NewReaderSize(strings.NewReader(text), peekSize)))
	require.NoError(t, err)
	return string(out)
}

// wrapped returns a text with each line in a wrapper.
func wrapped(text string, wrap func(i int, line string) string) string {
	var b strings.Builder
	i := 0
	for line := range strings.Lines(text) {
		b.WriteString(wrap(i, strings.TrimSuffix(line, "\n")) + "\n")
		i++
	}
	return b.String()
}

const twoGoroutines = oneGoroutine + "\ngoroutine 8 gp=0xc000002 m=nil [chan receive]:\nmain.wait()\n\t/app/wait.go:3 +0x12\n"

// TestWrappersOfLoggers: what loggers wrap lines in is removed without a trace.
func TestWrappersOfLoggers(t *testing.T) {
	field := func(name string) func(int, string) string {
		return func(_ int, line string) string {
			data, err := json.Marshal(map[string]any{name: line + "\n", "level": "error", "n": 3})
			require.NoError(t, err)
			return string(data)
		}
	}
	for name, wrap := range map[string]func(int, string) string{
		"nothing":    func(_ int, l string) string { return l },
		"blanks":     func(_ int, l string) string { return "    " + l },
		"journald":   func(i int, l string) string { return fmt.Sprintf("Nov 24 20:%02d:00 host app[123]: %s", i, l) },
		"kubernetes": func(i int, l string) string { return fmt.Sprintf("2026-11-24T20:17:59.%09dZ stderr F %s", i, l) },
		"compose":    func(_ int, l string) string { return "web-1  | " + l },
		"docker":     field("log"),
		"zap, slog":  field("msg"),
		"bunyan":     field("message"),
		"journalctl": field("MESSAGE"),
		"cloud":      field("textPayload"),
		"a text":     field("text"),
	} {
		assert.Equal(t, twoGoroutines, unwrap(t, wrapped(twoGoroutines, wrap)), name)
	}
}

// TestPrefixOfAnyLength: a prefix is removed if it and the header's beginning are
// at most maxPrefix long.
func TestPrefixOfAnyLength(t *testing.T) {
	head := len("goroutine 7 [s")
	for n := range maxPrefix + 2 {
		prefix := strings.Repeat("p", n)
		text := wrapped(oneGoroutine, func(_ int, l string) string { return prefix + l })
		if n <= maxPrefix-head {
			require.Equal(t, oneGoroutine, unwrap(t, text), "%d bytes", n)
		} else {
			require.Equal(t, text, unwrap(t, text), "%d bytes", n)
		}
	}
}

func TestUnwrapping(t *testing.T) {
	header := "goroutine 1 [running]:\n"
	for name, c := range map[string]struct{ in, want string }{
		"empty":                       {"", ""},
		"no line feed at the end":     {"app: goroutine 1 [running]:\napp: main.main()", header + "main.main()"},
		"before the first header":     {"app: started\napp: " + header, "app: started\n" + header},
		"blanks trimmed off":          {"app: " + header + "app:\napp: x\n", header + "\nx\n"},
		"CRLF":                        {"app: goroutine 1 [running]:\r\napp: main.main()\r\napp:\r\n", "goroutine 1 [running]:\r\nmain.main()\r\n\n"},
		"another prefix later":        {"a: " + header + "a: x\nlonger: " + header + "longer: y\n", header + "x\n" + header + "y\n"},
		"unchanged after a header":    {header + "    indented\n{\"log\":\"x\"}\n", header + "    indented\n{\"log\":\"x\"}\n"},
		"object without a text":       {`{"level":"error","n":1}` + "\n", `{"level":"error","n":1}` + "\n"},
		"object with a number":        {`{"log":5}` + "\n", `{"log":5}` + "\n"},
		"braces that are no object":   {"{not json}\n", "{not json}\n"},
		"first of several fields":     {`{"msg":"b","log":"a"}` + "\n", "a\n"},
		"object between blanks":       {"  {\"msg\":\"a\"}  \n", "a\n"},
		"a whole dump in one field":   {`{"msg":"goroutine 1 [running]:\nmain.main()\n\t/a.go:1\n"}` + "\n", header + "main.main()\n\t/a.go:1\n"},
		"words that are not a header": {"app: goroutine 1 is gone\napp: x\n", "app: goroutine 1 is gone\napp: x\n"},
	} {
		assert.Equal(t, c.want, unwrap(t, c.in), name)
	}
}

// TestLongLines: the prefix of a line longer than the buffer is removed once.
func TestLongLines(t *testing.T) {
	long := "main.call(" + strings.Repeat("0x1, ", peekSize/2) + "0x2)\n"
	text := "goroutine 1 [running]:\n" + long + "\t/a.go:1 +0x1\n"
	assert.Equal(t, text, unwrap(t, wrapped(text, func(_ int, l string) string { return "web-1  | " + l })))
	assert.Equal(t, text, unwrap(t, text))
}

// TestUnwrappingInSmallReads reads byte by byte, and from a reader that fails.
func TestUnwrappingInSmallReads(t *testing.T) {
	text := wrapped(twoGoroutines, func(_ int, l string) string { return "app: " + l })
	in := bufio.NewReader(iotest.OneByteReader(strings.NewReader(text)))
	out, err := io.ReadAll(iotest.OneByteReader(unprefixed(in)))
	require.NoError(t, err)
	assert.Equal(t, twoGoroutines, string(out))

	for _, prefix := range []string{"", "app: "} {
		in := io.MultiReader(strings.NewReader(prefix+"goroutine 1 [running]:\n"+prefix+"main."), iotest.ErrReader(io.ErrClosedPipe))
		out, err = io.ReadAll(unprefixed(bufio.NewReader(in)))
		require.ErrorIs(t, err, io.ErrClosedPipe)
		assert.Equal(t, "goroutine 1 [running]:\nmain.", string(out))
	}
}

// FuzzUnwrapping: a text without a wrapper is unchanged, and no text is an error.
func FuzzUnwrapping(f *testing.F) {
	f.Add("goroutine 1 [running]:\nmain.main()\n")
	f.Add("app: goroutine 1 [running]:\napp:\n")
	f.Add(`{"log":"goroutine 1 [running]:\n"}`)
	f.Add("\r\n\x00{}\n")
	f.Fuzz(func(t *testing.T, text string) {
		out := unwrap(t, text)
		if !strings.Contains(text, "goroutine ") && !strings.Contains(text, "{") {
			assert.Equal(t, text, out)
		}
	})
}
