// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/view"
)

// A progress shows how far the reading of an input has come once it has taken
// more than a second. On a terminal it overwrites one line; elsewhere it prints
// a new line every five seconds.
type progress struct {
	w        io.Writer
	terminal bool
	width    func() int // of the terminal, in columns
	name     string
	began    time.Time
	last     time.Time // when a line was shown
	shown    bool
}

func newProgress(w io.Writer) *progress {
	return &progress{w: w, terminal: hasScreen(w), width: func() int { return columnsOf(w) }}
}

// unknownWidth is that of a terminal that does not tell its own, in columns.
const unknownWidth = 80

func columnsOf(w any) int {
	if f, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
	}
	return unknownWidth
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// tell implements the Progress callback of a source.Reader.
func (p *progress) tell(name string, n int64, done bool) {
	now := time.Now()
	if p.name != name {
		p.name, p.began, p.last = name, now, now
	}
	if done {
		p.clear()
		p.name = ""
		return
	}
	spacing := 5 * time.Second
	if p.terminal {
		spacing = 200 * time.Millisecond
	}
	if now.Sub(p.began) < time.Second || p.shown && now.Sub(p.last) < spacing {
		return
	}
	p.last, p.shown = now, true
	so := fmt.Sprintf(": %.1f MiB, %v", float64(n)/(1<<20), now.Sub(p.began).Round(time.Second/10))
	if !p.terminal {
		fmt.Fprintln(p.w, reading+name+so)
		return
	}
	room := p.width() - 1 - len(so)
	if text := reading + name; len(text) > room { // a line that wraps cannot be overwritten
		name = view.FitMiddle(name, max(leastShown, room-len(reading)))
	}
	fmt.Fprint(p.w, "\r\x1b[K"+ansi.Truncate(reading+name+so, max(1, p.width()-1), "…"))
}

const (
	reading    = "goroutines: reading "
	leastShown = 8 // columns of the name of an input
)

func (p *progress) clear() {
	if p.shown && p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.shown = false
}
