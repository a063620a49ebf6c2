// Package screen shows OTLP metrics and events of otelgoroutine in a terminal.
//
// A [Screen] is given what a receiver receives and knows nothing but that: what
// it shows is what any backend is given.
package screen

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

const (
	repaintEvery = 250 * time.Millisecond
	blockEvery   = 5 * time.Second // where there is no terminal to repaint
	endless      = 1 << 16         // columns and lines, likewise
)

// A Screen is an [otlptest.Sink] that shows what arrives: on a terminal a block
// that is painted over and over, with the events scrolling by above it;
// elsewhere a block every five seconds with the events in between. Colours
// appear only on a terminal, and not when NO_COLOR is set.
//
// Its methods Metrics, Logs and Counts are safe for concurrent use, the others
// are not.
type Screen struct {
	arrivals
	out      *colorprofile.Writer
	terminal *os.File // nil when there is none
	started  time.Time
	status   func() string
	painted  int // lines of the block on the terminal
}

// New returns a screen on out. Status is a few words that a block begins with;
// it is asked each time.
func New(out io.Writer, status func() string) *Screen {
	s := &Screen{out: colorprofile.NewWriter(out, os.Environ()), started: time.Now(), status: status}
	s.counts.Events = make(map[string]int)
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		s.terminal = file
	}
	return s
}

// Run shows what arrives until ctx ends. Finish shows what is left.
func (s *Screen) Run(ctx context.Context) {
	repaint := time.NewTicker(repaintEvery)
	defer repaint.Stop()
	for shown := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-repaint.C:
			block := s.terminal != nil || now.Sub(shown) >= blockEvery
			if block {
				shown = now
			}
			s.show(block)
		}
	}
}

// Finish shows the events that are left and a last block.
func (s *Screen) Finish() {
	s.show(true)
	if s.terminal != nil {
		fmt.Fprintln(s.out)
	}
}

// show prints the events that arrived and, if asked for, the block.
func (s *Screen) show(block bool) {
	latest, events := s.take()
	width, height := s.size()
	var text strings.Builder
	for _, e := range events {
		text.WriteString(eventText(e, s.started, width) + "\n\n")
	}
	if s.painted > 0 { // back to the first line of the block, and wipe it
		fmt.Fprint(s.terminal, ansi.CursorUp(s.painted)+"\r"+ansi.EraseScreenBelow)
	}
	if block {
		lines := latest.lines(clock(time.Since(s.started)) + "  " + s.status())
		lines = lines[:min(len(lines), height)]
		for _, line := range lines {
			text.WriteString(ansi.Truncate(line, width, "…") + "\n")
		}
		if s.terminal != nil {
			s.painted = len(lines)
		} else {
			text.WriteString("\n")
		}
	}
	_, _ = io.WriteString(s.out, text.String())
}

// size returns how many columns and lines there is room for: on a terminal one
// less of each than it has, since the cursor needs room too.
func (s *Screen) size() (width, height int) {
	if s.terminal == nil {
		return endless, endless
	}
	width, height, err := term.GetSize(int(s.terminal.Fd()))
	if err != nil {
		return 79, 23
	}
	return max(1, width-1), max(1, height-1)
}
