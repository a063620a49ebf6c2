// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	"fmt"
	"html"
	"image/color"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/chromedp/chromedp"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// columns is the width of the terminals: about as much as can be read in a document.
const columns = 110

// pictureTerminal pictures the example once all of its faults have been told, from the
// gravest on: with what comes before, the picture would be too high to be read.
func (a *album) pictureTerminal() {
	shown := onTerminal(a.t, 120, built(a.t, "example"), "-http", "127.0.0.1:0").until("goroutine.deadlock.detected",
		"goroutine.hang.detected", "goroutine.leak.detected", "goroutine.blocked_forever.detected", "4 findings open", "everywhere else")
	gravest := slices.IndexFunc(shown, func(r row) bool { return strings.HasSuffix(strings.TrimSpace(r.text()), "goroutine.deadlock.detected") })
	require.GreaterOrEqual(a.t, gravest, 0)
	a.picture("terminal.png", shown[gravest:])
}

// pictureWatch pictures a watch of a process with faults, one without, and one that is
// not there. The watch must begin before the faults do, so all is built before.
func (a *album) pictureWatch() {
	command, example := built(a.t, filepath.Join("cmd", "goroutines")), built(a.t, "example")
	startProgram(a.t, example, "-http", "127.0.0.1:7002", "-faults", "none")
	startProgram(a.t, example, "-http", "127.0.0.1:7001")
	watch := onTerminal(a.t, 56, command, "watch", "--interval", "2s", "--time-scale", "0.04",
		"http://127.0.0.1:7001", "http://127.0.0.1:7002", "http://127.0.0.1:7999")
	a.picture("watch.png", watch.until("4 findings", "  ok\n", "cannot be reached",
		"  blocked_forever  ", "  deadlock  ", "  hang  ", "  leak  "))
}

// picture saves a picture of lines of a terminal.
func (a *album) picture(name string, lines []row) {
	page := filepath.Join(a.t.TempDir(), "terminal.html")
	require.NoError(a.t, os.WriteFile(page, []byte(document(lines)), 0o600))
	p := open(a.t, screens[0], "file://"+page)
	size := eval[[2]int64](p, "[document.body.firstChild.offsetWidth, document.body.firstChild.offsetHeight]")
	p.do(chromedp.EmulateViewport(size[0], size[1]))
	a.save(name, a.shot(p))
}

// A terminal shows what a program writes to it.
type terminal struct {
	t        *testing.T
	emulator *vt.Emulator
	mu       sync.Mutex // of the emulator, but for its answers
}

// onTerminal runs a program on a terminal until the test ends.
func onTerminal(t *testing.T, rows int, name string, args ...string) *terminal {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NO_COLOR=") }), "TERM=xterm-256color")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: columns, Rows: uint16(rows)})
	require.NoError(t, err)
	l := &terminal{t: t, emulator: vt.NewEmulator(columns, rows)}
	go io.Copy(l, file)          // until the program ends
	go io.Copy(file, l.emulator) // a program may ask what its terminal can do
	t.Cleanup(func() {
		_ = cmd.Wait()
		_ = file.Close()
		_ = l.emulator.Close()
	})
	return l
}

// Write shows what a program writes.
func (l *terminal) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.emulator.Write(b)
}

// until waits until all of some texts are shown, and returns the lines. It is more
// patient than with a page, because detectors are, too.
func (l *terminal) until(texts ...string) []row {
	l.t.Helper()
	for end := time.Now().Add(4 * patience); ; time.Sleep(100 * time.Millisecond) {
		lines := l.lines()
		shown := textOf(lines)
		missing := slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return strings.Contains(shown, s) })
		if len(missing) == 0 {
			return lines
		}
		if time.Now().After(end) {
			require.FailNow(l.t, fmt.Sprintf("never shown: %q", missing), shown)
		}
	}
}

// lines returns the lines of the terminal, without the empty ones at the bottom.
func (l *terminal) lines() (lines []row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for y := range l.emulator.Height() {
		var r row
		for x := range l.emulator.Width() {
			if c := l.emulator.CellAt(x, y); c != nil && c.Width > 0 { // not the second half of a wide one
				r = append(r, *c)
			}
		}
		lines = append(lines, r)
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1].text()) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// A row is the cells of a line of a terminal.
type row []uv.Cell

func (r row) text() string {
	var b strings.Builder
	for i := range r {
		b.WriteString(r[i].Content)
	}
	return b.String()
}

func textOf(lines []row) string {
	var b strings.Builder
	for _, r := range lines {
		b.WriteString(strings.TrimRight(r.text(), " ") + "\n")
	}
	return b.String()
}

// document returns a page that shows lines of a terminal.
func document(lines []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<!doctype html><meta charset="utf-8"><title>Terminal</title><style>
body { margin: 0; background: %s }
pre { margin: 0; padding: 16px; width: max-content; font: 15px/normal "DejaVu Sans Mono", monospace; color: %[2]s; background: %[1]s }
</style><body><pre>`, ground, letters)
	for _, r := range lines {
		b.WriteString(r.html() + "\n")
	}
	return b.String() + "</pre>"
}

// html returns a row with a span for each run of cells of one style.
func (r row) html() string {
	var b strings.Builder
	for len(r) > 0 {
		style, n := styleOf(&r[0]), 1
		for n < len(r) && styleOf(&r[n]) == style {
			n++
		}
		text := r[:n].text()
		if eighths(&r[0]) > 0 {
			text = strings.Repeat(" ", n)
		}
		fmt.Fprintf(&b, `<span style="%s">%s</span>`, style, html.EscapeString(text))
		r = r[n:]
	}
	return b.String()
}

// The colours of the pictures. Those that terminals have from the beginning are hard to
// read on a dark ground.
const (
	ground  = "#0f1318"
	letters = "#e6e9ed"
)

var palette = map[color.Color]string{
	ansi.Red: "#ff7b72", ansi.Green: "#56d364", ansi.Yellow: "#e3b341", ansi.Cyan: "#39a0b5",
}

// styleOf returns the style of a cell. A block element is drawn as a part of the
// ground, as terminals do, because the letters of a font leave gaps in a bar. Above it is
// a gap, so that the bars of two lines can be told apart.
func styleOf(c *uv.Cell) string {
	front, back := colourOf(c.Style.Fg, letters), colourOf(c.Style.Bg, ground)
	if c.Style.Attrs&uv.AttrReverse != 0 {
		front, back = back, front
	}
	if n := eighths(c); n > 0 {
		return fmt.Sprintf("background: linear-gradient(to top, %s calc(%d * (100%% - 2px) / 8), %s 0)", front, n, back)
	}
	style := "color: " + front
	if back != ground {
		style += "; background: " + back
	}
	if c.Style.Attrs&uv.AttrBold != 0 {
		style += "; font-weight: bold"
	}
	if c.Style.Attrs&uv.AttrFaint != 0 {
		style += "; opacity: 0.65"
	}
	return style
}

func colourOf(c color.Color, otherwise string) string {
	if c == nil {
		return otherwise
	}
	if known := palette[c]; known != "" {
		return known
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}

// eighths returns how much of a cell a block element fills, from below; 0 for other
// characters.
func eighths(c *uv.Cell) int {
	const blocks = "▁▂▃▄▅▆▇█"
	if c.Content == "" {
		return 0
	}
	return (strings.Index(blocks, c.Content) + len("█")) / len("█")
}

func TestATerminalIsDrawnAsItIsShown(t *testing.T) {
	l := &terminal{t: t, emulator: vt.NewEmulator(12, 3)}
	_, err := l.Write([]byte("old\r\x1b[Ja<b \x1b[1;31mred\x1b[0m\r\n\x1b[36m█▄\x1b[0m\x1b[7m>\x1b[0m \x1b[2mfaint"))
	require.NoError(t, err)
	lines := l.lines()
	assert.Equal(t, "a<b red\n█▄> faint\n", textOf(lines))
	require.Len(t, lines, 2)
	assert.Equal(t, `<span style="color: #e6e9ed">a&lt;b </span><span style="color: #ff7b72; font-weight: bold">red</span>`+
		`<span style="color: #e6e9ed">     </span>`, lines[0].html())
	assert.Equal(t, `<span style="background: linear-gradient(to top, #39a0b5 calc(8 * (100% - 2px) / 8), #0f1318 0)"> </span>`+
		`<span style="background: linear-gradient(to top, #39a0b5 calc(4 * (100% - 2px) / 8), #0f1318 0)"> </span>`+
		`<span style="color: #0f1318; background: #e6e9ed">&gt;</span><span style="color: #e6e9ed"> </span>`+
		`<span style="color: #e6e9ed; opacity: 0.65">faint</span><span style="color: #e6e9ed">   </span>`, lines[1].html())
}
