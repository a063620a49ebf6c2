package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// A progress shows how far the reading of an input is once it takes over a
// second: on a terminal in one line that is overwritten, elsewhere in a new line
// every five seconds.
type progress struct {
	w        io.Writer
	terminal bool
	name     string
	began    time.Time
	last     time.Time // when a line was shown
	shown    bool
}

func newProgress(w io.Writer) *progress { return &progress{w: w, terminal: isTerminal(w)} }

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// tell is the Progress of a source.Reader.
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
