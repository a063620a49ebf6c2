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
)

// A Screen shows a model: on a terminal a block that is painted over and over,
// with the events scrolling by above it; elsewhere a block every five seconds
// with the events in between. Colours appear only on a terminal, and not when
// NO_COLOR is set.
//
// A Screen is not safe for concurrent use.
type Screen struct {
	model   *Model
	status  func() string
	out     *colorprofile.Writer
	file    *os.File // the terminal; nil when there is none
	started time.Time
	painted int // lines of the block on the terminal
}

// New returns a screen on out. Status is a few words that a block begins with;
// it is asked each time.
func New(out io.Writer, model *Model, status func() string) *Screen {
	s := &Screen{
		model:   model,
		status:  status,
		out:     colorprofile.NewWriter(out, os.Environ()),
		started: time.Now(),
	}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		s.file = file
	}
	return s
}

// Run shows the model until ctx ends. Finish shows what is left.
func (s *Screen) Run(ctx context.Context) {
	repaint := time.NewTicker(repaintEvery)
	defer repaint.Stop()
	lastBlock := s.started
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-repaint.C:
			due := s.file != nil || now.Sub(lastBlock) >= blockEvery
			if due {
				lastBlock = now
			}
			s.show(due)
		}
	}
}

// Finish shows the events that are left and a last block.
func (s *Screen) Finish() {
	s.show(true)
	if s.file != nil {
		s.print([]string{""})
	}
}

// show prints the events that arrived and, if due, the block.
func (s *Screen) show(block bool) {
	events := s.eventLines()
	if len(events) == 0 && !block {
		return
	}
	if s.file == nil {
		s.print(events)
		if block {
			s.print(append(s.block(), ""))
		}
		return
	}
	width, height := s.size()
	lines := fit(s.block(), width)
	lines = lines[:min(len(lines), height)]
	s.erase()
	s.print(wrap(events, width))
	s.print(lines)
	s.painted = len(lines)
}

func (s *Screen) block() []string {
	v := s.model.view()
	return v.block(fmt.Sprintf("%s  %s", clock(time.Since(s.started)), v.title(s.status())))
}

// title is one line on the whole.
func (v view) title(status string) string {
	findings := fmt.Sprintf("%d findings open", v.open)
	if v.open == 1 {
		findings = "1 finding open"
	}
	return fmt.Sprintf("%s · %d goroutines, %d created so far · %s", status, v.total, v.created, findings)
}

func (s *Screen) eventLines() []string {
	var lines []string
	for _, e := range s.model.takeEvents() {
		lines = append(lines, e.lines(s.started)...)
		lines = append(lines, "")
	}
	return lines
}

// erase goes back to the first line of the block and wipes it.
func (s *Screen) erase() {
	if s.painted > 0 {
		fmt.Fprint(s.file, ansi.CursorUp(s.painted)+"\r"+ansi.EraseScreenBelow)
	}
}

func (s *Screen) print(lines []string) {
	if len(lines) > 0 {
		fmt.Fprintln(s.out, strings.Join(lines, "\n"))
	}
}

// size returns how many columns and lines there is room for, one less of each
// than the terminal has: the cursor needs room too.
func (s *Screen) size() (width, height int) {
	width, height, err := term.GetSize(int(s.file.Fd()))
	if err != nil {
		return 79, 23
	}
	return max(1, width-1), max(1, height-1)
}
