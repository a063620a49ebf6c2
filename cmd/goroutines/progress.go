package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// A progress tells what takes over a second: on a terminal in one line that is
// written over, elsewhere now and then.
type progress struct {
	w        io.Writer
	terminal bool
	name     string
	began    time.Time
	told     time.Time
	shown    bool
}

func newProgress(w io.Writer) *progress { return &progress{w: w, terminal: isTerminal(w)} }

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// tell is a source.Reader's Progress.
func (p *progress) tell(name string, n int64, done bool) {
	now := time.Now()
	if p.name != name {
		p.name, p.began, p.told = name, now, now
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
	if now.Sub(p.began) < time.Second || p.shown && now.Sub(p.told) < spacing {
		return
	}
	p.told, p.shown = now, true
	text := fmt.Sprintf("goroutines: reading %s: %.1f MiB, %v", name, float64(n)/(1<<20), now.Sub(p.began).Round(time.Second/10))
	if p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K"+text)
	} else {
		fmt.Fprintln(p.w, text)
	}
}

func (p *progress) clear() {
	if p.shown && p.terminal {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.shown = false
}
