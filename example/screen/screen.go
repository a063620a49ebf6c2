// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package screen shows OTLP metrics and events of otelgoroutine in a terminal.
//
// A [Screen] receives what a receiver receives and has no other information: it
// shows only what any backend would get.
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
	blockEvery   = 5 * time.Second // if there is no terminal to repaint
	endless      = 1 << 16         // columns and lines without a terminal
)

// A Screen is an [otlptest.Sink] that shows what arrives. On a terminal, it
// repaints a block in place, with the events scrolling by above it. Elsewhere,
// it prints a block every five seconds, with the events in between. It uses
// colours only on a terminal, and only if NO_COLOR is not set.
//
// The methods Metrics, Logs and Counts are safe for concurrent use. The others
// are not.
type Screen struct {
	arrivals
	out      *colorprofile.Writer
	terminal *os.File // nil if there is none
	started  time.Time
	status   func() string
	painted  int // lines of the block now on the terminal
}

// New returns a screen on out. status returns a few words for the start of a
// block; it is called for each block.
func New(out io.Writer, status func() string) *Screen {
	s := &Screen{out: colorprofile.NewWriter(out, os.Environ()), started: time.Now(), status: status}
	s.counts.Events = make(map[string]int)
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		s.terminal = file
	}
	return s
}

// Run shows what arrives until ctx ends. Finish shows the rest.
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

// Finish shows the remaining events and a last block.
func (s *Screen) Finish() {
	s.show(true)
	if s.terminal != nil {
		fmt.Fprintln(s.out)
	}
}

// show prints the events that have arrived and, if block is set, the block.
func (s *Screen) show(block bool) {
	latest, events := s.take()
	width, height := s.size()
	var text strings.Builder
	for _, e := range events {
		text.WriteString(eventText(e, s.started, width) + "\n\n")
	}
	if s.painted > 0 { // go back to the first line of the block and erase it
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

// size returns the available columns and lines. On a terminal, that is one less
// of each than the terminal has, because the cursor needs room.
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
